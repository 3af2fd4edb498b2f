"""check_grads: what is right passes, what is wrong fails with a message that says where, kinks are refused by name."""

from typing import NamedTuple

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.cases import BY_NAME
from support.points import Point
from zkynet import op
from zkynet.errors import GradientCheckError
from zkynet.testing import check_grads
from zkynet.testing.numerical import Tolerance, jacobian_by_complex_step, jacobian_by_differences

A = np.array
X = A([[0.3, -1.2, 0.7], [1.5, 0.4, -0.6]])
Y = A([[0.9, 0.2], [-0.8, 1.1], [0.5, -1.4]])
Z = X + 1j * Y.T


class Linear(zk.Module):
    def __init__(self, n, m, dtype="float64"):
        rng = np.random.default_rng(n)
        self.weight = zk.Parameter("weight", rng.normal(size=(n, m)).astype(dtype))
        self.bias = zk.Parameter("bias", rng.normal(size=m).astype(dtype))

    def call(self, x):
        return op.tanh(x @ self.weight + self.bias)


class Net(zk.Module):
    def __init__(self, dtype="float64"):
        self.layers = [Linear(3, 2, dtype), Linear(2, 2, dtype)]
        self.tied = self.layers[0]
        self.scale = zk.Parameter("scale", 0.7)

    def call(self, x):
        for layer in self.layers:
            x = layer(x)
        return x * self.scale


class Pair(NamedTuple):
    left: object
    right: object


class Cube(zk.Operator):
    """x ** 3, as a user writes it."""

    def forward(self, xp, x):
        return x * x * x

    def vjp_x(self, xp, g, x):
        return g * (3 * x * x)


@zk.custom_vjp
def length(x):
    return op.sqrt(op.sum(x * x))


@length.defvjp
def _(g, y, x):
    return (g * x / y,)


def checkpointed(x, y):
    return zk.checkpoint(lambda x, y: op.sum(op.sin(x @ y), axis=0))(x, y)


def tree(inputs, n):
    (a, b), pair = inputs["list"], inputs["pair"]
    return {"sum": op.sum(a * n), "more": (b * pair.left, [op.exp(pair.right)])}


def eigen(a):
    w, v = op.linalg.eigh(a + op.matrix_transpose(a))
    return w, op.abs(v)


