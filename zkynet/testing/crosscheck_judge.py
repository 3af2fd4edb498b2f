"""Two runs of one subject, step by step: where they differ, and which operator is to blame."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from zkynet import backends
from zkynet.framework import cg, pytree
from zkynet.framework.record import Context, entered

from .crosscheck_difference import (
    SAME,
    Difference,
    Precision,
    Tolerance,
    coarsest,
    difference,
    form_of,
    size_of,
    unlike,
    worst,
)
from .crosscheck_run import Run, Step, moved, shown_place
from .problem import host

OK = "ok"
DIVERGES = "diverges"  # the inputs agree, the output does not
RULE = "rule diverges"  # values and cotangent agree, what the rule sends does not
PROGRAM = "programs differ"
AMPLIFIES = "amplifies"  # alone, on the same inputs, it agrees: small differences of its inputs become large here
FOLLOWS = "follows"  # what came in differs already
DIFFERS = "differs"  # an output or a gradient of the whole


@dataclass
class Row:
    """One step of one backend beside the reference's, or an output or gradient of the whole.

    ``name`` is the operator's functional name, ``operator`` its class; ``file`` and ``line``: where it was applied.
    ``value``: the difference of the output, the worst of several; ``cotangent``: of the whole cotangent of the output;
    ``sent``: of what the operator's rule sends to its inputs; each None where there is none. ``verdict``: "ok",
    "diverges", "rule diverges", "programs differ", "amplifies" (the operator alone agrees on the same inputs),
    "follows" (what came in differs already), "differs" (an output or gradient of the whole). ``alone``: the difference
    that the operator, or its rule, makes on the reference's own numbers, where that was asked.
    """

    backend: str
    step: int | None
    name: str
    operator: str = ""
    settings: str = ""
    module: str = ""
    file: str | None = None
    line: int | None = None
    form: str = ""
    value: Difference | None = None
    cotangent: Difference | None = None
    sent: Difference | None = None
    verdict: str = OK
    alone: Difference | None = None
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.verdict == OK

    @property
    def where(self) -> str:
        """``file:line``, shortened."""
        return "" if self.file is None else shown_place((self.file, self.line or 0))

    @property
    def largest(self) -> Difference:
        """Its largest difference, relative to the largest entry; what cancelled does not count."""
        found = [d for d in (self.value, self.cotangent, self.sent) if d is not None and not d.cancelled]
        return max(found, key=lambda d: d.relative, default=SAME)


class Comparison:
    """One backend's run beside the reference's: the rows, in the order of the run, then outputs and gradients."""

    def __init__(self, reference: Run, other: Run, tolerance: Tolerance):
        self.reference, self.other, self.tolerance = reference, other, tolerance
        self.rows: list[Row] = []
        self.ends: list[Row] = []
        self.blamed: list[Row] = []  # in the order in which things went wrong
        self.amplified: list[Row] = []
        self.notes: list[str] = []
        self._places: dict[int, tuple[int, int]] = {}  # a raw value of the reference -> its step, and which output
        self._precisions: list[Precision] = []
        self._agreed: list[list[bool]] = []  # of each step's outputs
        # What cancelled, and what came of it, is judged by the largest number of the run: it is rounding, passed on.
        self._noisy: set[int] = set()  # raw values and contributions of the reference
        self._scale = max((size_of(y) for step in reference.steps for y in step.outputs), default=0.0)
        self._scale_back = max((size_of(c) for parts in reference.contributions.values() for c in parts), default=0.0)
        self._back = Precision(0.0, 0.0)
        if self._forward():
            self._backward()
        self._ends()

    # ---- the values ----

    def _forward(self) -> bool:
        """Compare the values, as far as the programs are the same; say whether that is to the end."""
        mine, theirs = self.reference.steps, self.other.steps
        for n, (a, b) in enumerate(zip(mine, theirs, strict=False)):
            if (a.name, a.settings) != (b.name, b.settings):
                break
            self._value(n, a, b)
        else:
            n = min(len(mine), len(theirs))
            if len(mine) == len(theirs):
                return True
        row = _row(self.other.backend.name, n, theirs[n] if n < len(theirs) else mine[n])
        row.verdict = PROGRAM
        told = (f"{run.backend.name}: {_told(run.steps[n : n + 1])}" for run in (self.reference, self.other))
        row.note = "; ".join(told)
        self.blamed.append(row)
        self.rows.append(row)
        return False

    def _value(self, n: int, a: Step, b: Step):
        precision = self._precision(a)
        size, noisy = self._size(_noise_size(a), a.inputs, self._scale)
        row = _row(self.other.backend.name, n, b)
        self.rows.append(row)
        found = self._values(_fixed(a), _fixed(b), precision, size)
        row.value = worst(found)
        if not row.value.ok:
            found = self._judge_value(row, a, b, precision, size, found)
        self._precisions.append(precision)
        self._agreed.append([each.ok for each in found])
        for k, value in enumerate(a.outputs):
            self._places[id(value)] = (n, k)
            if noisy or found[k].cancelled:
                self._noisy.add(id(value))

    def _values(self, mine, theirs, precision, size) -> list[Difference]:
        return [difference(y, x, self.tolerance, precision, size) for x, y in zip(mine, theirs, strict=False)]

    def _size(self, size: float, values, scale: float) -> tuple[float, bool]:
        """The size of what was added up, and whether some of it is rounding that was passed on."""
        noisy = any(id(value) in self._noisy for value in values)
        return (max(size, scale), True) if noisy else (size, False)

    def _judge_value(self, row, a, b, precision, size, found) -> list[Difference]:
        """The verdict on outputs that differ; the differences, as they are to be seen."""
        bad = [i for i, (x, y) in enumerate(zip(a.inputs, b.inputs, strict=False)) if not self._agree(x, y)]
        if bad and any(not each.ok for each in self.rows[:-1]):
            row.verdict = FOLLOWS
            return found
        row.verdict = DIVERGES
        if bad:
            row.note = f"input {bad[0]} differs already, and no operator made it: a constant made outside of op"
        else:
            row.alone = self._alone(a, b, precision, size)
            if row.alone is not None and row.alone.ok:
                return self._excused(row, a, b, precision, found)
        self.blamed.append(row)
        return found

    def _excused(self, row, a, b, precision, found) -> list[Difference]:
        """An operator that agrees on the same inputs: what it made of other rounding cancelled, or grew."""
        cancelled = self._values(_fixed(a), _fixed(b), precision, max(map(size_of, a.inputs), default=0.0))
        if worst(cancelled).ok:
            row.value, row.verdict = worst(cancelled), OK
            return cancelled
        row.verdict = AMPLIFIES
        self.amplified.append(row)
        return found

    def _agree(self, x, y) -> bool:
        """Whether an input is the same on both: what an earlier step made as that says."""
        made = self._places.get(id(x))
        if made is not None:
            return self._agreed[made[0]][made[1]]
        return x is None or difference(y, x, self.tolerance, self.tolerance.of(x)).ok

    def _precision(self, step: Step) -> Precision:
        """The coarsest precision on the way to a step: a float64 cast of a float32 result is no better than that."""
        found = [self.tolerance.of(*step.outputs)]
        for x in step.inputs:
            made = self._places.get(id(x))
            found.append(self._precisions[made[0]] if made is not None else self.tolerance.of(x))
        return coarsest(found)

    def _alone(self, a: Step, b: Step, precision, size) -> Difference | None:
        """The difference that the operator makes on the reference's inputs; None where that cannot be told."""
        xp = self.other.backend
        try:
            with backends.use_backend(xp), entered(Context()), np.errstate(all="ignore"):
                result = b.operator(*[moved(x, xp, {}) for x in a.inputs])
        except Exception:  # an operator that only lives in its run, as that of a checkpoint
            return None
        tensors = result if isinstance(result, tuple) else (result,)
        again = Step(b.operator, b.inputs, tuple(t._value for t in tensors), [], "", None)
        return worst(self._values(_fixed(a), _fixed(again), precision, size))

    # ---- the cotangents ----

    def _backward(self):
        pairs = {id(a): (b, row) for a, b, row in zip(self.reference.steps, self.other.steps, self.rows, strict=True)}
        for a, b in zip(self.reference.extra, self.other.extra, strict=False):
            if (a.name, a.settings) != (b.name, b.settings):
                self.notes.append(
                    "some rules compute with other operators on another backend; what they send is compared"
                )
                break
            row = _row(self.other.backend.name, len(pairs), b)
            row.note = "in the backward pass"
            pairs[id(a)] = b, row
            self.rows.append(row)
        visited = [step for step in self.reference.visited if id(step) in pairs]
        found = [self.tolerance.of(*step.outputs, *step.inputs) for step in visited]
        self._back = coarsest(found)
        for step in visited:
            other, row = pairs[id(step)]
            self._cotangents(row, step, other, self._back)

    def _cotangents(self, row, a: Step, b: Step, precision):
        if b.cotangents is None or [i for i, _ in a.sends] != [i for i, _ in b.sends]:
            row.sent = unlike("cotangents go to other inputs")
            noisy = False
        else:
            noisy = self._incoming(row, a, b, precision)
            found = self._sent(a, b, precision, self._scale_back if noisy else 0.0)
            row.sent = worst(found)
        if row.ok and not (row.sent.ok and (row.cotangent is None or row.cotangent.ok)):
            self._judge_rule(row, a, b, precision)
        if noisy or row.sent.cancelled:
            self._noisy.update(id(c) for _, c in a.sends)

    def _incoming(self, row, a, b, precision) -> bool:
        """Compare the cotangents of the outputs; say whether one of them is rounding."""
        noisy, found = False, []
        for k, (g, h) in enumerate(zip(_fixed_cotangents(a), _fixed_cotangents(b), strict=False)):
            if g is None or h is None:
                found.append(SAME if g is h else unlike("one has no cotangent"))
                continue
            arrived = self.reference.contributions.get(a.records[k], [])
            size, passed = self._size(max(map(size_of, arrived), default=0.0), arrived, self._scale_back)
            found.append(difference(h, g, self.tolerance, precision, size))
            noisy = noisy or passed or found[-1].cancelled
        row.cotangent = worst(found)
        return noisy

    def _sent(self, a, b, precision, least) -> list[Difference]:
        """The differences of what a rule sends, which was made of numbers of at least a size."""
        pairs = zip(a.sends, b.sends, strict=False)
        return [
            difference(d, c, self.tolerance, precision, max(least, _noise_sent(a, i, c))) for (i, c), (_, d) in pairs
        ]

    def _judge_rule(self, row, a, b, precision):
        agree = row.cotangent is None or row.cotangent.ok
        inputs = all(self._agree(x, y) for x, y in zip(a.inputs, b.inputs, strict=False))
        if not agree or not inputs or row.sent.ok:
            row.verdict = FOLLOWS
            return
        row.verdict = RULE
        row.alone = self._rule_alone(a, b, precision)
        if row.alone is None or not row.alone.ok:
            self.blamed.append(row)
            return
        sizes = [1.0, *map(size_of, a.inputs)]
        cancelled = worst(self._sent(a, b, precision, max(sizes) * max(map(size_of, a.cotangents))))
        if cancelled.ok:
            row.sent, row.verdict = cancelled, OK
            return
        row.verdict = AMPLIFIES
        self.amplified.append(row)

    def _rule_alone(self, a: Step, b: Step, precision) -> Difference | None:
        """The difference of what the rule sends for the reference's inputs and cotangent; None as above."""
        xp = self.other.backend
        positions = [i for i, _ in a.sends]
        inputs = [moved(x, xp, {}) for x in a.inputs]

        def applied(*given):
            filled = list(inputs)
            for i, x in zip(positions, given, strict=True):
                filled[i] = x
            return b.operator(*filled)

        try:
            with backends.use_backend(xp), entered(Context()), np.errstate(all="ignore"):
                values, pull = cg.vjp(applied, *[inputs[i] for i in positions])
                leaves, tree = pytree.flatten(values)
                gs = zip(leaves, a.cotangents or (), strict=True)
                cs = pull(tree.unflatten(_conj(np.zeros(y.shape) if g is None else host(g)) for y, g in gs))
        except Exception:  # as above
            return None
        again = Step(b.operator, b.inputs, b.outputs, [], "", None)
        again.sends = [(i, _conj(host(c))) for i, c in zip(positions, cs, strict=True)]
        return worst(self._sent(a, again, precision, 0.0))

    # ---- the whole ----

    def _ends(self):
        name = self.other.backend.name
        count = len(self.reference.outputs), len(self.other.outputs)
        if count[0] != count[1]:
            self.ends.append(
                Row(name, None, "outputs", verdict=DIFFERS, note=f"{count[1]} outputs instead of {count[0]}")
            )
            return
        for a, b in zip(self.reference.outputs, self.other.outputs, strict=True):
            made = self._places.get(id(a.parts[0]))
            precision = self._precisions[made[0]] if made else self.tolerance.of(a.value)
            size = _noise_size(self.reference.steps[made[0]]) if made else 0.0
            size, _ = self._size(size, a.parts, self._scale)
            self._end(a, b, precision, size)
        for a, b in zip(self.reference.gradients, self.other.gradients, strict=False):
            precision = coarsest([self.tolerance.of(a.value), self._back])
            size, _ = self._size(max(map(size_of, a.parts), default=0.0), a.parts, self._scale_back)
            self._end(a, b, precision, size)

    def _end(self, a, b, precision, size):
        found = difference(b.value, a.value, self.tolerance, precision, size)
        row = Row(self.other.backend.name, None, a.label, form=form_of(b.value), value=found)
        row.verdict = OK if found.ok else DIFFERS
        self.ends.append(row)

    def first(self) -> Row | None:
        """The row that everything else follows from, as far as it can be told; None where all is well."""
        if self.blamed:
            return self.blamed[0]
        ends = [row for row in self.ends if not row.ok]
        if not ends:
            return None
        return next((row for row in (*self.amplified, *self.rows) if not row.ok), ends[0])


