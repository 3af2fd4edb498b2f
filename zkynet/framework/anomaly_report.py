"""What detect_anomaly says: the place where an operator was applied, and its error message."""

import linecache
import sys
from typing import Any, NamedTuple

from zkynet import backends
from zkynet.backends.errors import AnomalyError

from .backprop import pull_back, steps_back
from .custom import _Custom, _Recompute, in_context
from .pushforward import push_forward
from .record import HOST, PYTHON_NUMBERS, Spec, value_of


class Place(NamedTuple):
    """A line of code outside of zkynet."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        linecache.checkcache(self.file)
        text = linecache.getline(self.file, self.line).strip()
        return f"{self.file}:{self.line}, in {self.function}" + (f"\n{'':17}{text}" if text else "")


class Step:
    """One application of an operator: what it read and computed, and the place where that happened.

    ``within`` is the name of the operator whose rule applied it, in a sweep that is recorded; then the place is that of
    this other operator, None until it is known.
    """

    __slots__ = ("inputs", "operator", "outputs", "place", "within")

    def __init__(self, operator, inputs, outputs, place):
        self.operator, self.inputs, self.outputs, self.place = operator, inputs, outputs, place
        self.within = ""


_SWEEPS = frozenset(f.__code__ for f in (pull_back, push_forward, steps_back))


def is_ours(frame) -> bool:
    """Whether a frame runs code of zkynet, its backends and layers among it."""
    name = frame.f_globals.get("__name__") or ""
    return name == "zkynet" or name.startswith("zkynet.")


def place_of(frame) -> Place | None:
    """The line that a frame is at."""
    return None if frame is None else Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def caller() -> tuple[Place | None, bool]:
    """The innermost line outside of zkynet, and whether it runs for a rule; then None where the rule is zkynet's own.

    What a checkpoint runs again in a sweep is no rule.
    """
    frame, user = sys._getframe(1), None
    while frame is not None:
        code = frame.f_code
        if code in _SWEEPS:
            return place_of(user), True
        if user is None and not is_ours(frame):
            user = frame
        if user is not None and code is in_context.__code__:
            break
        frame = frame.f_back  # type: ignore[assignment]
    return place_of(user), False


def asked() -> tuple[Place | None, bool]:
    """The line outside of zkynet that asked for the running sweep, and whether that runs for a forward sweep's rule."""
    frame, pushes = sys._getframe(1), False
    while frame is not None and is_ours(frame):
        pushes = pushes or frame.f_code is push_forward.__code__
        frame = frame.f_back  # type: ignore[assignment]
    return place_of(frame), pushes


# ---- the message ----


def name_of(operator) -> str:
    """What to call an operator: a function with a rule of its own by its own name."""
    if isinstance(operator, _Custom):
        return operator.owner.__name__
    return "checkpoint" if isinstance(operator, _Recompute) else type(operator).__name__


def input_name(operator, k) -> str:
    """What an operator calls its input number ``k``."""
    names, variadic = operator.plan.inputs, operator.plan.variadic
    return f"{names[0]}[{k}]" if variadic else names[k]


def step_of(record) -> Step:
    """What a Record itself knows of its step: the shapes, and the values that its rules read."""
    n = len(record.parents)
    saved = [*record.saved, *[None] * (n + 1 - len(record.saved))]
    inputs = [v if v is not None or p is None else Spec(p.shape, p.dtype) for v, p in zip(saved[:n], record.parents)]
    y = Spec(record.shape, record.dtype) if saved[n] is None else saved[n]
    return Step(record.operator, inputs, list(y) if isinstance(y, tuple) else [y], None)


MADE = "Keep the inputs where the operator is defined and does not overflow, or leave such entries out with op.where."
GIVEN = "It came into the block like this: look for where it was made."
SENT = "The derivative has a pole or overflows in the range of the inputs, or the rule is wrong."


def error_about(step: Step, head: str, rows: list[tuple[str, str]], advice: str) -> AnomalyError:
    """The error about one step: what happened, where, and the ranges of all that took part."""
    operator, place = step.operator, step.place
    about = [("applied at", str(place) if place else "a line that is not known; did it run before the block?")]
    if place is None:
        about.append(("asked for at", str(asked()[0])))
    if step.within:
        about.append(("in a rule of", f"{step.within}, which that line applied"))
    about += [(f"input {input_name(operator, k)}", described(x)) for k, x in enumerate(step.inputs)]
    about += [("output" if len(step.outputs) == 1 else f"output {k}", described(y)) for k, y in enumerate(step.outputs)]
    lines = [f"{name_of(operator)}: {head}."]
    lines += [f"  {label + ':':15}{text}" for label, text in about + rows]
    error = AnomalyError("\n".join([*lines, advice]))
    error.operator = name_of(operator)
    if place is not None:
        error.file, error.line = place.file, place.line
    return error


def described(x: Any) -> str:
    """dtype and shape, the range of what is finite, and how many entries are not, in one line."""
    if isinstance(x, (list, tuple)):
        return "; ".join(described(part) for part in x)
    value = value_of(x)
    if type(value) in PYTHON_NUMBERS:
        return f"{type(value).__name__} {value!r}"
    xp = backends.backend_of(value)
    if xp is None:
        return f"{value.dtype or 'a number,'} {value.shape}, not kept" if type(value) is Spec else repr(value)
    title = f"{xp.name_of(value.dtype)} {tuple(value.shape)}"
    if xp.is_traced(value) or 0 in value.shape:
        return title
    with HOST.errstate():
        return ", ".join([title, *_ranges(value, xp)])


def _ranges(value: Any, xp) -> list[str]:
    """The range of the finite entries (of the magnitudes, where complex), and what the others are."""
    if xp.kind_of(value.dtype) == "b":
        return []
    wide = HOST.complex128 if xp.is_complex(value.dtype) else HOST.float64
    flat = HOST.reshape(HOST.astype(xp.to_numpy(value), wide), (-1,))
    finite = HOST.isfinite(flat)
    good, found = flat[finite], []
    if good.size:
        sizes = HOST.abs(good) if xp.is_complex(value.dtype) else good
        low, high = float(HOST.min(sizes)), float(HOST.max(sizes))
        found.append(f"{'magnitudes ' if xp.is_complex(value.dtype) else ''}{low:.6g} .. {high:.6g}")
    if good.size < flat.size:
        nans = int(HOST.isnan(flat).sum())
        counts = {"NaN": nans, "infinite": flat.size - good.size - nans}
        found += [f"{n} {word}" for word, n in counts.items() if n]
        found += [f"first at {_position(int(HOST.argmax(~finite)), tuple(value.shape))}"]
    return found


def _position(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The index of an entry that stands at ``flat`` in row-major order."""
    index: list[int] = []
    for size in reversed(shape):
        flat, i = divmod(flat, size)
        index.insert(0, i)
    return tuple(index)
