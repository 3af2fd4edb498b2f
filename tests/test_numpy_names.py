"""``zkynet.numpy`` against NumPy: every name, its signature, its values and derivatives; and NumPy's own on Tensors."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import zkynet as zk
import zkynet.numpy as zknp
from support import numpy_calls
from support.numeric import gradient
from support.points import host
from zkynet.framework.numpy_dispatch import KNOWN_UFUNCS, LATER_UFUNCS, functions, operation

UFUNCS = sorted({getattr(np, name).__name__ for name in KNOWN_UFUNCS | LATER_UFUNCS if hasattr(np, name)})
TABLE = numpy_calls.all_calls(UFUNCS)
NUMBERED = [pytest.param(*row, id=f"{row[0]}-{k}") for k, row in enumerate(TABLE)]
OF_ARRAYS = {np: zknp, np.linalg: zknp.linalg, np.fft: zknp.fft}
NEW = np.lib.NumpyVersion(np.__version__) >= "2.4.0"
# Functions of numbers alone, and what NumPy itself provides.
FRESH = {"zeros", "ones", "empty", "eye", "identity", "tri", "arange", "indices", "full", "array", "asarray"}
FRESH |= {"fft.fftfreq", "fft.rfftfreq"}


def place(name):
    """The names before and after the dot: a module of zkynet.numpy, NumPy's, and the function's name."""
    inner, _, last = name.rpartition(".")
    return (getattr(zknp, inner), getattr(np, inner), last) if inner else (zknp, np, last)


def own_functions():
    found = []
    for theirs, ours in OF_ARRAYS.items():
        prefix = "" if ours is zknp else ours.__name__.rpartition(".")[2] + "."
        for name, value in vars(ours).items():
            if not name.startswith("_") and inspect.isfunction(value) and value.__module__.startswith("zkynet"):
                assert hasattr(theirs, name) or not NEW, f"NumPy has no {prefix}{name}"
                found.append(prefix + name)
    return sorted(filter(numpy_calls.exists, found))


def leaves(y):
    """The arrays of what a function returned; dtypes, which have no backend, as their names."""
    if isinstance(y, (tuple, list)):
        return [leaf for part in y for leaf in leaves(part)]
    if isinstance(y, (np.dtype, type)):
        return [np.asarray(np.dtype(y).name)]
    return host([y])


def test_every_name_is_called_or_made_of_numbers():
    called = {name for name, _, _ in TABLE}
    functions_called = {getattr(*place(name)[1:]) for name in called}  # mod is remainder, acos is arccos
    assert {n for n in own_functions() if getattr(*place(n)[1:]) not in functions_called} == FRESH


@pytest.mark.parametrize("name, call, x", NUMBERED)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_are_numpys(name, call, x):
    found, truth = call(zknp, x), call(np, x)
    assert isinstance(found, (tuple, list)) == isinstance(truth, (tuple, list))
    found, truth = leaves(found), leaves(truth)
    assert len(found) == len(truth)
    for a, b in zip(found, truth):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        if a.dtype.kind == "U":
            assert a == b
        else:
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def floating(y):
    """The floating parts of a result, complex ones as real and imaginary."""
    found = y if isinstance(y, (tuple, list)) else (y,)
    flat = [p for part in found for p in (part if isinstance(part, (tuple, list)) else (part,))]
    return [p for p in flat if getattr(p, "dtype", None) is not None and np.dtype(p.dtype).kind in "fc"]


# A derivative of 0 almost everywhere: the result is a constant, and says so.
CONSTANT = {"floor", "ceil", "trunc", "rint", "fix", "round", "around", "floor_divide", "nextafter"}


def weighted(y):
    """A real number that depends on every floating entry."""
    total = 0.0
    for k, part in enumerate(floating(y)):
        if np.dtype(part.dtype).kind == "c":
            total = total + zknp.sum(zknp.real(part) * 1.3) + zknp.sum(zknp.imag(part * _weights(part, k)))
        else:
            total = total + zknp.sum(part * _weights(part, k))
    return total


def _weights(part, k):
    return np.cos(np.arange(int(np.prod(part.shape))) + k).reshape(part.shape)


@pytest.mark.parametrize("module", [zknp, np], ids=["zkynet.numpy", "numpy on Tensors"])
@pytest.mark.parametrize("name, call, x", NUMBERED)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_gradients_are_those_of_numpys_values(name, call, x, module):
    parts = floating(call(np, x))
    kept = []

    def loss(t):
        kept[:] = floating(call(module, t))
        return weighted(kept)

    value, pull = zk.vjp(loss, x)
    if name in CONSTANT or not parts or not depends(call, x):
        return
    assert any(p.record is not None for p in kept)
    truth = gradient(lambda a: float(np.asarray(host([weighted(call(np, a))])[0])), [x])[0]
    np.testing.assert_allclose(pull(1.0)[0], truth, rtol=1e-6, atol=1e-8)


def depends(call, x):
    """Whether the floating results move with x."""
    moved, still = floating(call(np, x * 1.01)), floating(call(np, x))
    return any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(moved, still))


# ---- signatures ----


@pytest.mark.skipif(not NEW, reason="the signatures are those of NumPy 2.4")
@pytest.mark.parametrize("name", own_functions())
def test_keywords_are_numpys(name):
    ours, theirs, last = place(name)
    ours, theirs = getattr(ours, last), getattr(theirs, last)
    if isinstance(theirs, np.ufunc):
        keywords = {"out", "where", "casting", "order", "dtype", "subok"}
        if theirs.signature is not None and name != "matmul":
            keywords = {"out", "dtype"}
        if name == "matmul":
            keywords -= {"where"}
        assert keywords <= set(inspect.signature(ours).parameters)
        return
    mine, wanted = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
    assert list(mine) == list(wanted)
    for key, parameter in wanted.items():
        assert mine[key].kind == parameter.kind, key
        assert (mine[key].default is parameter.empty) == (parameter.default is parameter.empty), key


@pytest.mark.parametrize(
    "name", [n for n in own_functions() if "out" in inspect.signature(getattr(place(n)[0], place(n)[2])).parameters]
)
def test_out_is_refused(name):
    call, x = next((c, a) for known, c, a in TABLE if getattr(*place(known)[1:]) is getattr(*place(name)[1:]))

    class WithOut:
        """The module, or the one ``inside`` it, with ``out`` for the function under test."""

        def __init__(self, inside=False):
            self.inside = inside

        def __getattr__(self, asked):
            inner = name.rpartition(".")[0]
            if asked == inner and not self.inside:
                return WithOut(inside=True)
            function = getattr(place(name)[0] if self.inside else zknp, asked)
            if getattr(function, "__name__", "") != getattr(place(name)[0], place(name)[2]).__name__:
                return function
            return lambda *args, **kwargs: function(*args, **kwargs, out=np.empty(3))

    with pytest.raises(TypeError, match="keyword out=<ndarray> is not supported"):
        call(WithOut(), x)


@pytest.mark.parametrize(
    "ask, says",
    [
        (lambda: zknp.sum(LINE, where=LINE > 0), "where=<ndarray>"),
        (lambda: zknp.exp(LINE, where=LINE > 0), "where=<ndarray>"),
        (lambda: zknp.exp(LINE, dtype="float32"), "dtype='float32'"),
        (lambda: zknp.zeros(3, order="F"), "order='F'"),
        (lambda: zknp.cov(SQUARE, aweights=LINE), "aweights"),
        (lambda: zknp.quantile(LINE, 0.5, weights=LINE), "weights"),
        (lambda: zknp.pad(LINE, 1, "reflect", reflect_type="odd"), "reflect_type='odd'"),
        (lambda: zknp.unique(SQUARE, axis=0), "axis=0"),
        (lambda: zknp.polyfit(LINE, LINE, 1, full=True), "full=True"),
        (lambda: zknp.linalg.svd(SQUARE, hermitian=True), "hermitian=True"),
        (lambda: zknp.sin(LINE, LINE, LINE), "takes 1 array, got 3"),
        (lambda: zknp.r_["-1", LINE], "no directives"),
    ],
)
def test_keywords_without_meaning_are_errors(ask, says):
    with pytest.raises(TypeError, match=says):
        ask()


LINE, SQUARE = numpy_calls.LINE, numpy_calls.SQUARE


def test_names_that_are_not_there_say_where_to_go():
    for name, says in (("random", "zk.Generator"), ("ndarray", "zk.Tensor"), ("loadtxt", "numpy itself")):
        with pytest.raises(AttributeError, match=says):
            getattr(zknp, name)


def test_constants_and_dtypes_are_numpys():
    for name in ("pi", "e", "inf", "newaxis", "euler_gamma", "float32", "float64", "int64", "bool_", "complex128"):
        assert getattr(zknp, name) is getattr(np, name)
    assert np.isnan(zknp.nan)


def test_arrays_of_numbers(backend):
    with zk.use_backend(backend):
        for ask in (
            lambda m: m.zeros((2, 3)), lambda m: m.zeros(3, dtype=int), lambda m: m.ones(2, m.float32),
            lambda m: m.eye(2, 3, 1), lambda m: m.identity(2), lambda m: m.tri(3, k=-1), lambda m: m.arange(4),
            lambda m: m.arange(1, 3, 0.5), lambda m: m.indices((2, 3)), lambda m: m.full((2,), 7.5),
            lambda m: m.array([[1.0, 2.0]]), lambda m: m.array([1, 2], ndmin=2), lambda m: m.r_[0:1:5j],
            lambda m: m.asarray([1, 2], dtype=float), lambda m: m.fft.fftfreq(5, 0.5), lambda m: m.fft.rfftfreq(4),
            lambda m: m.r_[1:4, 0.5, [2.0, 3.0]], lambda m: m.c_[m.arange(3), m.ones(3)],
        ):  # fmt: skip
            found, truth = ask(zknp), ask(np)
            assert backend.owns(found.value)
            np.testing.assert_allclose(host([found])[0], truth)
            assert host([found])[0].dtype == truth.dtype


def test_lists_of_tensors_are_arrays():
    np.testing.assert_allclose(zk.grad(lambda x: zknp.sum(zknp.array([x, x * x])[1]))(3.0), 6.0)
    np.testing.assert_allclose(zk.grad(lambda x: zknp.sum([x, x * x]))(3.0), 7.0)
    assert zk.grad(lambda x: zknp.r_[x, 1:3, 0.5][1])(LINE).tolist() == [0, 1, 0]


def test_known_ufuncs_are_numpys_own():
    known = [getattr(np, name) for name in KNOWN_UFUNCS] + [f for n in LATER_UFUNCS if (f := getattr(np, n, None))]
    assert all(isinstance(u, np.ufunc) and callable(operation(u)) for u in known)
    stranger = np.frompyfunc(lambda x: x, 1, 1)
    assert operation(stranger) is None
    with pytest.raises(TypeError, match="does not know tracked Tensors"):
        zk.grad(lambda x: stranger(x))(LINE)


def test_functions_are_found_by_identity():
    assert functions()[np.concatenate] is zknp.concatenate
    assert functions()[np.linalg.norm] is zknp.linalg.norm
    assert functions()[np.fft.fft] is zknp.fft.fft
    assert np.lib.scimath.sqrt not in functions()
