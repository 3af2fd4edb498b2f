"""Running a tree: each stretch as one compiled function, forks in between, and what is left behind at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from zkynet.backends.quiet import quietly

from .branches import UPDATE, Leaf, Stretch, Tree, needed_below, unexpected
from .codegen import Generated, generate
from .device_graph import OnDevice
from .inputs import Inputs
from .lane_plan import TwoWays, two_ways
from .passes import PASSES, optimized
from .passes.facts import never_raises
from .program import Program, Value, compiles
from .sources import Argument, Counter, Number, Source
from .tape import outcome_of
from .whole import compiled_whole


class Settings(NamedTuple):
    """How programs are run: without the passes and tricks named in ``off``, in the ``lanes`` that were saved.

    ``deterministic``: in one lane always.
    """

    off: frozenset[str]
    deterministic: bool
    lanes: dict[str, dict[str, Any]]


class Ready:
    """A stretch made ready to run: its program, and where what it reads comes from.

    ``inputs`` pairs each input with its Source, or None where it comes from further up. ``passed`` are the outputs that
    stretches below take from here, behind the value that decides where to go; a leaf's outputs leave the program.
    """

    def __init__(self, stretch: Stretch, tree: Tree, backend: Any, settings: Settings):
        self.stretch, self.end, self.is_leaf = stretch, stretch.end, stretch.is_leaf
        sources = {value: source for source, value in tree.inputs.items()}
        constants = {value: tree.constants[value] for value in stretch.missing if value in tree.constants}
        read = sorted([value for value in stretch.missing if value not in constants], key=_index)
        self.inputs: list[tuple[Value, Source | None]] = [(value, sources.get(value)) for value in read]
        self.passed = [] if self.is_leaf else sorted(needed_below(stretch) & stretch.made, key=_index)
        outputs = self.end.outputs if self.is_leaf else [self.end.end.value, *self.passed]
        recorded = Program(backend, read, stretch.steps, outputs, constants)
        self.program = optimized(recorded, settings.off & PASSES.keys())
        moves = not backend.is_host and not compiles(backend)  # a library that compiles takes host arrays itself
        self.read = Inputs(self.inputs, backend, moves).read
        self.children: dict[Any, Ready] = {}
        self.nbytes = 0
        self.generated: Generated | None = None
        self.ways: TwoWays | None = None
        self.device: OnDevice | None = None
        self.function = self._function(settings)
        self._is_last = compiles(backend) or (self.is_leaf and _updates_are_last(self.program))

    def _function(self, settings: Settings) -> Callable[[list[Any]], Any]:
        """What runs the program: a function of the list of its inputs, which it empties."""
        program = self.program
        if compiles(program.xp):
            places = {source: i for i, (_, source) in enumerate(self.inputs)}
            sinks = [sink for sink, _ in self.end.sinks] if self.is_leaf else []
            scalars = [i for source, i in places.items() if isinstance(source, (Counter, Number))]
            return compiled_whole(program, [places[sink] for sink in sinks if sink in places], scalars)
        if program.xp.is_host:
            names, off = self._names(), settings.off
            generated = self.generated = generate(program, names, off, own_outputs=self.is_leaf)
            self.nbytes = generated.nbytes
            arguments = [value for value, source in self.inputs if isinstance(source, Argument)]
            if "lanes" not in off:
                self.ways = two_ways(
                    program,
                    arguments,
                    _freeable(generated),
                    lambda part, own: _freeable(generate(part, names, off, own)),
                    settings.deterministic,
                )
                if self.ways is not None:
                    self.ways.choice.load_state_dict(settings.lanes.get(self.title, {}))
            return self.ways or generated.function
        if program.xp.elementwise_kernel is not None:
            self.device = OnDevice(program, settings.off, self.is_leaf)
            return self.device
        return lambda arrays: program(*arrays)

    @quietly
    def run(self, arrays: list[Any]) -> Any:
        """The program's outputs; what it updates stays as it was where the call may yet come to nothing."""
        if self._is_last:
            return self.function(arrays)
        held = list(arrays)  # an update writes in place what nobody else holds
        try:
            return self.function(arrays)
        finally:
            held.clear()

    @property
    def title(self) -> str:
        """What tells the stretch from others in a saved choice of lanes."""
        shapes = ", ".join([repr(value) for value, source in self.inputs if isinstance(source, Argument)])
        return f"{len(self.stretch.steps)} steps of {shapes}"

    @property
    def source(self) -> str:
        """The stretch as text: as Python where it runs as Python, else as it was recorded."""
        way = self.generated or self.device
        return repr(self.program) if way is None else way.source

    def _names(self) -> dict[Value, str]:
        """Names for the inputs, by what they are."""
        return {value: source.name for value, source in self.inputs if source is not None}


