"""Places: where in Python a value stands, how to read it anew, and whether it is still the same value."""

from __future__ import annotations

from collections.abc import Callable
from operator import getitem, is_, setitem
from types import MethodType
from typing import Any

from zkynet import backends

from ..record import HOST, Tensor, tensor_of


class _Missing:
    """Stands for nothing: an attribute or a global that is not there, a cell without a value."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()
PLAIN = frozenset((int, float, complex, bool, str, bytes, type(None), type(...), range, slice, _Missing))

_DEEP = 20  # pieces of a text that are shown


class Place:
    """Where a value stands: ``read()`` gives what stands there now, ``str`` says where that is.

    ``read`` gives ``way(holder, key)``, without a ``way`` the holder itself. The holder may be a Place: of what is read
    anew every time, a tuple say. The text is ``text`` and ``after``; that of a place inside of another one goes on
    behind the text of this ``outer`` one, which is put together when it is asked for.
    """

    __slots__ = ("after", "holder", "key", "outer", "text", "way")

    def __init__(
        self, text: str, after: str = "", way: Any = None, holder: Any = None, key: Any = None, outer: Any = None
    ):
        self.text, self.after, self.outer = text, after, outer
        self.way, self.holder, self.key = way, holder, key

    def inside(self, text: str, way: Callable[[Any, Any], Any] | None, holder: Any, key: Any = None) -> Place:
        """A place inside of what stands here; ``text`` is how it goes on: ".weight", "[0]"."""
        return Place(text, self.after, way, holder, key, self)

    def read(self) -> Any:
        """What stands here now; MISSING for nothing."""
        if self.way is None:
            return self.holder
        holder = self.holder.read() if type(self.holder) is Place else self.holder
        try:
            return self.way(holder, self.key)
        except (AttributeError, LookupError, ValueError):  # ValueError: an empty cell
            return MISSING

    def write(self, value: Any) -> None:
        """Let ``value`` stand here; TypeError where nothing can be put: in a tuple."""
        if self.way is class_entry:
            setattr(self.outer.holder, self.key, value)
            return
        put = _PUTS.get(self.way)
        if put is None or type(self.holder) is Place:
            raise TypeError(f"{self} cannot be assigned")
        put(self.holder, self.key, value)

    def __str__(self) -> str:
        texts = []
        place: Place | None = self
        while place is not None:
            texts.append(place.text)
            place = place.outer
        if len(texts) > _DEEP:
            texts[_DEEP // 2 : -_DEEP // 2] = ["..."]
        return "".join([*reversed(texts), self.after])

    __repr__ = __str__


def attribute(holder: Any, name: str) -> Any:
    return getattr(holder, name, MISSING)


def entry(holder: Any, name: Any) -> Any:
    # What the user's own ``get`` would do is not asked for; a class's __dict__ is no dict.
    return dict.get(holder, name, MISSING) if isinstance(holder, dict) else holder.get(name, MISSING)


def class_entry(holder: Any, name: str) -> Any:
    return holder.get(name, MISSING)  # of a mappingproxy


_PUTS: dict[Any, Callable[[Any, Any, Any], None]] = {
    attribute: object.__setattr__,  # of frozen dataclasses, too
    entry: dict.__setitem__,
    getitem: setitem,
}


def is_array(x: Any) -> bool:
    """Whether ``x`` is an array of a backend, whose entries may change from call to call; NumPy's scalars are not."""
    kind = type(x)
    if kind not in backends.BACKEND_BY_TYPE and not (hasattr(kind, "shape") and hasattr(kind, "dtype")):
        return False
    try:
        found = backends.backend_of(x) is not None and not HOST.is_host_scalar(x)
    except TypeError:  # a subclass of NumPy's array that backends refuse
        return False
    return found and getattr(x.dtype, "kind", "f") not in "OSUTMm"  # objects, strings and dates are no numbers


def mapped(f: Callable[[Any], Any], x: Any) -> Any:
    """``x`` with ``f(array)`` for an array, also inside a tuple or a Tensor; ``x`` itself where nothing changes."""
    if is_array(x):
        return f(x)
    if type(x) is Tensor and x.record is None:
        value = mapped(f, x._value)
        return x if value is x._value else tensor_of(value)
    if type(x) is tuple or (isinstance(x, tuple) and hasattr(x, "_make")):
        children = [mapped(f, each) for each in x]
        if all(map(is_, children, x)):
            return x
        return tuple(children) if type(x) is tuple else x._make(children)  # type: ignore[attr-defined]
    return x


def same(old: Any, new: Any) -> bool:
    """Whether ``new`` in the place of ``old`` leads Python code to the same program.

    The same object; or an equal number or string, of the same type (NaN equals NaN, 0.0 is not -0.0); or an array of
    the same type, shape and dtype, for that is read anew; or a tuple of such. User-defined equality is never asked.
    """
    if new is old:
        return True
    kind = type(old)
    if type(new) is not kind:
        return False
    if kind in (float, complex):
        return repr(old) == repr(new)
    if kind in PLAIN:
        return old == new and (kind is not slice or same(_parts(old), _parts(new)))
    if isinstance(old, tuple):
        return len(old) == len(new) and all([same(a, b) for a, b in zip(old, new, strict=True)])
    if kind is MethodType:
        return old.__func__ is new.__func__ and old.__self__ is new.__self__
    if kind is Tensor:
        return old.record is None and new.record is None and same(old._value, new._value)
    if HOST.is_host_scalar(old):
        return old.dtype == new.dtype and old.tobytes() == new.tobytes()
    return is_array(old) and tuple(old.shape) == tuple(new.shape) and old.dtype == new.dtype


def _parts(x: slice) -> tuple:
    return x.start, x.stop, x.step


def identical(old: Any, new: Any) -> bool:
    """``same``, where numbers in arrays count too; lists and dicts by what they hold."""
    if old is new:
        return True
    if type(old) is not type(new):
        return False
    if type(old) is tuple and len(old) == len(new) and all(map(is_, old, new)):
        return True
    if type(old) is dict:
        return identical([*old, *old.values()], [*new, *new.values()])
    if type(old) in (list, tuple):
        return len(old) == len(new) and all([identical(a, b) for a, b in zip(old, new, strict=True)])
    if hasattr(old, "tobytes"):
        return old.tobytes() == new.tobytes()
    return same(old, new)


def shown(x: Any, deep: int = 2) -> str:
    """A value in a few words; never an exception."""
    if is_array(x):
        return f"{x.dtype} array of shape {tuple(x.shape)}"
    if type(x) in PLAIN or HOST.is_host_scalar(x):
        text = repr(x)
        return text if len(text) <= 60 else text[:57] + "..."
    if type(x) is tuple and len(x) <= 4 and deep:
        return f"({', '.join([shown(each, deep - 1) for each in x])}{',' * (len(x) == 1)})"
    name = getattr(x, "__qualname__", None)
    return f"{type(x).__name__} {name}" if isinstance(name, str) else f"a {type(x).__name__}"


def told(place: Any, old: Any, new: Any) -> str:
    """What has changed at a place."""
    before, after = shown(old), shown(new)
    return f"{place}: {before} -> {after if after != before else f'another {type(new).__name__}'}"
