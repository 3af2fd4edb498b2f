"""zk.detect_anomaly: healthy programs are left alone, what the message says, nesting, threads, and no cost when off."""

import contextvars
import gc
import sys
import threading

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.engine import nothing_left_behind, records_alive
from zkynet import nn
from zkynet.errors import AnomalyError, ShapeError, ZkynetError
from zkynet.framework import anomaly, op
from zkynet.framework.record import CONTEXT, WATCHED

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own, of the same faults

INF, NAN = float("inf"), float("nan")


# ---- healthy programs ----


def masked_attention(xp):
    scores = xp.asarray([[1.0, 2.0], [3.0, 4.0]])
    mask = xp.asarray([[True, False], [True, True]])
    bias = xp.asarray([[0.0, -INF], [0.0, 0.0]])

    def loss(q):
        weights = op.softmax(op.where(mask, q * scores, -INF)) + op.softmax(q * scores + bias)
        return op.sum(weights * scores) + op.sum(op.softmax(op.where(mask, q, -INF)) * op.log_softmax(q))

    return zk.grad(loss)(scores), zk.hessian(loss)(scores)


def logsumexp_of_infinities(xp):
    x = xp.asarray([-INF, 0.0, 1.0])
    y, _ = zk.jvp(op.logsumexp, (x,), (xp.asarray([0.0, 1.0, 1.0]),))
    return zk.grad(op.logsumexp)(x), zk.grad(lambda x: op.logsumexp(x - 2.0))(x), y, op.logsumexp(x[:1])


def log_guarded_behind(xp):
    x = xp.asarray([-1.0, 0.0, 2.0])
    logs = lambda x: op.where(x > 0, op.log(x), 0.0)  # noqa: E731
    again = lambda x: op.sum(op.where(x > 0, op.reshape(op.log(x), (3,)), -INF)[2])  # noqa: E731
    entropy = lambda x: op.sum(op.where(x > 0, x * op.log(x), 0.0))  # noqa: E731
    t = xp.asarray([1.0, 1.0, 1.0])
    return (
        zk.grad(entropy)(x),
        zk.jvp(entropy, (x,), (t,)),
        zk.jacobian(logs)(x),
        zk.grad(again)(x),
    )


def log_guarded_before_and_behind(xp):
    x = xp.asarray([-1.0, 0.0, 2.0])
    f = lambda x: op.sum(op.where(x > 0, op.log(op.where(x > 0, x, 1.0)), 0.0))  # noqa: E731
    return zk.value_and_grad(f)(x), zk.hessian(f)(x)


def entries_that_are_replaced(xp):
    x = xp.asarray([0.0, 2.0, 3.0])

    def assigned(x):
        y = op.log(x)
        y[0] = 0.0
        return op.sum(y * y)

    def asked(x):
        y = op.log(x)
        return op.sum(op.where(op.isfinite(y), y, -9.0))

    return zk.grad(assigned)(x), zk.grad(asked)(x), zk.grad(lambda x: op.sum(op.log(x)[1:]))(x)


def missing_data(xp):
    x = xp.asarray([NAN, 1.0, 2.0])
    there = op.where(op.isnan(x), 0.0, x)
    return op.sum(op.reshape(there, (3, 1))), op.sum(op.where(op.isnan(op.expand_dims(x)), 0.0, op.expand_dims(x)))


def max_pooling_padded(xp):
    pad = xp.full((1,), -INF, dtype=xp.float64)

    def pooled(x):
        padded = op.concat([pad, x, pad])
        return op.sum(op.max(op.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0))

    return zk.grad(pooled)(xp.asarray([-3.0, -1.0, -2.0])), op.max(pad)


def infinities_as_bounds(xp):
    x = xp.asarray([-3.0, 5.0])
    best = op.asarray(xp.asarray([INF, INF]))
    return op.minimum(best, x), zk.grad(lambda x: op.sum(op.clip(x, -INF, INF)))(x), 1.0 / best, op.tanh(best)