def _row(backend: str, n: int, step: Step) -> Row:
    file, line = step.place or (None, None)
    settings = ", ".join(f"{k}={v!r}" for k, v in step.settings)
    form = "; ".join(form_of(v) for v in step.outputs)
    kind = type(step.operator)
    return Row(backend, n, step.name, f"{kind.__module__}.{kind.__qualname__}", settings, step.module, file, line, form)


def _told(steps: list[Step]) -> str:
    if not steps:
        return "no more steps"
    place = shown_place(steps[0].place)
    return steps[0].name + (f" at {place}" if place else "")


def _noise_size(step: Step) -> float:
    """The magnitude of what was added up to an output: rounding is of that size, however little is left."""
    sizes = [size_of(x) for x in step.inputs] or [0.0]
    if step.operator.elementwise:
        return 0.0
    return float(np.prod(sizes)) if step.operator.multilinear else max(sizes)


def _noise_sent(step: Step, i: int, c: Any) -> float:
    """The same for what a rule sends to input ``i``."""
    g = max((size_of(part) for part in step.cotangents or ()), default=0.0)
    entrywise = step.operator.elementwise and getattr(c, "shape", ()) == getattr(step.outputs[0], "shape", ())
    others = [size_of(x) for k, x in enumerate(step.inputs) if k != i]
    return 0.0 if entrywise else g * max([1.0, *others])


def _conj(x):
    return np.conj(x) if x.dtype.kind == "c" else x


# ---- what an operator leaves open ----


def _fixed(step: Step) -> tuple:
    """The outputs, without what the operator leaves open: the phases of eigenvectors."""
    if step.name != "eigh":
        return step.outputs
    return step.outputs[0], host(step.outputs[1]) * _phases(step)


def _fixed_cotangents(step: Step) -> tuple:
    found = step.cotangents or ()
    if step.name != "eigh" or found[1] is None:
        return found
    return found[0], host(found[1]) * np.conj(_phases(step))


def _phases(step: Step):
    """What makes the largest entry of every eigenvector positive."""
    v = host(step.outputs[1])
    if not v.size:
        return v
    largest = np.take_along_axis(v, np.argmax(np.abs(v), axis=-2, keepdims=True), axis=-2)
    return np.conj(largest) / np.abs(largest)
