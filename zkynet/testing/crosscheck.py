"""crosscheck: one function or model on several array libraries, operator by operator, forward and back."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from zkynet import backends
from zkynet.backends.errors import BackendNotAvailable, GradientCheckError

from .crosscheck_difference import Difference, Tolerance
from .crosscheck_judge import AMPLIFIES, DIVERGES, FOLLOWS, PROGRAM, RULE, Comparison, Row
from .crosscheck_run import Subject


def crosscheck(
    fn_or_model: Callable,
    *args: Any,
    backends: Iterable[Any] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> "CrossCheck":
    """Run one function or model on several backends and compare every operator's output and cotangent.

    ``fn_or_model``: a function written with ``op``, an Operator, a Module or a method of one; ``args``: pytrees of
    arrays, numbers, Modules, Parameters and generators. Every backend gets copies, in the dtypes that were given, and
    the same random draws; nothing of the caller's changes. What a function holds itself, in a closure, cannot be moved:
    pass models and arrays as arguments. ``backends``: names or Backends; by default all that can be used here. The
    reference is NumPy if it is among them, else the first.

    Outputs may be pytrees of any dtype. Derivatives are taken with respect to all floating-point and complex arrays and
    numbers, and Parameters, for the cotangent 1 of every real scalar output, and for standard normal numbers, drawn
    from a fixed seed, of all others.

    Steps are matched by order and operator. Entries may differ by ``rtol`` times the array's largest entry (1e-9 in
    float64, 1e-4 in float32, 1e-2 in float16, 5e-2 in bfloat16, and no finer than what a value was computed from) plus
    ``atol`` (by default 64 roundings of what was added up, where that is larger). Integers and booleans must be equal,
    infinities and NaN stand in the same places. Entries much smaller than the largest are judged by that: the rows give
    their elementwise difference too.

    An operator is blamed where its inputs agree and its output does not, a rule where values and cotangent agree and
    what it sends does not; not where it agrees on the reference's own numbers, and so only makes small differences of
    its inputs large. BackendNotAvailable, an ImportError, where fewer than two backends can be used.
    """
    chosen = chosen_backends(backends)
    tolerance = Tolerance(rtol, atol)
    subject = Subject(fn_or_model, args)
    reference = subject.run(chosen[0])
    found = [Comparison(reference, subject.run(xp), tolerance) for xp in chosen[1:]]
    return CrossCheck(subject.name, chosen[0].name, found)


def chosen_backends(names: Iterable[Any] | None) -> list:
    """The backends to compare, the reference first; BackendNotAvailable where they are fewer than two."""
    if isinstance(names, str):
        names = [names]
    if names is None:
        known = backends.available()
        found = [backends.get(name) for name, reason in known.items() if reason is None]
    else:
        known = {}
        found = list(dict.fromkeys(backends.get(name) for name in names))
    if len(found) < 2:
        missing = "".join(f"\n  {name}: {str(reason).splitlines()[0]}" for name, reason in known.items() if reason)
        raise BackendNotAvailable(
            f"crosscheck compares at least two backends; there is {', '.join(xp.name for xp in found) or 'none'}."
            f"{missing}\nInstall another one: pip install zkynet[jax], or pip install array-api-strict."
        )
    return sorted(found, key=lambda xp: xp.name != "numpy")


class CrossCheck:
    """What crosscheck found; printing it shows the table.

    ``ok``; ``first_divergence``, the Row that is to blame, or None; ``rows``, one a step and backend, then outputs and
    gradients; ``exit_code``, 0 or 1; ``reference`` and ``backends``, by name; ``notes``.
    """

    def __init__(self, name: str, reference: str, comparisons: Sequence[Comparison]):
        self.name, self.reference = name, reference
        self.backends = [reference, *(each.other.backend.name for each in comparisons)]
        self.rows: list[Row] = [row for each in comparisons for row in (*each.rows, *each.ends)]
        self.notes = list(dict.fromkeys(note for each in comparisons for note in each.notes))
        firsts = [row for each in comparisons if (row := each.first()) is not None]
        self.first_divergence: Row | None = firsts[0] if firsts else None

    @property
    def ok(self) -> bool:
        return self.first_divergence is None

    @property
    def exit_code(self) -> int:
        return 0 if self.ok else 1

    @property
    def worst(self) -> Row | None:
        """The row with the largest difference, relative to the largest entry."""
        return max(self.rows, key=lambda row: row.largest.relative, default=None)

    def raise_if_bad(self) -> None:
        """GradientCheckError, with the first divergence, where the backends do not agree."""
        if not self.ok:
            raise GradientCheckError(self.summary())

    def summary(self) -> str:
        """What is to blame, one fact a line, or one line that all is well."""
        if self.first_divergence is not None:
            return _blame(self.name, self.reference, self.first_divergence)
        worst = self.worst
        largest = f"largest difference: {described(worst)}" if worst else "there was nothing to compare"
        steps = sum(row.step is not None for row in self.rows) // max(1, len(self.backends) - 1)
        return f"crosscheck of {self.name}: {steps} steps on {', '.join(self.backends)} agree; {largest}"

    def table(self, limit: int | None = None, only_bad: bool = False) -> str:
        """The rows as text, at most ``limit`` of them, those alone that do not agree with ``only_bad``; the summary."""
        rows = [row for row in self.rows if not (only_bad and row.ok)]
        shown = rows if limit is None else rows[:limit]
        lines = _table(shown, len(self.backends) > 2)
        if len(shown) < len(rows):
            lines.append(f"... {len(rows) - len(shown)} more")
        return "\n".join([*lines, *self.notes, self.summary()])

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<CrossCheck {self.name} on {', '.join(self.backends)}: {'ok' if self.ok else 'differs'}>"

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain dicts and lists, for JSON; infinite numbers as text."""
        first = self.first_divergence
        return {
            "name": self.name,
            "ok": self.ok,
            "reference": self.reference,
            "backends": self.backends,
            "first_divergence": None if first is None else _row_as_dict(first),
            "rows": [_row_as_dict(row) for row in self.rows],
            "notes": self.notes,
        }


