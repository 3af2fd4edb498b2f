"""What a row of the operator case table is, and how its sample inputs are drawn."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sample:
    """One call: its operands (arrays, Python numbers), and its settings by keyword. Floating operands are inputs."""

    operands: tuple
    settings: dict = field(default_factory=dict)

    def __repr__(self) -> str:
        shapes = [f"{o.dtype}{list(o.shape)}" if isinstance(o, np.ndarray) else repr(o) for o in self.operands]
        return ", ".join(shapes + [f"{k}={v!r}" for k, v in self.settings.items()])


@dataclass(frozen=True)
class Special:
    """A point where care is needed: operands, cotangent ``g``, and one gradient for each (None: nothing is said).

    ``second`` is the gradient of the sum of the first operand's gradient, with respect to that operand.
    """

    operands: tuple
    g: Any
    gradients: tuple
    settings: dict = field(default_factory=dict)
    value: Any = None
    second: Any = None
    why: str = ""


@dataclass(frozen=True)
class Bad:
    """A call that has to raise: operands, settings, exception type, and a part of its message."""

    operands: tuple
    error: type[Exception]
    says: str
    settings: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One public function. ``run(xp, *operands, **settings)`` calls it on ``op`` and on the NumPy reference alike."""

    name: str
    samples: tuple[Sample, ...]
    run: Callable | None = None
    differentiable: bool = True  # False: takes tracked values, and nothing flows back
    complex: bool = False  # complex operands, and their gradients, are supported
    integers: bool = True  # integer arrays may stand for floating ones
    weak: bool = True  # Python numbers may stand for arrays
    domain: str = "any real number"
    specials: tuple[Special, ...] = ()
    errors: tuple[Bad, ...] = ()
    tolerance: float = 1.0  # a factor: second derivatives that are hard for differences
    by_value: str = ""  # why the result's shape depends on values: such a function cannot be compiled

    def call(self, xp, operands, settings):
        run = self.run or (lambda xp, *a, **s: getattr(xp, self.name)(*a, **s))
        return run(xp, *operands, **settings)


# ---- numbers: far enough apart and from 0 for differences, the same in every run ----


def apart(rng, shape, k=0):
    """Distinct numbers around 0, at least 0.04 from 0 and from those of other operands ``k``: no ties, no kinks."""
    n = int(np.prod(shape))
    return ((rng.permutation(n) - n // 2) * 0.2 + 0.05 + 0.04 * k).reshape(shape)


def nonzero(rng, shape, k=0):
    """Of either sign, with a magnitude of 0.5 to 1.5."""
    return (rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)).reshape(shape)


def positive(rng, shape, k=0):
    """From 0.5 to 1.5."""
    return rng.uniform(0.5, 1.5, shape)


def above_minus_one(rng, shape, k=0):
    """From -0.5 to 1.5."""
    return rng.uniform(-0.5, 1.5, shape)


def hermitian(rng, shape, k=0):
    """Symmetric matrices with eigenvalues at least 1 apart, the smallest above 1."""
    n = shape[-1]
    q = np.linalg.qr(rng.normal(size=shape))[0]
    return (q * (np.arange(n) + 1.2)) @ np.swapaxes(q, -1, -2)


def regular(rng, shape, k=0):
    """Square matrices far from singular."""
    return rng.uniform(-0.5, 0.5, shape) + 2 * np.eye(shape[-1])


def draw(name, *shapes, numbers=apart, **settings) -> Sample:
    """A sample with one array for each shape; a float among the shapes stands for itself, a Python number.

    ``numbers`` draws the entries, one function for all operands or one for each.
    """
    rng = np.random.default_rng(zlib.crc32(f"{name}{shapes}{settings}".encode()))
    each = numbers if isinstance(numbers, tuple) else (numbers,) * len(shapes)
    drawn = [d(rng, s, k) if isinstance(s, tuple) else s for k, (s, d) in enumerate(zip(shapes, each, strict=True))]
    DRAWN.update({id(x): (x, d, k) for k, (x, d) in enumerate(zip(drawn, each, strict=True)) if hasattr(x, "shape")})
    return Sample(tuple(drawn), settings)


# Each array that ``draw`` made, by its identity: the array, its drawing function and its k, so that ``redrawn`` gives
# others of its kind. Samples pass arrays on to each other, so this is kept beside them.
DRAWN: dict[int, tuple] = {}


def redrawn(sample: Sample, rng) -> Sample:
    """The sample with other numbers from where its own came; those written by hand and Python numbers move by 3 %."""
    scale = rng.uniform(0.7, 1.4)  # one for all operands: what lies apart stays apart

    def again(x):
        if id(x) in DRAWN:
            _, numbers, k = DRAWN[id(x)]
            return np.asarray(numbers(rng, x.shape, k) * (scale if numbers is apart else 1.0))
        if isinstance(x, np.ndarray) and x.dtype.kind in "fc":
            return np.asarray(x * (1 + rng.uniform(-0.03, 0.03, x.shape)), x.dtype)
        return x * (1 + rng.uniform(-0.03, 0.03)) if type(x) in (float, complex) else x

    return Sample(tuple(again(x) for x in sample.operands), sample.settings)


UNARY = ((3, 2), (), (0,), (2, 0, 3), 0.7)
BINARY = (
    *(((3, 1), (2,)), ((2,), (3, 2)), ((3, 2), (1, 2)), ((3, 2), (3, 2)), ((), (3,)), ((3,), ()), ((), ())),
    *(((2, 1, 3), (4, 1)), ((0, 3), (3,)), ((1,), (0,)), ((3,), 0.7), (0.7, (3,)), (0.7, 1.3)),
)


def unary(name, numbers=apart, **keywords) -> Row:
    """A function of one array, entry by entry."""
    keywords.setdefault("domain", numbers.__doc__)
    return Row(name, tuple(draw(name, s, numbers=numbers) for s in UNARY), **keywords)


def binary(name, numbers=apart, **keywords) -> Row:
    """A function of two arrays that broadcast."""
    return Row(name, tuple(draw(name, *s, numbers=numbers) for s in BINARY), **keywords)


def complex_of(array):
    """A complex array with ``array`` as its real part; symmetric matrices become Hermitian."""
    if not isinstance(array, np.ndarray):
        return complex(array, 0.3)
    if array.shape == ():
        return np.asarray(array + 0.3j)
    part = 0.3 * np.cos(np.arange(array.size)).reshape(array.shape)
    symmetric = array.ndim > 1 and array.shape[-1] == array.shape[-2] and np.allclose(array, np.swapaxes(array, -1, -2))
    return array + 1j * (np.tril(part, -1) - np.swapaxes(np.tril(part, -1), -1, -2) if symmetric else part)
