"""Programs as CUDA graphs: when one is captured, what stays outside, and what happens where it would be wrong.

The stand-in for CUDA writes down what runs while a stream captures, and runs it again at a launch, from the arrays and
into the arrays of the capture. So this file shows the logic around a graph: what it reads anew, what it must not hold,
that it is compared and dropped. Of CUDA it shows nothing; the same tests run on CuPy where that can compute.
"""

import threading

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support import standin_cuda, standin_cupy
from support.graph_programs import Writer, difference, random_program, run
from zkynet import models, op, optim
from zkynet.framework.graph_mode import device_graph, device_kernels
from zkynet.framework.graph_mode.device_code import told
from zkynet.framework.graph_mode.device_graph import CHECKS, WARM, OnDevice, split
from zkynet.framework.graph_mode.device_updates import written_out

CAPTURED_AT = WARM + 1  # the call whose inputs are captured
LAUNCHED = WARM + CHECKS + 1  # the first call that the graph alone answers


def exactly_told(step, name_of):
    """Without functions whose last bits differ between NumPy and C's library: else chance decides what is refused."""
    return None if step.function in ("exp", "log", "tanh", "sigmoid", "pow") else told(step, name_of)


@pytest.fixture(scope="module", params=("stand-in", "cupy"))
def xp(request):
    """The backend: on the stand-in, and on CuPy itself where it can compute."""
    if request.param == "cupy":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(device_graph, "TIMED", 0)
            yield backends_here.get("cupy")
    else:
        with standin_cupy.registered() as found, pytest.MonkeyPatch.context() as patch:
            patch.setattr(device_kernels, "told", exactly_told)
            patch.setattr(device_graph, "TIMED", 0)  # which way is faster is not for these tests
            yield found


@pytest.fixture
def captures(xp, monkeypatch):
    """The calls of ``captured``, and of the graphs that it gave."""
    real, calls = type(xp).captured, []

    class Counted:
        def __init__(self, run, arrays):
            calls.append("captured")
            self.graph = real(xp, run, arrays)

        @property
        def here(self):
            return self.graph.here

        def __call__(self, arrays):
            calls.append("launched")
            return self.graph(arrays)

    monkeypatch.setattr(xp, "captured", Counted, raising=False)
    return calls


def steps_of(xp, count=6):
    """A program of one chain and a product."""
    write = Writer(xp)
    x, w = write.input(np.arange(6.0).reshape(2, 3)), write.input(np.eye(3))
    y = write("matmul", x, w)
    for k in range(count):
        y = write("add", write("multiply", y, 0.5), float(k))
    return write, write.program(write("sum", y, axis=0), y)


def others(xp, arrays, k):
    """Arrays like these, with other numbers in them."""
    return [xp.asarray(np.array(xp.to_numpy(x) + k, dtype=xp.to_numpy(x).dtype)) for x in arrays]


def replayed(program, arrays, calls, off=frozenset()):
    """An OnDevice after so many calls, each with other numbers and compared with the program."""
    ready = OnDevice(program, off)
    for k in range(calls):
        given = others(program.xp, arrays, k)
        wanted = run(program, given)
        for a, b in zip(wanted, ready(list(given)), strict=True):
            assert difference(program.xp, a, b) is None, f"call {k + 1}: {ready.report()}"
    return ready


# ---- the states ----


def test_a_graph_is_captured_behind_ordinary_runs_compared_and_then_launched_alone(xp, captures):
    write, program = steps_of(xp)
    ready = replayed(program, write.arrays, WARM)
    assert captures == [] and f"no CUDA graph yet: {WARM} of {WARM} ordinary runs" in ready.report()
    ready = replayed(program, write.arrays, CAPTURED_AT)
    assert captures == ["captured", "launched"]
    ready = replayed(program, write.arrays, LAUNCHED + 2)
    assert captures[2:] == ["captured"] + ["launched"] * (CHECKS + 3)
    assert f"a CUDA graph of 14 of 14 steps, compared in {CHECKS} of {CHECKS} runs, timed in 0 of 0" in ready.report()


def test_a_graph_alone_answers_behind_its_checks(xp, monkeypatch):
    write, program = steps_of(xp)
    ready = replayed(program, write.arrays, LAUNCHED)
    monkeypatch.setattr(ready, "whole", None)  # nobody may ask for it
    given = others(xp, write.arrays, 40)
    for a, b in zip(run(program, given), ready(list(given)), strict=True):
        assert difference(xp, a, b) is None


