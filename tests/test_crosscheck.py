"""crosscheck: backends that agree, planted differences that are named, and the command line."""

from types import FunctionType

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.cases import DIFFERENTIABLE
from zkynet import models, nn, op
from zkynet.backends.errors import BackendNotAvailable, GradientCheckError, MixedBackendsError
from zkynet.testing import crosscheck
from zkynet.testing.crosscheck_difference import Tolerance, difference
from zkynet.testing.crosscheck_run import Subject
from zkynet.testing.samples import SAMPLES, crosscheck_operations

STRICT = ("numpy", "array_api_strict")
OTHER = "array_api_strict"  # where faults are planted: it compiles nothing
X = np.array([0.3, -1.2, 2.5])
W = np.array([[0.5, -0.25], [1.5, 0.75], [-1.0, 0.1]])


class Off(zk.Operator):
    """exp, a thousandth too large on one backend."""

    def forward(self, xp, x):
        return xp.exp(x) * (1.0 if xp.is_host else 1.001)

    def vjp_x(self, xp, g, y):
        return g * y


class OffRule(zk.Operator):
    """exp, with a rule that is a thousandth too large on one backend."""

    def forward(self, xp, x):
        return xp.exp(x)

    def vjp_x(self, xp, g, y):
        return g * y * (1.0 if xp.is_host else 1.001)


class ShortMatMul(zk.Operator):
    """A matrix product whose inputs are rounded to 11 bits on one backend, as TF32 does."""

    def forward(self, xp, a, b):
        if not xp.is_host:
            a, b = (xp.asarray(_rounded(xp.to_numpy(x))) for x in (a, b))
        return xp.matmul(a, b)

    def vjp_a(self, xp, g, b):
        return xp.matmul(g, xp.matrix_transpose(b))

    def vjp_b(self, xp, g, a):
        return xp.matmul(xp.matrix_transpose(a), g)


def _rounded(x):
    return (x.view(np.uint32) + 0x1000 & 0xFFFFE000).astype(np.uint32).view(np.float32)


@pytest.fixture(autouse=True)
def strict():
    backends_here.get(OTHER)


def check(f, *args, **settings):
    return crosscheck(f, *args, **{"backends": STRICT, **settings})


def steps(result):
    return [row.name for row in result.rows if row.step is not None]


# ---- agreement ----


def loss(model, x, labels):
    return op.softmax_cross_entropy(model(x), labels)


@pytest.mark.parametrize("other", ["jax", "array_api_strict"])
def test_a_model_agrees(other):
    backends_here.get(other)
    model = models.fcn((3, 2, 2), activation=nn.Tanh)
    result = crosscheck(loss, model, W.T.astype("float32"), np.array([0, 1]), backends=("numpy", other))
    assert result.ok and result.exit_code == 0 and result.first_divergence is None
    assert result.backends == ["numpy", backends_here.get(other).name] and result.reference == "numpy"
    assert steps(result) == ["linear", "tanh", "linear", "softmax_cross_entropy"]
    assert [row.module for row in result.rows][:4] == ["model.layers.0", "model.layers.1", "model.layers.2", ""]
    gradients = [row.name for row in result.rows if row.name.startswith("gradient")]
    assert gradients == [
        *(f"gradient of model.layers.{k}.{name}" for k in (0, 2) for name in ("weight", "bias")),
        "gradient of x",
    ]
    assert all(row.cotangent is not None for row in result.rows if row.step is not None)
    assert "agree" in result.table() and result.table(limit=1).splitlines()[2] == f"... {len(result.rows) - 1} more"
    result.raise_if_bad()


def test_the_model_itself_and_its_methods_are_subjects():
    class Net(zk.Module):
        def __init__(self):
            self.w = zk.Parameter("w", W)

        def call(self, x):
            return op.tanh(x @ self.w)

        def energy(self, x):
            return op.sum(self(x) ** 2)

    assert check(Net(), X).ok
    names = [row.name for row in check(Net().energy, X).rows]
    assert {"gradient of w", "gradient of x"} <= set(names)


def test_nothing_of_the_caller_changes():
    class Counting(zk.Module):
        def __init__(self):
            self.count = zk.State("count", np.zeros(2))
            self.w = zk.Parameter("w", np.ones(2))

        def call(self, x):
            self.count.value = zk.stop_gradient(self.count + x).value
            return self.w * x

    model, x = Counting(), np.array([1.0, 2.0])
    x.flags.writeable = False
    assert check(model, x).ok
    assert type(model.w.value) is np.ndarray and not model.count.value.any()


def test_all_available_backends_by_default():
    found = crosscheck(op.square, X)
    present = {backends_here.get(name).name for name, reason in zk.available().items() if reason is None}
    assert set(found.backends) == present and found.backends[0] == "numpy" and found.ok


