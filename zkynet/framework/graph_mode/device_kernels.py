"""Programs on a device that runs kernels: elementwise steps of one shape, fused into one kernel each.

A step waits, in the group of its shape, until somebody outside reads what the group makes: nothing of a program is seen
before its end but what ``expect`` reads. So steps that do not stand side by side come together, too. What a group makes
and nobody else reads never goes to memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .device_code import Kernel, kernel_of, told
from .program import Program, Step, Value, function_of, map_values, paired

MOST_ARRAYS = 24  # that one kernel reads and writes: CUDA takes 4 KiB of arguments, an array of four axes 80 bytes
MOST_STEPS = 64
COMPARED = 3  # first runs of a kernel, in which its steps run, too


class Group:
    """Steps that run as one kernel, once it has given the bits that the steps give one by one.

    The first runs compute both and compare them: where they differ, the steps stay. ``refusals`` holds the reasons, by
    the kernel: all programs that share it learn what one has found. ``state`` tells, in words.
    """

    def __init__(self, program: Program, steps: list[Step], made: list[Value], refusals: dict[Any, str]):
        self.steps, self.made, self.xp, self._refusals = steps, made, program.xp, refusals
        self.kernel: Kernel = kernel_of(steps, made, self.xp.name_of)
        self.reads = [x for x in self.kernel.arguments if type(x) is Value]
        self.compared = 0
        self._launch: Callable[..., Any] | None = None

    @property
    def refused(self) -> str | None:
        """Why the kernel is not used."""
        return self._refusals.get(self.kernel[:3])

    def _refuse(self, why: str) -> None:
        self._refusals[self.kernel[:3]] = why

    def run(self, known: dict[Value, Any]) -> None:
        """Put what the group makes into ``known``, which holds what it reads."""
        if self.refused is None:
            try:
                fused = self._fused(known)
            except Exception as error:  # the device's compiler, or a limit of its: the steps need neither
                if self.compared:  # it has worked: the reason lies elsewhere
                    raise
                self._refuse(f"{type(error).__name__}: {error}")
            else:
                if self.compared < COMPARED:
                    self._compare(fused, known)
                if self.refused is None:
                    known.update(zip(self.made, fused, strict=True))
                    return
        found = self._step_by_step(known)
        known.update({x: found[x] for x in self.made})

    def _fused(self, known: dict[Value, Any]) -> tuple[Any, ...]:
        if self._launch is None:
            self._launch = self.xp.elementwise_kernel(*self.kernel[:4])
        return self._launch(*[known[x] if type(x) is Value else x for x in self.kernel.arguments])

    def _step_by_step(self, known: dict[Value, Any]) -> dict[Value, Any]:
        inside = {x: known[x] for x in self.reads}
        for step in self.steps:
            run_step(self.xp, step, inside)
        return inside

    def _compare(self, fused: tuple[Any, ...], known: dict[Value, Any]) -> None:
        found = self._step_by_step(known)
        for x, array in zip(self.made, fused, strict=True):
            if not same(self.xp, found[x], array):
                self._refuse(f"its {x!r} is not what {' '.join([step.function for step in self.steps])} give")
                return
        self.compared += 1

    @property
    def state(self) -> str:
        """Whether the kernel runs."""
        if self.refused is not None:
            return f"a kernel of {len(self.steps)} steps is not used: {self.refused}"
        return f"a kernel of {len(self.steps)} steps, compared in {self.compared} of {COMPARED} runs"

    def __repr__(self) -> str:
        steps = "\n".join([f"#   {step!r}" for step in self.steps])
        return f"# {self.kernel.name}({self.kernel.inputs}) -> {self.kernel.outputs}\n{steps}\n{self.kernel.operation}"


def run_step(xp: Any, step: Step, known: dict[Value, Any]) -> None:
    """Run one step as it stands."""
    made = function_of(xp, step.function)(
        *map_values(known.__getitem__, step.args), **map_values(known.__getitem__, step.kwargs)
    )
    known.update(paired(step.outputs, made))


def same(xp: Any, a: Any, b: Any) -> bool:
    """Whether two arrays have one shape, dtype and contents, bit by bit; all NaNs are one."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if xp.is_complex(a.dtype):
        return same(xp, xp.real(a), xp.real(b)) and same(xp, xp.imag(a), xp.imag(b))
    equal = a == b
    if xp.is_inexact(a.dtype):
        equal = (equal & (xp.signbit(a) == xp.signbit(b))) | (xp.isnan(a) & xp.isnan(b))
    return bool(xp.all(equal))


