"""What may be differentiated and how it comes back: positions, containers, aux, keywords, zeros."""

import collections
import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import pytest

import zkynet as zk
from zkynet.errors import CotangentError, NotDifferentiableError
from zkynet.framework import op


class Pair(NamedTuple):
    a: object
    b: object


@dataclasses.dataclass
class Point:
    a: object
    b: object
    norm: object = dataclasses.field(init=False, default=None)


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: object
    b: object


class Registered:
    """A container of one's own."""

    def __init__(self, a, b, label):
        self.a, self.b, self.label = a, b, label

    def tree_flatten(self):
        return ["a", "b"], [self.a, self.b]

    def tree_unflatten(self, children):
        return Registered(*children, self.label)


def product(x):
    a, b = (x["a"], x["b"]) if isinstance(x, dict) else x if isinstance(x, (tuple, list)) else (x.a, x.b)
    return a * a * b


CONTAINERS = {
    "tuple": (2.0, 3.0),
    "list": [2.0, 3.0],
    "dict": {"a": 2.0, "b": 3.0},
    "dict in another order": {"b": 3.0, "a": 2.0},
    "named tuple": Pair(2.0, 3.0),
    "dataclass": Point(2.0, 3.0),
    "frozen dataclass": Frozen(2.0, 3.0),
    "OrderedDict": collections.OrderedDict(a=2.0, b=3.0),
    "defaultdict": collections.defaultdict(list, a=2.0, b=3.0),
}
EXPECTED = {
    "tuple": (12.0, 4.0),
    "list": [12.0, 4.0],
    "dict": {"a": 12.0, "b": 4.0},
    "dict in another order": {"b": 4.0, "a": 12.0},
    "named tuple": Pair(12.0, 4.0),
    "dataclass": Point(12.0, 4.0),
    "frozen dataclass": Frozen(12.0, 4.0),
    "OrderedDict": collections.OrderedDict(a=12.0, b=4.0),
    "defaultdict": collections.defaultdict(list, a=12.0, b=4.0),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_gradient_has_the_structure_of_its_argument(kind):
    x, expected = CONTAINERS[kind], EXPECTED[kind]
    for found in (
        zk.grad(product)(x),
        zk.value_and_grad(product)(x)[1],
        zk.vjp(product, x)[1](1.0)[0],
        zk.jacobian(product)(x),
        zk.jacobian(product, mode="fwd")(x),
    ):
        assert type(found) is type(x)
        assert found == expected
    assert zk.jvp(product, (x,), (x,))[1] == 3 * 12.0
    assert zk.hvp(product, (x,), (x,))[0] == zk.grad(lambda y: 2 * product(y))(x)
    assert type(zk.hessian(product)(x)) is type(x)


def test_a_container_of_ones_own():
    found = zk.grad(product)(Registered(2.0, 3.0, "kept"))
    assert (found.a, found.b, found.label) == (12.0, 4.0, "kept")


def test_containers_in_containers_and_none():
    x = {"w": [2.0, (3.0, None)], "empty": [], "none": None}
    found = zk.grad(lambda t: t["w"][0] * t["w"][1][0])(x)
    assert found == {"w": [3.0, (2.0, None)], "empty": [], "none": None}


def test_a_container_without_leaves():
    assert zk.grad(lambda t, x: x, argnums=(0, 1))({}, 2.0) == ({}, 1.0)
    assert zk.value_and_grad(lambda t: 1.0)([]) == (1.0, [])


def test_the_callers_container_is_left_alone():
    x = {"a": 2.0, "b": [3.0]}

    def f(t):
        t["a"] = t["a"] * 5.0
        t["b"].append(1.0)
        return t["a"] * t["b"][0]

    assert zk.grad(f)(x) == {"a": 15.0, "b": [10.0]}
    assert x == {"a": 2.0, "b": [3.0]}


def test_argnums():
    f = lambda a, b, c: a * b * b * c  # noqa: E731
    assert zk.grad(f)(2.0, 3.0, 5.0) == 45.0
    assert zk.grad(f, argnums=1)(2.0, 3.0, 5.0) == 60.0
    assert zk.grad(f, argnums=-1)(2.0, 3.0, 5.0) == 18.0
    assert zk.grad(f, argnums=(2, 0))(2.0, 3.0, 5.0) == (18.0, 45.0)
    assert zk.grad(f, argnums=[1])(2.0, 3.0, 5.0) == (60.0,)
    assert zk.grad(f, argnums=(np.int64(1), -3))(2.0, 3.0, 5.0) == (60.0, 45.0)
    assert zk.grad(f, argnums=())(2.0, 3.0, 5.0) == ()
    assert zk.jacobian(f, argnums=(0, -1))(2.0, 3.0, 5.0) == (45.0, 18.0)
    assert zk.vjp(f, 2.0, 3.0, 5.0, argnums=(1, 2))[1](1.0) == (60.0, 18.0)
    assert zk.hessian(f, argnums=(0, 1))(2.0, 3.0, 5.0) == ((0.0, 30.0), (30.0, 20.0))


@pytest.mark.parametrize("transform", [zk.grad, zk.value_and_grad, zk.jacobian, zk.hessian])
def test_wrong_argnums(transform):
    f = lambda a, b: a * b  # noqa: E731
    for argnums in (2, -3, (0, 5)):
        with pytest.raises(TypeError, match="called with 2 positional arguments"):
            transform(f, argnums=argnums)(2.0, 3.0)
    for argnums in ((0, 0), (1, -1)):
        with pytest.raises(ValueError, match="named twice"):
            transform(f, argnums=argnums)(2.0, 3.0)
    for argnums in ("a", 0.5, None, ("a",)):
        with pytest.raises(TypeError, match="an int or a tuple of ints"):
            transform(f, argnums=argnums)


def test_keywords_are_passed_on():
    assert zk.grad(lambda a, *, k: a * k)(2.0, k=3.0) == 3.0
    assert zk.jacobian(lambda a, k=1.0: a * k)(2.0, k=3.0) == 3.0
    with pytest.raises(TypeError, match="0 positional arguments"):
        zk.grad(lambda a: a)(a=2.0)


def test_aux():
    aux = {"a": 1, "label": "text", "none": None, "array": np.ones(2)}
    gradient, found = zk.grad(lambda x: (x * x, {**aux, "x": x * 3.0}), has_aux=True)(2.0)
    assert gradient == 4.0
    assert found["x"] == 6.0 and type(found["x"]) is float
    assert {k: found[k] for k in ("a", "label", "none")} == {"a": 1, "label": "text", "none": None}
    assert found["array"] is aux["array"]
    assert zk.value_and_grad(lambda x: [x * x, x], has_aux=True)(2.0) == ((4.0, 2.0), 4.0)
    assert zk.jacobian(lambda x: (x * x, x), has_aux=True)(2.0) == (4.0, 2.0)
    assert zk.hessian(lambda x: (x * x, x), has_aux=True)(2.0) == (2.0, 2.0)
    assert zk.jvp(lambda x: (x * x, x), (2.0,), (1.0,), has_aux=True) == (4.0, 4.0, 2.0)
    value, pull, extra = zk.vjp(lambda x: (x * x, x), 2.0, has_aux=True)
    assert (value, pull(1.0), extra) == (4.0, (4.0,), 2.0)


def test_aux_keeps_modules_and_parameters():
    class Scale(zk.Module):
        def __init__(self):
            self.p = zk.Parameter("p", 2.0)

    m = Scale()
    _, (module, parameter) = zk.grad(lambda m: (m.p * 3.0, (m, m.p)), has_aux=True)(m)
    assert module is m and parameter is m.p


@pytest.mark.parametrize("returned", [3.0, np.ones(2), (1.0, 2.0, 3.0), (1.0,), {"a": 1, "b": 2}])
def test_aux_must_come_as_a_pair(returned):
    with pytest.raises(TypeError, match=r"pair \(value, aux\)"):
        zk.grad(lambda x: returned, has_aux=True)(2.0)


def test_a_tensor_of_two_entries_is_no_pair():
    with pytest.raises(TypeError, match=r"pair \(value, aux\)"):
        zk.grad(lambda x: x * 2.0, has_aux=True)(np.ones(2))


# ---- zeros ----


def test_unused_inputs_have_zeros_of_their_shape_and_dtype(backend):
    x, y = backend.asarray([1.0, 2.0], dtype=backend.float32), backend.zeros((2, 3), dtype=backend.float32)
    for found in (zk.grad(lambda x, y: op.sum(x), argnums=1)(x, y), zk.vjp(lambda x, y: op.sum(x), x, y)[1](1.0)[1]):
        assert backend.owns(found) and found.shape == (2, 3) and found.dtype == backend.float32
        assert not backend.to_numpy(found).any()
    assert zk.grad(lambda x, s: op.sum(x), argnums=1)(x, 3.0) == 0.0
    assert type(zk.grad(lambda x, s: op.sum(x), argnums=1)(x, 3j)) is complex
    assert zk.jacobian(lambda x, y: x, argnums=1)(x, y).shape == (2, 2, 3)


@pytest.mark.parametrize("constant", [1.0, 1, np.float64(1.0), np.array(1.0), np.float32(1.0)])
def test_a_constant_output_has_gradient_zero(constant):
    np.testing.assert_array_equal(zk.grad(lambda x: constant)(np.ones(2)), [0.0, 0.0])
    assert zk.grad(lambda x: constant)(2.0) == 0.0


def test_constant_outputs_of_other_transforms():
    c = np.ones(3)
    y, t = zk.jvp(lambda x: (c, 2.0), (np.ones(2),), (np.ones(2),))
    np.testing.assert_array_equal(t[0], np.zeros(3))
    assert t[1] == 0.0
    np.testing.assert_array_equal(zk.vjp(lambda x: c, np.ones(2))[1](c)[0], [0.0, 0.0])
    for mode in ("rev", "fwd"):
        np.testing.assert_array_equal(zk.jacobian(lambda x: c, mode=mode)(np.ones(2)), np.zeros((3, 2)))


def test_an_argument_given_twice():
    x = np.ones(2)
    a, b = zk.grad(lambda a, b: op.sum(a * a * b), argnums=(0, 1))(x, x)
    np.testing.assert_array_equal(a, [2.0, 2.0])
    np.testing.assert_array_equal(b, [1.0, 1.0])


# ---- what cannot be differentiated ----


@pytest.mark.parametrize("x", [np.array([1, 2]), np.int64(3), True, np.array([True]), np.ones(2, np.uint8)])
def test_integers_and_booleans_are_named(x):
    with pytest.raises(NotDifferentiableError, match=r"argument 0 \('weight'\) of loss.*\n.*\n.*\n.*astype"):

        def loss(weight):
            return op.sum(weight)

        zk.grad(loss)(x)


def test_an_integer_inside_a_container_is_named_by_its_path():
    with pytest.raises(TypeError, match=r"argument 1 \('b'\) of .*\['n'\]\[1\]"):
        zk.grad(lambda a, b: b["w"], argnums=1)(1.0, {"w": 2.0, "n": [1.0, np.array(3)]})


@pytest.mark.parametrize("x", ["relu", {1.0, 2.0}, object(), b"x"])
def test_other_things_are_named(x):
    with pytest.raises(TypeError, match=r"argument 0 \('t'\) of .*\['act'\]"):
        zk.grad(lambda t: t["w"])({"w": 2.0, "act": x})


def test_python_integers_are_weak_floats():
    assert zk.grad(lambda x: x * x)(3) == 6.0
    assert zk.grad(lambda t: t[0] * t[1])([2, 3]) == [3.0, 2.0]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (lambda x: x, r"scalar output.*\n.*\(2,\)"),
        (lambda x: op.sum(x, keepdims=True), r"scalar output.*\n.*\(1,\)"),
        (lambda x: op.argmax(x), "int64"),
        (lambda x: x[0] > 0, "bool"),
        (lambda x: op.sum(x) * 1j, "holomorphic=True"),
        (lambda x: None, "did not return"),
        (lambda x: "text", "did not return"),
        (lambda x: {"a": op.sum(x)}, "did not return"),
        (lambda x: [op.sum(x)], "did not return"),
    ],
)
def test_outputs_that_have_no_gradient(output, words):
    with pytest.raises(TypeError, match=words):
        zk.grad(output)(np.ones(2))


