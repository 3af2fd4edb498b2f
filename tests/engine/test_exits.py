"""Ways out of tracking: explicit ones work; by accident a tracked value never turns into a constant."""

import copy
import math
import pickle

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet.errors import TrackedValueError
from zkynet.framework import op

X = np.array([1.0, 2.0, 3.0])


def store(x):
    a = np.zeros(3)
    a[0] = x[0]
    return a.sum()


def store_all(x):
    a = np.zeros(3)
    a[:] = x
    return a.sum()


def add_to(x):
    a = np.zeros(3)
    a += x
    return a.sum()


def add_at(x):
    a = np.zeros(3)
    np.add.at(a, [0], x[0])
    return a.sum()


def copy_to(x):
    a = np.zeros(3)
    np.copyto(a, x)
    return a.sum()


LOSSES = {
    "float": lambda x: float(op.sum(x)),
    "int": lambda x: int(op.sum(x)),
    "complex": lambda x: complex(op.sum(x)),
    "index": lambda x: [1.0, 2.0][op.sum(x)],
    "range": lambda x: sum(range(x[0])) * x[1],
    "round": lambda x: round(op.sum(x)),
    "math.sin": lambda x: math.sin(x[0]),
    "math.floor": lambda x: math.floor(x[0]),
    "math.fsum": lambda x: math.fsum(x),
    "np.asarray": lambda x: np.asarray(x).sum(),
    "np.array of a list": lambda x: np.array([x[0], x[1]]).sum(),
    "np.array as objects": lambda x: np.array([x], dtype=object).sum(),
    "np.full": lambda x: np.full(3, x[0]).sum(),
    "np.float64": lambda x: np.float64(x[0]),
    "memoryview": lambda x: memoryview(x)[0],
    "np.trim_zeros": lambda x: np.trim_zeros(x).sum(),
    "np.apply_along_axis": lambda x: np.apply_along_axis(np.sum, 0, x),
    "np.add.reduce": np.add.reduce,
    "np.multiply.outer": lambda x: np.multiply.outer(x, x).sum(),
    "out=": lambda x: np.add(x, 1.0, out=np.zeros(3)).sum(),
    "dtype=": lambda x: np.add(x, 1.0, dtype=float).sum(),
    "a list to op.sum": lambda x: op.sum([[x[0], x[1]]]),
    "op.arange": lambda x: op.sum(op.arange(x[2])),
    "stored whole": store_all,
    "+=": add_to,
    "np.add.at": add_at,
    "np.copyto": copy_to,
    "a Parameter's value": lambda x: (setattr(zk.Parameter("p", X), "value", x), x[0])[1],
    "a State's value": lambda x: (setattr(zk.State("s", X), "value", x), x[0])[1],
    "an assertion of numpy.testing": lambda x: (np.testing.assert_allclose(x, X), x[0])[1],
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_tracked_value_does_not_turn_into_a_constant(name):
    with pytest.raises(TypeError):
        zk.grad(LOSSES[name])(X)


@pytest.mark.parametrize("name", ["float", "int", "complex", "index", "math.sin", "np.asarray", "np.array of a list"])
def test_the_error_names_the_exits(name):
    with pytest.raises(TrackedValueError) as caught:
        zk.grad(LOSSES[name])(X)
    assert all(exit_ in str(caught.value) for exit_ in (".value", ".item()", "zk.stop_gradient"))


def test_storing_into_an_array_is_an_error_that_names_the_exits():
    """NumPy turns the error into a ValueError of its own, and keeps ours as its cause."""
    with pytest.raises(ValueError) as caught:
        zk.grad(store)(X)
    assert isinstance(caught.value.__cause__, TrackedValueError)


def test_functions_of_numpy_name_themselves_and_the_exits():
    with pytest.raises(TypeError, match=r"trim_zeros.*\n.*zkynet\.framework\.op.*\.value.*stop_gradient"):
        zk.grad(LOSSES["np.trim_zeros"])(X)
    with pytest.raises(TypeError, match=r"add\.reduce"):
        zk.grad(np.add.reduce)(X)
    with pytest.raises(TypeError, match="add with out"):
        zk.grad(LOSSES["out="])(X)


def test_functions_of_scipy():
    special = pytest.importorskip("scipy.special", reason="SciPy's functions are what refuses a Tensor here")
    for f in (special.logsumexp, special.expit, special.softmax):
        with pytest.raises(TypeError):
            zk.grad(lambda x, f=f: op.sum(f(x)))(X)
    assert special.logsumexp(op.asarray(X)) == special.logsumexp(X)


FUNCTIONS = {
    "np.concatenate": (lambda x: np.concatenate([x, x]).sum(), [2.0, 2.0, 2.0]),
    "np.sum": (np.sum, [1.0, 1.0, 1.0]),
    "np.dot": (lambda x: np.dot(x, x), 2 * X),
    "np.linalg.norm": (np.linalg.norm, X / np.linalg.norm(X)),
    "np.where": (lambda x: np.where(X > 2, x, 0.0).sum(), np.where(X > 2, 1.0, 0.0)),
    "np.stack": (lambda x: np.stack([X, x], axis=1)[:, 1].sum(), [1.0, 1.0, 1.0]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpys_functions_are_dispatched(name):
    f, truth = FUNCTIONS[name]
    np.testing.assert_allclose(zk.grad(f)(X), truth)


UFUNCS = {
    np.sin: np.cos,
    np.exp: np.exp,
    np.tanh: lambda x: 1 - np.tanh(x) ** 2,
    np.sqrt: lambda x: 0.5 / np.sqrt(x),
    np.log: lambda x: 1 / x,
    np.square: lambda x: 2 * x,
    np.negative: lambda x: -np.ones(3),
    np.absolute: np.sign,
    np.reciprocal: lambda x: -1 / x**2,
}


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda f: f.__name__)
def test_numpys_elementwise_functions_are_dispatched(ufunc):
    np.testing.assert_allclose(zk.grad(lambda x: op.sum(ufunc(x)))(X), UFUNCS[ufunc](X))


def test_numpys_binary_functions_are_dispatched():
    np.testing.assert_allclose(zk.grad(lambda x: op.sum(np.power(x, 3.0)))(X), 3 * X**2)
    np.testing.assert_allclose(zk.grad(lambda x: op.sum(np.maximum(2.0, x)))(X), [0.0, 0.5, 1.0])
    np.testing.assert_allclose(zk.grad(lambda x: np.matmul(X, x))(X), X)
    np.testing.assert_allclose(zk.grad(lambda x: op.sum(np.divide(1.0, x)))(X), -1 / X**2)


def test_arrays_and_scalars_of_numpy_on_the_left():
    assert isinstance(X * op.asarray(X), zk.Tensor)
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(X * x))(X), X)
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(X - x))(X), -np.ones(3))
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(np.float64(2.0) * x))(X), [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(np.array(2.0) * x))(X), [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(zk.grad(lambda x: np.ones((1, 3)) @ x * np.ones(1) @ np.ones(1))(X), np.ones(3))
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(X ** (x * 0.0 + 2.0)))(X), X**2 * np.log(X) * 0.0)