def test_outputs_may_be_containers_of_any_dtype():
    def f(x, z):
        return {"a": op.argmax(x), "b": (x > 0, z * op.sum(x)), "c": None}, 3, op.sum(x)

    result = check(f, X, np.array([1 + 2j, 3j]))
    assert result.ok
    assert [row.name for row in result.rows if row.name.startswith("output")] == [f"output {k}" for k in range(5)]
    assert {"gradient of x", "gradient of z"} <= {row.name for row in result.rows}


def test_numbers_lists_and_nothing_at_all():
    assert check(lambda a, xs: a * xs[0] + op.sin(xs[1]), 3.0, [0.5, 2.0]).ok
    assert check(lambda: op.ones((2,)) * 3).ok


def test_every_run_draws_the_same_numbers():
    generator = zk.Generator(3)

    def f(x):
        return op.sum(op.dropout(x, 0.5, generator) * generator.uniform((3,)))

    assert check(f, X).ok and generator.value == 0
    assert check(lambda x, g: op.sum(op.dropout(x, 0.5, g)), X, generator).ok and generator.value == 0


@pytest.mark.parametrize("inner", [zk.checkpoint, lambda f: f])
def test_checkpoint_custom_rules_and_inner_gradients(inner):
    @zk.custom_vjp
    def cube(x):
        return x * x * x

    @cube.defvjp
    def _(g, y, x):
        return (3 * g * x * x,)

    def f(x):
        return op.sum(inner(lambda v: op.sin(cube(v)))(x) * zk.grad(lambda v: op.sum(op.exp(v)))(x))

    result = check(f, X)
    assert result.ok and steps(result).count("sin") == (2 if inner is zk.checkpoint else 1)


def test_the_sign_of_eigenvectors_is_left_open(monkeypatch):
    jax = backends_here.get("array_api_strict")
    matrix = np.array([[2.0, 0.5], [0.5, 1.0]])
    flipped = jax.linalg.eigh
    monkeypatch.setattr(jax.linalg, "eigh", lambda x: (flipped(x)[0], -flipped(x)[1]))

    def f(x):
        w, v = op.eigh(x)
        return op.sum(w) + op.sum((v * w) @ v.T * matrix)

    assert check(f, matrix).ok
    assert not check(lambda x: op.sum(op.eigh(x)[1]), matrix).ok


class LastBit(zk.Operator):
    """x, with the last bit of its first entry another on one backend."""

    linear = True

    def forward(self, xp, x):
        return x if xp.is_host else x * xp.asarray(np.array([1 + 2.0**-52, 1.0, 1.0]))

    def vjp_x(self, xp, g):
        return g if xp.is_host else g * xp.asarray(np.array([1 + 2.0**-52, 1.0, 1.0]))


def test_rounding_that_cancels_is_no_difference():
    def centred(x):
        y = LastBit()(x)
        return y - op.mean(y)

    same = np.full(3, 0.1)
    assert check(lambda x: op.sum(centred(x) ** 2), same).ok  # 0 on one side, 1e-34 on the other
    assert check(lambda x: op.sum(op.softmax(LastBit()(x))), same).ok  # a gradient of rounding alone
    result = check(lambda x: op.sum(centred(x) / op.sqrt(op.mean(centred(x) ** 2) + 1e-40)), same)
    assert result.first_divergence.verdict == "amplifies" and result.first_divergence.name == "divide"
    assert all(row.value.ok for row in result.rows[:3])


# ---- planted differences ----


def test_a_wrong_operator_is_named():
    def f(x):
        y = op.sin(x)
        return op.sum(Off()(y) * 2.0)

    result = check(f, X)
    row = result.first_divergence
    assert not result.ok and result.exit_code == 1
    assert (row.name, row.step, row.verdict, row.backend) == ("off", 1, "diverges", backends_here.get(OTHER).name)
    assert row.file == __file__ and row.line == f.__code__.co_firstlineno + 2
    assert row.operator == f"{__name__}.Off"
    assert row.value.relative == pytest.approx(1e-3) and row.alone.relative == pytest.approx(1e-3)
    assert row.value.ulps > 1e12
    verdicts = {r.name: r.verdict for r in result.rows}
    assert verdicts["sin"] == "follows" and verdicts["sum"] == "follows" and verdicts["output"] == "differs"
    with pytest.raises(GradientCheckError, match="step 1, operator off") as caught:
        result.raise_if_bad()
    assert f"{__file__}:{row.line}" in str(caught.value)
    assert "off" in result.table(only_bad=True) and str(result) == result.table()


def test_a_wrong_rule_is_named():
    def f(x):
        return op.sum(OffRule()(op.sin(x)) * 2.0)

    result = check(f, X)
    row = result.first_divergence
    assert (row.name, row.verdict, row.value.ulps) == ("off_rule", "rule diverges", 0)
    assert row.sent.relative == pytest.approx(1e-3) and row.cotangent.ok
    verdicts = {r.name: r.verdict for r in result.rows}
    assert (verdicts["sin"], verdicts["multiply"], verdicts["gradient of x"]) == ("follows", "ok", "differs")


