"""Code: a program as straight-line Python, which is both what one reads and what runs.

Every step is a line. ``m0``, ``m1`` ... is memory that results are written to and that is used again and again, ``c1``
... are constants, names like ``n0_5`` numbers as arrays of no axes (with a Python number, one of NumPy's functions
takes twice as long). ``del`` stands where memory is given back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ..record import HOST
from .buffers import Layout, Place, Pool, blocks_of, new_arena
from .chains import Chain, find_chains
from .lifetimes import Lifetimes, nbytes
from .program import Program, Step, Value, values_in
from .writing import Writer

np = HOST.namespace
_LARGE = 1 << 10  # bytes: NumPy keeps the memory of smaller arrays itself
_INDENT = "    "


class Generated:
    """A program as Python: ``function(inputs)`` empties the list of its inputs and returns the list of its outputs.

    ``source`` is the text that was compiled, ``lines`` tells which step stands in which of its lines, ``nbytes`` is the
    memory that a call holds at its peak, without what it is given; between calls it keeps ``kept_nbytes`` of them.
    The caller sets ``errstate``. Calls may run at the same time, and inside each other.
    """

    def __init__(self, source: str, function: Callable, lines: dict[int, Step], layout: Layout, pool: Pool):
        self.source, self.function, self.lines = source, function, lines
        self.nbytes, self.kept_nbytes = layout.nbytes, layout.arena
        self._pool = pool

    def free(self) -> None:
        """Give back the memory that is kept between calls."""
        self._pool.clear()


class _Source:
    """What a traceback asks for the text of a line."""

    def __init__(self, text: str):
        self._text = text

    def get_source(self, name: str) -> str:
        return self._text


def generate(
    program: Program,
    names: Mapping[Value, str] | None = None,
    off: frozenset[str] | set[str] = frozenset(),
    own_outputs: bool = True,
) -> Generated:
    """``program``, on the NumPy backend, as Python.

    ``names`` holds names for some of its Values, the others are t<index>. ``off`` switches off "buffers" (results in
    memory that is used again), "chains" (large elementwise steps block by block) and "numbers" (numbers as arrays).
    ``own_outputs``: outputs that would share memory with an input, a constant or each other are copied. Inputs are
    taken to be contiguous; where one is not, results may differ in the last bits from those of the program.
    """
    life = Lifetimes(program, own_outputs)
    chains = [] if "chains" in off else find_chains(life)
    layout = Layout(life, chains, reuse="buffers" not in off)
    text = Code(life, chains, layout, Writer(program, names or {}, numbers="numbers" not in off))
    pool = Pool(text.new_memory)
    source = text.source()
    namespace = {**text.writer.namespace, "pool": pool, "__name__": "zkynet_plan", "__loader__": _Source(source)}
    exec(compile(source, f"zkynet plan of {len(program.steps)} steps", "exec"), namespace)
    return Generated(source, namespace["run"], text.lines, layout, pool)


class Code:
    """The text of one program; without ``del`` where it is not ``careful``: updates then always write in place."""

    def __init__(self, life: Lifetimes, chains: list[Chain], layout: Layout, writer: Writer, careful: bool = True):
        self.life, self.layout, self.writer, self._careful = life, layout, writer, careful
        self.program = life.program
        self.lines: dict[int, Step] = {}
        self.returned: list[str] = []
        self._text: list[str] = []
        self._chains = {chain.start: chain for chain in chains}
        self._memory: dict[tuple, str] = {}  # the name of each view of the arena
        self._places: list[Place] = []
        self._gone: set[Value] = set()
        self._own: dict[int, str] = {}  # the names of copied outputs
        self._place: Any = None
        self._dying = self._by_last_step()
        for place in layout.places.values():
            if place.key not in self._memory:
                self._memory[place.key] = writer.unique(f"m{len(self._memory)}")
                self._places.append(place)
        self._blocks = {chain.start: writer.unique(f"blocks{i}") for i, chain in enumerate(chains)}

    def new_memory(self) -> tuple:
        """A set of what the source calls its memory."""
        arena = new_arena(self.layout.arena)
        beside = self.layout.beside(arena)
        views = [beside[place.key] if place.key in beside else place.view(arena) for place in self._places]
        blocks = [blocks_of(chain, self._scratch(chain), arena) for chain in self._chains.values()]
        return *views, *blocks

    def source(self) -> str:
        """The whole text: numbers first, which are made once, and the function."""
        body = self.body()
        body.append(f"{_INDENT}return [{', '.join(self.returned)}]")
        memory = [*self._memory.values(), *self._blocks.values()]
        start = ["", "", "def run(inputs):"]
        if self.program.inputs:
            start += [f"{_INDENT}{_unpacked(self.writer.names[x] for x in self.program.inputs)} = inputs"]
            start += [f"{_INDENT}inputs.clear()  # nobody but their owners holds them now"]
        if memory:
            start += [f"{_INDENT}memory = pool.take()", f"{_INDENT}{_unpacked(memory)} = memory", f"{_INDENT}try:"]
            body = [_INDENT + line for line in body] + [f"{_INDENT}finally:", f"{_INDENT * 2}pool.give(memory)"]
        head = [*self.writer.described(), *self.writer.header, *start]
        self.lines = {i + len(head) + 1: step for i, step in self.lines.items()}
        return "\n".join([*head, *body]) + "\n"

    # ---- the body ----

    def body(self) -> list[str]:
        """The lines of the function behind its inputs; ``returned`` are then the names of the outputs."""
        steps, i = self.program.steps, 0
        while i < len(steps):
            self._copy_outputs(i)
            chain = self._chains.get(i)
            if chain is not None:
                self._write_chain(chain)
                i = chain.stop
            else:
                self._write_place(steps[i])
                self._write_step(i)
                i += 1
        self._copy_outputs(len(steps))
        self.returned = [self._own.get(i) or self.writer.names[x] for i, x in enumerate(self.program.outputs)]
        return self._text

    def _line(self, text: str, step: Step | None = None, depth: int = 1) -> None:
        if step is not None:
            self.lines[len(self._text)] = step
        self._text.append(_INDENT * depth + text)

    def _write_place(self, step: Step, depth: int = 1) -> None:
        if step.place is not None and step.place != self._place:
            self._place = step.place
            file, line, rule = step.place
            self._line(f"# {os.path.basename(file)}:{line} {rule}".rstrip(), depth=depth)

    def _write_step(self, i: int) -> None:
        step, call, writer = self.program.steps[i], self.life.calls[i], self.writer
        if step.function == "update_in_blocks":
            self._write_update(i)
            return
        target = self._target(step.outputs) if type(step.outputs) is Value else None
        text = writer.call(call, target)
        shape = getattr(step.outputs, "shape", None)
        comment = f"  # {shape}" if shape is not None else ""
        self._line(f"{writer.pattern(step.outputs)} = {text}{comment}", step)
        self._delete(self._dying.get(i, []))

    def _write_update(self, i: int) -> None:
        """An update writes in place what nobody but its owner and the list ``groups`` holds: all other names go."""
        step, writer = self.program.steps[i], self.writer
        rule, groups, *rest = step.args
        text = [[self._in_group(x, i, k) for k, x in enumerate(group)] for group in groups]
        self._line(f"groups = [{', '.join('[' + ', '.join(group) + ']' for group in text)}]", step)
        held = {source for x in values_in(groups) for source in self.life.sources[x]}
        self._delete([x for x, last in self.life.last.items() if last <= i and self.life.sources[x] & held])
        arguments = [writer.text(rule), "groups", *map(writer.text, rest)]
        arguments += [f"{name}={writer.text(x)}" for name, x in step.kwargs.items()]
        self._line(f"{writer.pattern(step.outputs)} = xp.update_in_blocks({', '.join(arguments)})", step)
        if self._careful:
            self._line("del groups")
        self._delete(self._dying.get(i, []))

    def _in_group(self, x: Value, i: int, k: int) -> str:
        """An array of a group of the update in step ``i``; a copy where it is read later and nobody would notice."""
        name, sources, last = self.writer.text(x), self.life.sources[x], self.life.last
        later = not self._careful and k != 1 and any(last[y] > i for y in last if self.life.sources[y] & sources)
        return f"{name}.copy()" if later else name

    def _target(self, made: Value) -> str | None:
        """Where a result is written; None where it gets memory of its own."""
        if made in self.layout.places:
            return self._memory[self.layout.places[made].key]
        return self.writer.names[self.layout.over[made]] if made in self.layout.over else None

    # ---- what goes ----

    def _by_last_step(self) -> dict[int, list[Value]]:
        """What a ``del`` gives back, by the step behind which it may stand: large results with memory of their own."""
        life, last = self.life, dict(self.life.last)
        for made, operand in reversed(self.layout.over.items()):
            last[operand] = max(last[operand], last[made])  # one memory, two names
        found: dict[int, list[Value]] = {}
        for value, i in last.items():
            fresh = [x for x in life.sources[value] if life.made.get(x, -1) >= 0]
            inside = any(x in self.layout.places or x in self.layout.scratch for x in fresh)
            if fresh and not inside and nbytes(value) >= _LARGE:
                found.setdefault(i, []).append(value)
        return found

    def _delete(self, values: list[Value]) -> None:
        names = self.writer.names
        gone = [x for x in values if x not in self._gone and x not in self.program.constants and x in names]
        gone = [x for x in gone if self.life.made[x] < 0 or x not in self.layout.scratch]
        self._gone.update(gone)
        if gone and self._careful:
            self._line(f"del {', '.join(names[x] for x in gone)}")

    def _copy_outputs(self, i: int) -> None:
        for k, before in self.life.copied.items():
            if before == i:
                value = self.program.outputs[k]
                name = self._own[k] = self.writer.unique(f"{self.writer.names[value]}_own")
                self._line(f'{name} = {self.writer.names[value]}.copy("K")')
        if i < len(self.program.steps):
            copied = [self.program.outputs[k] for k, before in self.life.copied.items() if before == i]
            self._delete([x for x in dict.fromkeys(copied) if self.life.last[x] == i and x not in self._reads(i)])

    def _reads(self, i: int) -> set[Value]:
        return set(self.program.steps[i].reads)

    # ---- chains ----

    def _scratch(self, chain: Chain) -> list[Place]:
        """The memory of one block for each name that a loop gives it."""
        places = [self.layout.scratch[x] for x in self._inner(chain)]
        return list({place.key: place for place in places}.values())

    def _inner(self, chain: Chain) -> list[Value]:
        made = [self.program.steps[i].outputs for i in range(chain.start, chain.stop)]
        return [x for x in made if x in chain.inner]

    def _write_chain(self, chain: Chain) -> None:
        loop = _Loop(self, chain)
        for text in loop.before:
            self._line(text)
        scratch = {place.key: self.writer.unique(f"s{i}") for i, place in enumerate(self._scratch(chain))}
        names = ", ".join([loop.cut, *scratch.values()])
        self._line(f"for {names} in {self._blocks[chain.start]}:  # a block at a time stays in the cache")
        for i in range(chain.start, chain.stop):
            step = self.program.steps[i]
            self._write_place(step, 2)
            inner = step.outputs in chain.inner
            target = scratch[self.layout.scratch[step.outputs].key] if inner else loop.part(step.outputs)
            for text in loop.parts_read(step):
                self._line(text, depth=2)
            made = self.writer.names[step.outputs] if inner else loop.named(step.outputs)
            with self.writer.renamed(loop.names):
                text = self.writer.call(self.life.calls[i], target)
            self._line(f"{made} = {text}", step, 2)
        self._line(f"del {', '.join(loop.local)}")
        dying = [x for i in range(chain.start, chain.stop) for x in self._dying.get(i, [])]
        self._delete([x for x in dying if x not in chain.inner])


class _Loop:
    """The names in the loop of a chain: ``before`` it stand the lines that prepare for it."""

    def __init__(self, code: Code, chain: Chain):
        self._code, self._chain, self._writer = code, chain, code.writer
        self.before: list[str] = []
        self.names: dict[Value, str] = {}  # of the parts that a block takes
        self.cut = self._writer.unique("i")
        self.local = [self.cut]  # what has to go when the loop is over: parts hold the memory of the whole
        self._whole: dict[Value, str] = {}
        for i in range(chain.start, chain.stop):
            made = code.program.steps[i].outputs
            if made not in chain.inner:
                target = code._target(made) or f"np.empty({made.shape}, {self._writer.text(made.dtype)})"
                self.before.append(f"{self._writer.names[made]} = {target}  # {made.shape}")
        for i in range(chain.start, chain.stop):
            step = code.program.steps[i]
            for x in [*step.reads, step.outputs]:
                if chain.flat and chain.is_cut(x) and x not in chain.inner and x not in self._whole:
                    flat = self._whole[x] = self._writer.unique(f"{self._writer.names[x]}_flat")
                    self.before.append(f"{flat} = {self._writer.names[x]}.reshape(-1)")
                    self.local.append(flat)

    def part(self, value: Value) -> str:
        """The part of a whole array that belongs to the block."""
        return f"{self._whole.get(value, self._writer.names[value])}[{self.cut}]"

    def named(self, value: Value) -> str:
        """The name of that part."""
        name = self.names[value] = self._writer.unique(f"{self._writer.names[value]}_i")
        self.local.append(name)
        return name

    def parts_read(self, step: Step) -> list[str]:
        """The lines that take the parts which a step reads and that have no name yet."""
        found = []
        for x in dict.fromkeys(step.reads):
            if x not in self.names and x not in self._chain.inner and self._chain.is_cut(x):
                text = self.part(x)
                found.append(f"{self.named(x)} = {text}")
        return found


def _unpacked(names: Any) -> str:
    names = list(names)
    return f"({names[0]},)" if len(names) == 1 else ", ".join(names)