class Runner:
    """A program with its groups: called with the list of its inputs, which it empties; it returns its outputs.

    What nobody reads any more is let go behind each step. ``refusals`` are those of Group; without it nothing is fused.
    """

    def __init__(self, program: Program, refusals: dict[Any, str] | None):
        self.program = program
        self.items: list[Step | Group] = list(program.steps) if refusals is None else grouped(program, refusals)
        self.groups = [item for item in self.items if isinstance(item, Group)]
        self._dying = _dying(self.items, program.outputs)

    def __call__(self, arrays: list[Any]) -> list[Any]:
        known = dict(self.program.constants)
        known.update(zip(self.program.inputs, arrays, strict=True))
        arrays.clear()
        for item, dying in zip(self.items, self._dying, strict=True):
            if isinstance(item, Group):
                item.run(known)
            else:
                run_step(self.program.xp, item, known)
            for value in dying:
                del known[value]
        return [known[value] for value in self.program.outputs]

    @property
    def settled(self) -> bool:
        """Whether each group has been compared often enough, or refused."""
        return all([group.refused is not None or group.compared >= COMPARED for group in self.groups])


def _dying(items: list[Any], outputs: Iterable[Value]) -> list[list[Value]]:
    """For each item the Values that nobody reads behind it."""
    alive, dying = set(outputs), []
    for item in reversed(items):
        made = item.made if isinstance(item, Group) else item.makes
        touched = {*item.reads, *made}
        dying.append([x for x in touched if x not in alive])
        alive |= touched
    return dying[::-1]


class _Open:
    """A group that still grows; ``readers`` are those of all Values of its program."""

    def __init__(self, readers: dict[Value, list[Any]]) -> None:
        self.steps: list[Step] = []
        self.made: set[Value] = set()
        self._readers = readers

    def left(self, steps: list[Step]) -> list[Value]:
        """What others read of the results of ``steps``."""
        inside = set(map(id, steps))
        return [s.outputs for s in steps if any(id(reader) not in inside for reader in self._readers[s.outputs])]

    def takes(self, step: Step) -> bool:
        """Whether the kernel would not become too large."""
        steps = [*self.steps, step]
        given = {x for each in steps for x in each.reads} - self.made
        return len(steps) <= MOST_STEPS and len(given) + len(self.left(steps)) <= MOST_ARRAYS

    def add(self, step: Step) -> None:
        self.steps.append(step)
        self.made.add(step.outputs)


def grouped(program: Program, refusals: dict[Any, str]) -> list[Step | Group]:
    """The steps of a program, with Groups in the place of those that run as one kernel, in an order that works."""
    readers = _readers(program)
    items: list[Step | Group] = []
    growing: dict[Any, _Open] = {}  # by the shape of what it makes

    def close(shape: Any) -> None:
        closed = growing.pop(shape)
        made = closed.left(closed.steps)
        if len(closed.steps) > 1 and made:
            items.append(Group(program, closed.steps, made, refusals))
        else:
            items.extend(closed.steps)

    for step in program.steps:
        shape = step.outputs.shape if _fits(program, step) else None
        for other in [each for each in growing if each != shape and growing[each].made & {*step.reads}]:
            close(other)
        if shape is None:
            items.append(step)
            continue
        if shape in growing and not growing[shape].takes(step):
            close(shape)
        growing.setdefault(shape, _Open(readers)).add(step)
    for shape in list(growing):
        close(shape)
    return items


def _fits(program: Program, step: Step) -> bool:
    """Whether a step can be part of a kernel: told, with entries, and of the shape to which its arrays broadcast."""
    found = told(step, program.xp.name_of)
    return found is not None and 0 not in step.outputs.shape


def _readers(program: Program) -> dict[Value, list[Any]]:
    """Who reads what a step makes; the program itself its outputs."""
    readers: dict[Value, list[Any]] = {x: [] for step in program.steps for x in step.makes}
    for step in program.steps:
        for x in step.reads:
            if x in readers:
                readers[x].append(step)
    for x in program.outputs:
        if x in readers:
            readers[x].append(program)
    return readers