RIGHT = {
    "one array": (op.tanh, (X,)),
    "two arrays": (op.matmul, (X, Y)),
    "numbers": (lambda a, b: a * op.sin(b), (0.3, 1.2)),
    "no dimensions": (op.exp, (A(0.5),)),
    "no entries": (lambda x: x * x, (np.zeros((0, 3)),)),
    "a pytree": (tree, ({"list": [X, 0.5], "pair": Pair(Y, 0.2)}, 3.0)),
    "integers beside": (lambda x, i: x[i], (X, A([0, 0, 1]))),
    "an output that does not depend on it": (lambda x: [op.sum(x), op.zeros((2,))], (X,)),
    "an argument that nothing depends on": (lambda x, y: op.sum(x), (X, Y)),
    "an Operator": (Cube(), (X,)),
    "two outputs": (eigen, (np.diag([0.0, 3.0, 6.0]) + 0.1,)),
    "a custom rule": (length, (X,)),
    "checkpoint": (checkpointed, (X, Y)),
    "float32": (lambda x: op.softmax(x) * x, (X.astype(np.float32),)),
    "float16": (lambda x: op.sum(x * x, axis=0), (X.astype(np.float16),)),
    "complex": (lambda z: op.exp(z) * op.conj(z), (Z,)),
    "complex to real": (lambda z: op.sum(op.abs(z)), (Z,)),
    "real to complex": (lambda x: op.exp(1j * x), (X,)),
    "a complex number": (lambda z: z * z, (0.3 + 0.2j,)),
    "complex64": (lambda z: op.sum(op.real(z * z)), (Z.astype(np.complex64),)),
    "a very small function": (lambda x: 1e-13 * x * x * x, (X,)),
    "a large constant added": (lambda x: 1e9 + x * x * x, (X,)),
    "entries of every magnitude": (op.log, (A([1e-9, 1.0, 1e9]),)),
    "a kink close by": (lambda x: x * op.relu(x - 1.0), (A([1.0 + 1e-4, 1.0 - 1e-4]),)),
    "a constant sum": (lambda x: op.sum(op.softmax(x)), (X,)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name):
    f, args = RIGHT[name]
    assert check_grads(f, args) is None


@pytest.mark.parametrize("modes", [("fwd",), ("rev",)])
def test_each_mode_alone(modes):
    check_grads(op.tanh, (X,), modes=modes)


def test_third_order():
    check_grads(lambda x: op.exp(x) * op.sin(x[::-1]), (X[0],), order=3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_modules_and_their_parameters(dtype):
    net = Net(dtype)
    before = [np.array(p.value) for p in net.parameters()]
    check_grads(net, (X.astype(dtype),))
    check_grads(lambda model, x: op.sum(model["net"](x)), ({"net": net}, X.astype(dtype)), order=1)
    for parameter, value in zip(net.parameters(), before, strict=True):
        assert np.array_equal(parameter.value, value)
        assert np.asarray(parameter.value).dtype == value.dtype


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jax", "array_api_strict"])
def test_other_backends(name):
    xp = backends_here.get(name)
    check_grads(lambda x, w: op.tanh(x @ w), (xp.asarray(X[:, :2]), xp.asarray(Y[:2])))
    check_grads(lambda z: op.abs(z) * z, (xp.asarray(Z[0]),), order=1)
    check_grads(op.exp, (xp.asarray(X[0].astype(np.float32)),), order=1)
    with pytest.raises(GradientCheckError, match=r"argument 0 \('x'\), entry \[1\]"):
        check_grads(wrong_at_one_entry, (xp.asarray(X[0]),))


# ---- what is wrong ----


@zk.custom_vjp
def wrong_product(x, y):
    return op.sin(x) * y


@wrong_product.defvjp
def _(g, z, x, y):
    return g * op.cos(x) * y, g * x  # sin(x) for x would be right


@zk.custom_vjp
def wrong_at_one_entry(x):
    return x * x


@wrong_at_one_entry.defvjp
def _(g, y, x):
    return (g * x * A([2.0, 2.5, 2.0]),)


@zk.custom_vjp
def wrong_at_order_two(x):
    return x * x * x


@wrong_at_order_two.defvjp
def _(g, y, x):
    return (g * 3 * x.value**2,)


@zk.custom_vjp
def wrong_sign(x):
    return op.cos(x)


@wrong_sign.defvjp
def _(g, y, x):
    return (g * op.sin(x),)


@zk.custom_vjp
def wrong_conjugate(z):
    return op.real(z * z)


@wrong_conjugate.defvjp
def _(g, y, z):
    return (2 * g * op.conj(z),)


def leaves_the_graph(x, y):
    return x * (y.value if isinstance(y, zk.Tensor) else y)


def differs_under_a_transform(x):
    return x * x if isinstance(x, zk.Tensor) else x * x * 1.001


class Careless(zk.Operator):
    """Its rule writes into what it was given."""

    def forward(self, xp, x):
        return x * x

    def vjp_x(self, xp, g, x):
        x *= 2
        return g * x


WRONG = {
    "an argument": (wrong_product, (X, X + 1), "output, entry [1, 0]", "argument 1 ('y'), entry [1, 0]", "vjp rules"),
    "an entry": (wrong_at_one_entry, (X[0],), "argument 0 ('x'), entry [1]", "got:", "times 1.25"),
    "an output": (lambda x: {"a": x, "b": wrong_sign(x)}, (0.5,), "of:       output 1", "times -1"),
    "order 2": (wrong_at_order_two, (X[0],), "order 2, reverse mode over reverse", "Order 1 is right", ".value"),
    "a conjugate": (wrong_conjugate, (Z[0],), "argument 0 ('z'), entry", "imaginary part"),
    "a value that leaves the graph": (leaves_the_graph, (X, X + 1), "argument 1 ('y')", "All of them are 0", ".value"),
    "its value under a transform": (differs_under_a_transform, (X,), "differs from its value outside", "entry [0, 0]"),
    "a rule that writes": (Careless(), (X,), "writes into an array", "reverse mode", "Write into a copy"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_fails_and_says_where(name):
    f, args, *words = WRONG[name]
    with pytest.raises(GradientCheckError) as caught:
        check_grads(f, args)
    for word in words:
        assert word in str(caught.value)


def test_a_wrong_parameter_is_named():
    class Wrong(zk.Module):
        def __init__(self):
            self.weight = zk.Parameter("weight", X[0])

        def call(self, x):
            return wrong_product(x, self.weight)

    with pytest.raises(GradientCheckError, match=r"parameter 'weight', entry \[1\]"):
        check_grads(Wrong(), (X[0],))


def test_a_parameter_read_past_the_graph_is_noticed():
    class Detached(zk.Module):
        def __init__(self):
            self.weight = zk.Parameter("weight", X[0])

        def call(self, x):
            return x * self.weight.value

    with pytest.raises(GradientCheckError, match=r"parameter 'weight'(.|\n)*All of them are 0"):
        check_grads(Detached(), (X[0],))


def test_numbers_of_the_message():
    with pytest.raises(GradientCheckError) as caught:
        check_grads(wrong_at_one_entry, (A([1.0, 2.0, 3.0]),))
    assert str(caught.value) == (
        "check_grads(wrong_at_one_entry): wrong derivative, order 1, reverse mode, one at a time.\n"
        "  of:       output, entry [1]\n"
        "  in:       argument 0 ('x'), entry [1]\n"
        "  got:      5\n"
        "  expected: 4 (by complex steps)\n"
        "  relative error: 0.25; 1 of 9 entries are wrong\n"
        "All of them are the expected ones times 1.25: look for that factor in vjp rules."
    )


def test_order_one_says_nothing_about_order_two():
    check_grads(wrong_at_order_two, (X[0],), order=1)


def test_an_input_that_f_writes_into():
    x = X.copy()

    def f(x):
        if isinstance(x, np.ndarray):
            x *= 2
        return op.sum(x * x)

    with pytest.raises(GradientCheckError, match=r"argument 0 \('x'\) was mutated by calling it"):
        check_grads(f, (x,))
    assert np.array_equal(x, X), "the caller's own array has to be safe"


def test_a_function_that_draws_random_numbers():
    generator = zk.Generator(3)
    with pytest.raises(GradientCheckError, match="two calls with the same arguments gave different results"):
        check_grads(lambda x: op.dropout(x, 0.5, generator), (X,))
    check_grads(lambda x: op.dropout(x, 0.5, zk.Generator(3)), (X,))


def test_a_wrong_rule_leaves_parameters_as_they_were():
    net = Net("float32")
    before = [np.array(p.value) for p in net.parameters()]
    with pytest.raises(GradientCheckError):
        check_grads(lambda m, x: wrong_sign(m(x)), (net, X))
    assert all(np.array_equal(p.value, b) for p, b in zip(net.parameters(), before, strict=True))


# ---- points without a derivative ----

KINKS = {
    "abs at 0": (op.abs, (A([1.0, 0.0]),), "slope from the left:  -1", "slope from the right: 1", "entry [1]"),
    "relu at 0": (op.relu, (A([1.0, 0.0]),), "slope from the left:  0", "slope from the right: 1", "entry [1]"),
    "max at a tie": (lambda x: op.max(x), (A([2.0, 0.0, 2.0]),), "argument 0 ('x'), entry [0]", "1 more"),
    "maximum at a tie": (op.maximum, (A([2.0, 1.0]), A([0.0, 1.0])), "argument 0 ('a'), entry [1]"),
    "clip on its bound": (lambda x: op.clip(x, -1.0, 1.0), (A([0.0, 1.0]),), "entry [1]"),
    "the length of 0": (lambda x: op.sqrt(op.sum(x * x)), (np.zeros(2),), "from the left and from the right differ"),
    "sqrt at 0": (op.sqrt, (A([1.0, 0.0]),), "not finite to the left", "edge of its domain"),
    "a jump": (op.sign, (A([1.0, 0.0]),), "grows without bound"),
    "a steep line with a kink": (lambda x: op.abs(x) + 1e5 * x, (A([0.0]),), "left:  99999", "right: 100001"),
    "order 2": (lambda x: op.relu(x) ** 2, (A([1.0, 0.0]),), "order 2", "or pass order=1", "gradient of a projection"),
}


@pytest.mark.parametrize("name", KINKS)
def test_a_point_without_a_derivative_is_refused_by_name(name):
    f, args, *words = KINKS[name]
    with pytest.raises(GradientCheckError) as caught:
        check_grads(f, args)
    for word in ("looks non-differentiable at this point", "no verdict on a rule", *words):
        assert word in str(caught.value)


def test_a_kink_of_order_two_does_not_matter_at_order_one():
    check_grads(lambda x: op.relu(x) ** 2, (A([1.0, 0.0]),), order=1)


def test_a_value_that_is_not_finite_is_refused():
    with pytest.raises(GradientCheckError, match=r"not finite(.|\n)*entry \[1\]"):
        check_grads(op.log, (A([1.0, 0.0]),))


def test_a_noisy_function_is_refused_until_the_tolerance_says_so():
    def coarse(x):
        return op.sum(op.sin(op.astype(x, "float32")))

    with pytest.raises(GradientCheckError, match="do not settle(.|\n)*float32"):
        check_grads(coarse, (X[0],), order=1)
    check_grads(coarse, (X[0],), order=1, rtol=1e-3, atol=1e-3)


# ---- what can be asked ----


def test_argnums():
    check_grads(wrong_product, (X, X + 1), argnums=0)
    check_grads(wrong_product, (X, X + 1), argnums=(-2,))
    with pytest.raises(GradientCheckError, match="argument 1"):
        check_grads(wrong_product, (X, X + 1), argnums=1)
    check_grads(lambda x, n: x**n, (X[0] ** 2, 3), argnums=(0, 1), order=1)
    check_grads(Net(), (X,), argnums=-1, order=1)
    with pytest.raises(TypeError, match="no argument to check"):
        check_grads(op.sin, (3,))
    with pytest.raises(TypeError, match="argnums=1, but there are 1 arguments"):
        check_grads(op.sin, (X,), argnums=1)


def test_holomorphic_functions():
    check_grads(lambda z: op.exp(z) * z, (Z,), holomorphic=True)
    with pytest.raises(GradientCheckError, match="not holomorphic"):
        check_grads(lambda z: op.conj(z) * z * z, (Z,), holomorphic=True)
    with pytest.raises(GradientCheckError, match="complex arguments and complex outputs"):
        check_grads(op.exp, (X,), holomorphic=True)


@pytest.mark.parametrize("settings", [{"order": 0}, {"modes": ()}, {"modes": ("sideways",)}])
def test_settings_are_checked(settings):
    with pytest.raises(ValueError, match="check_grads: needs order >= 1"):
        check_grads(op.sin, (X,), **settings)


def test_an_output_without_derivatives():
    with pytest.raises(TypeError, match=r"output 0 of argmax is not differentiable(.|\n)*int64"):
        check_grads(op.argmax, (X,))


def test_errors_of_f_say_what_was_done():
    def f(x):
        if isinstance(x, zk.Tensor):
            raise RuntimeError("no")
        return x * x

    with pytest.raises(RuntimeError) as caught:
        check_grads(f, (X,))
    assert "while it computed its value under zk.vjp" in caught.value.__notes__[-1]


# ---- differences ----


def tolerance():
    return Tolerance(1e-7, 1e-9)


def test_differences_are_accurate_and_know_it():
    x = A([0.3, 2.0, -1.5])

    def f(x):
        return A([np.exp(x[0]) * x[1], np.sin(x[1] * x[2]), x[2] ** 5])

    expected = A(
        [
            [np.exp(0.3) * 2, np.exp(0.3), 0],
            [0, -1.5 * np.cos(-3), 2 * np.cos(-3)],
            [0, 0, 5 * 1.5**4],
        ]
    )
    measured = jacobian_by_differences(f, x, f(x), tolerance())
    assert np.all(np.abs(measured.jacobian - expected) <= measured.error + 1e-15)
    assert np.max(measured.error) < 1e-8
    assert not measured.refusals


def test_each_entry_has_its_own_step():
    x = A([1e-8, 1e8])

    def f(x):
        return np.log(x)

    measured = jacobian_by_differences(f, x, f(x), tolerance())
    np.testing.assert_allclose(np.diag(measured.jacobian), 1 / x, rtol=1e-7)


@pytest.mark.parametrize("distance, refused", [(0.0, True), (1e-5, False), (-1e-5, False)])
def test_a_kink_is_where_it_is(distance, refused):
    def f(x):
        with np.errstate(all="ignore"):
            return np.abs(x - distance)

    measured = jacobian_by_differences(f, A([0.0]), f(A([0.0])), tolerance())
    assert bool(measured.refusals) is refused
    if not refused:
        assert measured.jacobian[0, 0] == pytest.approx(-np.sign(distance), abs=1e-8)


def test_slopes_of_a_kink():
    measured = jacobian_by_differences(lambda x: np.where(x > 0, 3 * x, -x / 2), A([0.0]), A([0.0]), tolerance())
    (refusal,) = measured.refusals
    assert (refusal.output, refusal.input) == (0, 0)
    assert (refusal.left, refusal.right) == pytest.approx((-0.5, 3))


def test_smooth_points_are_not_refused_for_a_flat_or_a_sharp_bend():
    for f in (lambda x: x**4, np.cos, lambda x: np.exp(-((100 * x) ** 2)), lambda x: np.cbrt(x) ** 4):
        assert not jacobian_by_differences(f, A([0.0]), f(A([0.0])), tolerance()).refusals


def test_complex_steps_are_exact_where_there_are_any():
    exact = jacobian_by_complex_step(lambda x: np.exp(x) / np.sin(x), A([1.3]))
    assert exact[0, 0] == pytest.approx(np.exp(1.3) * (np.sin(1.3) - np.cos(1.3)) / np.sin(1.3) ** 2, rel=1e-15)
    assert jacobian_by_complex_step(lambda x: None, A([1.3])) is None


# ---- no false alarms ----

SKIPPED = {
    "stop_gradient": "it is there to hide a derivative",
    "dropout": "draws anew in every call",
    "cholesky": "reads one triangle, and has a symmetrised gradient",
    "eigh": "reads one triangle, and has a symmetrised gradient",
    "eigvalsh": "reads one triangle, and has a symmetrised gradient",
}


@pytest.mark.parametrize("name", [n for n, row in BY_NAME.items() if row.differentiable and n not in SKIPPED])
def test_the_rows_of_the_case_table_pass(name):
    row = BY_NAME[name]
    for sample in row.samples:
        point = Point(row, sample)
        size = sum(np.size(x) for x in point.inputs)
        if point.inputs and 1 < size <= 20 and all(y.dtype.kind in "fc" for y in point.truth()):
            check_grads(lambda *xs, point=point: point.f(op, *xs), point.inputs)
            return
