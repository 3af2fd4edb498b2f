"""Derivatives by differences of values: what rules are checked against. Knows NumPy, and nothing of the engine."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

OFFSETS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)
FIRST_STEP = 2.0**-9  # times the magnitude of the entry, or 1
LAST_STEP = 2.0**-24  # times the magnitude of the entry, or 1
SHRINK = 8.0
MOST_STEPS = 16
LASTING = 4  # so many steps have to show a kink
COMPLEX_STEP = 2.0**-66


class Tolerance(NamedTuple):
    """Two numbers agree where they differ by at most ``atol * min(1, scale) + rtol * |expected|``."""

    rtol: float
    atol: float
    scale: float = 1.0  # of the values and derivatives at hand: what atol is relative to, where it is below 1

    def allowed(self, expected):
        return self.atol * min(1.0, self.scale) + self.rtol * np.abs(expected)


class Refusal(NamedTuple):
    """An entry whose derivative does not exist, as far as differences can tell: output k, input j, and the slopes."""

    output: int
    input: int
    left: float
    right: float
    reason: str


class Measured(NamedTuple):
    """A Jacobian (outputs, inputs) by differences, and the estimated error of each entry."""

    jacobian: np.ndarray
    error: np.ndarray
    constant: np.ndarray  # where the output did not change at all
    refusals: list


class Sample(NamedTuple):
    """What one step size says of a column: one entry an output."""

    step: float
    slope: np.ndarray
    error: np.ndarray
    left: np.ndarray
    right: np.ndarray
    constant: np.ndarray  # whether the output is the same to the last bit
    bend: np.ndarray  # right minus left where that is more than a smooth function and rounding explain, else 0


def jacobian_by_differences(f: Callable, x, y, tolerance: Tolerance, first_step=None, eps=2.0**-52) -> Measured:
    """The Jacobian of ``f`` at ``x`` by 4-point central differences, each column with steps of its own.

    ``f`` maps a real vector to a real vector; ``y`` is ``f(x)``, ``eps`` (a number, or one an output) the relative
    rounding of its values. The step of a column shrinks until two differences agree to a quarter of the tolerance, and
    until the one-sided slopes meet; each entry is taken from its best step.
    """
    measured = Measured(np.zeros((y.size, x.size)), np.zeros((y.size, x.size)), np.zeros((y.size, x.size), bool), [])
    outputs = np.arange(y.size)
    for j in range(x.size):
        samples = column_of_samples(f, x, j, y, tolerance, first_step, eps)
        slopes, errors = np.array([s.slope for s in samples]), np.array([s.error for s in samples])
        with np.errstate(all="ignore"):
            quality = errors / tolerance.allowed(slopes)
        best = np.argmin(np.where(np.isnan(quality), np.inf, quality), axis=0)
        measured.jacobian[:, j] = slopes[best, outputs]
        measured.error[:, j] = errors[best, outputs]
        measured.constant[:, j] = np.all([s.constant for s in samples], axis=0)
        unsettled = ~(measured.error[:, j] <= tolerance.allowed(measured.jacobian[:, j]))
        measured.refusals.extend(refused(samples, j, unsettled & ~measured.constant[:, j]))
    return measured


def column_of_samples(f, x, j, y, tolerance, first_step, eps) -> list[Sample]:
    """Samples of column ``j`` at shrinking steps, up to the first that settles every output."""
    size = abs(x[j])
    step = first_step or FIRST_STEP * max(1.0, size)
    last = min(step, LAST_STEP * min(1.0, size or 1.0))
    samples: list = []
    while len(samples) < MOST_STEPS:
        samples.append(sample(f, x, j, y, step, tolerance, eps))
        now = samples[-1]
        settled = now.constant | (now.error <= 0.25 * tolerance.allowed(now.slope))
        if np.all(settled) and not np.any(now.bend):
            return samples
        step /= SHRINK
        if step < last:
            break
    if not first_step:  # a wide step is best where rounding is coarse
        for _ in range(2):
            samples.insert(0, sample(f, x, j, y, samples[0].step * SHRINK, tolerance, eps))
    return samples


def sample(f, x, j, y, step, tolerance, eps) -> Sample:
    """The slopes at one step: 4-point differences at ``step`` and half of it, and one-sided ones of second order."""
    v = {}
    with np.errstate(all="ignore"):
        for offset in OFFSETS:
            moved = x.copy()
            moved[j] += offset * step
            v[offset] = f(moved)
        wide = (8 * (v[1] - v[-1]) - (v[2] - v[-2])) / (12 * step)
        near = (8 * (v[0.5] - v[-0.5]) - (v[1] - v[-1])) / (6 * step)
        largest = np.max(np.abs([y, *v.values()]), axis=0)
        noise = eps * (4 * largest / step + np.abs(near) * abs(x[j]) / step)
        error = np.abs(near - wide) + noise
        right = (4 * v[1] - 3 * y - v[2]) / (2 * step)
        left = (3 * y - 4 * v[-1] + v[-2]) / (2 * step)
        gap = right - left
        least = np.maximum(tolerance.allowed(near), 1e-6 * (np.abs(left) + np.abs(right))) + 50 * noise
    bad = ~(np.isfinite(near) & np.isfinite(wide))
    near, error = np.where(bad, np.nan, near), np.where(bad, np.inf, error)
    constant = np.all([v[offset] == y for offset in OFFSETS], axis=0)
    return Sample(step, near, error, left, right, constant, np.where(np.abs(gap) > least, gap, 0))


def refused(samples, j, unsettled) -> list[Refusal]:
    """The outputs that have no derivative in input ``j``: a lasting kink, a jump, or values on one side alone."""
    if len(samples) < LASTING:
        return []
    last = samples[-LASTING:]
    final = last[-1]
    kink = lasting([s.bend for s in last], 0.8)
    jump = lasting([s.slope for s in last], 1.4) & unsettled
    left_open = ~np.isfinite(final.left) & np.isfinite(final.right)
    right_open = np.isfinite(final.left) & ~np.isfinite(final.right)
    reasons = [
        (kink, "its slopes from the left and from the right differ"),
        (jump, "its slope grows without bound as the step shrinks: a jump, or an infinite derivative"),
        (left_open, "it is not finite to the left: the point lies on the edge of its domain"),
        (right_open, "it is not finite to the right: the point lies on the edge of its domain"),
    ]
    found = []
    for k in range(final.slope.size):
        reason = next((why for mask, why in reasons if mask[k]), None)
        if reason:
            found.append(Refusal(k, j, float(final.left[k]), float(final.right[k]), reason))
    return found


def lasting(rows, least):
    """Where the rows keep their sign and neither vanish (each at least ``least`` times the one before) nor explode."""
    with np.errstate(all="ignore"):
        ratios = np.array([b / a for a, b in zip(rows[:-1], rows[1:], strict=True)])
        return np.all((ratios >= least) & (ratios <= 1.2 * SHRINK), axis=0)


def jacobian_by_complex_step(f: Callable, x):
    """The Jacobian of ``f`` at ``x`` by complex steps: exact where ``f`` is analytic. None where it fails."""
    columns = []
    for j in range(x.size):
        moved = x.astype(complex)
        moved[j] += 1j * COMPLEX_STEP
        y = f(moved)
        if y is None or not np.all(np.isfinite(y)):
            return None
        columns.append(np.imag(y) / COMPLEX_STEP)
    return np.stack(columns, axis=1) if columns else None