def rules_that_divide_by_zero(xp):
    x = xp.asarray([0.0, 4.0])
    f = lambda x: op.sum(op.where(x > 0, op.sqrt(x), 0.0) + op.abs(x) + x**2 + op.maximum(x, 0.0))  # noqa: E731
    late = lambda x: op.sum(op.sqrt(op.where(x > 0, x, 0.0)))  # noqa: E731
    return [(zk.grad(f)(x), zk.hessian(f)(x), zk.jvp(f, (x,), (x + 1.0,))) for f in (f, late)]


def training(xp):
    model = nn.Sequential(nn.Linear(2, 3, 0, dtype="float64"), nn.Linear(3, 2, 1, dtype="float64")).to(xp)
    loss = lambda m, x, y: op.softmax_cross_entropy(zk.checkpoint(op.tanh)(m(x)), y)  # noqa: E731
    x, y = xp.asarray([[0.5, -0.2], [0.1, 0.9]]), xp.asarray([0, 1])
    return zk.value_and_grad(loss)(model, x, y), model(x).back()


HEALTHY = [
    *(masked_attention, logsumexp_of_infinities, log_guarded_behind, log_guarded_before_and_behind, training),
    *(entries_that_are_replaced, missing_data, max_pooling_padded, infinities_as_bounds, rules_that_divide_by_zero),
]


RUNS = [(program, library) for program in HEALTHY for library in ("numpy", "array_api_strict")]
RUNS += [(infinities_as_bounds, "jax"), (missing_data, "jax")]  # JAX compiles every new shape


@pytest.mark.parametrize("program, library", RUNS, ids=lambda x: getattr(x, "__name__", x))
def test_a_healthy_program_is_left_alone(program, library):
    backend = backends_here.get(library)
    with zk.detect_anomaly():
        program(backend)


def test_the_numbers_are_those_of_a_run_outside():
    x = np.array([-1.0, 0.0, 2.0])
    f = lambda x: op.sum(op.where(x > 0, op.log(x), 0.0) ** 3)  # noqa: E731
    expected = zk.value_and_grad(f)(x), zk.hessian(f)(x), zk.hvp(f, (x,), (x,))
    with zk.detect_anomaly():
        found = zk.value_and_grad(f)(x), zk.hessian(f)(x), zk.hvp(f, (x,), (x,))
    np.testing.assert_array_equal(found[0][1], expected[0][1])
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[2], expected[2])


# ---- the message ----


def test_the_message_gives_shapes_ranges_and_the_line():
    x = np.array([[1.0, -1.0, 4.0], [0.0, 2.0, -3.0]])
    with pytest.raises(AnomalyError) as caught, zk.detect_anomaly():
        op.sum(op.log(x))
    line = caught.value.line
    assert str(caught.value) == (
        "Log: NaN and infinity came out of finite numbers.\n"
        f"  applied at:    {__file__}:{line}, in test_the_message_gives_shapes_ranges_and_the_line\n"
        "                 op.sum(op.log(x))\n"
        "  input x:       float64 (2, 3), -3 .. 4\n"
        "  output:        float64 (2, 3), 0 .. 1.38629, 2 NaN, 1 infinite, first at (0, 1)\n"
        "Keep the inputs where the operator is defined and does not overflow, or leave such entries out with op.where."
    )


def test_a_sweep_gives_its_cotangent_and_what_was_sent():
    with pytest.raises(AnomalyError) as caught, zk.detect_anomaly():
        zk.grad(lambda x: op.sum(op.sqrt(x) * 2.0))(np.array([4.0, 0.0]))
    rows = str(caught.value).splitlines()
    assert rows[0] == "Sqrt: its rule sent infinity to x, for a finite cotangent."
    assert rows[3:7] == [
        "  input x:       float64 (2,), 0 .. 4",
        "  output:        float64 (2,), 0 .. 2",
        "  cotangent:     float64 (2,), 2 .. 2",
        "  sent:          float64 (2,), 0.5 .. 0.5, 1 infinite, first at (1,)",
    ]