# ---- cotangents and tangents ----


def test_cotangents_of_the_wrong_shape():
    _, pull = zk.vjp(lambda x: x * 2.0, np.ones(3))
    for g in (np.ones(2), np.ones((1, 3)), 1.0, np.ones(1)):
        with pytest.raises(CotangentError, match=r"\n  expected: \(3,\)"):
            pull(g)
    assert issubclass(CotangentError, ValueError)
    with pytest.raises(CotangentError):
        zk.vjp(lambda x: x * 2.0, 2.0)[1](np.ones(1))
    with pytest.raises(CotangentError, match="not an array"):
        pull(None)


def test_cotangents_of_another_dtype_are_cast():
    _, pull = zk.vjp(lambda x: x * x, np.ones(3, np.float32))
    for g in (np.array([1, 2, 3]), np.array([1.0, 2.0, 3.0]), [1, 2, 3]):
        (found,) = pull(g)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, [2.0, 4.0, 6.0])
    with pytest.raises(CotangentError, match="complex"):
        pull(np.ones(3) * 1j)
    with pytest.raises(CotangentError, match="complex"):
        zk.jvp(lambda x: x, (np.ones(3),), (np.ones(3) * 1j,))


def test_cotangents_go_by_name():
    _, pull = zk.vjp(lambda x: {"u": x * x, "v": 10.0 * x}, 2.0)
    assert pull({"u": 1.0, "v": 0.0}) == (4.0,)
    assert pull({"v": 1.0, "u": 0.0}) == (10.0,)
    assert zk.jvp(lambda d: d["u"] + 10.0 * d["v"], ({"u": 1.0, "v": 1.0},), ({"v": 1.0, "u": 0.0},))[1] == 10.0


