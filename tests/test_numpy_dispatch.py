"""NumPy's whole namespace on a tracked Tensor: no function of it drops a gradient silently."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import zkynet as zk
from support.numpy_calls import GRID, LINE, MASK, WHOLE
from zkynet.framework.record import Tensor

# Arguments made of the array t; one or another fits each of NumPy's functions.
# fmt: off
SPECIMENS = (
    lambda t: (t,), lambda t: (t, t), lambda t: ([t, t],), lambda t: (t, 1), lambda t: (t[0],), lambda t: (t[0], t[1]),
    lambda t: (t, (3, 2)), lambda t: (t, 0, 1), lambda t: (MASK, t), lambda t: (t @ t.T,), lambda t: (1, t),
    lambda t: (t, [0, 1], 1), lambda t: (t, t[0], t[0]), lambda t: (WHOLE, t), lambda t: (t, WHOLE % 2, 0),
    lambda t: (t, MASK, t), lambda t: ("ij->i", t), lambda t: (lambda r: r, 0, t), lambda t: (np.sum, t, 0),
    lambda t: ("nowhere", t), lambda t: (t[0], [0.1, 0.5, 0.6], LINE), lambda t: ([MASK], [t]),
    lambda t: (LINE, t[0], 1),
    lambda t: (t, [MASK], [2.0]), lambda t: (t, float), lambda t: (t, 1, t), lambda t: (np.zeros((2, 3)), t),
    lambda t: (np.zeros((2, 3)), MASK, t), lambda t: (t[None], 3), lambda t: (np.zeros((2, 3)), 0, t),
)
# fmt: on
# Steps, with a derivative of 0 almost everywhere (docs/singular-points.md), and what gives memory as it is.
CONSTANT = {"floor", "ceil", "trunc", "rint", "fix", "round", "around", "floor_divide", "heaviside", "nextafter"}
CONSTANT |= {"empty_like"}


def public(module, prefix=""):
    for name in sorted(dir(module)):
        value = getattr(module, name)
        if not name.startswith("_") and (isinstance(value, np.ufunc) or hasattr(value, "_implementation")):
            yield pytest.param(value, id=prefix + name)


def flattened(y):
    return [leaf for part in y for leaf in flattened(part)] if isinstance(y, (list, tuple)) else [y]


def floats(y):
    """The floating parts of a result, in order; a Tensor as it is."""
    arrays = [p for p in flattened(y) if isinstance(p, (Tensor, np.ndarray, np.generic))]
    return [p for p in arrays if np.dtype(p.dtype).kind in "fc"]


def moves(function, specimen):
    """For each floating part of the result whether it moves with the array that the arguments are made of."""
    try:
        before, after = (floats(function(*specimen(t))) for t in (GRID, GRID * 1.013))
    except TypeError:  # a Tensor stands for a dtype there, by its attribute
        return itertools.repeat(False)
    return [a.shape != b.shape or not np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after)]


@pytest.mark.parametrize("function", [*public(np), *public(np.linalg, "linalg."), *public(np.fft, "fft.")])
@pytest.mark.filterwarnings("ignore")
def test_no_function_of_numpy_drops_a_gradient(function, tmp_path, monkeypatch):
    """Each specimen gives Tensors that are tracked where NumPy's numbers move with t, or an error."""
    monkeypatch.chdir(tmp_path)
    understood = []

    def call(t):
        for number, specimen in enumerate(SPECIMENS):
            args = specimen(t)
            empty = [a for a in args if type(a) is np.ndarray and not a.any()]
            try:
                y = function(*args)
            except TypeError:
                understood.append("refused")
                continue
            except Exception:  # arguments that mean nothing to this function
                continue
            understood.append("answered")
            assert not any(a.any() for a in empty), f"specimen {number} was written into an array: {args}"
            if function.__name__ in CONSTANT:
                continue
            lost = [not (isinstance(part, Tensor) and part.record is not None) for part in floats(y)]
            if any(lost):
                dropped = [loss and moved for loss, moved in zip(lost, moves(function, specimen))]
                assert not any(dropped), f"specimen {number} lost its gradient: {args} gave {y}"
        return 0.0

    zk.vjp(call, GRID)
    assert understood, "no specimen fits this function; add one"


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize(
    "give", [lambda t: [t, t], lambda t: [[t[0, 0], 1.0]], lambda t: t], ids=["list", "nested", "tensor"]
)
@pytest.mark.parametrize(
    "make", [np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asmatrix, np.ma.array, np.float64]
)
def test_makers_of_arrays_refuse(make, give):
    with pytest.raises(TypeError):
        zk.grad(lambda t: make(give(t)) and 0.0)(GRID)


def test_writing_into_arrays_is_refused():
    for write in (
        lambda a, t: np.copyto(a, t),
        lambda a, t: np.put(a, [0, 1], t[0, :2]),
        lambda a, t: np.place(a, MASK, t),
        lambda a, t: np.putmask(a, MASK, t),
        lambda a, t: np.fill_diagonal(a, t[0]),
        lambda a, t: np.add.at(a, (0, 1), t[0, 0]),
        lambda a, t: np.add(t, t, out=a),
        lambda a, t: np.sum(t, axis=0, out=a[0]),
        lambda a, t: a.__setitem__(0, t[0]),
        lambda a, t: np.einsum("ij->ij", t, out=a),
    ):
        a = np.zeros((2, 3))
        with pytest.raises(TypeError):
            zk.grad(lambda t, a=a, write=write: write(a, t) or 0.0)(GRID)
        assert not a.any()
