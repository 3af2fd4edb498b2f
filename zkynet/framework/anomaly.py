"""detect_anomaly: the operator that made a NaN or an infinity, forward or backward, by name and by the user's line."""

import contextlib
import weakref
from functools import partial
from typing import Any, NamedTuple

from zkynet import backends
from zkynet.backends.errors import AnomalyError

from .anomaly_report import GIVEN, MADE, SENT, Step, asked, caller, described, error_about, input_name, name_of, step_of
from .function import Parameter
from .operations.comparison import Predicate
from .operations.control import Copy, StopGradient
from .operations.elementwise import AsType, MultiplyNoNan, Positive, Select, Silence, Where
from .operations.indexing import ScatterSet, Take
from .operations.shape import BroadcastTo, Concat, GetItem, MatrixTranspose, Pad, PermuteDims, Place, Reshape
from .operator import Leaf
from .record import CONTEXT, HOST, PYTHON_NUMBERS, Output, Tensor, _apply, entered, operand, value_of


@contextlib.contextmanager
def detect_anomaly(*, nan: bool = True, inf: bool = True):
    """A ``with`` block, or decorator, in which a NaN or infinity is an AnomalyError that says where it came from::

        with zk.detect_anomaly():
            loss, grads = zk.value_and_grad(loss_fn)(model, x, y)

    The error names the operator, the line outside of zkynet that applied it, and shapes, dtypes and ranges of its
    inputs and its output. In a gradient, a Jacobian or a forward sweep, of any order, it names the rule that sent what
    is not finite, with the cotangent or tangent, and the line of the forward pass that the rule belongs to: both passes
    have to run inside the block. ``nan=False`` looks for infinities alone, ``inf=False`` for NaN alone.

    What is an anomaly:

    - an infinity that an operator makes of finite numbers, a NaN that it makes of anything else. The error comes when
      these entries are mixed with others, become finite or are differentiated, at the latest at the end of the block:
      what ``op.where``, an index or an assignment leaves out, as in ``op.where(x > 0, x * op.log(x), 0.0)``, hurts
      nobody;
    - a NaN from outside, in an argument, a constant or a Parameter: the first operator that computes with it is named,
      and which of its inputs has it. ``op.isnan`` may ask for it and ``op.where`` may leave it out;
    - an infinity in a Parameter. Others from outside, the -inf of an attention mask or of a padding, are meant: they
      may flow until something makes a NaN of them;
    - what a rule sends that is not finite, for a cotangent or tangent that is, unless a mask, as that of ``op.where``,
      cuts these entries off before they are mixed with others; a sum of cotangents that overflows.

    A rule is judged by what it sends: what it computes on its way may be infinite. Inside a function that a library
    compiles, as under ``jax.jit``, there are no values to look at, and nothing is checked. Blocks nest, each looks on
    its own; a thread of its own is not looked at, unless it runs in a copy of the context.

    Outside of a block it costs nothing. Inside, every array is looked at, devices are waited for, and what recorded
    steps have read and computed is kept as long as they are.
    """
    context = CONTEXT.get()
    watch = _Watch(nan, inf)
    try:
        with entered(context.replace(watchers=(*context.watchers, watch))):
            yield
            watch.end()
    finally:
        watch.clear()


# ---- what is not finite ----


class Trouble(NamedTuple):
    """Whether there are NaN and infinities in an array, of those that are looked for."""

    nan: bool
    inf: bool

    def __bool__(self) -> bool:
        return self.nan or self.inf

    def __str__(self) -> str:
        return " and ".join(word for word, there in (("NaN", self.nan), ("infinity", self.inf)) if there)


_NONE = Trouble(False, False)


def _array(value: Any) -> tuple[Any, Any]:
    """A floating-point value as an array, and its backend; (None, None) for anything that is always finite."""
    if type(value) in PYTHON_NUMBERS:
        return (HOST.asarray(value), HOST) if type(value) in (float, complex) else (None, None)
    xp = backends.backend_of(value)
    return (value, xp) if xp is not None and xp.is_inexact(value.dtype) else (None, None)


def _all_finite(value: Any) -> bool:
    """Whether every entry is finite, or cannot be looked at."""
    array, xp = _array(value)
    if xp is None or xp.is_traced(array):
        return True
    finite = xp.all(xp.isfinite(array))
    return xp.is_traced(finite) or bool(finite)  # under jit, what is computed of constants has no value either