def test_a_forward_pass_before_the_block_is_said_to_be_unknown():
    _, pull = zk.vjp(op.sqrt, np.array([0.0, 4.0]))
    with pytest.raises(AnomalyError, match="did it run before the block") as caught, zk.detect_anomaly():
        pull(np.ones(2))
    assert (caught.value.operator, caught.value.file, caught.value.line) == ("Sqrt", None, None)
    assert f"asked for at:  {__file__}:" in str(caught.value)


def test_what_arrives_at_a_tensor_that_was_asked_for_is_told_at_the_end():
    root = zk.Module.build("Root", lambda x: x, ["x"])
    with pytest.raises(AnomalyError, match="Sqrt: its rule sent infinity"), zk.detect_anomaly():
        x = root(np.array([0.0, 1.0])) * 1.0
        (g,) = zk.gradients(op.sum(op.sqrt(x)), [x])
        assert g[0] == INF


def test_several_outputs_and_their_rule():
    class Parts(zk.Operator):
        outputs = 2

        def forward(self, xp, x):
            return xp.sign(x), xp.abs(x)

        def vjp_x(self, xp, g, x):
            return g[0] / x + g[1]

    def f(x):
        sign, size = Parts()(x)
        return op.sum(sign + size)

    x = np.array([1.0, 0.0])
    for run in (lambda: zk.grad(f)(x), lambda: zk.jvp(f, (x,), (x + 1.0,)), lambda: zk.jacobian(Parts())(x)):
        with pytest.raises(AnomalyError) as caught, zk.detect_anomaly():
            run()
        assert caught.value.operator == "Parts"
        assert "output 0:      float64 (2,), 0 .. 1" in str(caught.value)


def test_it_is_an_error_of_ours_and_a_floating_point_error():
    assert issubclass(AnomalyError, ZkynetError)
    assert issubclass(AnomalyError, FloatingPointError)


# ---- options, nesting, and what stays behind ----


def overflows():
    return op.sum(op.exp(np.array([1000.0])) * 2.0)


def gives_nan():
    return op.sum(op.log(np.array([-1.0])) * 2.0)


def test_options_choose_what_is_looked_for():
    with zk.detect_anomaly(inf=False):
        overflows()
        with pytest.raises(AnomalyError, match="NaN"):
            gives_nan()
    with zk.detect_anomaly(nan=False):
        gives_nan()
        with pytest.raises(AnomalyError, match="infinity"):
            overflows()
    with zk.detect_anomaly(nan=False, inf=False):
        gives_nan()
        overflows()


def test_it_is_a_decorator_too():
    checked = zk.detect_anomaly()(gives_nan)
    for _ in range(2):
        with pytest.raises(AnomalyError):
            checked()
    assert np.isnan(gives_nan().value)
    assert zk.detect_anomaly()(lambda x: x + 1.0)(1.0) == 2.0


def test_blocks_nest():
    with zk.detect_anomaly(nan=False):
        with zk.detect_anomaly(inf=False), pytest.raises(AnomalyError):
            gives_nan()
        gives_nan()
        with pytest.raises(AnomalyError), zk.detect_anomaly(inf=False):
            overflows()
    assert not WATCHED


def test_a_block_inside_of_a_function_ends_there():
    def f(x):
        with zk.detect_anomaly():
            y = op.sqrt(x)
        return op.sum(y)

    assert zk.grad(f)(np.array([0.0]))[0] == INF


def test_what_was_told_is_not_told_again():
    with zk.detect_anomaly():
        y = op.log(np.array([-1.0, 1.0]))
        for _ in range(2):  # each use of it is an error, the end of the block is none
            with pytest.raises(AnomalyError, match="Log: NaN came out"):
                op.sum(y)