def test_outputs_are_copies_that_the_next_launch_leaves_alone(xp):
    write, program = steps_of(xp)
    ready = replayed(program, write.arrays, LAUNCHED)
    first = ready(others(xp, write.arrays, 1))
    before = [xp.to_numpy(x).copy() for x in first]
    first[0][...] = 77.0  # the caller's, writable
    second = ready(others(xp, write.arrays, 2))
    np.testing.assert_array_equal(xp.to_numpy(first[1]), before[1])
    assert difference(xp, run(program, others(xp, write.arrays, 2))[0], second[0]) is None


@pytest.mark.parametrize("off", ((), ("graph",)))
def test_what_comes_out_shares_memory_with_nothing(xp, off):
    write = Writer(xp)
    x, y, c = write.input(np.ones(4)), write.input(np.full(4, 2.0)), write.constant(np.full(4, 3.0))
    z = x
    for _ in range(5):
        z = write("add", write("multiply", z, z), y)
    program = write.program(z, y, z, c, write("reshape", x, (2, 2)), write("reshape", z, (2, 2)))
    ready = replayed(program, write.arrays, LAUNCHED, set(off))
    given = others(xp, write.arrays, 3)
    found, again = ready(list(given)), ready(list(given))
    for k, array in enumerate(found):
        array[...] = -1.0 - k
    assert [float(xp.to_numpy(array).flat[0]) for array in found] == [-1, -2, -3, -4, -5, -6]
    assert xp.to_numpy(given[0]).tolist() == [4] * 4 and xp.to_numpy(given[1]).tolist() == [5] * 4
    for a, b in zip(again, ready(list(given)), strict=True):
        assert difference(xp, a, b) is None


def test_a_stretch_in_the_middle_copies_nothing(xp):
    write = Writer(xp)
    x = write.input(np.ones(4))
    program = write.program(x, write("negative", x))
    (found, _), given = OnDevice(program, own_outputs=False)(list(write.arrays)), write.arrays
    assert found is given[0] and [step.function for step in OnDevice(program).program.steps] == ["negative", "own"]


def test_the_list_of_inputs_is_emptied(xp):
    write, program = steps_of(xp)
    ready = OnDevice(program)
    for _ in range(LAUNCHED + 1):
        given = list(write.arrays)
        ready(given)
        assert not given


@pytest.mark.parametrize("block", range(3))
def test_random_programs_give_their_bits(xp, block):
    launched = 0
    for seed in range(block * 8, block * 8 + 8):
        program, arrays = random_program(seed, xp=xp, lengths=(2, 3), steps=20)
        ready = OnDevice(program)
        wanted = run(program, arrays)
        for _ in range(LAUNCHED + 1):
            for a, b in zip(wanted, ready(list(arrays)), strict=True):
                assert difference(xp, a, b) is None, f"seed {seed}: {ready.report()}\n{program}"
        launched += ready.refused is None
    assert launched > 2


class Clock:
    """A clock that says that a run without a graph takes ``steps`` seconds, and one with it ``graph``."""

    def __init__(self, steps, graph, captures):
        self.seconds, self.captures, self.now, self.launched = (steps, graph), captures, 0.0, 0

    def __call__(self):
        count = self.captures.count("launched")
        self.now += self.seconds[count > self.launched]
        self.launched = count
        return self.now


@pytest.mark.parametrize("graph", (0.5, 2.0))
def test_the_faster_way_stays(xp, captures, monkeypatch, graph):
    monkeypatch.setattr(device_graph, "TIMED", 3)
    write, program = steps_of(xp)
    monkeypatch.setattr(OnDevice, "clock", Clock(1.0, graph, captures))
    ready = replayed(program, write.arrays, LAUNCHED - 1 + 2 * 3)
    launched = captures.count("launched")
    assert launched == CHECKS + 3
    ready(list(write.arrays))
    assert captures.count("launched") == launched + (graph < 1)
    slower = "no CUDA graph: measured: 2000.000 ms with one, 1000.000 ms without"
    assert (slower in ready.report()) is (graph > 1)


# ---- what is not captured ----


def test_what_reads_values_runs_in_front_with_what_it_needs(xp):
    write = Writer(xp)
    x, labels = write.input(np.arange(12.0).reshape(4, 3)), write.input(np.array([0, 1, -1, 2]))
    doubled = write("add", labels, labels)
    index = write("check_index", doubled, 6, "label")
    y = write("add", write("multiply", x, 2.0), 1.0)
    z = write("subtract", y, write("expand_dims", write("astype", index, x.dtype), axis=-1))
    parts = split(write.program(write("sum", write("exp", z), axis=0), index))
    assert [step.function for step in parts.front.steps] == ["add", "check_index"]
    assert "check_index" not in [step.function for step in parts.graph.steps]
    assert set(parts.graph.inputs) == {x, index} and index in parts.front.outputs
    arrays = [write.held[x], write.held[labels]]
    ready = OnDevice(write.program(z, index))
    for _ in range(LAUNCHED):
        ready(list(arrays))
    assert ready.refused is None
    wrong = [arrays[0], xp.asarray(np.array([0, 1, 5, 2]))]
    with pytest.raises(IndexError, match="label: index 10 is out of bounds"):
        ready(wrong)
    assert ready.refused is None  # the graph is as good as it was