def _freeable(generated: Generated) -> Callable[[list[Any]], Any]:
    """The function of generated code, with the way to free the memory that it keeps."""
    function: Any = generated.function
    function.free = generated.free
    return function


def _updates_are_last(program: Program) -> bool:
    """Whether nothing behind the first update can raise."""
    names = [step.function for step in program.steps]
    first = names.index(UPDATE) if UPDATE in names else len(names)
    return all([step.function == UPDATE or never_raises(step) for step in program.steps[first:]])


def _index(value: Value) -> int:
    return value.index


class Replay:
    """Runs a tree on a backend. Programs are made when they are first run: what is recorded once costs no more."""

    def __init__(self, tree: Tree, backend: Any, settings: Settings):
        self.tree, self.backend, self.settings = tree, backend, settings
        self._root: Ready | None = None

    @property
    def root(self) -> Ready:
        """The first stretch."""
        if self._root is None:
            self._root = self._ready(Stretch(self.tree.root))
        return self._root

    def compute(self, call: list[Any]) -> tuple[Leaf, Any]:
        """One replay with the arrays of a call, and all other inputs as they are now: a leaf, and its outputs.

        UnexpectedError where a value asks for a path that is not recorded yet; nothing has changed then.
        """
        self.tree.clock[0] += 1
        ready, arrays = self._down(Ready.run, call)
        return ready.end, ready.run(arrays)

    @staticmethod
    def leave(leaf: Leaf, outputs: Any) -> Any:
        """Put in place what a replay leaves behind; the function's result."""
        if not leaf.sinks and not leaf.effects:
            return leaf.rebuild(outputs)
        count = len(leaf.results)
        result = leaf.rebuild(outputs[:count])
        for (sink, _), array in zip(leaf.sinks, outputs[count:], strict=True):
            sink.put(array)
        for effect in leaf.effects:
            effect()
        return result

    def walk(self, run: Callable[[Program, list[Any]], Any], call: list[Any]) -> None:
        """``run(program, arrays)`` for one stretch after the other, in place of what they are compiled to."""
        self.tree.clock[0] += 1
        ready, arrays = self._down(quietly(lambda ready, arrays: run(ready.program, arrays)), call)
        run(ready.program, arrays)

    def _down(self, run: Callable[[Ready, list[Any]], Any], call: list[Any]) -> tuple[Ready, list[Any]]:
        """Run all stretches down to a leaf; the leaf, and its inputs, held by nobody else."""
        above: dict[Value, Any] = {}
        ready = self.root
        while not ready.is_leaf:
            outputs = run(ready, ready.read(above, call))
            above.update(zip(ready.passed, outputs[1:], strict=True))
            ready = self._next(ready, outputs[0])
        return ready, ready.read(above, call)

    def _next(self, ready: Ready, decides: Any) -> Ready:
        """The stretch that a fork leads to."""
        guard = ready.end.end
        outcome = outcome_of(guard.reader(decides))
        found = ready.children.get(outcome)
        if found is None:
            if outcome not in ready.end.children:
                raise unexpected(guard.reader, outcome, guard.place)
            list(ready.stretch.grow())
            found = ready.children[outcome] = self._ready(ready.stretch.children[outcome])
        return found

    def _ready(self, stretch: Stretch) -> Ready:
        return Ready(stretch, self.tree, self.backend, self.settings)

    def all(self) -> list[Ready]:
        """All stretches, from the root on."""
        found = [self.root]
        for ready in found:  # it grows while we go
            found += self.children(ready)
        return found

    def children(self, ready: Ready) -> list[Ready]:
        """The stretches behind a fork, all made ready."""
        for outcome, stretch in zip(getattr(ready.end, "children", {}), ready.stretch.grow(), strict=False):
            if outcome not in ready.children:
                ready.children[outcome] = self._ready(stretch)
        return list(ready.children.values())