@pytest.mark.parametrize("error", [ValueError("v"), KeyboardInterrupt(), ShapeError("s")])
def test_other_exceptions_pass_and_leave_nothing_behind(error):
    def f(x):
        op.log(x - x)  # an anomaly that nobody has used is not told in place of them
        raise error

    with nothing_left_behind():
        with pytest.raises(type(error)) as caught, zk.detect_anomaly():
            zk.grad(f)(2.0)
        assert caught.value is error
        assert not WATCHED


def test_nothing_is_kept():
    gc.collect()
    before = records_alive()
    with zk.detect_anomaly():
        for _ in range(3):
            zk.hessian(lambda x: op.sum(op.where(x > 0, op.log(x), 0.0) ** 2))(np.array([0.0, 1.0]))
        (watch,) = CONTEXT.get().watchers
        assert not watch.suspects
        assert not watch.steps
        assert records_alive() == before
    with pytest.raises(AnomalyError), zk.detect_anomaly():
        (watch,) = CONTEXT.get().watchers
        zk.grad(lambda x: op.sum(op.sqrt(x)))(np.array([0.0]))
    assert not watch.suspects


def test_a_thread_of_its_own_is_not_looked_at():
    found = []

    def work():
        try:
            found.append(overflows().value)
        except AnomalyError as error:
            found.append(error.operator)

    with zk.detect_anomaly():
        inside = contextvars.copy_context()
        for target in (work, lambda: inside.run(work)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert found == [INF, "Exp"]


def test_threads_have_blocks_of_their_own():
    ready, found = threading.Barrier(2), {}

    def work(name, options):
        with zk.detect_anomaly(**options):
            ready.wait()
            try:
                found[name] = overflows().value
            except AnomalyError as error:
                found[name] = error.operator
            ready.wait()

    threads = [threading.Thread(target=work, args=args) for args in (("nan", {"inf": False}), ("both", {}))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"nan": INF, "both": "Exp"}
    assert not WATCHED


def test_under_jit_nothing_is_looked_at():
    jax = pytest.importorskip("jax", reason="JAX is not installed here: the backend under test")
    x = backends_here.get("jax").asarray([0.0, -1.0])
    constant = backends_here.get("jax").asarray([1.0, 0.0])
    with zk.detect_anomaly():
        y = jax.jit(zk.grad(lambda x: op.sum(op.log(x) + op.log(constant))))(x)
    assert y[0] == INF


# ---- off ----


def calls_of(run):
    """The functions of Python that ``run`` calls, in their order."""
    called = []

    def profiler(frame, event, _):
        if event == "call":
            called.append((frame.f_code.co_filename, frame.f_code.co_qualname))

    gc.disable()  # some libraries are called by it
    sys.setprofile(profiler)
    try:
        run()
    finally:
        sys.setprofile(None)
        gc.enable()
    return called


def test_off_nothing_of_it_is_called():
    x = np.array([0.5, 2.0])

    def program():
        zk.grad(lambda x: op.sum(op.log(x) * x))(x)
        zk.jvp(op.sqrt, (x,), (x,))
        zk.hessian(lambda x: op.sum(x**3))(x)

    program()  # what is made once
    before = calls_of(program)
    with zk.detect_anomaly():
        inside = calls_of(program)
    after = calls_of(program)
    own = {anomaly.__file__, anomaly.error_about.__code__.co_filename}
    assert any(file in own for file, _ in inside)
    assert not any(file in own for file, _ in before)
    assert before == after
    assert not any(name in ("apply", "_watched") for _, name in calls_of(lambda: op.log(op.asarray(x)) + 1.0))


def test_a_sum_of_cotangents_that_overflows():
    with pytest.raises(AnomalyError, match="the sum of the cotangents sent to it has infinity"), zk.detect_anomaly():
        zk.grad(lambda x: x[0] * 1.5e308 + x[0] * 1e308)(np.array([1e-9, 1.0]))