def test_lists_are_constants():
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum([1.0, 2.0, 3.0] * x))(X), X)
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(x + [1.0, 2.0, 3.0]))(X), np.ones(3))
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(op.multiply((1.0, 2.0, 3.0), x)))(X), X)


def test_arrays_of_another_library_on_the_left(backend):
    c = backend.asarray(X)
    on_the_left = [lambda x: c * x, lambda x: (c - x) * c + 2 * c * x]
    if backend.name.startswith("array_api_strict"):  # refuses everything that is not its own
        with pytest.raises(TypeError):
            zk.grad(lambda x: op.sum(c * x))(c)
        on_the_left = []
    for f in (lambda x: x * c, lambda x: op.multiply(c, x), *on_the_left):
        found = zk.grad(lambda x, f=f: op.sum(f(x)))(backend.asarray(X))
        assert backend.owns(found)
        np.testing.assert_array_equal(backend.to_numpy(found), X)


def test_jax_functions_do_not_take_tensors_silently():
    backends_here.get("jax")
    import jax.numpy as jnp

    with pytest.raises(TypeError):
        zk.grad(lambda x: jnp.sum(jnp.sin(x)))(jnp.asarray(X))


def test_untracked_tensors_convert():
    t, s = op.sin(X), op.sum(X)
    assert (float(s), int(s), complex(s), [0.0] * 6 + ["six"][0:1]) == (6.0, 6, 6 + 0j, [0.0] * 6 + ["six"])
    np.testing.assert_array_equal(np.asarray(t), np.sin(X))
    assert np.asarray(t, dtype=np.float32).dtype == np.float32
    np.testing.assert_array_equal(np.array([s, s]), [6.0, 6.0])
    np.testing.assert_array_equal(np.concatenate([t, t]), np.concatenate([np.sin(X)] * 2))
    assert np.sum(t) == np.sin(X).sum()
    assert ["a", "b"][op.argmax(op.asarray([0.0, 1.0]))] == "b"
    a = np.zeros(2)
    a[0] = s
    assert a[0] == 6.0
    with pytest.raises(ValueError, match="cop"):
        np.array(t, copy=False)


def test_a_converted_tensor_is_a_copy():
    t = op.ones(3)
    a = np.asarray(t)
    a[:] = 5.0
    np.testing.assert_array_equal(t.value, np.ones(3))


