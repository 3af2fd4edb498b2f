"""Where a program's inputs come from at each call, and where its outputs go.

Each is read before a replay. Two Sources are equal when they stand for the same thing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..record import HOST, Tensor, tensor_of


class Source:
    """One input: ``read()`` gives its array now. ``key`` says what it stands for; ``role`` and ``name`` tell users."""

    __slots__ = ("key", "name", "role")

    def __init__(self, role: str, name: str, key: Any):
        self.role, self.name, self.key = role, name, (role, key)

    def read(self) -> Any:
        """The array, as it is now."""
        raise NotImplementedError

    @classmethod
    def together(cls, sources: list[Any]) -> Callable[[], list[Any]]:
        """A function that reads many of this kind."""
        reads = [source.read for source in sources]
        return lambda: [read() for read in reads]

    def put(self, array: Any) -> None:
        """Take a new array; for what can be a sink."""
        raise NotImplementedError

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Source) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"{self.role} {self.name}"


class Argument(Source):
    """The array number ``i`` among the arguments: each call brings its own, many may run at once."""

    __slots__ = ("i",)

    def __init__(self, i: int, name: str):
        super().__init__("argument", name, i)
        self.i = i


class Possessed(Source):
    """What a Parameter, State or Constant holds; as a sink it takes a new array."""

    __slots__ = ("possession",)

    def __init__(self, possession: Any):
        super().__init__(type(possession).__name__.lower(), possession.short_name, id(possession))
        self.possession = possession

    def read(self) -> Any:
        return self.possession._value

    @classmethod
    def together(cls, sources: list[Any]) -> Callable[[], list[Any]]:
        possessions = [source.possession for source in sources]
        return lambda: [possession._value for possession in possessions]

    def put(self, array: Any) -> None:
        self.possession._value = array


class Slot(Source):
    """An array of an optimizer's state; as a sink it takes a new one."""

    __slots__ = ("begin", "optimizer", "path", "slot")

    def __init__(self, optimizer: Any, slot: str, path: str, begin: Callable[[], Any]):
        super().__init__("slot", f"{path}.{slot}", (id(optimizer), slot, path))
        self.optimizer, self.slot, self.path, self.begin = optimizer, slot, path, begin

    def read(self) -> Any:
        array = self.optimizer.state[self.slot].get(self.path)
        if array is None:  # the state was replaced by an empty one
            self.begin()
            array = self.optimizer.state[self.slot][self.path]
        return array

    @classmethod
    def together(cls, sources: list[Any]) -> Callable[[], list[Any]]:
        reads = [(source.optimizer, source.slot, source.path) for source in sources]

        def read() -> list[Any]:
            try:
                return [optimizer.state[slot][path] for optimizer, slot, path in reads]
            except KeyError:
                return [source.read() for source in sources]

        return read

    def put(self, array: Any) -> None:
        self.optimizer.state[self.slot][self.path] = array


class Number(Source):
    """A number of an optimizer's step, which Python code computes anew at each call: ``numbers()[i]``, a float.

    ``formula()`` tells how: a bound method, the number of the step and the other arguments, and ``i``.
    """

    __slots__ = ("formula", "i", "numbers")

    def __init__(self, key: Any, i: int, numbers: Callable[[], Any], formula: Callable[[], tuple], name: str):
        super().__init__("number", name, (key, i))
        self.numbers, self.i = numbers, i
        self.formula = lambda: (*formula(), i)

    def read(self) -> Any:
        return HOST.float64(self.numbers()[self.i])

    @classmethod
    def together(cls, sources: list[Any]) -> Callable[[], list[Any]]:
        parts = {source.key[1][0]: source.numbers for source in sources}  # many of one part, which are made together
        numbered = {key: i for i, key in enumerate(parts)}
        places = [(numbered[source.key[1][0]], source.i) for source in sources]
        float64 = HOST.float64

        def read() -> list[Any]:
            made = [numbers() for numbers in parts.values()]
            return [float64(made[part][i]) for part, i in places]

        return read


class Counter(Source):
    """The counter of a generator's draw number ``count`` in a call."""

    __slots__ = ("count", "generator")

    def __init__(self, generator: Any, count: int):
        super().__init__("counter", f"{generator.short_name}_{count}", (id(generator), count))
        self.generator, self.count = generator, count

    def read(self) -> Any:
        return HOST.uint64(self.generator._value + self.count)


class Captured(Source):
    """An array of the function's surroundings, read where it stands: in a closure, a global, an attribute."""

    __slots__ = ("in_tensor", "place")

    def __init__(self, place: Any, in_tensor: bool = False):
        super().__init__("captured", str(place), place)
        self.place, self.in_tensor = place, in_tensor

    def read(self) -> Any:
        array = self.place.read()
        return array._value if type(array) is Tensor else array

    def put(self, array: Any) -> None:
        self.place.write(tensor_of(array) if self.in_tensor else array)