@pytest.mark.parametrize("g", [[1.0, 0.0], {"u": 1.0}, {"u": 1.0, "v": 0.0, "w": 0.0}, {"x": 1.0, "y": 2.0}, 1.0])
def test_cotangents_of_another_structure(g):
    _, pull = zk.vjp(lambda x: {"u": x * x, "v": 10.0 * x}, 2.0)
    with pytest.raises(CotangentError, match="expected: dict with u, v"):
        pull(g)
    with pytest.raises(CotangentError, match="expected: dict with u, v"):
        zk.jvp(lambda d: d["u"], ({"u": 1.0, "v": 1.0},), (g,))


def test_a_list_may_stand_for_a_tuple():
    _, pull = zk.vjp(lambda x: (x * x, [x]), 2.0)
    assert pull([1.0, (1.0,)]) == (5.0,)
    with pytest.raises(CotangentError, match="tuple of 2"):
        pull((1.0, [1.0], 2.0))


def test_jvp_and_hvp_take_sequences_of_arguments():
    x = np.ones(3)
    for call in (
        lambda: zk.jvp(lambda a, b, c: a * b, x, x),
        lambda: zk.jvp(lambda a: a, 2.0, 1.0),
        lambda: zk.jvp(lambda a: a, (2.0,), 1.0),
        lambda: zk.hvp(lambda a: op.sum(a), x, x),
    ):
        with pytest.raises(TypeError, match="must be a tuple or list"):
            call()
    with pytest.raises(CotangentError, match="1 arguments, but 2 tangents"):
        zk.jvp(lambda a: a, (2.0,), (1.0, 1.0))
    assert zk.jvp(lambda a, b: a * b, [2.0, 3.0], [1.0, 0.0])[1] == 3.0


