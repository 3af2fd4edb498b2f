"""The tape of one recording: the calls that were made, what they read from outside, and what they leave there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from zkynet import backends
from zkynet.backends.errors import ZkynetError

from ..function import TAPE
from ..operator import Operator
from ..record import HOST, PYTHON_NUMBERS, tensor_of
from .program import Step, Value, compiles, function_of, map_values
from .sources import Captured, Counter, Possessed, Source

OURS = (str(Path(__file__).parents[2]), str(Path(backends.__file__).parent))
_NO_ARRAYS = frozenset((int, float, complex, bool, str, type(None), type(Ellipsis)))
_RULES = ("forward", "vjp", "jvp")  # what the names of an operator's rules begin with


class NotRecordableError(ZkynetError, RuntimeError):
    """The function does something that a program cannot do again: it runs eagerly.

    The recording that goes on remembers it: where the user's code catches it, nothing is recorded all the same.
    """

    def __init__(self, *args: Any):
        super().__init__(*args)
        tape = TAPE.get()
        if tape is not None and tape.refusal is None:
            tape.refusal = self


class OtherBackendError(NotRecordableError):
    """The function computes on another backend, ``home``, than was thought when its recording began."""

    def __init__(self, home: Any):
        super().__init__(f"arrays of {home.name} came in")
        self.home = home


class Guard:
    """A place where Python read a value: ``reader(value)`` was ``outcome``."""

    __slots__ = ("outcome", "place", "reader", "value")

    def __init__(self, value: Value, reader: Callable[[Any], Any], outcome: Any, place: Any):
        self.value, self.reader, self.outcome, self.place = value, reader, outcome, place


class Tape:
    """What one recording writes down.

    ``items`` are Steps and Guards in order; ``constants`` holds arrays that were made of Python numbers; ``writes``
    what is left in possessions and optimizers at the end, by the sink; ``effects`` functions to call behind a replay.
    """

    def __init__(self, inner: Any, recorder: Any, tree: Any, places: dict[int, Any], met: dict[int, Any]):
        self.inner, self.recorder, self.tree, self._met = inner, recorder, tree, met
        self.items: list[Any] = []
        self.constants: dict[Value, Any] = {}
        self.writes: dict[Any, Any] = {}
        self.effects: list[Callable[[], None]] = []
        self.draws: dict[int, tuple[Any, int]] = {}  # by each generator: it, and how often
        self.foreign: dict[Value, Any] = {}  # arrays that came in from nowhere: other libraries made them inside
        self._places = places  # id of a captured array -> the place that holds it
        self._arrays: dict[Any, Any] = {}  # key of a source, id of a constant -> its RecordedArray
        self.undo: list[Callable[[], None]] = []  # what takes back changes that the run had to make at once
        self.names: dict[int, str] = {}  # of possessions, where somebody knows a better one
        self._born: dict[int, Any] = {}
        self._originals: dict[Value, Any] = {}
        self._alive: list[Any] = []
        self.refusal: NotRecordableError | None = None  # the first one, caught by the user's code or not

    # ---- what comes from outside ----

    def input(self, source: Source) -> Any:
        """The RecordedArray of a source, the same one every time."""
        found = self._arrays.get(source.key)
        return self._begun(source, source.read()) if found is None else found

    def argument(self, source: Source, x: Any) -> Any:
        """The RecordedArray of an argument, the array ``x``, wherever that comes in."""
        found = self._arrays.get(("array", id(x)))
        if found is None:
            found = self._arrays["array", id(x)] = self._standing_for(x, self._begun(source, x))
            self._alive.append(x)
        return found

    def _begun(self, source: Source, x: Any) -> Any:
        array = self._at_home(x)
        recorded = self.recorder.array_type(array, self.tree.input(source, array), self)
        self._arrays[source.key] = recorded
        self._alive.append(source)
        return recorded

    def _at_home(self, x: Any) -> Any:
        """``x`` as an array of the inner backend, which host arrays follow."""
        home = backends.backend_of(x)
        if home is not None and home is not self.inner and not home.is_host:
            raise OtherBackendError(home)
        if not getattr(getattr(x, "dtype", None), "isnative", True):
            raise NotRecordableError(f"an array of dtype {x.dtype.str} came in, in another machine's order of bytes")
        return x if self.inner.is_host and HOST.is_host_scalar(x) else self.inner.asarray(x)

    def incoming(self, x: Any) -> Any:
        """An array, or a Python number or list, that meets a recorded one."""
        if backends.backend_of(x) is None or HOST.is_host_scalar(x):
            return self.constant(self._at_home(x))
        found = self._arrays.get(("array", id(x)))
        if found is not None:
            if found.value in self.foreign and bytes_of(self._at_home(x)) != bytes_of(found.array):
                raise NotRecordableError("an array that another library made inside was written to between two uses")
            return found
        place = self._places.get(id(x))
        self._alive.append(x)
        if place is not None:
            return self._standing_for(x, self.input(Captured(place)))
        met, numbers = self._met.get(id(x), (None, None))
        # The same one in two runs: it lives where nobody sees it. Where it has changed, the function may write to it.
        if met is x and (numbers is None or bytes_of(self._at_home(x)) == numbers):
            self._met[id(x)] = x, None
            return self._standing_for(x, self.input(Captured(Held(x))))
        array = self.inner.own(self._at_home(x))
        found = self._arrays["array", id(x)] = self.constant(array)
        self.foreign[found.value] = x
        return found

    def born(self, possession: Any) -> None:
        """A possession was made inside: every run makes another one."""
        self._born[id(possession)] = possession

    def _standing_for(self, x: Any, recorded: Any) -> Any:
        self._originals[recorded.value] = x
        recorded.kind = type(x)
        return recorded

    def original(self, recorded: Any) -> Any:
        """The array from outside that a recorded one stands for; None for one that was computed."""
        return self._originals.get(recorded.value)

    def possession(self, possession: Any) -> Any:
        """What a Parameter, State or Constant holds at this point of the run."""
        if id(possession) in self._born:
            held = possession._value
            return held if isinstance(held, self.recorder.array_type) else self.constant(held)
        if type(possession._value) in PYTHON_NUMBERS:
            raise NotRecordableError(f"{possession!r} holds a Python number")
        source = Possessed(possession)
        return self.writes[source][0] if source in self.writes else self.input(source)

    def constant(self, array: Any) -> Any:
        value = self.tree.value(tuple(array.shape), array.dtype)
        self.constants[value] = array
        return self.recorder.array_type(array, value, self)

    def draw(self, generator: Any) -> Any:
        """The counter of the generator's next draw (what a Context's ``draws`` does)."""
        if id(generator) in self._born:
            return self.constant(self.inner.asarray(HOST.uint64(generator.step())))
        _, count = self.draws.get(id(generator), (generator, 0))
        self.draws[id(generator)] = generator, count + 1
        return self.input(Counter(generator, count))

    # ---- what is left there ----

    def assign(self, possession: Any, array: Any) -> None:
        """From here on, and after the run, a possession holds this array."""
        if id(possession) in self._born:
            possession._value = array
            return
        self.write(Possessed(possession), array)

    def write(self, sink: Any, recorded: Any) -> None:
        """At the end the sink takes this array."""
        if not isinstance(recorded, self.recorder.array_type):
            recorded = self.incoming(recorded)
        self.writes[sink] = (recorded,)

    # ---- what happens ----

    def call(self, name: str, args: tuple, kwargs: dict, shaped_by_values: bool) -> Any:
        """Compute, and write the step down."""
        named_args, now = self._both(args)
        named_kwargs, settings = self._both_of(kwargs) if kwargs else (kwargs, kwargs)
        try:
            made = function_of(self.inner, name)(*now, **settings)
        except Exception as error:  # should the user's code catch it: a program would not know that it did
            NotRecordableError(f"{name} raised {type(error).__name__}: {error}")
            raise
        place = user_place()
        if shaped_by_values:
            if compiles(self.inner):
                raise NotRecordableError(f"{name} makes arrays whose shapes depend on values")
            before = len(self.items)
            outputs, result = self._of_open_shape(made, place)
            self.items.insert(before, Step(name, named_args, named_kwargs, outputs, place))
            return result if isinstance(made, tuple) else result[0]
        outputs, result = self._wrapped(name, made)
        self.items.append(Step(name, named_args, named_kwargs, outputs, place))
        return result

    def _of_open_shape(self, made: Any, place: Any) -> tuple[Any, Any]:
        """Arrays whose shapes depend on values: the shapes are guarded, and known from there on."""
        whole = made if isinstance(made, tuple) else (made,)
        opened = [self.tree.value(None, None) for _ in whole]
        known = [self._wrapped("known_shape", each) for each in whole]
        for value, each, (closed, _) in zip(opened, whole, known, strict=True):
            self.items.append(Guard(value, _shape, outcome_of(_shape(each)), place))
            self.items.append(Step("known_shape", (value,), {}, closed, place))
        arrays = [array for _, array in known]
        kind: Any = type(made)
        result = kind(*arrays) if hasattr(made, "_fields") else tuple(arrays)
        return (tuple(opened), result) if isinstance(made, tuple) else (opened[0], result)

    def read(self, recorded: Any, reader: Callable[[Any], Any]) -> Any:
        """What ``reader`` tells of an array that Python code asks for: guarded."""
        if TAPE.get() is not self:
            raise NotRecordableError("a value of a recording was used after its end: it is that of one call alone")
        answer = reader(recorded.array)
        if recorded.value not in self.constants or recorded.value in self.foreign:
            self.items.append(Guard(recorded.value, reader, outcome_of(answer), user_place()))
        return answer

    def _both(self, args: tuple) -> tuple[tuple, list[Any]]:
        """Arguments with Values in the place of arrays, and with the arrays of the inner backend."""
        named, now = [], []
        for x in args:
            kind = type(x)
            if kind in _NO_ARRAYS:
                named.append(x)
                now.append(x)
            elif kind is self.recorder.array_type and x.tape is self:
                named.append(x.value)
                now.append(x.array)
            else:
                value, array = self._both_of(x)
                named.append(value)
                now.append(array)
        return tuple(named), now

    def _both_of(self, tree: Any) -> tuple[Any, Any]:
        """The same for what may hold arrays further in."""
        held: dict[Value, Any] = {}
        named = self._named(tree, held)
        return named, map_values(held.__getitem__, named)

    def _named(self, tree: Any, held: dict[Value, Any]) -> Any:
        """Arguments with Values in the place of arrays, which go into ``held``."""
        kind = type(tree)
        if kind is self.recorder.array_type:
            if tree.tape is not self:
                raise NotRecordableError("a value of another recording came in")
            held[tree.value] = tree.array
            return tree.value
        if kind in (list, tuple):
            return kind([self._named(each, held) for each in tree])
        if isinstance(tree, tuple) and hasattr(tree, "_fields"):
            return tuple([self._named(each, held) for each in tree])
        if kind is dict:
            return {name: self._named(each, held) for name, each in tree.items()}
        if kind is slice:
            return slice(*[self._named(each, held) for each in (tree.start, tree.stop, tree.step)])
        if kind in backends.BACKEND_BY_TYPE or (not isinstance(tree, (int, float, str, complex)) and _is_array(tree)):
            return self._named(self.incoming(tree), held)
        return tree

    def _wrapped(self, name: str, made: Any) -> tuple[Any, Any]:
        """What a function returned: Values, and the RecordedArrays."""
        if made is None:
            return None, None
        if isinstance(made, (tuple, list)):
            pairs = [self._wrapped(name, each) for each in made]
            values, arrays = [v for v, _ in pairs], [a for _, a in pairs]
            kind: Any = type(made)
            return type(values)(values), kind(*arrays) if hasattr(made, "_fields") else kind(arrays)
        if not self.inner.owns(made):
            raise NotRecordableError(f"{name} gave a {type(made).__name__}, which depends on values")
        value = self.tree.value(tuple(made.shape), made.dtype)
        return value, self.recorder.array_type(made, value, self)


class Held:
    """A place that is not known: the array itself."""

    def __init__(self, array: Any):
        self.array = array

    def read(self) -> Any:
        return self.array

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Held) and self.array is other.array

    def __hash__(self) -> int:
        return id(self.array)

    def __str__(self) -> str:
        return f"an array of shape {tuple(self.array.shape)}"


class Lent(dict):
    """Bindings of a recording: every possession is bound, to what the tape knows of it."""

    def __init__(self, tape: Tape, own: dict | None = None):
        super().__init__(own or {})
        self.tape = tape

    def get(self, possession: Any, default: Any = None) -> Any:
        found = super().get(possession)
        if found is None and id(possession) in self.tape._born and type(possession._value) in PYTHON_NUMBERS:
            return None
        return tensor_of(self.tape.possession(possession)) if found is None else found

    def __or__(self, other: dict) -> Lent:
        return Lent(self.tape, {**self, **other})

    def __bool__(self) -> bool:
        return True


def bytes_of(x: Any) -> bytes:
    """The numbers of an array."""
    return backends.backend_of(x).to_numpy(x).tobytes()  # type: ignore[union-attr]


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape)


def _is_array(x: Any) -> bool:
    return hasattr(x, "dtype") and hasattr(x, "shape") and backends.backend_of(x) is not None


def outcome_of(answer: Any) -> Any:
    """What tells two answers apart: type and value, NaN equal to NaN, 0.0 different from -0.0."""
    if isinstance(answer, (float, complex)):
        return type(answer), repr(answer)
    return type(answer), answer


class Origin(NamedTuple):
    """Where a step comes from: the user's code, and what zkynet was doing there, ``Tanh.vjp_x`` say, or nothing."""

    file: str
    line: int
    rule: str


def user_place() -> Origin | None:
    """The innermost code that is not zkynet's, and the innermost operator that runs."""
    frame: FrameType | None = sys._getframe(2)
    rule = ""
    while frame is not None:
        code = frame.f_code
        if not _is_ours(code.co_filename):
            return Origin(code.co_filename, frame.f_lineno, rule)
        if not rule and code.co_name.startswith(_RULES) and isinstance(frame.f_locals.get("self"), Operator):
            rule = f"{type(frame.f_locals['self']).__name__}.{code.co_name}"
        frame = frame.f_back
    return None


@lru_cache(1 << 12)
def _is_ours(file: str) -> bool:
    return file.startswith(OURS)