def test_an_index_made_of_values_is_not_captured(xp):
    write = Writer(xp)
    x, mask = write.input(np.arange(4.0)), write.input(np.array([True, False, True, True]))
    picked = write("getitem", x, (mask,))
    parts = split(write.program(write("negative", picked)))
    assert [step.function for step in parts.front.steps] == ["getitem"]


def test_a_program_that_only_reads_has_no_graph(xp, captures):
    write = Writer(xp)
    x = write.input(np.array([0, 1]))
    y = write("check_index", write("add", write("multiply", x, 1), 1), 9, "label")
    ready = OnDevice(write.program(y))
    for _ in range(LAUNCHED):
        ready(list(write.arrays))
    assert captures == []
    assert "no CUDA graph: it would hold 1 of 4 steps, the others are or lead to check_index" in ready.report()


def test_large_programs_are_not_copied_in_and_out(xp, captures, monkeypatch):
    monkeypatch.setattr("zkynet.framework.graph_mode.device_graph.MOST_BYTES", 100)
    write, program = steps_of(xp)
    ready = replayed(program, write.arrays, LAUNCHED)
    assert captures == [] and "no CUDA graph: 1 MiB would be copied in and out" in ready.report()


@pytest.mark.parametrize("off", ("graph", "kernels"))
def test_switches(xp, off):
    write, program = steps_of(xp)
    ready = replayed(program, write.arrays, LAUNCHED, {off})
    assert ("no CUDA graph: switched off" in ready.report()) is (off == "graph")
    assert ("a kernel of" in ready.report()) is (off == "graph")


# ---- graphs that would be wrong ----


def refused(xp, monkeypatch, captured, calls=LAUNCHED + 2):
    monkeypatch.setattr(xp, "captured", captured, raising=False)
    write, program = steps_of(xp)
    ready = replayed(program, write.arrays, calls)  # compares each call
    assert ready._captured is None
    return ready.refused


class Graph:
    """A graph that runs, and is wrong in some way."""

    here = True

    def __init__(self, run, arrays):
        self.run, self.arrays, self.count = run, list(arrays), 0

    def __call__(self, arrays):
        self.count += 1
        return self.run(list(arrays))


def test_a_graph_of_other_bits_is_dropped(xp, monkeypatch):
    class Wrong(Graph):
        def __call__(self, arrays):
            first, *rest = super().__call__(arrays)
            return [first + 1e-15 * xp.abs(first), *rest]

    assert refused(xp, monkeypatch, Wrong) == "run 1 of the graph was not bit by bit what the steps give"


def test_a_graph_that_holds_on_to_old_inputs_is_dropped(xp, monkeypatch):
    class Stale(Graph):
        def __call__(self, arrays):
            return super().__call__(self.arrays)

    assert refused(xp, monkeypatch, Stale) == "run 2 of the graph was not bit by bit what the steps give"


def test_what_cannot_be_captured_goes_on_as_before(xp, monkeypatch):
    def captured(run, arrays):
        raise RuntimeError("cudaErrorStreamCaptureUnsupported")

    assert refused(xp, monkeypatch, captured) == "RuntimeError: cudaErrorStreamCaptureUnsupported"


def test_a_launch_that_fails_later_is_answered_by_the_steps(xp, monkeypatch):
    class Failing(Graph):
        def __call__(self, arrays):
            if self.count == CHECKS:
                raise RuntimeError("cudaErrorLaunchFailure")
            return super().__call__(arrays)

    assert refused(xp, monkeypatch, Failing) == "RuntimeError: cudaErrorLaunchFailure"


def test_a_host_read_inside_a_capture_is_refused_by_the_stream(xp):
    """What is_captured would have to miss; on the stand-in as CUDA does it."""

    def run(arrays):
        return [arrays[0] * float(arrays[0][0])]

    with pytest.raises(Exception, match=r"(?i)captur"):
        xp.captured(run, [xp.asarray(np.ones(3))])
    again = xp.captured(lambda arrays: [arrays[0] + 1.0], [xp.asarray(np.ones(3))])  # and leaves nothing behind
    assert xp.to_numpy(again([xp.asarray(np.ones(3))])[0]).tolist() == [2, 2, 2]


