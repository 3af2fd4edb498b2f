"""Programs as files that need NumPy alone: run where zkynet cannot be imported."""

import json
import subprocess
import sys

import numpy as np
import pytest

from support.graph_plans import Builder, mlp_step
from zkynet.framework.graph_mode import plain_conv
from zkynet.framework.graph_mode.export import Counted, write
from zkynet.framework.graph_mode.program import Program, Step, Value
from zkynet.framework.record import HOST
from zkynet.optim import AdamW
from zkynet.optim.adam import adam, amsgrad
from zkynet.optim.decay import penalized, shrunk
from zkynet.optim.sgd import with_momentum

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

# Runs a file some steps in a process that refuses to import anything of zkynet or other libraries.
RUN = """
import json, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("zkynet", "backends", "scipy", "jax"):
            raise ImportError(f"{name} is not to be imported here")
sys.meta_path.insert(0, Refuse())
path, arguments, steps, out = sys.argv[1:]
import runpy, numpy as np
file = runpy.run_path(path)
state = file["load"]()
with np.load(arguments) as given:
    given = [given[name] for name in given.files]
results = []
for _ in range(int(steps)):
    result = file["step"](state, *given)
    results += result if isinstance(result, tuple) else [result]
same = [name for name in state]
np.savez(out, *results, **{f"state.{name}": x for name, x in state.items()})
assert "zkynet" not in sys.modules
"""