def test_the_module_of_a_wrong_operator_is_named():
    model = nn.Sequential(nn.Linear(3, 2, 0), nn.Sequential(nn.Tanh(), Wrapped()))
    row = check(model, X.astype("float32")).first_divergence
    assert (row.name, row.module) == ("off", "layers.1.layers.1") and row.file == __file__


class Wrapped(zk.Module):
    def call(self, x):
        return Off()(x)


def test_products_in_fewer_bits_are_found():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=s).astype("float32") for s in ((8, 16), (16, 8)))
    row = check(ShortMatMul(), a, b).first_divergence
    assert row.name == "short_mat_mul" and 1e-4 < row.value.relative < 3e-3


def test_float32_in_place_of_float64_is_found():
    class Short(Off):
        def forward(self, xp, x):
            y = xp.exp(x)
            return xp.astype(xp.astype(y, xp.float32), y.dtype) if not xp.is_host else y

    assert check(Short(), X).first_divergence.name == "short"
    assert check(Short(), X.astype("float32")).ok


def test_a_double_computed_from_singles_is_judged_as_a_single():
    class Last(Off):
        def forward(self, xp, x):
            return xp.exp(x) * (1 + 1e-6 * (not xp.is_host))

    def f(x):
        return op.sum(op.astype(Last()(x), "float64"))

    assert check(f, X.astype("float32")).ok
    assert check(f, X).first_divergence.name == "last"
    assert not check(f, X.astype("float32"), rtol=1e-7, atol=1e-12).ok
    assert check(f, X, rtol=1e-5).ok


def test_a_gradient_that_went_through_singles_is_judged_as_a_single():
    class LastRule(OffRule):
        def vjp_x(self, xp, g, y):
            return g * y * (1 + 1e-6 * (not xp.is_host))

    assert check(lambda x: op.sum(LastRule()(op.astype(x, "float32"))), X).ok
    assert check(lambda x: op.sum(LastRule()(x)), X).first_divergence.verdict == "rule diverges"


def test_a_rule_that_reads_what_differs_is_not_blamed():
    result = check(lambda x, zeros: op.sum(Off()(x) * zeros), X, np.zeros(3))
    assert result.first_divergence.name == "off"
    assert [row.verdict for row in result.rows if row.name == "multiply"] == ["follows"]


def test_what_an_inner_transform_sends_does_not_count():
    run = Subject(lambda x: op.sum(zk.grad(lambda v: op.sum(op.exp(v) * op.sin(v)))(x)), (X,)).run(
        backends_here.get("numpy")
    )
    swept = [step for step in run.steps if step.cotangents is not None]
    assert swept and all(len(step.sends) <= len(step.inputs) for step in swept)
    product = next(step for step in run.steps if step.name == "multiply")
    assert product.cotangents is None  # its value is not part of the gradient that is returned


def test_different_programs_are_a_finding():
    def f(x):
        y = op.exp(x)
        return op.sum(op.sin(y)) if type(y.value) is np.ndarray else op.sum(op.cos(y))

    result = check(f, X)
    row = result.first_divergence
    assert (row.verdict, row.step) == ("programs differ", 1)
    assert "numpy: sin at" in row.note and ": cos at" in row.note
    shorter = check(lambda x: op.exp(x) if type(x.value) is np.ndarray else op.sin(op.exp(x)), X)
    assert (shorter.first_divergence.step, "no more steps" in shorter.first_divergence.note) == (1, True)


def test_another_dtype_or_shape_is_a_finding():
    class Narrow(Off):
        def forward(self, xp, x):
            return xp.astype(x, xp.float32) if not xp.is_host else x

    row = check(lambda x: op.sum(Narrow()(x)), X).first_divergence
    assert row.name == "narrow" and "dtype float32 instead of" in row.value.note


def test_infinities_and_nan_have_their_places():
    class Hole(Off):
        def forward(self, xp, x):
            return xp.where(x > 0, x, 0.0 if xp.is_host else xp.nan)

    row = check(lambda x: op.sum(op.relu(Hole()(x))), X).first_divergence
    assert row.name == "hole" and "NaN" in row.value.note
    assert check(op.log, np.array([0.0, -1.0, 2.0])).ok


def test_integers_have_to_be_equal():
    class Count(zk.Operator):
        differentiable = False

        def forward(self, xp, x):
            return xp.sum(xp.astype(x > (0 if xp.is_host else 1), xp.int64))

    row = check(Count(), X).first_divergence
    assert row.name == "count"
    assert check(lambda x: Count()(x), np.array([2.0, 3.0])).ok


