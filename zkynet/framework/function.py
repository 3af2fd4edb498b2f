"""Functions, and what they take and own: Variables, Parameters, Constants and States."""

import itertools
import re
from contextvars import ContextVar
from typing import Any

from zkynet import backends
from zkynet.backends.errors import NotDifferentiableError, ShapeError

from .arraylike import ArrayLike

_numbers = itertools.count(1)
REPLAYING: ContextVar[bool] = ContextVar("zkynet_replaying", default=False)  # checkpoint runs a function once more
TAPE: ContextVar[Any] = ContextVar("zkynet_tape", default=None)  # what writes down this run, in graph mode


def snake_case(name: str) -> str:
    """``LogSumExp`` as ``log_sum_exp``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class Function:
    """An abstract template that maps ordered inputs, and what it owns, to an output.

    ``functional_name`` says which role it plays: the same for two objects of one kind. ``name`` says which one it
    is: unique in the process, given when first asked for.
    """

    @property
    def functional_name(self) -> str:
        return snake_case(type(self).__name__)

    @property
    def name(self) -> str:
        try:
            return self.__dict__["_name"]
        except KeyError:
            return self.__dict__.setdefault("_name", f"{self.functional_name}_{next(_numbers)}")

    def __getstate__(self) -> Any:
        return _state_without(self, "_name")


def _state_without(x: Any, key: str) -> Any:
    """What copying and pickling keep of an object: all but what makes it this one, for a copy is another."""
    state: Any = object.__getstate__(x)
    if isinstance(state, tuple):  # with slots
        return ({k: v for k, v in (state[0] or {}).items() if k != key}, state[1])
    return None if state is None else {k: v for k, v in state.items() if k != key}


class Input:
    """Something a Function reads: given per call, or owned."""

    def __init__(self, short_name: str):
        if not isinstance(short_name, str) or not short_name:
            raise TypeError(f"{type(self).__name__}: its name must be a non-empty str, got {short_name!r}")
        self.short_name = short_name

    @property
    def functional_name(self) -> str:
        return f"{snake_case(type(self).__name__)}.{self.short_name}"

    @property
    def name(self) -> str:
        try:
            number = self.__dict__["_number"]
        except KeyError:
            number = self.__dict__.setdefault("_number", next(_numbers))
        return f"{self.short_name}_{number}"

    def __getstate__(self) -> Any:
        return _state_without(self, "_number")


class Variable(Input):
    """An input given per call."""

    def __repr__(self) -> str:
        return f"Variable({self.short_name!r})"


def owned(value: Any, what: str) -> Any:
    """A copy of ``value`` that nobody else can write to: a Python number as it is, anything else an array."""
    if isinstance(value, Possession):
        value = value._value  # another's stays on its backend
    if type(value) in (int, float, complex):
        return value
    backend = backends.backend_of(value)
    if backend is None:
        backend = backends.default_backend()
    return backend.own(backend.asarray(value))


class Possession(Input, ArrayLike):
    """An array that a Function owns; reading it gives an array that cannot be written to."""

    def __init__(self, short_name: str, value: Any):
        super().__init__(short_name)
        self._value = owned(value, short_name)
        tape = TAPE.get()
        if tape is not None:
            tape.born(self)

    @property
    def value(self) -> Any:
        return self._seen()

    def _seen(self) -> Any:
        tape = TAPE.get()
        if tape is not None:
            return tape.possession(self)
        backend = backends.backend_of(self._value)
        return self._value if backend is None else backend.read_only(self._value)

    def __repr__(self) -> str:
        kind = type(self).__name__
        if type(self._value) in (int, float, complex):
            return f"{kind}({self.short_name!r}, {self._value!r})"
        return f"{kind}({self.short_name!r}, shape={tuple(self._value.shape)}, dtype={self._value.dtype})"


class Constant(Possession):
    """An owned array that never changes."""

    @property
    def value(self) -> Any:
        return self._seen()

    @value.setter
    def value(self, new: Any) -> None:
        raise AttributeError(f"Constant {self.short_name!r} cannot be assigned; use a State or a Parameter instead")


class State(Possession):
    """An owned array that running the function may change, and that is never trained (batch statistics, counters).

    Where checkpoint runs a function a second time an assignment is checked, and has no effect.
    """

    @property
    def value(self) -> Any:
        return self._seen()

    @value.setter
    def value(self, new: Any) -> None:
        new = _checked(self, new)
        if not REPLAYING.get():
            _put(self, new)


class Parameter(Possession):
    """An owned array that is trained: floating point or complex, or one Python number.

    ``value`` reads it, as an array that cannot be written to. Assigning checks shape and dtype and copies; an optimizer
    may write in place only while nobody else holds the array, so that recorded values stay what they were.

    ``trainable`` is False where ``Module.freeze`` has taken it out of training.
    """

    trainable = True

    def __init__(self, short_name: str, value: Any):
        super().__init__(short_name, value)
        backend = backends.backend_of(self._value)
        if backend is not None and not backend.is_inexact(self._value.dtype):
            raise NotDifferentiableError(
                f"Parameter {short_name!r} cannot be trained.\n"
                f"  got:      dtype {self._value.dtype}\n"
                f"  expected: a floating-point or complex array\n"
                f"Convert it with .astype(float), or own it as a Constant or State."
            )

    @property
    def value(self) -> Any:
        return self._seen()

    @value.setter
    def value(self, new: Any) -> None:
        _put(self, _checked(self, new))


def _put(possession: Possession, array: Any) -> None:
    """Let a possession hold ``array``: at once, or at the end of every replay of what is written down."""
    tape = TAPE.get()
    if tape is None:
        possession._value = array
    else:
        tape.assign(possession, array)


def _checked(possession: Possession, new: Any) -> Any:
    """``new`` as an owned array of the possession's backend, shape and dtype."""
    old = possession.value if TAPE.get() is not None else possession._value
    backend = backends.backend_of(old)
    if backend is None:
        if type(new) in (int, float, complex):
            return new
        raise TypeError(f"{possession!r} holds one Python number; got {type(new).__name__}")
    listed = backends.backend_of(new) is None
    array = backend.asarray(new, dtype=old.dtype) if listed else backend.asarray(new)
    if tuple(array.shape) != tuple(old.shape) or array.dtype != old.dtype:
        raise ShapeError(
            f"{type(possession).__name__} {possession.short_name!r} keeps its shape and dtype.\n"
            f"  got:      shape {tuple(array.shape)}, dtype {array.dtype}\n"
            f"  expected: shape {tuple(old.shape)}, dtype {old.dtype}\n"
            f"Convert the array first, or make a new {type(possession).__name__}."
        )
    return backend.own(array)