def run(tmp_path, arguments=(), steps=1):
    """The results of some steps of the file, and the state behind them, from a process without zkynet."""
    np.savez(tmp_path / "arguments.npz", *arguments)
    command = [sys.executable, "-I", "-c", RUN, *(str(tmp_path / x) for x in ("step.py", "arguments.npz"))]
    done = subprocess.run([*command, str(steps), str(tmp_path / "out.npz")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as out:
        results = [out[name] for name in out.files if not name.startswith("state.")]
        return results, {name[6:]: out[name] for name in out.files if name.startswith("state.")}


def write_function(tmp_path, build, *outputs, arguments=()):
    """Write a program whose inputs are all parameters but the ``arguments``."""
    program = build.program(*outputs)
    inputs = [(f"x{i}", "argument" if x in arguments else "parameter") for i, x in enumerate(program.inputs)]
    arrays = {name: build.arrays[x] for (name, _), x in zip(inputs, program.inputs, strict=True)}
    write(tmp_path / "step.py", program, inputs, [("y", "result")] * len(outputs), arrays)
    return program


def close(got, want):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-5 if got.dtype.itemsize == 4 else 1e-12, atol=1e-7)


def training(slots, names=("w0", "b0", "w1", "b1")):
    """The names and roles of ``mlp_step``'s inputs and outputs."""
    inputs = [("x", "argument"), ("labels", "argument"), ("numbers", "numbers")]
    inputs += [(name, "parameter") for name in names]
    inputs += [(f"{name}.{slot}", "slot") for name in names for slot in range(slots)]
    outputs = [("loss", "result")]
    for name in names:
        outputs += [(name, "parameter"), *((f"{name}.{slot}", "slot") for slot in range(slots))]
    return inputs, outputs


RULES = {
    "sgd": (None, (0.1,), 0),
    "momentum": (with_momentum, (0.1, 0.9), 1),
    "amsgrad": (amsgrad, (0.9, 0.999, 1e-3, 1e-8), 3),
    "penalty": (penalized(adam), (0.9, 0.999, 1e-3, 1e-8, 0.1), 2),
}


@pytest.mark.parametrize("name", RULES)
def test_a_training_step_runs_without_zkynet(tmp_path, name):
    rule, numbers, slots = RULES[name]
    build, outputs = mlp_step(rule=rule, numbers=numbers, slots=slots, dtype="f8")
    program, (inputs, named) = build.program(*outputs), training(slots)
    arrays = {name: build.arrays[x] for (name, _), x in zip(inputs, program.inputs, strict=True)}
    write(tmp_path / "step.py", program, inputs, named, arrays)
    state, losses = dict(arrays), []
    for _ in range(3):
        loss, *new = program(*[state[name] for name, _ in inputs])
        losses.append(loss)
        state.update(zip([name for name, _ in named[1:]], new, strict=True))
    got, kept = run(tmp_path, [arrays["x"], arrays["labels"]], 3)
    for a, b in zip(got, losses, strict=True):
        close(a, b)
    for name, role in inputs:
        if role in ("parameter", "slot"):
            close(kept[name], state[name])


def test_the_numbers_of_a_step_follow_its_count(tmp_path):
    optimizer = AdamW(1e-2, weight_decay=0.1)
    build, outputs = mlp_step(rule=shrunk(adam), numbers=optimizer._with_decay(1, 1e-2), slots=2, dtype="f8")
    program, (inputs, named) = build.program(*outputs), training(2)
    arrays = {name: build.arrays[x] for (name, _), x in zip(inputs, program.inputs, strict=True)}
    state = dict(arrays)
    write(
        tmp_path / "step.py", program, inputs, named, {**arrays, "numbers": Counted(optimizer._with_decay, 1, (1e-2,))}
    )
    for t in (1, 2, 3):
        state["numbers"] = optimizer._with_decay(t, 1e-2)
        _, *new = program(*[state[name] for name, _ in inputs])
        state.update(zip([name for name, _ in named[1:]], new, strict=True))
    _, kept = run(tmp_path, [arrays["x"], arrays["labels"]], 3)
    close(kept["w0"], state["w0"])
    assert kept["steps.adamw1"] == 4


def test_numbers_that_are_inputs_one_by_one(tmp_path):
    optimizer, build = AdamW(1e-2), Builder()
    x, (rate, eps) = build.input(np.arange(3.0)), (Value(8 + i, (), None, weak=True) for i in (0, 1))
    y = build.value(np.arange(3.0))
    program = Program(HOST, [x, rate, eps], [Step("multiply", (x, rate), {}, y)], [y, eps])
    arrays = {"rate": Counted(optimizer.numbers, 5, (0.1,), 2), "eps": Counted(optimizer.numbers, 5, (0.1,), 3)}
    roles = [("x", "argument"), ("rate", "numbers"), ("eps", "numbers")]
    write(tmp_path / "step.py", program, roles, [("y", "result"), ("e", "result")], arrays)
    got, kept = run(tmp_path, [np.arange(3.0)], 2)
    for t, (y, eps) in zip((5, 6), (got[:2], got[2:]), strict=True):
        close(y, np.arange(3.0) * optimizer.numbers(t, 0.1)[2])
        close(eps, optimizer.numbers(t, 0.1)[3])
    assert kept == {"steps.adamw1": 7}


def test_the_file_reads_as_numpy(tmp_path):
    build, outputs = mlp_step()
    program, (inputs, named) = build.program(*outputs), training(0)
    arrays = {name: build.arrays[x] for (name, _), x in zip(inputs, program.inputs, strict=True)}
    write(tmp_path / "step.py", program, inputs, named, arrays, title="My network.")
    text = (tmp_path / "step.py").read_text()
    for line in (
        '"""My network.',
        "import numpy as np",
        "def plain(xp: Any, p: Any, g: Any, lr: Any) -> tuple:",
        "def step(state, x, labels, numbers=(0.1,)):",
        '    """Return loss (float32 ()).',
        "    Arguments: x (float32 (6, 5)), labels (float32 (6, 3)).",
        '    w0 = state["w0"]',
        "    # user.py:0",
        "    t7 = np.matmul(x, w0)  # (6, 4)",
        "    t9 = np.maximum(t8, 0)  # (6, 4)",
        '    state["w0"] = t31',
        "    return t18",
    ):
        assert line in text.splitlines(), line
    assert "zkynet." not in text
    assert "del " not in text
    assert len(text.splitlines()) < 160
    compile(text, "step.py", "exec")


def test_the_file_runs_by_itself(tmp_path):
    build = Builder()
    x, w = build.input(np.ones((2, 3), "f4")), build.input(np.ones((3, 2), "f4"))
    write_function(tmp_path, build, build("matmul", x, w), arguments=[x])
    done = subprocess.run([sys.executable, "-I", tmp_path / "step.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6


def many_functions(build):
    """One call of many of the backend's own functions."""
    rng = np.random.default_rng(0)
    x = build.input(rng.normal(size=(2, 3, 9, 8)))
    w, q = build.input(rng.normal(size=(4, 3, 3, 3))), build.input(rng.normal(size=(2, 4, 5)))
    spd, index = build.input(np.eye(3) * 2 + 0.1), build.input(np.array([2, 0, 0]))
    setting = (1, 1), ((1, 1), (0, 1)), (1, 1), 1
    y = build("conv", x, w, *setting)
    best, which = build("pool_max", x, (2, 2), (2, 2), (1, 1))
    attended, shares = build("attention", q, q, q, True)
    z, flat = build("getitem", x, (0, slice(None), 1)), build("reshape", q, (-1,))
    return {
        "conv": [
            y,
            build("conv_input", y, w, (2, 3, 9, 8), *setting),
            build("conv_filter", x, y, (4, 3, 3, 3), *setting),
        ],
        "pool": [best, build("pool_place", best, which, (9, 8), (2, 2), (2, 2), (1, 1))],
        "attention": [attended, *build("attention_back", attended, q, q, q, attended, shares, True)],
        "softmax": [build("softmax", q, -1), build("weights", q, (-2, -1)), build("sigmoid", q)],
        "linalg": [build("linalg.solve", spd, z), build("linalg.cholesky", spd), *build("linalg.slogdet", spd)],
        "masks": [build("select", build("greater", q, 0), q), build("multiply_no_nan", q, build("divide", 1, q))],
        "place": [build("silence", q, build("log", q)), build("place", flat, (Ellipsis, slice(0, 40)), (50,))],
        "index": [build("take", z, build("check_index", index, 3), -2), build("scatter_sum", z, index, 3, -2)],
        "set": [build("scatter_set", z, build("getitem", index, slice(0, 2)), build("getitem", z, slice(0, 2)), -2)],
        "cumulative": [build("cumulative_sum", q, -1, True), build("cumulative_prod", q)],
        "special": [build("special.erf", q), build("special.gammaln", build("abs", q)), build("special.digamma", q)],
        "random": [build("uniform", build("random_bits", (1, 2), 3, 8), np.dtype("f4"))],
        "normal": [build("normal", build("random_bits", (1, 2), 3, 8), np.dtype("f8"))],
        "fft": [build("fft.rfft", q), build("einsum", ["abc", "dbc"], "ad", q, q)],
        "entrywise": [build("cbrt", q), build("exp2", q), build("complex_of", q, q), build("exponent", q)],
        "parts": [build("real", build("astype", q, np.dtype("c16"))), build("pad", q, [(1, 2)]), build("own", q)],
    }


MANY = list(many_functions(Builder()))


@pytest.mark.parametrize("name", MANY)
def test_the_backends_own_functions_come_along(tmp_path, name):
    build = Builder()
    outputs = many_functions(build)[name]
    made, wanted = {x: step for step in build.steps for x in step.makes}, list(outputs)
    for x in wanted:  # what they need, and no more
        wanted += [y for y in made[x].reads if y not in wanted] if x in made else []
    build.steps = [step for step in build.steps if set(step.makes) & set(wanted)]
    program = write_function(tmp_path, build, *outputs)
    with np.errstate(all="ignore"):
        want = program(*build.fresh_inputs())
    got, _ = run(tmp_path)
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        close(a, b)


def test_constants_and_what_the_program_reads_after_an_update(tmp_path):
    build, outputs = mlp_step(dtype="f8")
    c = build.constant(np.arange(4.0))
    after = build("add", build("sum", build.inputs[3], axis=0), c)
    program, (inputs, named) = build.program(*outputs, after), training(0)
    arrays = {name: build.arrays[x] for (name, _), x in zip(inputs, program.inputs, strict=True)}
    write(tmp_path / "step.py", program, inputs, [*named, ("after", "result")], arrays)
    want = program(*build.fresh_inputs())
    (loss, got), kept = run(tmp_path, [arrays["x"], arrays["labels"]])
    close(got, want[-1])
    close(kept["w0"], want[1])


def test_what_leads_to_no_output_is_left_out(tmp_path):
    build = Builder()
    x = build.input(np.arange(3.0))
    y = build("negative", x)
    build.steps.append(Step("getitem", (build("exp", x), {1: len}), {}, None))  # could be written nowhere
    program = build.program(y)
    write(tmp_path / "step.py", program, [("x", "argument")], [("y", "result")], {})
    text = (tmp_path / "step.py").read_text()
    assert "np.negative(x)" in text
    assert "np.exp" not in text


def test_a_counter_moves_on(tmp_path):
    build = Builder()
    counter = build.input(np.array(5, np.uint64))
    bits = build("random_bits", (1, 2), counter, 4)
    following = build("add", counter, build.constant(np.array(1, np.uint64)))
    program = build.program(bits, following)
    roles = [("counter", "counter")]
    write(tmp_path / "step.py", program, roles, [("bits", "result"), *roles], {"counter": np.array(5, np.uint64)})
    got, kept = run(tmp_path, steps=2)
    for x, count in zip(got, (5, 6), strict=True):
        np.testing.assert_array_equal(x, HOST.random_bits((1, 2), count, 4))
    assert kept["counter"] == 7


@pytest.mark.parametrize("groups, stride, dilation", [(1, (1, 1), (1, 1)), (2, (2, 1), (1, 2)), (4, (3, 2), (2, 1))])
def test_convolution_in_a_few_lines(groups, stride, dilation):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 4, 9, 8)), rng.normal(size=(8, 4 // groups, 3, 2))
    setting = stride, ((1, 0), (2, 1)), dilation, groups
    y = HOST.conv(x, w, *setting)
    close(plain_conv.conv(x, w, *setting), y)
    close(plain_conv.conv_input(y, w, x.shape, *setting), HOST.conv_input(y, w, x.shape, *setting))
    close(plain_conv.conv_filter(x, y, w.shape, *setting), HOST.conv_filter(x, y, w.shape, *setting))


def test_convolution_with_leading_axes_comes_along(tmp_path):
    build = Builder()
    x, w = build.input(np.ones((3, 2, 1, 5, 5))), build.input(np.ones((1, 1, 2, 2)))
    program = write_function(tmp_path, build, build("conv", x, w, (1, 1), ((0, 0), (0, 0)), (1, 1), 1))
    (got,), _ = run(tmp_path)
    close(got, program(*build.fresh_inputs())[0])


def test_what_cannot_be_written_is_refused(tmp_path):
    def local(scale):
        return lambda xp, p, g, lr: (p - scale * lr * g,)

    build, outputs = mlp_step(rule=local(2))
    program, (inputs, named) = build.program(*outputs), training(0)
    arrays = {name: build.arrays[x] for (name, _), x in zip(inputs, program.inputs, strict=True)}
    with pytest.raises(TypeError, match="has no source of its own"):
        write(tmp_path / "step.py", program, inputs, named, arrays)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="unknown role 'weight'"):
        write(tmp_path / "step.py", program, [("x", "weight")] * len(inputs), named, arrays)
    with pytest.raises(TypeError, match="on the NumPy backend"):
        write(tmp_path / "step.py", Program(object(), [], [], []), [], [], {})


def test_the_runner_refuses_zkynet(tmp_path):
    (tmp_path / "step.py").write_text("import zkynet")
    np.savez(tmp_path / "arguments.npz")
    command = [sys.executable, "-I", "-c", RUN, *(str(tmp_path / x) for x in ("step.py", "arguments.npz"))]
    done = subprocess.run([*command, "1", str(tmp_path / "out.npz")], capture_output=True, text=True)
    assert "is not to be imported here" in done.stderr
    assert json.dumps(done.returncode) == "1"