def _calm(value: Any) -> Any:
    """``value`` with a harmless number where it is not finite; no function in use has a pole there."""
    array, xp = _array(value)
    if xp is None:
        return value
    if type(value) in PYTHON_NUMBERS:
        return value if _all_finite(value) else 0.5
    return xp.where(xp.isfinite(array), array, xp.full((), 0.5, dtype=array.dtype))


def _rerun(step: Step, inputs: list) -> list | None:
    """The outputs of a step for other inputs, or None where it refuses them."""
    try:
        with HOST.errstate():
            result = _apply(step.operator, inputs)
    except Exception:
        return None
    return [value_of(y) for y in (result if isinstance(result, tuple) else (result,))]


def _spread(question: str, value: Any, y: Any, xp) -> Any:
    """``isinf`` or ``isfinite`` of an input, in the shape of the output ``y`` and on its backend."""
    array, home = _array(value)
    answer = getattr(home, question)(array)
    return xp.broadcast_to(answer if home is xp else xp.asarray(home.to_numpy(answer)), y.shape)


# ---- who watches ----


def _values(inputs) -> list:
    """The values of an operator's inputs."""
    found = []
    for x in inputs:
        try:
            found.append(operand(x)[0])
        except TypeError:  # the operator itself has taken it
            found.append(x)
    return found


def _main_record(tensor: Tensor) -> Any:
    """The Record of the step that made a Tensor; that of all outputs where there are several."""
    return _main(tensor.record)


def _main(record: Any) -> Any:
    """A Record, or the common one of several outputs."""
    return record.parents[0] if record is not None and type(record.operator) is Output and record.parents else record


def _bare(x: Any) -> Any:
    """Values without their history, so that what waits keeps no Record alive."""
    return [_bare(part) for part in x] if isinstance(x, (list, tuple)) else value_of(x)


# Operators that only move, choose or copy entries: what they leave out of an array nobody has used.
_MOVERS = (
    *(Where, Select, Silence, MultiplyNoNan, GetItem, Take, ScatterSet, Copy, StopGradient, Positive, AsType),
    *(Reshape, PermuteDims, MatrixTranspose, BroadcastTo, Concat, Place, Pad),
)
_QUESTIONS = ("isnan", "isinf", "isfinite")


def _only_asks(operator) -> bool:
    return isinstance(operator, Predicate) and operator._function in _QUESTIONS


def _goes_entry_by_entry(operator) -> bool:
    """Whether rules keep entries apart, so that a mask further on can cut some off. At a Leaf a sweep ends."""
    return isinstance(operator, _MOVERS) or (getattr(operator, "elementwise", False) and type(operator) is not Leaf)


class Suspect:
    """A value that is not finite, and what its use is an error for. ``tensor`` is None once it no longer waits."""

    __slots__ = ("advice", "head", "life", "step", "tensor", "value")

    def __init__(self, step: Step, head: str, advice: str):
        self.step, self.head, self.advice = step, head, advice
        self.value: Any = None
        self.tensor: Tensor | None = None
        self.life: weakref.ref | None = None

    def told(self) -> AnomalyError:
        self.tensor = None
        return error_about(self.step, self.head, [], self.advice)


