"""The contract of the backends: every extra of every backend equals the portable implementation and NumPy's truth."""

import math
from functools import partial

import numpy as np
import pytest

from zkynet.backends.base import Backend
from zkynet.backends.errors import IndexOutOfBoundsError, LinAlgError, MixedBackendsError

FLOATS = ("float32", "float64")
INEXACT = (*FLOATS, "complex64", "complex128")
FEW = ("float32", "complex128")  # where JAX would compile for each of them
SPECIAL = np.array([0.0, -0.0, 1.5, -2.0, math.inf, -math.inf, math.nan, 3.0])


def sample(shape, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    if dtype.startswith("complex"):
        x = x + 1j * rng.normal(size=shape)
    if dtype.startswith(("int", "uint")):
        x = rng.integers(0, 7, size=shape)
    return np.asarray(x).astype(dtype)


def tolerance(dtype):
    return 2e-5 if np.dtype(dtype).name in ("float32", "complex64") else 1e-12


def assert_same(xp, got, truth, exact=False, like=None):
    """``got`` belongs to ``xp`` and has ``truth``'s shape, dtype and values."""
    assert xp.owns(got)
    truth = np.asarray(truth)
    assert tuple(got.shape) == truth.shape
    assert xp.name_of(got.dtype) == (like or truth.dtype.name)
    host = xp.to_numpy(got)
    assert type(host) is np.ndarray
    if exact:
        np.testing.assert_array_equal(host, truth)
    else:
        tol = tolerance(truth.dtype)
        np.testing.assert_allclose(host, truth, rtol=tol, atol=tol)


def portable(xp):
    """``xp`` with the portable convolutions behind ``conv``, ``conv_input`` and ``conv_filter``."""
    clone = object.__new__(type(xp))
    clone.__dict__.update(xp.__dict__)
    for name in ("_conv", "_conv_input", "_conv_filter"):
        setattr(clone, name, partial(getattr(Backend, name), clone))
    return clone


def check(xp, name, args, truth, exact=False, **kwargs):
    """The method ``name`` of ``xp`` and the portable one, on own arrays made of the NumPy arrays among ``args``."""
    own = [xp.asarray(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in args]
    before = [np.array(x) for x in args if isinstance(x, (np.ndarray, np.generic))]
    with np.errstate(all="ignore"):
        assert_same(xp, getattr(xp, name)(*own, **kwargs), truth, exact)
        written_for_it = name.startswith("cumulative") and not hasattr(xp.namespace, name)  # NumPy 2.0
        if (
            xp.name != "jax" and not written_for_it
        ):  # whose eager mode compiles every step for every shape: the other backends do
            assert_same(xp, getattr(Backend, name)(portable(xp), *own, **kwargs), truth, exact)
    for x, old in zip([x for x in own if xp.owns(x)], before):
        np.testing.assert_array_equal(xp.to_numpy(x), old)  # nothing was written to


# ---- the standard's part ----


def test_standard_functions_are_bound_and_not_wrapped_on_numpy(backend):
    for name in ("exp", "sum", "where", "matmul", "reshape", "zeros", "concat", "maximum", "argsort"):
        assert callable(getattr(backend, name))
    if backend.is_host:
        assert backend.exp is np.exp
    assert backend.linalg.solve and backend.linalg.eigh and backend.fft.rfft
    assert backend.pi == math.pi and backend.newaxis is None


def test_creation_makes_own_arrays(backend):
    xp = backend
    made = [xp.zeros((2,)), xp.ones((2, 3)), xp.full((), 2.0), xp.arange(3), xp.eye(2), xp.linspace(0.0, 1.0, 3)]
    made += [xp.zeros_like(made[0]), xp.ones_like(made[1]), xp.empty((1,)), xp.asarray(1.0), xp.asarray([[1, 2]])]
    assert all(xp.owns(x) for x in made)


# ---- ways in and out ----


@pytest.mark.parametrize("dtype", ("bool", "int8", "uint8", "int32", "int64", "uint64", *INEXACT))
def test_asarray_and_to_numpy_keep_values_and_dtype(backend, dtype):
    for shape in ((), (0,), (3,), (2, 0, 3), (2, 3)):
        x = sample(shape, dtype)
        own = backend.asarray(x)
        assert_same(backend, own, x, exact=True)
        assert_same(backend, backend.from_numpy(x), x, exact=True)


def test_asarray_of_python_numbers_and_lists(backend):
    assert_same(backend, backend.asarray(2), np.asarray(2), exact=True)
    assert_same(backend, backend.asarray(2.5), np.asarray(2.5), exact=True)
    assert_same(backend, backend.asarray(True), np.asarray(True), exact=True)
    assert_same(backend, backend.asarray([[1, 2], [3, 4]]), np.asarray([[1, 2], [3, 4]]), exact=True)
    assert_same(backend, backend.asarray([1, 2], dtype="float32"), np.asarray([1, 2], "float32"), exact=True)
    assert_same(backend, backend.asarray([1.0], dtype=backend.float32), np.asarray([1.0], "float32"), exact=True)


@pytest.mark.parametrize("dtype", ("float32", np.float32, np.dtype("float32")))
def test_asarray_takes_a_dtype_in_any_form(backend, dtype):
    x = backend.asarray(np.ones(2))
    assert backend.name_of(backend.asarray(x, dtype=dtype).dtype) == "float32"
    assert backend.asarray(x) is x or backend.owns(backend.asarray(x))


def test_asarray_with_copy_shares_nothing(backend):
    x = np.zeros(3)
    own = backend.asarray(x, copy=True)
    x[0] = 1
    assert backend.to_numpy(own)[0] == 0


def test_to_numpy_gives_a_writable_copy(backend):
    own = backend.asarray(np.zeros(3))
    host = backend.to_numpy(own)
    host[0] = 1
    assert backend.to_numpy(own)[0] == 0


def test_device_arrays_do_not_see_later_changes_of_the_host(backend):
    if backend.is_host:
        pytest.skip("NumPy's asarray shares memory, as NumPy does")
    x = np.zeros(1000)
    own = backend.asarray(x)
    x[:] = 1
    assert backend.to_numpy(own).sum() == 0


@pytest.mark.parametrize(
    "bad",
    ("text", b"bytes", None, ["a"], [[1, 2], [3]], np.array([object()]), np.array(["2020-01-01"], "M8[D]"), {"a": 1}),
    ids=lambda x: type(x).__name__,
)
def test_asarray_refuses_what_is_no_number(backend, bad):
    with pytest.raises((TypeError, ValueError)):
        backend.asarray(bad)


def test_asarray_refuses_an_array_of_another_device(backend):
    if backend.is_host:
        pytest.skip("needs a device")
    from zkynet import backends

    with pytest.raises(MixedBackendsError, match="to_numpy"):
        backends.get("numpy").asarray(backend.asarray([1.0]))


@pytest.mark.parametrize("value", (True, 3, 2.5, 1 + 2j))
def test_item_is_a_python_number(backend, value):
    item = backend.item(backend.asarray(value))
    assert item == value and type(item) is type(value)


# ---- dtypes ----

NAMES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", *INEXACT)


@pytest.mark.parametrize("a", NAMES)
def test_result_type_is_numpys_on_every_backend(backend, a):
    for b in (*NAMES, 1, 1.0, 1j, True):
        other = np.dtype(b) if isinstance(b, str) else b
        if isinstance(b, bool):
            other = np.dtype(bool)
        truth = np.result_type(np.dtype(a), other).name
        if truth not in backend.dtypes:
            continue
        own = backend.dtypes[b] if isinstance(b, str) else b
        assert backend.name_of(backend.result_type(backend.dtypes[a], own)) == truth
        array = backend.zeros((2,), dtype=backend.dtypes[a])
        got = backend.result_type(array, backend.zeros((), dtype=own) if isinstance(b, str) else b)
        assert backend.name_of(got) == truth
        assert got == backend.zeros((), dtype=got).dtype


def test_result_type_of_python_numbers_alone(backend):
    assert backend.name_of(backend.result_type(1, 2)) == "int64"
    assert backend.name_of(backend.result_type(1, 2.0)) == "float64"
    assert backend.name_of(backend.result_type(True)) == "bool"
    assert backend.name_of(backend.result_type(1, 2j)) == "complex128"


@pytest.mark.parametrize("name", NAMES)
def test_kinds_of_dtypes(backend, name):
    dtype = backend.dtypes[name]
    kind = np.dtype(name).kind
    assert backend.is_inexact(dtype) == (kind in "fc")
    assert backend.is_complex(dtype) == (kind == "c")
    assert backend.is_integer(dtype) == (kind in "iu")
    assert backend.name_of(dtype) == name == backend.name_of(backend.dtype_of_name(name))
    assert backend.name_of(backend.zeros((1,), dtype=dtype).dtype) == name


@pytest.mark.parametrize("name", NAMES)
def test_inexact_dtype_is_numpys_for_float_functions(backend, name):
    truth = np.exp(np.ones(1, name)).dtype.name
    if truth == "float16" and "float16" not in backend.dtypes:
        truth = "float32"
    assert backend.name_of(backend.inexact_dtype(backend.dtypes[name])) == truth


# ---- products and masks ----


@pytest.mark.parametrize("dtype", FLOATS)
def test_multiply_no_nan_on_all_pairs_of_special_values(backend, dtype):
    g, d = SPECIAL.astype(dtype)[:, None], SPECIAL.astype(dtype)[None, :]
    with np.errstate(all="ignore"):
        truth = np.where((g == 0) & ~np.isfinite(d), 0, g * d).astype(dtype)
    check(backend, "multiply_no_nan", (g, d), truth, exact=True)
    check(backend, "multiply_no_nan", (np.ascontiguousarray(np.broadcast_to(g, (8, 8))), d), truth, exact=True)


@pytest.mark.parametrize("dtype", INEXACT)
@pytest.mark.parametrize("shapes", (((), ()), ((0,), (0,)), ((3,), (2, 3)), ((2, 1), (3,)), ((4, 5, 6), ())))
def test_multiply_no_nan_is_the_product_of_finite_numbers(backend, dtype, shapes):
    g, d = sample(shapes[0], dtype), sample(shapes[1], dtype, seed=1)
    check(backend, "multiply_no_nan", (g, d), np.asarray(g * d))


def test_multiply_no_nan_of_complex_zero_and_infinity(backend):
    g = np.array([0, 0, 1 + 1j, 0], "complex128")
    d = np.array([complex(math.inf, 0), complex(1, math.nan), 2 - 1j, 1j])
    check(backend, "multiply_no_nan", (g, d), np.array([0, 0, 3 + 1j, 0]), exact=True)


def test_multiply_no_nan_of_scalars(backend):
    zero, infinite = backend.asarray(np.float64(0)), backend.asarray(np.float64(math.inf))
    with np.errstate(all="ignore"):
        assert float(backend.multiply_no_nan(zero, infinite)) == 0
        assert math.isnan(float(backend.multiply_no_nan(zero, infinite) * infinite))
    if backend.is_host:
        with np.errstate(all="ignore"):
            assert backend.multiply_no_nan(np.float32(0), np.float32(math.inf)).dtype == np.float32


@pytest.mark.parametrize("dtype", (*INEXACT, "int32", "int64"))
@pytest.mark.parametrize(
    "shapes",
    (((), ()), ((0,), (0,)), ((5,), (5,)), ((3,), (4, 3)), ((2, 3), (3,)), ((2, 1), (3,)), ((50, 60), (50, 60)))
    + (((60,), (50, 60)), ((50, 1), (50, 60)), ((50, 60), (1, 60)), ((2, 50, 60), (50, 60))),
)
def test_select(backend, dtype, shapes):
    mask, g = sample(shapes[0]) > 0, sample(shapes[1], dtype, seed=1)
    check(backend, "select", (mask, g), np.where(mask, g, np.zeros((), dtype)), exact=True)


@pytest.mark.parametrize("dtype", INEXACT)
@pytest.mark.parametrize("repeat", (1, 500))
def test_select_lets_nothing_through(backend, dtype, repeat):
    g = np.tile(SPECIAL, repeat).astype(dtype)
    mask = np.tile([True, False], 4 * repeat)
    with np.errstate(all="ignore"):
        check(backend, "select", (mask, g), np.where(mask, g, np.zeros((), dtype)), exact=True)
    got = backend.to_numpy(backend.select(backend.asarray(mask), backend.asarray(g)))
    assert not np.signbit(got.real[1]) and np.isfinite(got[1::2]).all()


@pytest.mark.parametrize("dtype", INEXACT)
def test_select_of_arrays_that_are_not_contiguous(backend, dtype):
    g, mask = sample((80, 90), dtype).T, (sample((80, 90), seed=1) > 0).T
    check(backend, "select", (mask, g), np.where(mask, g, np.zeros((), dtype)), exact=True)
    check(backend, "select", (mask[::2], g[::2]), np.where(mask, g, np.zeros((), dtype))[::2], exact=True)
    straight = np.ascontiguousarray(mask)
    check(backend, "select", (straight, g), np.where(mask, g, np.zeros((), dtype)), exact=True)


@pytest.mark.parametrize("dtype", FLOATS)
def test_sigmoid_is_accurate_in_both_tails(backend, dtype):
    x = np.array([-40.0, -20.0, -1.0, 0.0, 1.0, 20.0, 40.0, 1000.0, -1000.0, math.inf, -math.inf, math.nan], dtype)
    truth = [1 / (1 + math.exp(-v)) if v > -700 else 0.0 for v in x[:-1].astype(float)] + [math.nan]
    for method in (backend.sigmoid, lambda x: Backend.sigmoid(backend, x)):
        got = method(backend.asarray(x))
        assert backend.name_of(got.dtype) == dtype
        np.testing.assert_allclose(backend.to_numpy(got), truth, rtol=tolerance(dtype) / 10, atol=0)
    check(backend, "sigmoid", (np.zeros((0, 2), dtype),), np.zeros((0, 2), dtype))
    check(backend, "sigmoid", (np.zeros((), dtype),), np.full((), 0.5, dtype))


def test_sigmoid_of_complex_numbers(backend):
    z = sample((3, 2), "complex128")
    check(backend, "sigmoid", (z,), 1 / (1 + np.exp(-z)))


@pytest.mark.parametrize("dtype", (*INEXACT, "int64"))
def test_cumulative_sum_and_prod(backend, dtype):
    for shape, axis in (((4,), -1), ((3, 4, 2), -2), ((3, 4), -2), ((0,), -1), ((2, 0), -1)):
        x = sample(shape, dtype)
        flipped = np.flip(x, axis)
        check(backend, "cumulative_sum", (x,), np.cumsum(x, axis, dtype=dtype), axis=axis)
        check(backend, "cumulative_prod", (x,), np.cumprod(x, axis, dtype=dtype), axis=axis)
        back = np.flip(np.cumsum(flipped, axis, dtype=dtype), axis)
        check(backend, "cumulative_sum", (x,), back, axis=axis, reverse=True)
        back = np.flip(np.cumprod(flipped, axis, dtype=dtype), axis)
        check(backend, "cumulative_prod", (x,), back, axis=axis, reverse=True)


EINSUMS = (
    (("ij",), "ji", ((2, 3),)),
    (("ij",), "", ((2, 3),)),
    (("ijk",), "j", ((2, 3, 4),)),
    (("ij", "jk"), "ik", ((2, 3), (3, 4))),
    (("ij", "jk"), "ki", ((2, 3), (3, 4))),
    (("ij", "ij"), "", ((2, 3), (2, 3))),
    (("i", "j"), "ij", ((2,), (3,))),
    (("i", "j"), "", ((2,), (3,))),
    (("bij", "bjk"), "bik", ((5, 2, 3), (5, 3, 4))),
    (("bij", "kjb"), "kib", ((5, 2, 3), (4, 3, 5))),
    (("bi", "bi"), "b", ((5, 2), (5, 2))),
    (("bi", "bi"), "bi", ((5, 2), (5, 2))),
    (("ij", "jk"), "ik", ((2, 1), (3, 4))),
    (("ij", "ij"), "ij", ((2, 1), (1, 3))),
    (("ij", "ij"), "j", ((2, 1), (1, 3))),
    (("ij", "jk", "kl"), "il", ((2, 3), (3, 4), (4, 5))),
    (("ab", "bc", "cd", "da"), "", ((2, 3), (3, 4), (4, 5), (5, 2))),
    (("ia", "ja", "ka"), "ijk", ((2, 6), (3, 6), (4, 6))),
    (("ij", "jk"), "ik", ((0, 3), (3, 4))),
    (("ij", "jk"), "ik", ((2, 0), (0, 4))),
    (("", "ij"), "ij", ((), (2, 3))),
    (("bqhd", "bkhd"), "bhqk", ((2, 3, 4, 5), (2, 6, 4, 5))),
)


@pytest.mark.parametrize("case", EINSUMS, ids=lambda c: ",".join(c[0]) + "->" + c[1] + str(c[2]))
@pytest.mark.parametrize("dtype", FEW)
def test_einsum(backend, case, dtype):
    labels, out, shapes = case
    xs = [sample(shape, dtype, seed) for seed, shape in enumerate(shapes)]
    truth = np.asarray(np.einsum(",".join(labels) + "->" + out, *xs))
    check(backend, "einsum", (labels, out, *xs), truth)


def test_einsum_of_integers_and_booleans(backend):
    a, b = sample((2, 3), "int64"), sample((3, 4), "int64", 1)
    check(backend, "einsum", (("ij", "jk"), "ik", a, b), a @ b, exact=True)
    check(backend, "einsum", (("ij", "jk"), "ik", a > 3, b > 3), (a > 3) @ (b > 3), exact=True)


@pytest.mark.parametrize("dtype", FLOATS)
def test_weights_relu_and_shifted(backend, dtype):
    x = sample((3, 4), dtype)
    e = np.exp(x - x.max(-1, keepdims=True))
    check(backend, "weights", (x,), e / e.sum(-1, keepdims=True), axis=-1)
    check(backend, "relu", (SPECIAL.astype(dtype),), np.maximum(SPECIAL, 0).astype(dtype), exact=True)
    a, b = SPECIAL.astype(dtype)[:, None], SPECIAL.astype(dtype)
    with np.errstate(all="ignore"):
        truth = np.where((a == b) & np.isinf(b), np.zeros((), dtype), a - b)
    check(backend, "shifted", (a, b), truth, exact=True)


# ---- axes and indices ----


@pytest.mark.parametrize("index", ([0, 2, 2, 1], [[1, 0], [2, 2]], 1, [], [[]]), ids=str)
@pytest.mark.parametrize("dtype", (*FEW, "bool"))
def test_take(backend, index, dtype):
    index = np.asarray(index, "int64")
    for shape, axis in (((3,), -1), ((3, 4), -2), ((2, 3, 4), -2), ((5, 2, 3), -1)):
        x = sample(shape, "int32").astype(dtype)
        check(backend, "take", (x, index), np.take(x, index, axis), exact=True, axis=axis)


def added(updates, index, size, axis):
    """The sum that scatter_sum promises, element by element."""
    stop = updates.ndim + axis + 1
    lead, rest = updates.shape[: stop - index.ndim], updates.shape[stop:]
    result = np.zeros((*lead, size, *rest), updates.dtype)
    for position in np.ndindex(index.shape):
        for head in np.ndindex(lead):
            with np.errstate(all="ignore"):
                result[(*head, index[position])] += updates[head + position]
    return result


@pytest.mark.parametrize("index", ([0, 2, 2, 1], [[1, 0], [2, 2]], 1, []), ids=str)
@pytest.mark.parametrize("dtype", (*FEW, "int64"))
def test_scatter_sum(backend, index, dtype):
    index = np.asarray(index, "int64")
    for lead, rest in (((), ()), ((), (5,)), ((2,), ()), ((2, 3), (4,)), ((0,), (2,)), ((2,), (0,))):
        updates = sample(lead + index.shape + rest, dtype)
        axis = -1 - len(rest)
        check(backend, "scatter_sum", (updates, index, 4), added(updates, index, 4, axis), axis=axis)


def test_scatter_sum_of_many(backend):
    index = np.random.default_rng(0).integers(0, 50, 3000)
    for lead, rest in (((), ()), ((3,), ()), ((), (7,)), ((2,), (3,))):
        updates = sample((*lead, 3000, *rest))
        axis = -1 - len(rest)
        check(backend, "scatter_sum", (updates, index, 50), added(updates, index, 50, axis), axis=axis)


@pytest.mark.parametrize("dtype", FLOATS)
def test_scatter_sum_keeps_infinities_in_their_rows(backend, dtype):
    index = np.array([0, 1, 1, 2, 3, 3, 0, 0])
    for updates in (SPECIAL, np.stack([SPECIAL, SPECIAL[::-1]])):
        updates = updates.astype(dtype)
        check(backend, "scatter_sum", (updates, index, 5), added(updates, index, 5, -1), axis=-1)


def test_scatter_sum_is_the_adjoint_of_take(backend):
    x, index = sample((2, 5, 3)), np.array([[4, 0, 4], [1, 1, 1]])
    g = sample((2, 2, 3, 3), seed=1)
    y = backend.take(backend.asarray(x), backend.asarray(index), -2)
    back = backend.scatter_sum(backend.asarray(g), backend.asarray(index), 5, -2)
    left, right = np.sum(backend.to_numpy(y) * g), np.sum(backend.to_numpy(back) * x)
    np.testing.assert_allclose(left, right)


@pytest.mark.parametrize("dtype", (*FEW, "bool"))
def test_scatter_set(backend, dtype):
    for shape, axis, index in (((4,), -1, [2, 0]), ((4, 3), -2, [3]), ((2, 4, 3), -2, [1, 3, 0]), ((2, 4), -1, [])):
        index = np.asarray(index, "int64")
        x = sample(shape, "int64").astype(dtype)
        values = sample(shape[:axis] + (len(index),) + (shape[axis + 1 :] if axis != -1 else ()), "int64", 1)
        values = values.astype(dtype)
        truth = np.array(x)
        truth[(Ellipsis, index) + (slice(None),) * (-axis - 1)] = values
        check(backend, "scatter_set", (x, index, values), truth, exact=True, axis=axis)
        truth = np.stack([truth, truth])
        check(backend, "scatter_set", (x, index, np.stack([values, values])), truth, exact=True, axis=axis)
        check(backend, "scatter_set", (np.stack([x, x]), index, values), truth, exact=True, axis=axis)


def test_scatter_set_replaces_infinities(backend):
    values, index = np.array([math.nan, 1.0]), np.array([0, 5])
    truth = np.array(SPECIAL)
    truth[index] = values
    check(backend, "scatter_set", (SPECIAL, index, values), truth, exact=True, axis=-1)


@pytest.mark.parametrize("dtype", ("int8", "uint8", "int32", "int64"))
def test_check_index_wraps_negative_indices(backend, dtype):
    low = 0 if dtype.startswith("u") else -3
    index = np.array([[low, 2], [1, 0]], dtype)
    truth = np.where(index.astype("int64") < 0, index.astype("int64") + 3, index.astype("int64"))
    check(backend, "check_index", (index, 3, "x"), truth, exact=True)
    check(backend, "check_index", (np.asarray(low, dtype), 3, "x"), truth[0, 0], exact=True)
    check(backend, "check_index", (np.zeros((0, 2), dtype), 0, "x"), np.zeros((0, 2), "int64"), exact=True)


@pytest.mark.parametrize("bad", (3, -4, 100))
def test_check_index_refuses_what_is_out_of_bounds(backend, bad):
    for method in (backend.check_index, lambda *a: Backend.check_index(backend, *a)):
        with pytest.raises(IndexOutOfBoundsError, match=rf"gather: index {bad} .*length 3"):
            method(backend.asarray(np.array([0, bad])), 3, "gather")
        with pytest.raises(IndexError):
            method(backend.asarray(np.array([0])), 0)
        with pytest.raises(TypeError, match="integer"):
            method(backend.asarray(np.array([0.0])), 3)


@pytest.mark.parametrize("dtype", (*INEXACT, "int64", "bool"))
def test_pad(backend, dtype):
    for shape, widths in (
        ((3,), ((1, 2),)),
        ((2, 3), ((0, 0), (1, 0))),
        ((2, 2, 3), ((2, 0), (0, 1))),
        ((0,), ((1, 1),)),
    ):
        x = sample(shape, "int64").astype(dtype)
        full = ((0, 0),) * (len(shape) - len(widths)) + widths
        check(backend, "pad", (x, widths), np.pad(x, full), exact=True)
    check(backend, "pad", (sample((2,)), ()), sample((2,)), exact=True)
    if dtype in FLOATS:
        x = sample((2, 2), dtype)
        truth = np.pad(x, ((0, 0), (1, 1)), constant_values=-math.inf)
        check(backend, "pad", (x, ((1, 1),)), truth, exact=True, value=-math.inf)


@pytest.mark.parametrize("n, start, stop", [(5, 0, 5), (5, 2, 4), (1, 0, 1), (6, 3, 6)])
def test_diagonal_rows(backend, n, start, stop):
    entries = sample((n,))
    entries[-1] = math.inf  # nothing of it leaks into the zeros
    check(backend, "diagonal_rows", (entries, start, stop), np.diag(entries)[start:stop], exact=True)


def test_place(backend):
    for index in ((..., slice(1, 3)), (..., 2, slice(None, None, 2)), (..., slice(None, None, -1), 0)):
        shape = (4, 5) if len(index) == 3 else (4,)
        inner = np.zeros(shape)[index].shape
        for lead in ((), (2,)):
            x = sample(lead + inner)
            truth = np.zeros(lead + shape)
            truth[index] = x
            check(backend, "place", (x, index, shape), truth, exact=True)


def test_unstack(backend):
    x = sample((2, 3, 4))
    for axis in (0, 1, -1):
        parts = backend.unstack(backend.asarray(x), axis=axis)
        assert isinstance(parts, tuple) and len(parts) == x.shape[axis]
        for i, part in enumerate(parts):
            assert_same(backend, part, np.take(x, i, axis), exact=True)


# ---- convolution ----


def correlate(x, w, stride, padding, dilation, groups):
    """Cross-correlation by its definition."""
    n, c, o = x.shape[0], x.shape[1], w.shape[0]
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    kernel = w.shape[2:]
    out = [
        max(0, (s - d * (k - 1) - 1) // step + 1)
        for s, k, step, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)
    ]
    y = np.zeros((n, o, *out), np.result_type(x, w))
    share = c // groups
    for t in np.ndindex(*out):
        for k in np.ndindex(*kernel):
            spot = tuple(i * s + j * d for i, s, j, d in zip(t, stride, k, dilation, strict=True))
            pixel = x[(slice(None), slice(None), *spot)]
            for j in range(o):
                own = slice(j * groups // o * share, (j * groups // o + 1) * share)
                y[(slice(None), j, *t)] += pixel[:, own] @ w[(j, slice(None), *k)]
    return y


CONVS = (
    # x, w, stride, padding, dilation, groups
    ((2, 3, 5, 6), (4, 3, 3, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((2, 3, 5, 6), (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    ((2, 4, 7, 6), (6, 2, 3, 2), (2, 3), ((1, 0), (0, 2)), (1, 1), 2),
    ((1, 4, 7, 7), (4, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 4),
    ((2, 2, 8, 9), (3, 2, 2, 3), (2, 1), ((2, 1), (0, 0)), (2, 3), 1),
    ((2, 4, 9, 8), (4, 2, 3, 2), (1, 1), ((2, 1), (0, 3)), (2, 3), 2),
    ((1, 2, 4, 4), (2, 2, 2, 2), (1, 1), ((2, 0), (0, 2)), (1, 1), 1),  # padded by more than the kernel reaches
    ((2, 3, 4, 4), (5, 3, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((2, 4, 4, 4), (6, 2, 1, 1), (2, 2), ((0, 0), (1, 1)), (1, 1), 2),
    ((0, 3, 5, 5), (2, 3, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((2, 3, 6), (4, 3, 3), (2,), ((1, 1),), (1,), 1),
    ((1, 2, 3, 4, 3), (2, 2, 2, 2, 2), (1, 2, 1), ((0, 0), (1, 0), (0, 1)), (1, 1, 2), 1),
    ((2, 3, 2, 2), (4, 3, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),  # nothing fits: empty
    ((2, 2, 6, 6), (2, 2, 2, 2), (3, 3), ((0, 0), (0, 0)), (1, 1), 1),  # a border that no window meets
)


@pytest.mark.parametrize(
    ("case", "dtype"),
    [(case, "float64") for case in CONVS] + [(case, dtype) for case in CONVS[2:3] for dtype in FEW],
    ids=str,
)
def test_conv_and_its_adjoints(backend, case, dtype):
    xs, ws, *options = case
    x, w = sample(xs, dtype), sample(ws, dtype, 1)
    y = correlate(x, w, *options)
    check(backend, "conv", (x, w, *options), y)
    g = sample(y.shape, dtype, 2)
    # the adjoints, by the linearity of conv in each argument
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for spot in np.ndindex(x.shape[1:]) if x.size and dtype == "float64" else ():
        one = np.zeros((1, *xs[1:]))
        one[(0, *spot)] = 1
        dx[(slice(None), *spot)] = np.tensordot(g, correlate(one, w, *options)[0], g.ndim - 1)
    for spot in np.ndindex(w.shape) if dtype == "float64" else ():
        one = np.zeros(ws)
        one[spot] = 1
        dw[spot] = np.sum(g * correlate(x, one, *options))
    if dtype != "float64":
        host = portable(_host())
        dx, dw = host.conv_input(g, w, xs, *options), host.conv_filter(x, g, ws, *options)
    check(backend, "conv_input", (g, w, xs, *options), dx)
    check(backend, "conv_filter", (x, g, ws, *options), dw)


def _host():
    from zkynet import backends

    return backends.get("numpy")


@pytest.mark.parametrize("groups", (1, 2))
@pytest.mark.parametrize(
    "leads", (((2,), ()), ((), (2,)), ((2,), (2,)), ((3, 1), (2,)), ((0,), ()), ((), (0,))), ids=str
)
def test_conv_with_leading_axes(backend, groups, leads):
    options = ((1, 2), ((1, 0), (1, 1)), (1, 1), groups)
    xs, ws = (2, 4, 5, 6), (6, 4 // groups, 3, 2)
    ys = correlate(np.zeros(xs), np.zeros(ws), *options).shape
    lead = np.broadcast_shapes(*leads)

    def looped(f, a, b, core, shape):
        a, b = np.broadcast_to(a, lead + a.shape[-core:]), np.broadcast_to(b, lead + b.shape[-core:])
        result = np.zeros(lead + shape)
        for i in np.ndindex(lead):
            result[i] = f(a[i], b[i])
        return result

    host = _host()
    x, w, g = sample(leads[0] + xs), sample(leads[1] + ws, seed=1), sample(leads[0] + ys, seed=2)
    truth = looped(lambda a, b: correlate(a, b, *options), x, w, 4, ys)
    check(backend, "conv", (x, w, *options), truth)
    truth = looped(lambda a, b: Backend._conv_input(host, a, b, xs, *options), g, w, 4, xs)
    check(backend, "conv_input", (g, w, xs, *options), truth)
    g = sample(leads[1] + ys, seed=2)
    truth = looped(lambda a, b: Backend._conv_filter(host, a, b, ws, *options), x, g, 4, ws)
    check(backend, "conv_filter", (x, g, ws, *options), truth)


def test_conv_of_more_images_than_fit_the_cache(backend):
    options = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    x, w = sample((40, 8, 16, 16)), sample((4, 8, 3, 3), seed=1)
    host = portable(_host())
    y = host.conv(x, w, *options)
    g = sample(y.shape, seed=2)
    check(backend, "conv", (x, w, *options), y)
    check(backend, "conv_input", (g, w, x.shape, *options), host.conv_input(g, w, x.shape, *options))
    check(backend, "conv_filter", (x, g, w.shape, *options), host.conv_filter(x, g, w.shape, *options))


# ---- random numbers ----


@pytest.mark.parametrize("counter", (0, 1, 12345, 2**64 - 2))
@pytest.mark.parametrize("key", ((0, 0), (1, 2), (2**64 - 1, 2**63)))
def test_random_bits_are_philox_4x64_10(backend, counter, key):
    for n in (0, 1, 7, 64):
        words = [(counter - 1) % 2**256 >> shift & (2**64 - 1) for shift in (0, 64, 128, 192)]
        source = np.random.Philox(counter=np.array(words, "uint64"), key=np.array(key, "uint64"))
        truth = np.asarray(source.random_raw(n), dtype="uint64") if n else np.zeros(0, "uint64")
        check(backend, "random_bits", (key, counter, n), truth, exact=True)


def test_random_bits_known_answer(backend):
    # kat_vectors of Random123, the authors' own library: philox4x64 10, all zero
    known = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert backend.to_numpy(backend.random_bits((0, 0), 0, 4)).tolist() == known


def test_random_bits_take_an_array_as_counter(backend):
    counter = backend.asarray(np.asarray(41, "uint64"))
    got = backend.to_numpy(backend.random_bits((3, 4), counter, 6))
    np.testing.assert_array_equal(got, backend.to_numpy(backend.random_bits((3, 4), 41, 6)))


def test_random_bits_go_on_where_a_draw_stopped(backend):
    whole = backend.to_numpy(backend.random_bits((3, 4), 5, 16))
    parts = [backend.to_numpy(backend.random_bits((3, 4), 5 + i, 4)) for i in range(4)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("bad", (-1, 2**64))
def test_random_bits_refuse_a_counter_that_is_no_uint64(backend, bad):
    with pytest.raises((ValueError, OverflowError)):
        backend.random_bits((0, 0), bad, 4)


@pytest.mark.parametrize("dtype", ("float16", *FLOATS))
def test_uniform(backend, dtype):
    if dtype not in backend.dtypes:
        pytest.skip(f"{backend} has no {dtype}")
    bits = np.concatenate([_host().random_bits((1, 2), 0, 10000), np.array([0, 2**64 - 1], "uint64")])
    kept = {"float16": 11, "float32": 24, "float64": 53}[dtype]
    truth = ((bits >> np.uint64(64 - kept)) * 2.0**-kept).astype(dtype)
    check(backend, "uniform", (bits, dtype), truth, exact=True)
    assert truth.min() == 0 and truth.max() < 1
    with pytest.raises(TypeError):
        backend.uniform(backend.asarray(bits), "int32")


@pytest.mark.parametrize("dtype", FLOATS)
def test_normal_has_the_moments_of_a_normal(backend, dtype):
    bits = _host().random_bits((1, 2), 0, 20000)
    truth = Backend.normal(_host(), bits, dtype)
    check(backend, "normal", (bits, dtype), truth)
    assert abs(truth.mean()) < 0.03 and abs(truth.std() - 1) < 0.02 and abs((truth**3).mean()) < 0.08
    assert np.isfinite(Backend.normal(_host(), np.array([0, 2**64 - 1] * 2, "uint64"), dtype)).all()
    with pytest.raises(ValueError, match="even"):
        backend.normal(backend.asarray(bits[:3]), dtype)


# ---- linear algebra ----


@pytest.mark.parametrize("dtype", FEW)
@pytest.mark.parametrize("stack", ((), (2, 3), (0,)), ids=str)
def test_linalg(backend, dtype, stack):
    a = sample((*stack, 3, 3), dtype) + 3 * np.eye(3, dtype=dtype)
    b = sample((*stack, 3, 2), dtype, 1)
    spd = a @ np.conj(np.swapaxes(a, -1, -2))
    own = backend.asarray
    assert_same(backend, backend.linalg.solve(own(a), own(b)), np.linalg.solve(a, b))
    assert_same(backend, backend.linalg.inv(own(a)), np.linalg.inv(a))
    factor = np.linalg.cholesky(spd)
    upper_garbage = np.tril(spd) + 7 * np.triu(np.ones_like(spd), 1)
    assert_same(backend, backend.linalg.cholesky(own(upper_garbage)), factor)
    values, vectors = backend.linalg.eigh(own(upper_garbage))
    truth = np.linalg.eigvalsh(spd)
    host = backend.to_numpy(vectors)
    np.testing.assert_allclose(backend.to_numpy(values), truth, rtol=1e-3 if "32" in dtype or "64" in dtype else 1e-9)
    rebuilt = (host * backend.to_numpy(values)[..., None, :]) @ np.conj(np.swapaxes(host, -1, -2))
    tol = 1e-4 if np.finfo(dtype).eps > 1e-10 else 1e-10
    np.testing.assert_allclose(rebuilt, spd, rtol=tol, atol=tol)


@pytest.mark.parametrize("stack", ((), (2,)), ids=str)
def test_linalg_errors_are_the_same_on_every_backend(backend, stack):
    singular = np.broadcast_to(np.array([[1.0, 2.0], [2.0, 4.0]]), (*stack, 2, 2)).copy()
    if stack:
        singular[0] = np.eye(2)
    own = backend.asarray
    with pytest.raises(LinAlgError, match="solve.*singular"):
        backend.linalg.solve(own(singular), own(np.ones((*stack, 2, 1))))
    with pytest.raises(LinAlgError, match="inv.*singular"):
        backend.linalg.inv(own(singular))
    with pytest.raises(np.linalg.LinAlgError, match="cholesky.*positive definite"):
        backend.linalg.cholesky(own(singular - 3 * np.eye(2)))


def test_linalg_det_of_a_singular_matrix_is_zero(backend):
    assert abs(float(backend.linalg.det(backend.asarray(np.ones((2, 2)))))) < 1e-12


# ---- running ----


def test_compile_synchronize_errstate_and_flags(backend):
    x = backend.asarray(np.arange(3.0))
    f = backend.compile(lambda x: {"y": x * 2})
    assert backend.to_numpy(backend.synchronize(f(x)["y"])).tolist() == [0, 2, 4]
    assert not backend.is_traced(x)
    with backend.errstate():
        assert math.isinf(float(backend.divide(x[1], x[0])))
    assert backend.is_host == (backend.name == "numpy")


def test_compiled_extras_equal_eager_ones(backend):
    x, index, mask = np.arange(6.0).reshape(2, 3), np.array([2, 0]), np.array([True, False, True])

    def f(x, index, mask, counter):
        g = backend.take(x, backend.check_index(index, 3), -1)
        bits = backend.random_bits((1, 2), counter, 6)
        return (
            backend.scatter_sum(g, index, 3, -1),
            Backend.scatter_sum(backend, g, index, 3, -1),
            backend.scatter_set(x, index, g + 1, -1),
            backend.select(mask, x),
            backend.multiply_no_nan(x, 1 / x),
            backend.sigmoid(x),
            backend.einsum(("ij", "kj"), "ik", x, x),
            backend.uniform(bits, "float64"),
            backend.normal(bits, "float32"),
            backend.linalg.solve(x[:, :2] + backend.eye(2), x),
            backend.place(x, (..., slice(1, 4)), (5,)),
        )

    own = [backend.asarray(a) for a in (x, index, mask, np.asarray(7, "uint64"))]
    with np.errstate(all="ignore"):
        for got, truth in zip(backend.compile(f)(*own), f(*own), strict=True):
            assert_same(backend, got, backend.to_numpy(truth))


def test_singular_values_inside_a_compiled_function_are_not_read(backend):
    if not type(backend).compile is not Backend.compile:
        pytest.skip("compiles nothing")
    solve = backend.compile(backend.linalg.solve)
    assert not np.isfinite(backend.to_numpy(solve(backend.asarray(np.ones((2, 2))), backend.asarray(np.eye(2))))).all()


# ---- who may change an array ----


def test_what_others_see_of_an_array_they_cannot_change(backend):
    own = backend.asarray(np.zeros(3))
    seen = backend.read_only(own)
    kept, guard = backend.borrow(own)
    assert backend.owns(seen) and backend.owns(kept) and guard is None
    if not backend.is_writable(own):
        assert seen is own and kept is own
        return
    if backend.is_host:
        with pytest.raises(ValueError, match="read-only"):
            seen[0] = 1
    else:
        seen[0] = 1  # cannot be forbidden, so it was a copy
    own[1] = 1  # the array itself stays writable
    assert backend.to_numpy(own).tolist() == [0, 1, 0] and backend.to_numpy(kept).tolist() == [0, 0, 0]


def test_own_and_hand_over_share_nothing(backend):
    x = backend.asarray(np.zeros(3))
    items = [x, backend.reshape(x, (1, 3)), backend.own(x), backend.asarray(np.ones(3))]
    backend.hand_over(items)
    assert [backend.to_numpy(y).sum() for y in items] == [0, 0, 0, 3] and items[1].shape == (1, 3)
    if backend.name == "jax":
        assert items[0] is x  # nobody can write to it
        return
    for i in range(3):
        items[i][...] = 5
    assert backend.to_numpy(x).tolist() == [0, 0, 0]


STACKS = (((3, 1, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((5, 4), (2, 3, 4, 1)), ((2, 3, 0), (0, 5)), ((0, 3, 4), (4, 5)))


@pytest.mark.parametrize("left, right", [*STACKS, ((5, 4), (0, 4, 1)), ((2, 3, 4), (2, 4, 1)), ((5, 4), (3, 4, 2))])
@pytest.mark.parametrize("turned", [False, True])
def test_products_of_stacks(backend, left, right, turned):
    a, b = sample(left), sample(right, seed=1)
    if turned:  # in another order in memory
        a, b = (np.asfortranarray(x) for x in (a, b))
    assert_same(backend, backend.matmul(backend.asarray(a), backend.asarray(b)), np.matmul(a, b))
