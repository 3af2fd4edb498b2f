"""``op`` carries every name of the array API standard 2025.12, and takes every call that its signature allows.

array_api_strict is the standard in code. What is positional in it may be given by name here, and what is keyword-only
there by position, so the two signatures need not be equal: each call of the standard has to mean the same.
"""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

from support.points import host
from zkynet.framework import op

strict = pytest.importorskip(
    "array_api_strict", reason="array_api_strict, which states the standard, is not installed here"
)

DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "complex64", "complex128"),
)
CONSTANTS = ("e", "inf", "nan", "newaxis", "pi")
# What array_api_strict says of itself, and no part of the standard.
ITS_OWN = {
    *("Device", "set_array_api_strict_flags", "get_array_api_strict_flags", "reset_array_api_strict_flags"),
    *("ArrayAPIStrictFlags", "__version__", "__array_api_version__", "linalg", "fft"),
}
# In the standard since 2025.12, not yet in array_api_strict 2.6.
NEWER = ("linalg.eig", "linalg.eigvals")
# Calls of the standard that mean something else here, or nothing, with the reason.
DIFFERENCES: dict[str, str] = {}


def functions():
    """The standard's functions by their names in ``op``."""
    found = {}
    for space, module in (("", strict), ("linalg.", strict.linalg), ("fft.", strict.fft)):
        for name in module.__all__:
            item = getattr(module, name)
            if name not in ITS_OWN and (inspect.isfunction(item) or name == "__array_namespace_info__"):
                found[space + name] = item
    return found


FUNCTIONS = functions()


def lookup(name):
    item = op
    for part in name.split("."):
        item = getattr(item, part)
    return item


def refused(ours, standard):
    """The calls of a standard signature that ``ours`` does not take, in words."""
    mine, problems = list(ours.parameters.values()), []
    by_name = ours.parameters
    for i, p in enumerate(standard.parameters.values()):
        here = by_name.get(p.name)
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            place = mine[i] if i < len(mine) else None
            if place is None or place.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
                problems.append(f"{p.name} at position {i}")
            elif p.default is not p.empty and not same(place.default, p.default):
                problems.append(f"{p.name} = {place.default}, not {p.default}")
        if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD):
            if here is None or here.kind is p.POSITIONAL_ONLY:
                problems.append(f"{p.name} by name")
            elif p.default is not p.empty and not same(here.default, p.default):
                problems.append(f"{p.name} = {here.default}, not {p.default}")
        if p.kind is p.VAR_POSITIONAL and mine[i].kind is not p.VAR_POSITIONAL:
            problems.append(f"*{p.name}")
    told = len(standard.parameters)
    for p in mine:
        known = p.name in standard.parameters or p in mine[:told]
        if not known and p.default is p.empty and p.kind is not p.VAR_POSITIONAL:
            problems.append(f"{p.name} is asked for")
    return problems


def same(a, b):
    """Whether two defaults mean the same; array_api_strict has a mark for "not given" where the standard says None."""
    undefined = type(b).__name__ == "Undef"
    return a is None if undefined else a == b


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_call_of_the_standard_is_taken(name):
    problems = refused(inspect.signature(lookup(name)), inspect.signature(FUNCTIONS[name]))
    assert bool(problems) == (name in DIFFERENCES), problems


def test_a_call_that_is_not_taken_is_found():
    standard = inspect.signature(strict.sum)  # (x, /, *, axis=None, dtype=None, keepdims=False)
    assert refused(standard, standard) == []
    assert refused(inspect.signature(lambda a, axis=None, keepdims=False, dtype=None: a), standard) == []
    assert refused(inspect.signature(lambda x, axis=None: x), standard) == ["dtype by name", "keepdims by name"]
    assert refused(inspect.signature(lambda x, *, axis=0, dtype=None, keepdims=False, y: x), standard) == [
        "axis = 0, not None",
        "y is asked for",
    ]
    assert refused(inspect.signature(lambda *, x, axis=None, dtype=None, keepdims=False: x), standard)


@pytest.mark.parametrize("name", NEWER)
def test_newer_names_are_here(name):
    assert list(inspect.signature(lookup(name)).parameters) == ["x"]
    assert name.partition(".")[2] not in strict.linalg.__all__, "array_api_strict has it: take it off the list"


def test_no_name_is_missing():
    constants = {name for name in strict.__all__ if name not in ITS_OWN and name not in FUNCTIONS}
    assert constants == {*DTYPES, *CONSTANTS}
    assert op.newaxis is None and math.isnan(op.nan)
    assert (op.e, op.pi, op.inf) == (math.e, math.pi, math.inf)
    assert op.__array_api_version__ == strict.__array_api_version__ == "2025.12"
    assert op.ones(2).__array_namespace__(api_version="2025.12") is op
    with pytest.raises(ValueError, match="'2019.12' is unknown"):
        op.ones(2).__array_namespace__(api_version="2019.12")


@pytest.mark.parametrize("name", DTYPES)
def test_a_dtype_means_the_same_everywhere(name, backend):
    dtype = getattr(op, name)
    x = op.astype(backend.asarray(np.ones(2)), dtype)
    assert backend.name_of(x.dtype) == name
    assert op.isdtype(x.dtype, dtype) and op.result_type(x) == x.dtype
    assert op.zeros_like(x, dtype=dtype).dtype == x.dtype


def test_an_array_is_no_dtype():
    for call in (lambda x: op.asarray(x, dtype=x), lambda x: op.full_like(x, 1.0, dtype=x)):
        with pytest.raises(TypeError, match="expected a dtype, got Tensor"):
            call(op.ones(2))
    assert op.finfo(op.ones(2)).eps == op.finfo("float64").eps  # where an array may stand for its dtype