def test_another_thread_takes_the_ordinary_way(xp, captures):
    write, program = steps_of(xp)
    ready = replayed(program, write.arrays, LAUNCHED)
    before, found = list(captures), []
    thread = threading.Thread(target=lambda: found.extend(ready(list(write.arrays))))
    thread.start()
    thread.join()
    assert captures == before and difference(xp, run(program, write.arrays)[0], found[0]) is None


def test_the_capture_has_a_stream_and_memory_of_its_own(xp):
    standin_cuda.log.clear()
    graph = xp.captured(lambda arrays: [arrays[0] * 2.0], [xp.asarray(np.ones(3))])
    graph([xp.asarray(np.ones(3))])
    assert graph.here and len(graph._memory) >= 1
    if isinstance(graph._inputs[0], standin_cupy.ndarray):
        assert standin_cuda.log == ["begin_capture", "end_capture", "launch"]


# ---- updates ----

OPTIMIZERS = {
    "sgd": lambda: optim.SGD(lr=0.1, momentum=0.9),
    "adam": lambda: optim.Adam(lr=1e-2),
    "adamw": lambda: optim.AdamW(lr=1e-2, amsgrad=True),
    "rmsprop": lambda: optim.RMSprop(lr=1e-2),
    "lion": lambda: optim.Lion(lr=1e-2),
}


def trained(make, steps, wrap):
    """Losses and parameters of so many steps; the step."""
    model, optimizer = models.fcn([6, 5, 3], seed=0).to("cupy"), make()
    xp = zk.backends.get("cupy")
    draw = np.random.default_rng(0)
    batches = [(draw.standard_normal((4, 6)).astype("float32"), draw.integers(0, 3, 4)) for _ in range(steps)]

    def step(x, labels):
        loss, grads = zk.value_and_grad(lambda model: op.mean(op.softmax_cross_entropy(model(x), labels)))(model)
        optimizer.update(model, grads)
        return loss

    step = wrap(step)
    losses = [xp.to_numpy(step(xp.asarray(x), xp.asarray(y))) for x, y in batches]
    return [*losses, *[xp.to_numpy(p.value) for p in model.parameters()]], step


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_gives_the_bits_of_eager_mode(xp, name):
    steps = LAUNCHED + 4
    wanted, _ = trained(OPTIMIZERS[name], steps, lambda f: f)
    found, step = trained(OPTIMIZERS[name], steps, zk.compile)
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(a, b)
    assert "a CUDA graph of" in step.explain() and f"compared in {CHECKS} of {CHECKS} runs" in step.explain()
    assert "update_in_blocks" not in step.source() and "check_index" in step.source()


def test_generators_draw_anew_in_a_graph(xp):
    generator, other = zk.Generator(3), zk.Generator(3)

    def noisy(x, generator):
        y = x + generator.normal((4,))
        for k in range(6):
            y = y * 0.5 + float(k)
        return y

    with zk.use_backend("cupy"):
        step = zk.compile(lambda x: noisy(x, generator))
        x = xp.asarray(np.ones(4))
        for _ in range(LAUNCHED + 2):
            found, wanted = step(x), noisy(x, other)
            assert difference(xp, getattr(found, "value", found), getattr(wanted, "value", wanted)) is None


def test_a_rule_that_cannot_be_recorded_stays_an_update(xp):
    def rule(xp, p, g, rate):
        p -= g * rate if float(xp.sum(g)) > 0 else g  # decides by values
        return (p,)

    write = Writer(xp)
    p, g, rate = write.input(np.ones(3)), write.input(np.ones(3)), write.input(np.array(0.5))
    write.steps.clear()
    made = write("update_in_blocks", rule, [[p, g]], (rate,))
    program = write.program(made[0][0])
    assert written_out(program) is program


def test_an_update_that_gives_arrays_back_as_they_were(xp):
    def rule(xp, p, g, slot, rate):
        return p - g * rate, slot

    write = Writer(xp)
    arrays = [write.input(np.full(3, k + 1.0)) for k in range(3)]
    made = write("update_in_blocks", rule, [arrays], (write.input(np.array(0.5)),))
    program = write.program(*made[0])
    after = written_out(program)
    assert [step.function for step in after.steps] != ["update_in_blocks"]
    for a, b in zip(run(program, write.arrays), run(after, write.arrays), strict=True):
        assert difference(xp, a, b) is None
