"""Operation by operation, forward and backward, beside HIPS autograd where it has the same.

A row is a function of a namespace with NumPy's names, written once where the names agree, and the arrays it takes. What
is timed is the value and the gradient by all arrays of the sum of its results, of their real parts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

SIZES = (10, 100)  # of an axis: small ones show what an operation costs in Python, the others what its arithmetic does


def _normal(rng, shape):
    return rng.standard_normal(shape)


def _positive(rng, shape):
    return rng.uniform(0.5, 2.0, shape)


def _unit(rng, shape):
    return rng.uniform(-0.9, 0.9, shape)


def _fraction(rng, shape):
    return rng.uniform(0.1, 0.9, shape)


def _near_one(rng, shape):
    return rng.uniform(0.99, 1.01, shape)


def _above(rng, shape):
    return rng.uniform(1.1, 3.0, shape)


def _definite(rng, shape):
    a = rng.standard_normal(shape)
    return a @ a.T + len(a) * np.eye(len(a))


class Row(NamedTuple):
    """One operation: ``ours(op, *arrays)`` and ``theirs(names, *arrays)`` are the same function."""

    name: str
    draws: tuple[Callable, ...]  # one an array: what it is drawn by
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    vector: bool = False  # whether its arrays have one axis; otherwise two


def _row(name, *draws, f=None, ours=None, vector=False) -> Row:
    """A row of the functions called ``name`` on both sides, or ``ours`` here; or of ``f(names, *arrays)``."""
    if f is not None:
        return Row(name, draws, f, f, vector)
    return Row(
        name,
        draws,
        lambda xp, *arrays: getattr(xp, ours or name)(*arrays),
        lambda xp, *arrays: getattr(xp, name)(*arrays),
        vector,
    )


def _pair(name, *draws, ours, theirs, vector=False) -> Row:
    return Row(name, draws, ours, theirs, vector)


def _part(part, name, *draws, f=None, vector=False) -> Row:
    """A row of a function of ``op.linalg``, ``op.fft`` or ``op.special``, and of its namesake."""
    inner = f or (lambda xp, *arrays: getattr(xp, name)(*arrays))
    outer = lambda xp, *arrays: inner(getattr(xp, part), *arrays)  # noqa: E731
    return Row(f"{part}.{name}", draws, outer, outer, vector)


X, P, U, F, A, N, S = _normal, _positive, _unit, _fraction, _above, _near_one, _definite

ENTRYWISE = (
    *(
        _row(name, X)
        for name in ("negative", "square", "exp", "exp2", "expm1", "sin", "cos", "tanh", "sinh", "cosh", "abs", "sinc")
    ),
    *(_row(name, P) for name in ("sqrt", "reciprocal", "log", "log2", "log10", "log1p", "tan")),
    *(_row(f"arc{name}", U, ours=f"a{name}") for name in ("sin", "cos", "tan", "sinh", "tanh")),
    _row("arccosh", A, ours="acosh"),
    *(
        _row(name, X, P)
        for name in (
            "add",
            "subtract",
            "multiply",
            "divide",
            "maximum",
            "minimum",
            "fmax",
            "fmin",
            "logaddexp",
            "hypot",
        )
    ),
    _row("logaddexp2", X, P),
    _row("remainder", X, P),
    _row("arctan2", X, P, ours="atan2"),
    _row("power", P, X, ours="pow"),
    _row("x ** 2", X, f=lambda xp, x: x**2),
    _row("2 * x + 1", X, f=lambda xp, x: 2 * x + 1),
    _row("x + row", X, X, f=lambda xp, x, y: x + y[:1, :]),
    _row("x * column", X, X, f=lambda xp, x, y: x * y[:, :1]),
    _row("clip", X, f=lambda xp, x: xp.clip(x, -1.0, 1.0)),
    _row("where", X, X, f=lambda xp, x, y: xp.where(np.tri(len(x)) > 0, x, y)),
    *(_row(name, X) for name in ["deg2rad", "rad2deg", "nan_to_num", "real"]),
)

REDUCTIONS = (
    *(_row(name, X) for name in ("sum", "mean", "max", "min", "var", "std")),
    *(
        _row(f"{name}, an axis", X, f=lambda xp, x, name=name: getattr(xp, name)(x, axis=0))
        for name in ("sum", "mean", "max", "min", "var", "std")
    ),
    _row("prod", N),
    _row("prod, an axis", N, f=lambda xp, x: xp.prod(x, axis=0)),
    _row("sum of rows", X, f=lambda xp, x: xp.sum(x, axis=1)),
    _pair(
        "cumsum",
        X,
        ours=lambda op, x: op.cumulative_sum(x, axis=0),
        theirs=lambda xp, x: xp.cumsum(x, axis=0),
    ),
    _row("sort", X, vector=True),
    _row("partition", X, f=lambda xp, x: xp.partition(x, 4), vector=True),
    _pair(
        "logsumexp, an axis",
        X,
        ours=lambda op, x: op.logsumexp(x, axis=1),
        theirs=lambda xp, x: xp.special.logsumexp(x, axis=1),
    ),
)

SHAPES = (
    _row("reshape", X, f=lambda xp, x: xp.reshape(x, (-1,))),
    _row("ravel", X),
    _row("transpose", X),
    _row("swapaxes", X, f=lambda xp, x: xp.swapaxes(x, 0, 1)),
    _row("moveaxis", X, f=lambda xp, x: xp.moveaxis(x, 0, 1)),
    _row("expand_dims", X, f=lambda xp, x: xp.expand_dims(x, 0)),
    _row("squeeze", X, f=lambda xp, x: xp.squeeze(x[None, :, :], 0)),
    _pair(
        "concatenate",
        *(X, X),
        ours=lambda op, x, y: op.concat([x, y], axis=1),
        theirs=lambda xp, x, y: xp.concatenate([x, y], axis=1),
    ),
    _row("stack", X, X, f=lambda xp, x, y: xp.stack([x, y])),
    _row("vstack", X, X, f=lambda xp, x, y: xp.vstack([x, y])),
    _row("hstack", X, X, f=lambda xp, x, y: xp.hstack([x, y])),
    _row("split", X, f=lambda xp, x: sum(xp.split(x, 2))),
    _row("array_split", X, f=lambda xp, x: xp.array_split(x, 3)[0]),
    _row("tile", X, f=lambda xp, x: xp.tile(x, (2, 2))),
    _row("repeat", X, f=lambda xp, x: xp.repeat(x, 3, axis=0)),
    _row("roll", X, f=lambda xp, x: xp.roll(x, 3, axis=1)),
    _row("flipud", X),
    _row("fliplr", X),
    _row("rot90", X),
    _row("diag", X),
    _row("diag of a vector", X, f=lambda xp, x: xp.diag(x), vector=True),
    _row("tril", X),
    _row("triu", X),
    _pair(
        "pad",
        X,
        ours=lambda op, x: op.pad(x, ((1, 2), (3, 4))),
        theirs=lambda xp, x: xp.pad(x, ((1, 2), (3, 4)), "constant"),
    ),
    _row("x[2:5, ::2]", X, f=lambda xp, x: x[2:5, ::2]),
    _row("x[3]", X, f=lambda xp, x: x[3]),
    _row("x[[...]]", X, f=lambda xp, x: x[np.array([4, 1, 1, 0])]),
    _row("x[mask]", X, f=lambda xp, x: x[np.tri(len(x)) > 0]),
    _row("diff", X),
    _row("gradient", X, vector=True),
)

PRODUCTS = (
    _row("matmul", X, X),
    _row("dot", X, X),
    _row("matrix @ vector", X, X, f=lambda xp, a, b: xp.matmul(a, b[0])),
    _row("vector @ matrix", X, X, f=lambda xp, a, b: xp.matmul(a[0], b)),
    _row("stack @ matrix", X, X, f=lambda xp, a, b: xp.matmul(xp.stack([a, a, a, a]), b)),
    _row("vector @ vector", X, X, f=lambda xp, a, b: xp.dot(a, b), vector=True),
    _row("outer", X, X, vector=True),
    _row("inner", X, X),
    _row("tensordot", X, X, f=lambda xp, a, b: xp.tensordot(a, b, 1)),
    _row("einsum ij,jk", X, X, f=lambda xp, a, b: xp.einsum("ij,jk->ik", a, b)),
    _row("einsum ij,ij", X, X, f=lambda xp, a, b: xp.einsum("ij,ij->i", a, b)),
    _row("trace", X),
    _row("kron", X, X, f=lambda xp, a, b: xp.kron(a[:5, :5], b[:5, :5])),
    _row("cross", X, X, f=lambda xp, a, b: xp.cross(a[:, :3], b[:, :3])),
    _pair(
        "convolve",
        *(X, X),
        ours=lambda op, a, b: op.convolve(a, b[:5]),
        theirs=lambda xp, a, b: xp.signal.convolve(a, b[:5]),
        vector=True,
    ),
)

LINALG = (
    *(_part("linalg", name, S) for name in ("det", "inv", "pinv", "cholesky", "norm")),
    _part("linalg", "slogdet", S, f=lambda xp, a: xp.slogdet(a)[1]),
    _part("linalg", "eigh", S, f=lambda xp, a: xp.eigh(a)[0] + xp.eigh(a)[1] ** 2),
    _part("linalg", "solve", S, X),
    _part("linalg", "svd", S, f=lambda xp, a: xp.svd(a, full_matrices=False)[1]),
)

FOURIER = (
    *(_part("fft", name, X) for name in ("fft", "ifft", "rfft", "fft2", "fftn", "ifftshift")),
    _part("fft", "irfft", X, f=lambda xp, x: xp.irfft(x + 0j)),
)

SPECIAL = (
    *(
        _part("special", name, P)
        for name in (
            "gammaln",
            "gamma",
            "digamma",
            "rgamma",
            "erf",
            "erfc",
            "expit",
            "j0",
            "j1",
            "i0",
            "i1",
            "y0",
            "y1",
        )
    ),
    *(_part("special", name, F) for name in ("logit",)),
    _part("special", "erfinv", U),
    _part("special", "polygamma", P, f=lambda xp, x: xp.polygamma(1, x)),
    *(_part("special", name, P, P) for name in ("beta", "betaln")),
    _part("special", "jn", P, f=lambda xp, x: xp.jn(2, x)),
    _part("special", "iv", P, f=lambda xp, x: xp.iv(2.5, x)),
)

ROWS = (*ENTRYWISE, *REDUCTIONS, *SHAPES, *PRODUCTS, *LINALG, *FOURIER, *SPECIAL)


def arrays(row: Row, size: int) -> list[np.ndarray]:
    """The arguments of a row: float64, each axis of ``size``."""
    rng = np.random.default_rng(0)
    return [draw(rng, (size,) if row.vector else (size, size)) for draw in row.draws]


def with_zkynet(row: Row, size: int) -> Callable[[], Any]:
    """The value and the gradients by zkynet."""
    import zkynet as zk
    from zkynet.framework import op

    given = arrays(row, size)

    def total(*xs):
        y = row.ours(op, *xs)
        return op.sum(op.real(y) if op.is_complex(y.dtype) else y)

    return partial(zk.value_and_grad(total, argnums=tuple(range(len(given)))), *given)


class _Names:
    """NumPy's names by autograd, and ``special`` and ``signal`` beside ``linalg`` and ``fft``."""

    def __init__(self):
        import autograd.numpy
        import autograd.scipy.signal
        import autograd.scipy.special

        self._inner, self.special, self.signal = autograd.numpy, autograd.scipy.special, autograd.scipy.signal

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        setattr(self, name, found)
        return found


def with_autograd(row: Row, size: int) -> Callable[[], Any]:
    """The same by autograd."""
    import autograd

    xp, given = _Names(), arrays(row, size)

    def total(*xs):
        y = row.theirs(xp, *xs)
        return xp.sum(xp.real(y) if np.iscomplexobj(getattr(y, "_value", y)) else y)

    return partial(autograd.value_and_grad(total, argnum=tuple(range(len(given)))), *given)


MAKERS = {"zkynet": with_zkynet, "autograd": with_autograd}