# ---- what is differentiated ----


class Callable:
    def __init__(self, k):
        self.k = k

    def __call__(self, x):
        return x * x * self.k

    def method(self, x):
        return x * x * self.k


def test_every_kind_of_function():
    k = Callable(2.0)
    partial = functools.partial(lambda k, x: x * x * k, 2.0)
    for f in (k, k.method, partial, functools.partial(k.method), lambda x, *rest, **more: x * x * 2.0):
        assert zk.grad(f)(3.0) == 12.0
        assert zk.value_and_grad(f)(3.0) == (18.0, 12.0)
        assert zk.hessian(f)(3.0) == 4.0
    assert zk.grad(abs)(-3.0) == -1.0
    np.testing.assert_array_equal(zk.jacobian(np.sin)(np.zeros(2)), np.eye(2))


def test_a_function_keeps_its_name_and_documentation():
    def loss(x):
        """The loss."""
        return x * x

    for transformed in (zk.grad(loss), zk.value_and_grad(loss), zk.jacobian(loss), zk.hessian(loss)):
        assert transformed.__name__ == "loss" and transformed.__doc__ == "The loss."


def test_a_named_tuple_with_a_constructor_of_its_own():
    class Checked(Pair):
        def __new__(cls, total):
            return super().__new__(cls, total / 2, total / 2)

    found = zk.grad(product)(Checked(4.0))
    assert type(found) is Checked and tuple(found) == (8.0, 4.0)


def test_a_dataclass_with_slots():
    cls = dataclasses.make_dataclass("Slotted", ["a", "b"], slots=True, frozen=True)
    assert zk.grad(product)(cls(2.0, 3.0)) == cls(12.0, 4.0)


def test_shared_results_of_a_python_number_are_apart():
    def f(s):
        y = s * np.ones(3)
        return y, y, op.broadcast_to(s, (3,))

    _, tangents = zk.jvp(f, (2.0,), (1.0,))
    for t in (*tangents, *zk.jacobian(f)(2.0)):
        t[0] = 5.0
        np.testing.assert_array_equal(t, [5.0, 1.0, 1.0])


def test_under_no_grad_an_inner_gradient_is_a_tensor_too():
    kinds = []

    def f(x):
        with zk.no_grad():
            kinds.append(type(zk.grad(lambda y: op.sum(y * y))(x)))
            kinds.append(type(zk.vjp(lambda y: y * y, x)[1](x)[0]))
            kinds.append(type(zk.jvp(lambda y: y * y, (x,), (x,))[1]))
            kinds.append(type(zk.jacobian(lambda y: y * y)(x)))
        return op.sum(x)

    zk.grad(f)(np.ones(2))
    assert kinds == [zk.Tensor] * 4
