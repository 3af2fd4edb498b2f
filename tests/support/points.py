"""A sample of the case table as a function of its inputs alone, with the truth about its derivatives."""

from __future__ import annotations

import functools
import zlib

import numpy as np

from zkynet import backends
from zkynet.framework import op
from zkynet.framework.record import Tensor, value_of
from zkynet.framework.trace import Trace
from zkynet.framework.transforms import _leaves_of_output, _push, _sweep

from . import numeric, reference
from .cases import BY_NAME
from .rows import Sample, complex_of


def is_input(operand) -> bool:
    """Whether a sample's operand is differentiated: floating arrays and Python numbers are."""
    if isinstance(operand, np.ndarray):
        return operand.dtype.kind in "fc"
    return isinstance(operand, (float, complex)) and not isinstance(operand, np.generic)


class Point:
    """One sample of a row: ``inputs``, and the function ``f(xp, *inputs)`` that gives a list of arrays.

    ``seed`` is that of the cotangent and the tangents.
    """

    def __init__(self, row, sample: Sample, seed=""):
        self.row, self.sample, self.seed = row, sample, seed
        self.inputs = [o for o in sample.operands if is_input(o)]
        self.outputs = None

    def f(self, xp, *inputs):
        rest = iter(inputs)
        operands = [next(rest) if is_input(o) else o for o in self.sample.operands]
        y = self.row.call(xp, operands, self.sample.settings)
        return list(y) if isinstance(y, tuple) else [y]

    def truth(self, *inputs):
        """The outputs as NumPy alone computes them."""
        with np.errstate(all="ignore"):
            return [np.asarray(y) for y in self.f(reference, *(inputs or self.inputs))]

    @functools.cached_property
    def g(self):
        """A cotangent for each output; a Python number for what Python numbers alone give."""
        found = [_random(y, f"g{i}{self.seed}") for i, y in enumerate(self.truth())]
        return [g.item() if self.weak and g.shape == () else g for g in found]

    @functools.cached_property
    def v(self):
        """A tangent for each input."""
        return [_random(x, f"v{i}{self.seed}") for i, x in enumerate(self.inputs)]

    @property
    def weak(self) -> bool:
        """Whether all operands are Python numbers."""
        return not any(isinstance(o, np.ndarray) for o in self.sample.operands)

    @property
    def differentiable(self) -> bool:
        """Whether there is something to differentiate: not so for a cast to integers."""
        return bool(self.inputs) and all(y.dtype.kind in "fc" for y in self.truth())

    def loss(self, *inputs):
        return numeric.inner(self.g, self.truth(*inputs))

    @functools.cached_property
    def gradients(self):
        """J^T g by differences."""
        return numeric.gradient(self.loss, self.inputs)

    @functools.cached_property
    def tangents(self):
        """J v by differences."""
        return [
            numeric.directional(lambda *xs, k=k: self.truth(*xs)[k], self.inputs, self.v) for k in range(len(self.g))
        ]

    @functools.cached_property
    def curvature(self):
        """The gradient of <J^T g, v> by second differences of values."""
        return numeric.hessian_product(self.loss, self.inputs, self.v)


def _random(like, name):
    """Numbers of the shape and kind of ``like``; a Python number for a Python number."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    x = rng.uniform(0.5, 1.5, np.shape(like)) * rng.choice([-1.0, 1.0], np.shape(like))
    if np.asarray(like).dtype.kind == "c":
        x = x + 1j * rng.uniform(-1, 1, np.shape(like))
    return np.asarray(x) if isinstance(like, np.ndarray) else x.item()


@functools.cache
def points(name: str, is_complex: bool = False) -> tuple[Point, ...]:
    """The samples of a row, with floating operands made complex where ``is_complex``."""
    row = BY_NAME[name]
    samples = row.samples
    if is_complex:
        samples = [complex_sample(s) for s in samples]
    return tuple(Point(row, s) for s in samples)


def complex_sample(sample: Sample) -> Sample:
    """The sample with its floating operands made complex."""
    return Sample(tuple(complex_of(o) if is_input(o) else o for o in sample.operands), sample.settings)


def own(xp, arrays):
    """The NumPy arrays among ``arrays`` as new arrays of backend ``xp``."""
    return [xp.asarray(a, copy=True) if isinstance(a, np.ndarray) else a for a in arrays]


def host(arrays):
    """Arrays of any backend, numbers and Tensors as NumPy arrays."""
    found = []
    for a in arrays:
        a = value_of(a)
        xp = backends.backend_of(a)
        found.append(np.asarray(a) if xp is None else xp.to_numpy(a))
    return found


def assert_close(got, truth, tolerance=1e-9, what=""):
    """Every array of ``got`` has the shape of ``truth`` and its numbers, beside the largest of them."""
    got, truth = host(got), host(truth)
    assert len(got) == len(truth), what
    for a, b in zip(got, truth):
        assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
        scale = np.max(np.abs(b), initial=0, where=np.isfinite(b))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(scale, 1), err_msg=what)


# ---- batched sweeps, through the engine's own doors ----


def _run(f, inputs):
    trace = Trace(f, inputs, tuple(range(len(inputs))))
    outputs, _ = _leaves_of_output(trace.run(f, {}), "vjp", f)
    return trace, outputs


def pull(f, inputs, gs, lead=(), traced=False):
    """One reverse sweep for cotangents with leading axes, without conjugation; None where nothing arrives."""
    trace, outputs = _run(f, inputs)
    pairs = [(y.record, Tensor(g) if traced else g) for y, g in zip(outputs, gs) if y.record is not None]
    if not pairs:
        return [None] * len(inputs)
    found = _sweep([r for r, _ in pairs], [g for _, g in pairs], trace.records, traced, lead)
    return [value_of(c) for c in found]


def push(f, inputs, ts, lead=(), traced=False):
    """One forward sweep for tangents with leading axes; None where nothing arrives."""
    trace, outputs = _run(f, inputs)
    tangents = [Tensor(t) if traced else t for t in ts]
    live = [y.record for y in outputs if y.record is not None]
    found = iter(_push(trace.records, tangents, live, traced, lead) if live else [])
    return [value_of(next(found)) if y.record is not None else None for y in outputs]


def op_function(point):
    """``f`` on ``op``, as a function of the inputs that gives a list of Tensors."""
    return lambda *inputs: point.f(op, *inputs)


def operators_of(tensors) -> set:
    """The Operators in the history of Tensors."""
    stack, seen, found = [t.record for t in tensors if getattr(t, "record", None)], set(), set()
    while stack:
        record = stack.pop()
        if record is not None and record not in seen:
            seen.add(record)
            found.add(record.operator)
            stack.extend(record.parents)
    return found