# ---- text ----

HEAD = (
    "step",
    "operator",
    "where",
    "value",
    *("ulp", "relative", "entrywise"),
    *("cotangent ulp", "relative", "entrywise"),
)
WHAT = {
    DIVERGES: "the inputs agree, the output does not",
    RULE: "values and cotangent agree, what its rule sends does not",
    PROGRAM: "the backends run different operators from here on",
    AMPLIFIES: "alone it agrees on the same inputs: it makes small differences of its inputs large",
    FOLLOWS: "what comes in differs already",
}


def _table(rows: list[Row], named: bool) -> list[str]:
    lines: list[tuple[str, ...]] = [("backend", *HEAD, "verdict") if named else (*HEAD, "verdict")]
    lines += [((row.backend,) if named else ()) + _cells(row) for row in rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]


def _cells(row: Row) -> tuple[str, ...]:
    name = row.name + (f"({row.settings})" if row.settings and len(row.settings) <= 24 else "")
    where = " ".join(part for part in (row.where, row.module) if part)
    form = row.form.replace("shape ", "").replace("dtype ", "").replace("), ", ") ")
    step = "" if row.step is None else str(row.step)
    back = row.cotangent if row.sent is None or row.sent.ok else row.sent
    return (step, name, where, form, *_difference(row.value), *_difference(back), row.verdict)


def _difference(d: Difference | None) -> tuple[str, ...]:
    return ("", "", "") if d is None else (_number(d.ulps), _number(d.relative), _number(d.elementwise))


def described(row: Row) -> str:
    """The largest difference of a row in a few words."""
    d = row.largest
    if not d.relative:
        return "none, to the last bit"
    return f"{_number(d.relative)} of the largest entry ({_number(d.ulps)} ulp), in {row.name}"


def _number(x: float) -> str:
    return f"{x:.0f}" if x < 1e6 and x == round(x) else f"{x:.2g}"


def _blame(name: str, reference: str, row: Row) -> str:
    step = "" if row.step is None else f" at step {row.step}, operator"
    lines = [f"crosscheck of {name}: {row.backend} differs from {reference}{step} {row.name}."]
    if row.operator:
        lines.append(f"  operator: {row.operator}({row.settings})")
    where = ", ".join(part for part in (f"{row.file}:{row.line}" if row.file else "", row.module) if part)
    if where:
        lines.append(f"  where:    {where}")
    if row.form:
        lines.append(f"  output:   {row.form}")
    bad = row.value if row.value is not None and not row.value.ok else row.sent
    if bad is not None and not bad.ok:
        at = f" at entry [{', '.join(map(str, bad.index))}]" if bad.index else ""
        at += f", {bad.part}" if bad.part else ""
        if bad.got is not None:
            lines += [f"  got:      {bad.got!r}{at}", f"  expected: {bad.expected!r}"]
            lines.append(f"  off by {bad.relative:.3g} of the largest entry, {_number(bad.ulps)} ulp")
        if bad.note:
            lines.append(f"  {bad.note}")
    if row.note:
        lines.append(f"  {row.note}")
    if row.alone is not None:
        lines.append(f"  alone, on the numbers of {reference}: {_number(row.alone.relative)} of the largest entry")
    if row.verdict in WHAT:
        lines.append(f"{row.verdict}: {WHAT[row.verdict]}.")
    return "\n".join(lines)


def _row_as_dict(row: Row) -> dict[str, Any]:
    plain: dict[str, Any] = dict(vars(row))
    for key in ("value", "cotangent", "sent", "alone"):
        each = plain[key]
        plain[key] = None if each is None else {k: _plain(v) for k, v in vars(each).items()}
    return plain


def _plain(x: Any) -> Any:
    if isinstance(x, tuple):
        return list(x)
    if isinstance(x, complex):
        return str(x)
    return str(x) if isinstance(x, float) and (x != x or x in (float("inf"), -float("inf"))) else x