def test_named_results():
    x = np.array([[2.0, 0.5], [0.5, 1.0]])
    fields = {
        "linalg.eig": ("eigenvalues", "eigenvectors"),
        "linalg.eigh": ("eigenvalues", "eigenvectors"),
        "linalg.qr": ("Q", "R"),
        "linalg.slogdet": ("sign", "logabsdet"),
        "linalg.svd": ("U", "S", "Vh"),
        "unique_all": ("values", "indices", "inverse_indices", "counts"),
        "unique_counts": ("values", "counts"),
        "unique_inverse": ("values", "inverse_indices"),
    }
    assert {name: lookup(name)(x)._fields for name in fields} == fields
    for name in ("broadcast_arrays", "meshgrid", "unstack", "nonzero"):
        assert type(lookup(name)(x[0])) is tuple, name


def test_what_the_namespace_says_of_itself(backend):
    import zkynet as zk

    with zk.use_backend(backend):
        info = op.__array_namespace_info__()
        assert info.capabilities()["boolean indexing"] is True
        assert info.devices() == (info.default_device(),) == (op.zeros(2).device,)
        assert set(info.dtypes()) == set(DTYPES)
        assert set(info.dtypes(kind="real floating")) == {"float32", "float64"}
        assert set(info.dtypes(kind=("bool", "complex floating"))) == {"bool", "complex64", "complex128"}
        assert {op.zeros(2).dtype, op.asarray(1.5).dtype} <= {info.default_dtypes()["real floating"], float}
        with pytest.raises(ValueError, match="unknown kind 'whole'"):
            info.dtypes(kind="whole")
        with pytest.raises(ValueError, match="computes on"):
            info.dtypes(device="elsewhere")


CREATED = {
    "asarray": lambda **k: op.asarray([1.0, 2.0], **k),
    "arange": lambda **k: op.arange(3, **k),
    "empty": lambda **k: op.empty((2,), **k),
    "eye": lambda **k: op.eye(2, **k),
    "full": lambda **k: op.full((2,), 3.0, **k),
    "linspace": lambda **k: op.linspace(0.0, 1.0, 3, **k),
    "ones": lambda **k: op.ones((2,), **k),
    "zeros": lambda **k: op.zeros((2,), **k),
    "fft.fftfreq": lambda **k: op.fft.fftfreq(3, **k),
    "fft.rfftfreq": lambda **k: op.fft.rfftfreq(3, **k),
    **{f"{n}_like": lambda n=n, **k: getattr(op, f"{n}_like")(op.ones((2,)), **k) for n in ("empty", "ones", "zeros")},
    "full_like": lambda **k: op.full_like(op.ones((2,)), 3.0, **k),
}


@pytest.mark.parametrize("name", CREATED)
def test_devices_and_dtypes_of_what_is_made(name, backend):
    """A device can be named where it is the one that the array is on; another backend is the way to another device."""
    import zkynet as zk

    with zk.use_backend(backend):
        made = CREATED[name](dtype=op.float32, device=op.zeros(()).device)
        assert backend.name_of(made.dtype) == "float32"
        np.testing.assert_array_equal(host([made])[0], host([CREATED[name]()])[0].astype("float32"))
        with pytest.raises(ValueError, match=r"(?s)elsewhere.*use_backend"):
            CREATED[name](device="elsewhere")


def test_sums_in_another_dtype(backend):
    x = backend.asarray(np.array([[100, 100], [100, 27]], "int8"))
    assert float(op.sum(x, dtype=op.float32)) == 327.0 and op.isdtype(op.sum(x, dtype=op.float32), op.float32)
    assert float(op.prod(x, dtype=op.float64)) == 27e6
    np.testing.assert_array_equal(host([op.cumulative_sum(x, axis=0, dtype=op.float64)])[0], [[100, 100], [200, 127]])
    np.testing.assert_array_equal(host([op.cumulative_prod(x, axis=1, dtype=op.float64)])[0][1], [100, 2700])
    gradient = op.prod(backend.asarray(np.ones(2, "float32")), dtype="float64")
    assert backend.name_of(gradient.dtype) == "float64"


def test_copies(backend):
    """``copy`` is kept, or refused: what a Tensor holds is shared with nobody."""
    x = backend.asarray(np.ones((2, 2)))
    t = op.asarray(x)
    np.testing.assert_array_equal(host([op.asarray(t, copy=True), op.reshape(t, (4,), copy=True)])[0], np.ones((2, 2)))
    assert op.asarray(t, copy=False) is t
    for call in (
        lambda: op.asarray(x, copy=False),
        lambda: op.asarray(t, dtype="float32", copy=False),
        lambda: op.asarray([1.0], copy=False),
        lambda: op.reshape(t, (4,), copy=False),
    ):
        with pytest.raises(ValueError, match="copy=False cannot be kept"):
            call()


def test_arrays_of_other_libraries(backend):
    """Those that speak DLPack come in by a copy; here a stand-in for them."""

    class Foreign:
        def __init__(self, array):
            self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__

    import zkynet as zk

    source = np.array([1.0, 2.0])
    with zk.use_backend(backend):
        found = op.from_dlpack(Foreign(source))
        assert backend.owns(found._value)
        source[0] = 100.0
        np.testing.assert_array_equal(host([found])[0], [1.0, 2.0])
        with pytest.raises(ValueError, match="copy=False"):
            op.from_dlpack(Foreign(source), copy=False)
