"""Guards: whether all that Python code could have read when a function was recorded is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, repeat
from operator import attrgetter, getitem, is_
from types import MappingProxyType, MethodType
from typing import Any

from zkynet import backends

from ..record import HOST, Tensor
from .discovery import Slot, Walk
from .places import MISSING, Place, attribute, entry, identical, is_array, mapped, same, shown, told
from .tape import NotRecordableError

_NOTHING = repeat(MISSING)
_class_get = MappingProxyType.get
_spec = attrgetter("shape", "dtype")


class Surroundings:
    """The Python around a function: all that it could read and that is no array, as it is when this is made.

    ``function`` is a function, a Module, a bound method, a partial, anything that can be called; ``roots`` are its
    arguments that are no arrays: Modules, optimizers, containers. Make it before the function is recorded: what the
    run itself changes is then found changed by the next call.

    Numbers, strings and the like count by type and value (NaN is NaN, 0.0 is not -0.0, 1 is not True), arrays by type,
    shape and dtype, all other objects by identity; lists, dicts, sets and objects are looked into. An object with a
    method ``__zkynet_guard__()`` is guarded by what this returns alone, a tuple. What Parameters and States hold is not
    guarded. Iterators cannot be: where the function may use one, everything is always changed.
    """

    def __init__(self, function: Callable[..., Any], roots: Iterable[Any] = ()):
        methods = [function.__self__] if isinstance(function, MethodType) else []
        self._roots = [*methods, function, *roots]  # alive
        found = self._found = Walk().run([(x, _root(x)) for x in self._roots])
        found.probes.append((backends.default_backend, backends.default_backend(), "the default backend"))
        ways = (dict.get, found.entries), (_class_get, found.class_entries), (getattr, found.attributes)
        self._tables = [_Table(read, slots) for read, slots in ways if slots]
        self._contents = [each for each, *_ in found.contents]
        self._expected = [x for _, held, *_ in found.contents for x in held]
        self._sizes = [len(held) for _, held, *_ in found.contents]
        self._dicts = [inside for inside, *_ in found.keys]
        self._keys = [name for _, names, *_ in found.keys for name in names]
        self._places = [places for places in found.arrays.values() if not HOST.is_host_scalar(places[0].read())]
        self._arrays = [places[0].read() for places in self._places]
        self._specs = list(map(_spec, self._arrays))
        self._checks = [table.untouched for table in self._tables]  # of what there is: every call makes them all
        kinds = (self._contents, self._same_contents), (self._dicts, self._same_keys), (self._arrays, self._same_specs)
        self._checks += [check for held, check in kinds if held]

    def changed(self) -> str | None:
        """None where all is as it was; else what has changed: "global RATE of train.py: 0.1 -> 0.2"."""
        try:
            if self._untouched():
                return None
        except Exception:  # an odd __eq__, a cell that was emptied, a dict that another thread changes
            pass
        try:
            return self._compare()
        except Exception as error:
            return f"what is around the function cannot be compared, {type(error).__name__}: {error}"

    def places(self) -> dict[int, Place]:
        """Where the arrays stand that the function could read, by their ids as they are now."""
        return {id(places[0].read()): places[0] for places in self._found.arrays.values()}

    @property
    def possessions(self) -> list[Any]:
        """The Parameters, States and Constants that the function could read."""
        return list(self._found.possessions)

    def knows(self, x: Any) -> bool:
        """Whether ``x`` is an object that was there when this was made: each run meets it, not another one."""
        return self._found.seen.get(id(x)) is x

    def hold(self, places: Iterable[Place]) -> None:
        """From now on the numbers of the arrays at these places count, too. A check then costs a copy of them."""
        for place in places:
            self._found.probes.append((partial(_numbers, place), _numbers(place), f"the numbers of {place}"))

    def left(self, wanted: Callable[[Any], bool]) -> list[Place]:
        """The places, among those that the function reads, where now something stands that ``wanted`` tells.

        After a recording: where the function has left what it computed, to be read by its next call.
        """
        places = self._standing()
        for inside, names, place, counts in self._found.keys:
            new = [name for name in inside if name not in names and counts(name, inside[name])]
            places += [place.inside(f".{name}", entry, inside, name) for name in new]
        return [place for place in places if wanted(place.read())]

    @contextmanager
    def lent(self, stand_in: Callable[[Any], Any]) -> Iterator[None]:
        """A block of code in which ``stand_in(array)`` stands in the place of every array that the function reads.

        It may be what tells how Python code uses them. At the end the arrays stand there again, but where the code has
        put something else: ``left`` finds that.
        """
        lent = []
        try:
            for place in self._standing():
                old = place.read()
                new = mapped(stand_in, old)
                if new is not old:
                    lent.append((place, new, old))
                    place.write(new)
            inside = [(place, new, new._value) for place, new, _ in lent if type(new) is Tensor]
            yield
            for place, new, value in inside:
                if new._value is not value:
                    raise NotRecordableError(f"it assigns to entries of a Tensor, {place}")
        finally:
            for place, new, old in lent:
                if place.read() is new:
                    place.write(old)

    def _standing(self) -> list[Place]:
        """All places that can be written to, with a value that counts."""
        places = [slot.place for table in self._tables for slot in table.slots]
        for _, _, place, x in self._found.contents:
            for key in () if x is None else list(x) if isinstance(x, dict) else range(len(x)):
                places.append(place.inside(f"[{shown(key)}]", getitem, x, key))
        return places

    # ---- quickly: nothing was touched at all ----

    def _untouched(self) -> bool:
        for check in self._checks:
            if not check():
                return False
        for read, value, _ in self._found.probes:
            if not identical(value, read()):
                return False
        return not self._found.moving

    def _same_contents(self) -> bool:
        same_sizes = list(map(len, self._contents)) == self._sizes
        return same_sizes and all(map(is_, chain.from_iterable(self._contents), self._expected))

    def _same_keys(self) -> bool:
        return list(chain.from_iterable(self._dicts)) == self._keys

    def _same_specs(self) -> bool:
        return list(map(_spec, self._arrays)) == self._specs

    # ---- precisely: what was touched, and whether it matters ----

    def _compare(self) -> str | None:
        """What has changed; where nothing has, what is there now is expected from here on."""
        found = self._found
        if found.moving:
            return found.moving[0]
        for table in self._tables:
            text = table.compare()
            if text is not None:
                return text
        text = self._compare_contents() or self._compare_keys() or self._compare_arrays()
        if text is not None:
            return text
        for read, value, text in found.probes:
            new = read()
            if not identical(value, new):
                return told(text, value, new)
        return None

    def _compare_contents(self) -> str | None:
        for each, held, place, _ in self._found.contents:
            now = list(each)
            if len(now) != len(held):
                return f"{place}: {len(held)} -> {len(now)} entries"
            for i, (old, new) in enumerate(zip(held, now, strict=True)):
                if not same(old, new):
                    return told(f"{place}, entry {i}", old, new)
            held[:] = now
        self._expected = [x for _, held, *_ in self._found.contents for x in held]
        return None

    def _compare_keys(self) -> str | None:
        for inside, names, place, counts in self._found.keys:
            for name in inside:
                if name not in names and counts(name, inside[name]):
                    of_class = attribute(type(place.read()), name)
                    return told(place.inside(f".{name}", None, None), of_class, inside[name])
        for inside, names, *_ in self._found.keys:
            names[:] = inside
        self._keys = [name for _, names, *_ in self._found.keys for name in names]
        return None

    def _compare_arrays(self) -> str | None:
        """Arrays that are read anew: shapes and dtypes as they were, and one array where there was one."""
        now = [places[0].read() for places in self._places]
        for old, new, spec, places in zip(self._arrays, now, self._specs, self._places, strict=True):
            if not is_array(new) or _spec(new) != spec or type(new) is not type(old):
                return f"{places[0]}: {spec[1]} array of shape {tuple(spec[0])} -> {shown(new)}"
            for place in places[1:]:
                if place.read() is not new:
                    return f"{place} and {places[0]} were the same array"
        self._arrays = now
        return None

    def __str__(self) -> str:
        found = self._found
        count = sum([len(table.slots) for table in self._tables]) + len(found.probes) + len(self._expected)
        objects = len(found.keys) + len(found.contents)
        return f"{count} values in {objects} objects; {len(found.arrays)} arrays read anew"

    def guarded(self) -> list[str]:
        """A line for each value that counts: where it stands and what it was."""
        slots = [slot for table in self._tables for slot in table.slots]
        held = [f"{place}: {len(held)} entries" for _, held, place, _ in self._found.contents]
        return [*[f"{slot.place}: {shown(slot.value)}" for slot in slots], *held]


class _Table:
    """Slots that are read in the same way, side by side: ``read(holder, key, MISSING)`` for each."""

    def __init__(self, read: Callable[..., Any], slots: list[Slot]):
        self.read, self.slots = read, slots
        self.holders = [slot.place.holder for slot in slots]
        self.keys = [slot.place.key for slot in slots]
        self.expected = [slot.value for slot in slots]

    def untouched(self) -> bool:
        """Whether the very same objects stand there."""
        return all(map(is_, map(self.read, self.holders, self.keys, _NOTHING), self.expected))

    def compare(self) -> str | None:
        """What has changed; None where what is there now does as well."""
        for i, slot in enumerate(self.slots):
            new = slot.place.read()
            if new is not self.expected[i]:
                if not same(self.expected[i], new):
                    return told(slot.place, self.expected[i], new)
                self.expected[i] = new
        return None


def _root(x: Any) -> Place:
    """Where a root stands: by name, or by the name of its class."""
    return Place(getattr(x, "__qualname__", type(x).__name__), "", None, x)


def _numbers(place: Place) -> bytes:
    x = place.read()
    xp = backends.backend_of(x)
    return b"" if xp is None else xp.to_numpy(x).tobytes()