def test_numpy_cannot_write_into_a_tensor():
    t = op.ones(3)
    for write in (lambda: np.add(X, 1.0, out=t), lambda: np.copyto(t, X), lambda: np.add.at(t, [0], 1.0)):
        with pytest.raises((TypeError, ValueError)):
            write()
    np.testing.assert_array_equal(t.value, np.ones(3))


def test_explicit_exits():
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(x * x.value))(X), X)
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(x) * op.sum(x).item())(X), [6.0, 6.0, 6.0])
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(x * zk.stop_gradient(x)))(X), X)
    assert zk.grad(lambda x: x * zk.stop_gradient(x))(3.0) == 3.0
    assert zk.grad(lambda x: x * x.value)(3.0) == 3.0
    assert zk.grad(lambda x: float(zk.stop_gradient(x)) * x)(3.0) == 3.0


def test_truth_and_comparisons_of_tracked_values():
    def f(x):
        if x > 0:
            return x * x
        return -x

    assert (zk.grad(f)(3.0), zk.grad(f)(-3.0)) == (6.0, -1.0)
    np.testing.assert_array_equal(zk.grad(lambda x: max(x))(X), [0.0, 0.0, 1.0])
    np.testing.assert_array_equal(zk.grad(lambda x: sorted(x)[0])(X), [1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="ambiguous"):
        zk.grad(lambda x: op.sum(x) if x > 0 else op.sum(x) * 2)(X)


def test_a_loop_with_a_condition_on_the_value():
    def newton(a):
        x = a
        while abs(x * x - a) > 1e-14:
            x = 0.5 * (x + a / x)
        return x

    np.testing.assert_allclose(zk.grad(newton)(2.0), 0.5 / math.sqrt(2.0))


def test_pythons_sum_and_iteration():
    np.testing.assert_array_equal(zk.grad(lambda x: sum(v * v for v in x))(X), 2 * X)
    np.testing.assert_array_equal(zk.grad(lambda x: (lambda a, b, c: a * b * c)(*x))(X), [6.0, 3.0, 2.0])


def test_printing_is_no_exit():
    texts = []

    def f(x):
        texts.append(f"{op.sum(x):.2f} {x} {op.sum(x)}")
        return op.sum(x * x)

    np.testing.assert_array_equal(zk.grad(f)(X), 2 * X)
    assert texts[0].startswith("6.00 Tensor(array([1., 2., 3.]), tracked)")


def test_objects_in_a_numpy_array_stay_tensors():
    def f(x):
        a = np.empty(2, dtype=object)
        a[0], a[1] = x[0], x[1]
        return (a * a).sum()

    np.testing.assert_array_equal(zk.grad(f)(X), [2.0, 4.0, 0.0])


def test_a_parameter_compares_by_entries_with_values_and_by_identity_with_its_like():
    p, q = zk.Parameter("p", np.zeros(2)), zk.Parameter("q", np.zeros(2))
    assert p == p and p != q and p in [q, p] and {p: 1}[p] == 1
    np.testing.assert_array_equal((p == 0.0).value, [True, True])
    np.testing.assert_array_equal((p != np.array([0.0, 1.0])).value, [False, True])
    np.testing.assert_array_equal(zk.grad(lambda p: op.sum(op.where(p == 0.0, 3.0, p)))(p), [0.0, 0.0])
    assert (p == None, p != "p") == (False, True)  # noqa: E711


# ---- copies and pickles ----


def test_a_deep_copy_of_a_tensor_is_an_operator():
    def f(x):
        state = copy.deepcopy({"x": x, "list": [x, x * 2.0]})
        return op.sum(state["x"] * state["list"][1])

    np.testing.assert_array_equal(zk.grad(f)(X), 4 * X)
    np.testing.assert_array_equal(zk.hessian(f)(X), 4 * np.eye(3))


def test_a_shallow_copy_shares_its_history_and_is_assigned_alone():
    def f(x):
        y = x * 1.0
        z = copy.copy(y)
        z[0] = 10.0
        return op.sum(y * y) + op.sum(z)

    np.testing.assert_array_equal(zk.grad(f)(X), 2 * X + [0.0, 1.0, 1.0])


def test_pickling_a_tracked_tensor_is_no_way_out():
    with pytest.raises(TrackedValueError):
        zk.grad(lambda x: op.sum(pickle.loads(pickle.dumps(x))))(X)
    for duplicate in (lambda t: pickle.loads(pickle.dumps(t)), copy.deepcopy, copy.copy):
        for t in (op.sin(X), op.sin(2.0), op.stop_gradient(X)):
            np.testing.assert_array_equal(duplicate(t).value, t.value)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_parameter_is_not_copied_while_it_is_differentiated(duplicate):
    p = zk.Parameter("p", X)
    with pytest.raises(TrackedValueError, match="would be a constant"):
        zk.grad(lambda p: op.sum(duplicate(p) * p))(p)
    duplicate(p)