class _Watch:
    """The watcher of one block."""

    def __init__(self, nan: bool, inf: bool):
        self.nan, self.inf = nan, inf
        self.steps: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # Record -> Step
        self.suspects: dict[int, Suspect] = {}  # by the id of the value
        self.blame: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # Record -> the error of what came to it
        self.waiting: dict[Any, partial] = {}  # the same, until these Records have sent something themselves
        self.senders: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # Record -> the Step that sent to it last
        self.inside: Step | None = None  # where a user's own rule first made what is not finite

    def trouble(self, value: Any) -> Trouble:
        """What is wrong with a value, or with one of several."""
        if isinstance(value, (list, tuple)):
            found = [self.trouble(part) for part in value]
            return Trouble(any(t.nan for t in found), any(t.inf for t in found))
        value = value_of(value)
        if value is None or _all_finite(value):
            return _NONE
        array, xp = _array(value)
        nan = self.nan and bool(xp.any(xp.isnan(array)))
        return Trouble(nan, self.inf and bool(xp.any(xp.isinf(array))))

    # ---- forward ----

    def applied(self, operator, inputs, result) -> None:
        """Look at one application of an operator."""
        outputs = result if isinstance(result, tuple) else (result,)
        place, in_rule = caller()
        step = Step(operator, _values(inputs), [y._value for y in outputs], None if in_rule else place)
        record = _main_record(outputs[0])
        if record is not None:
            self.steps[record] = step
        given = [self.trouble(value) for value in step.inputs]
        made = [self.trouble(value) for value in step.outputs]
        if not any(given) and not any(made):
            return
        if in_rule:
            if place is not None and self.inside is None and not any(given):
                self.inside = Step(operator, step.inputs, step.outputs, place)
            return
        if not operator.joint or any(made):  # what went on inside of a function with its own rule has been judged
            self._take_in(step, inputs, given, outputs)
        for k, tensor in enumerate(outputs):
            self._judge(step, given, made[k], k, tensor)

    def _take_in(self, step, inputs, given, outputs) -> None:
        """An input that is under suspicion is an error where it is used; the suspicion goes on where its entries do."""
        operator = step.operator
        for k, x in enumerate(inputs):
            suspect = self._suspect_of(step.inputs[k])
            if _only_asks(operator):
                if suspect is not None and suspect.advice is GIVEN:
                    suspect.tensor = None
                continue
            if suspect is None:
                if not given[k].nan and not (given[k].inf and isinstance(x, Parameter)):
                    continue
                has = given[k] if isinstance(x, Parameter) else Trouble(given[k].nan, False)
                suspect = Suspect(step, f"its input number {k}, {input_name(operator, k)}, already has {has}", GIVEN)
            comes_out = self._comes_out(step, k)
            if comes_out is None:
                raise self._inner_first(operator, suspect).told()
            if comes_out:
                self._hold(Suspect(suspect.step, suspect.head, suspect.advice), outputs[0])
            suspect.tensor = None

    def _inner_first(self, operator, suspect: Suspect) -> Suspect:
        """In place of a function with its own rule, the newest step that still waits: the one inside that made it."""
        waiting = [s for s in self.suspects.values() if s.tensor is not None] if operator.joint else []
        return waiting[-1] if waiting else suspect

    def _judge(self, step, given, made: Trouble, k, tensor) -> None:
        """Put an output under suspicion where the operator itself has made what is not finite."""
        if not made or self._suspect_of(tensor._value) is not None or _only_asks(step.operator):
            return
        of = "infinite" if made.nan and any(t.inf for t in given) else "finite"
        if not made.nan and any(t.inf for t in given) and not self._makes_infinity(step, k):
            return
        suspect = Suspect(step, f"{made} came out of {of} numbers", MADE)
        inner = self._inner_first(step.operator, suspect)
        if inner is not suspect:
            raise inner.told()
        self._hold(suspect, tensor)

    def _hold(self, suspect: Suspect, tensor: Tensor) -> None:
        """Keep a suspicion as long as the Tensor lives, and the Tensor until it is settled."""
        key, suspects = id(tensor._value), self.suspects
        suspect.value, suspect.tensor = tensor._value, tensor
        suspect.life = weakref.ref(tensor, lambda _: suspects.pop(key, None))
        suspects[key] = suspect

    def _suspect_of(self, value: Any) -> Suspect | None:
        suspect = self.suspects.get(id(value))
        return suspect if suspect is not None and suspect.value is value else None

    @staticmethod
    def _comes_out(step, k) -> bool | None:
        """Whether entries of input ``k`` that are not finite stay so in the output; None where they have been used."""
        operator, (y, xp) = step.operator, _array(step.outputs[0])
        if xp is None or operator.joint:
            return None
        if isinstance(operator, _MOVERS):
            inputs = list(step.inputs)
            inputs[k] = _calm(inputs[k])
            calm = _rerun(step, inputs)
            return calm is None or bool(xp.any(xp.isfinite(_array(calm[0])[0]) != xp.isfinite(y)))
        if not operator.elementwise:
            return None
        fine = _spread("isfinite", step.inputs[k], y, xp)
        swallowed = xp.logical_and(xp.isfinite(y), xp.logical_not(fine))
        return None if bool(xp.any(swallowed)) else True

    @staticmethod
    def _makes_infinity(step, k) -> bool:
        """Whether output ``k`` is infinite where nothing that it is computed of is: other inputs are infinite."""
        y, xp = _array(step.outputs[k])
        if not step.operator.elementwise:
            calm = _rerun(step, [_calm(value) for value in step.inputs])
            return calm is not None and not _all_finite(calm[k])
        fresh = xp.isinf(y)
        for value in step.inputs:
            if _array(value)[1] is not None:
                fresh = xp.logical_and(fresh, xp.logical_not(_spread("isinf", value, y, xp)))
        return bool(xp.any(fresh))

    def end(self) -> None:
        """AnomalyError for what has not been used, nor left out."""
        for suspect in list(self.suspects.values()):
            if suspect.tensor is not None:
                raise suspect.told()
        for blame in self.waiting.values():
            raise blame()

    def clear(self) -> None:
        """Forget what waits."""
        self.suspects.clear()
        self.waiting.clear()

    # ---- sweeps ----

    def sent(self, record, g, parent, c) -> None:
        """Look at what a rule sends back: it is an error when it arrives, or when entries are mixed on its way."""
        self._check_output(record)
        self.waiting.pop(record, None)
        self._hand_down(record, (c,))
        self.senders[parent] = self.steps.get(record)
        inside, self.inside = self.inside, None
        given, made = self.trouble(g), self.trouble(c)
        if not (given or made) or asked()[1]:  # in a forward sweep the tangent is judged that comes of it
            return
        step, values = self._step_of(record), [("cotangent", _bare(g)), ("sent", _bare(c))]
        if given and record not in self.blame:
            raise _in_sweep(step, f"its cotangent already has {given}", values)
        if not made:
            return
        to = " and ".join(input_name(record.operator, i) for i, p in enumerate(record.parents) if p is parent)
        head = f"its rule sent {made} to {to}, for a finite cotangent"
        blame = self.blame[record] if given else partial(_in_sweep, step, head, values, _within_rule(inside))
        if not _goes_entry_by_entry(parent.operator):
            raise blame()
        if parent not in self.waiting:
            self.blame[parent] = self.waiting[parent] = blame

    def arrived(self, record, g) -> None:
        """Look at the sum of all that was sent to an input."""
        made = self.trouble(g)
        if made and record not in self.blame and not asked()[1]:
            step, sender = self._step_of(record), self.senders.get(record)
            rows = [] if sender is None else [("last sent by", f"{name_of(sender.operator)}, {sender.place}")]
            raise _in_sweep(step, f"the sum of the cotangents sent to it has {made}", [("cotangent", _bare(g))], rows)

    def pushed(self, record, ts, t, wanted: bool) -> None:
        """Look at the tangent that comes out of a step: as in the forward pass, it is an error where it is used."""
        self._check_output(record)
        self._hand_down(record, t if isinstance(t, tuple) else (t,))
        inside, self.inside = self.inside, None
        made, given = self.trouble(t), [self.trouble(part) for part in ts]
        if not made and not any(given):
            return
        step, operator = self._step_of(record), record.operator
        values = [("tangent", _bare(t))]
        if type(operator) is not Output:
            values = [(f"tangent of {input_name(operator, k)}", _bare(x)) for k, x in enumerate(ts)] + values
        blame = partial(_in_sweep, step, f"its tangent has {made}, of finite ones", values, _within_rule(inside))
        for k, p in enumerate(record.parents):
            if given[k]:
                head = f"the tangent of its input number {k} already has {given[k]}"
                blame = self.blame.get(_main(p)) or partial(_in_sweep, step, head, values)
                break
        if (wanted and made) or (any(given) and type(operator) is not Output and not _goes_entry_by_entry(operator)):
            raise blame()
        if made:
            self.blame[record] = blame

    def _check_output(self, record) -> None:
        """AnomalyError of the forward pass where the output of a step that is differentiated waits to be used."""
        for suspect in self.suspects.values():
            if suspect.tensor is not None and _main_record(suspect.tensor) is record:
                raise suspect.told()

    def _step_of(self, record) -> Step:
        return self.steps.get(record) or step_of(record)

    def _hand_down(self, record, made) -> None:
        """The steps that a rule has recorded belong to the line of the step that it is a rule of."""
        step = self.steps.get(record)
        if step is None or step.place is None:
            return
        stack = [_main_record(x) for x in made if type(x) is Tensor]
        while stack:
            found = stack.pop()
            inner = self.steps.get(found) if found is not None else None
            if inner is not None and inner.place is None:
                inner.place, inner.within = step.place, step.within or name_of(step.operator)
                stack += [_main(p) for p in found.parents]


def _in_sweep(step: Step, head: str, values, more=()) -> AnomalyError:
    """The error about a step of a sweep, with what came in and went out of its rule."""
    rows = [*((label, described(x)) for label, x in values), *more]
    return error_about(step, head, rows, GIVEN if "already" in head else SENT)


def _within_rule(step: Step | None) -> list[tuple[str, str]]:
    """The row that says where in a user's own rule it began."""
    return [] if step is None else [("in its rule", f"{name_of(step.operator)}, {step.place}")]