def test_what_only_amplifies_is_told_apart():
    class Last(Off):
        def forward(self, xp, x):
            return xp.exp(x) * (1 + 1e-12 * (not xp.is_host))

    result = check(lambda x: op.sum(op.sin(Last()(x) * 1e6)), X)
    assert not result.ok
    row = result.first_divergence
    assert (row.name, row.verdict) == ("sin", "amplifies") and row.alone.ok
    assert "small differences" in result.summary()


def test_a_constant_made_outside_of_op_is_said_to_be_one():
    def f(x):
        return op.sum(x * (1.0 if type(x.value) is np.ndarray else 1.5))

    row = check(f, X).first_divergence
    assert row.name == "multiply" and "no operator made it" in row.note


def test_a_wrong_gradient_of_the_complex_numbers_is_named_by_part():
    class Turned(zk.Operator):
        def forward(self, xp, z):
            return z * (1j if xp.is_host else 1.01j)

        def vjp_z(self, xp, g):
            return g * 1j

    row = check(lambda z: Turned()(z), np.array([1.0 + 0j, 2.0])).first_divergence
    assert row.value.part == "imaginary part" and row.value.index == (1,)


# ---- what cannot be checked ----


def test_one_backend_is_not_enough():
    with pytest.raises(BackendNotAvailable, match="at least two"):
        check(op.exp, X, backends=("numpy",))
    with pytest.raises(BackendNotAvailable, match="pip install"):
        check(op.exp, X, backends=("numpy", "numpy"))
    with pytest.raises(BackendNotAvailable, match="nonsense"):
        check(op.exp, X, backends=("numpy", "nonsense"))


def test_what_cannot_be_moved_is_an_error():
    held = zk.Parameter("w", X)
    with pytest.raises(MixedBackendsError, match="Pass them as arguments"):
        check(lambda: op.sum(held * 2.0))


def test_an_error_of_the_subject_says_where_it_was_run():
    with pytest.raises(ValueError) as caught:
        check(lambda x: op.reshape(x, (2, 2)), X)
    assert any("on numpy" in note for note in caught.value.__notes__)


# ---- differences ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_units_in_the_last_place(dtype):
    a = np.array([1.0, 4.0, 0.5], dtype)
    b = np.nextafter(np.nextafter(a, np.array(9, dtype)), np.array(9, dtype))
    usual = Tolerance()
    found = difference(b, a, usual, usual.of(a))
    eps = float(np.finfo(dtype).eps)
    assert found.ok and found.ulps == 2 and found.relative == 2 * eps and found.elementwise == 2 * eps
    tight = Tolerance(rtol=eps, atol=0.0)
    assert not difference(b, a, tight, tight.of(a)).ok


def test_the_largest_entry_is_the_measure_and_small_ones_are_told():
    a = np.array([1e6, 1.0])
    usual = Tolerance()
    found = difference(a + [0.0, 1e-4], a, usual, usual.of(a))
    assert found.ok and found.relative == pytest.approx(1e-10) and found.elementwise == pytest.approx(1e-4)


# ---- every operation ----


def test_every_public_operation_has_a_sample():
    public = {name for name in op.__all__ if isinstance(getattr(op, name), FunctionType)}
    for space in ("special", "fft", "signal"):
        members = vars(getattr(op, space)).items()
        public |= {f"{space}.{name}" for name, item in members if isinstance(item, FunctionType)}
    assert {sample.name for sample in SAMPLES} == public


def test_every_differentiable_operation_has_a_gradient():
    result = crosscheck_operations(STRICT)
    assert result.ok and result.exit_code == 0, str(result)
    made = {sample.name for sample in SAMPLES if not sample.operands}
    reached = {
        name for name, each in result.checks.items() if any(row.name.startswith("gradient") for row in each.rows)
    }
    assert {row.name for row in DIFFERENTIABLE} - {"index"} - made <= reached
    assert str(result).startswith(f"{len(result.checks)} operations x 2 backends (numpy, array_api_strict")


def test_an_operation_that_diverges_or_raises_is_named(monkeypatch):
    other = backends_here.get(OTHER)
    monkeypatch.setattr(other, "tanh", other.sin)
    monkeypatch.delattr(other, "expm1")
    result = crosscheck_operations(STRICT)
    assert result.exit_code == 1
    assert set(result.bad) >= {"tanh", "expm1"}  # and what is made of them
    assert "crosscheck of tanh" in str(result)
    assert "expm1: AttributeError" in str(result)
    with pytest.raises(GradientCheckError, match=r"diverge: .*expm1.*tanh"):
        result.raise_if_bad()


@pytest.mark.slow
def test_every_operation_agrees_on_jax():
    backends_here.get("jax")
    result = crosscheck_operations(("numpy", "jax"))
    assert result.ok, str(result)
