"""Programs on a device as one CUDA graph: captured behind some ordinary replays, compared with them, then launched.

What reads values on the host, or could copy from its memory, is not captured. It runs in front, with all that it needs:
the graph is what is left. A graph computes from copies of its inputs, and what it makes is copied out; it writes to
nothing that others hold, so a run of it more or less changes nothing.
"""

from __future__ import annotations

import math
import threading
import time
from statistics import median
from typing import Any, NamedTuple

from zkynet.backends import standard

from .device_code import KERNEL_NAMES
from .device_kernels import COMPARED, Runner, same
from .device_updates import owned, written_out
from .lifetimes import nbytes
from .program import Program, Step, Value

WARM = 3  # ordinary runs before a graph is captured
CHECKS = 2  # runs of a graph that are compared with ordinary ones: the capturing call's, and that of the next one
TIMED = 5  # runs of each way, in turn, behind which the faster one stays: copies in and out may cost more than launches
LEAST_STEPS = 4  # of a graph
# Of what goes in and comes out, which is copied. Not measured, for want of a GPU: by its maker's figures the memory
# of a fast one takes some 50 us for 64 MiB, in which Python launches a few kernels.
MOST_BYTES = 1 << 26

# Functions that launch the same kernels for the same shapes, read nothing on the host and copy nothing from it, as far
# as CuPy 14 and backends/ say: clip and concat are not among them (they make arrays of Python's numbers), nor sorting,
# linalg and fft (libraries that wait, or read back whether they failed), nor scatter_sum (it adds in any order).
CAPTURED = (
    frozenset(standard.ELEMENTWISE)
    .difference(["clip"])
    .union(
        KERNEL_NAMES,
        ("relu", "sigmoid", "weights", "softmax", "below_top", "attention", "attention_back", "own", "astype", "where"),
        ("exp2", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "reshape", "permute_dims"),
        ("matrix_transpose", "expand_dims", "squeeze", "flip", "broadcast_to", "moveaxis", "getitem", "take", "matmul"),
        ("conv", "conv_input", "conv_filter", "pool_sum", "pool_spread", "pool_max", "pool_pick", "pool_place"),
        ("pad", "place", "sum", "mean", "max", "min", "prod", "any", "all", "var", "std", "argmax", "argmin"),
    )
)


def is_captured(step: Step) -> bool:
    """Whether a step can be part of a graph."""
    if step.function == "getitem" and len(step.reads) > 1:  # an index of values
        return False
    return step.function in CAPTURED


class Split(NamedTuple):
    """A program in two: ``graph`` of what ``front`` gives, its inputs among it."""

    front: Program
    graph: Program

    def outputs(self, program: Program, given: list[Any], made: list[Any]) -> list[Any]:
        """Those of the whole program."""
        known = dict(zip(self.front.outputs, given, strict=True))
        known.update(zip(self.graph.outputs, made, strict=True))
        return [known[value] for value in program.outputs]


def split(program: Program) -> Split:
    """``program`` without what no graph takes, and what that needs: this runs in front."""
    needed: set[Value] = set()
    outside: list[Step] = []
    inside: list[Step] = []
    for step in reversed(program.steps):
        if is_captured(step) and not needed & {*step.makes}:
            inside.append(step)
        else:
            needed |= {*step.reads}
            outside.append(step)
    made = {x for step in inside for x in step.makes}
    read = dict.fromkeys([x for step in reversed(inside) for x in step.reads if x not in made])
    given = [x for x in read if x not in program.constants]
    left = dict.fromkeys(program.outputs)
    passed = [x for x in left if x not in made and x not in given]
    front = program.replace(steps=outside[::-1], outputs=[*given, *passed])
    return Split(front, program.replace(inputs=given, steps=inside[::-1], outputs=[x for x in left if x in made]))


class _Captured(NamedTuple):
    """A program of which a part is a graph."""

    program: Program
    parts: Split
    front: Runner
    graph: Any

    def rest(self, front: list[Any]) -> list[Any]:
        """The program's outputs, from what its front gave."""
        made = self.graph(front[: len(self.parts.graph.inputs)])
        return self.parts.outputs(self.program, front, made)


class OnDevice:
    """A function of the list of a program's inputs, which it empties; its outputs are those of the program.

    ``off`` leaves out "kernels" (elementwise steps fused) and "graph" (all as one CUDA graph). ``own_outputs``: outputs
    that would share memory with an input, a constant or each other are copied.
    """

    clock = staticmethod(time.perf_counter)

    def __init__(self, program: Program, off: frozenset[str] | set[str] = frozenset(), own_outputs: bool = True):
        program = written_out(program)
        self.program = owned(program, CAPTURED) if own_outputs else program
        self._refusals: dict[Any, str] | None = None if "kernels" in off else {}
        self.whole = Runner(self.program, self._refusals)
        self.refused: str | None = None
        self._captured: _Captured | None = None
        self._runs = self._checked = 0
        self._times: tuple[list[float], list[float]] = ([], [])  # of the ordinary way, and of the graph
        self._lock = threading.Lock()  # one thread captures
        if "graph" in off or program.xp.captured is None:
            self.refused = "switched off" if "graph" in off else f"{program.xp.name} has none"

    def __call__(self, arrays: list[Any]) -> list[Any]:
        captured = self._captured
        if self.refused is not None or (captured is not None and not captured.graph.here):
            return self.whole(arrays)
        given = list(arrays)
        arrays.clear()
        if captured is None:
            return self._warm(given)
        if self._checked < CHECKS:
            outputs = self.whole(list(given))
            self._check(captured, given, outputs)
            return outputs
        return self._race(captured, given) if len(self._times[1]) < TIMED else self._by_graph(captured, given)

    def _by_graph(self, captured: _Captured, given: list[Any]) -> list[Any]:
        front = captured.front(list(given))
        try:
            return captured.rest(front)
        except Exception as error:  # nothing has changed: the ordinary way does it, or says what is wrong
            self._refuse(error)
        return self.whole(given)

    def _race(self, captured: _Captured, given: list[Any]) -> list[Any]:
        """One timed run of one of the two ways, which give the same bits; behind the last one the faster stays."""
        by_graph, wait = len(self._times[0]) > len(self._times[1]), self.program.xp.synchronize
        wait(None)
        start = self.clock()
        outputs = self._by_graph(captured, given) if by_graph else self.whole(list(given))
        wait(None)
        self._times[by_graph].append(self.clock() - start)
        if len(self._times[1]) == TIMED and self.refused is None:
            steps, graph = (1e3 * median(times) for times in self._times)
            if graph >= steps:
                self._refuse(f"measured: {graph:.3f} ms with one, {steps:.3f} ms without")
        return outputs

    def _warm(self, given: list[Any]) -> list[Any]:
        outputs = self.whole(list(given))
        self._runs += 1
        if self._runs > WARM and self.whole.settled and self._lock.acquire(blocking=False):
            try:
                captured = self._capture(given) if self._captured is None and self.refused is None else None
                if captured is not None:
                    self._check(captured, given, outputs)
            finally:
                self._lock.release()
        return outputs

    def _capture(self, given: list[Any]) -> _Captured | None:
        """The graph for such inputs; None, and the reason in ``refused``, where there is none."""
        self.refused = self._objection(parts := split(self.program))
        if self.refused is not None:
            return None
        try:
            front, graph = Runner(parts.front, self._refusals), Runner(parts.graph, self._refusals)
            inputs = front(list(given))[: len(parts.graph.inputs)]
            for _ in range(COMPARED):  # kernels are compared before, not inside
                graph(list(inputs))
            captured = _Captured(self.program, parts, front, self.program.xp.captured(graph, inputs))
        except Exception as error:  # many of CUDA's and CuPy's; the ordinary way has just run
            self._refuse(error)
            return None
        self._captured = captured
        return captured

    def _objection(self, parts: Split) -> str | None:
        """Why the program is better not captured."""
        inside, moved = parts.graph.steps, sum(map(nbytes, [*parts.graph.inputs, *parts.graph.outputs]))
        if len(inside) < LEAST_STEPS:
            stay = sorted({step.function for step in self.program.steps if not is_captured(step)})
            waiting = f", the others are or lead to {', '.join(stay)}" if stay else ""
            return f"it would hold {len(inside)} of {len(self.program.steps)} steps{waiting}"
        return f"{math.ceil(moved / 2**20)} MiB would be copied in and out" if moved > MOST_BYTES else None

    def _check(self, captured: _Captured, given: list[Any], outputs: list[Any]) -> None:
        """Compare what the graph gives with what the ordinary way gave."""
        try:
            found = captured.rest(captured.front(list(given)))
            equal = all([same(self.program.xp, a, b) for a, b in zip(outputs, found, strict=True)])
        except Exception as error:
            self._refuse(error)
            return
        self._checked += 1
        if not equal:
            self._refuse(f"run {self._checked} of the graph was not bit by bit what the steps give")

    def _refuse(self, why: Any) -> None:
        self.refused = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else why
        self._captured = None

    def report(self) -> str:
        """The kernels and the graph, in words."""
        lines = [group.state for group in self.whole.groups]
        if self.refused is not None:
            lines.append(f"no CUDA graph: {self.refused}")
        elif self._captured is None:
            lines.append(f"no CUDA graph yet: {self._runs} of {WARM} ordinary runs")
        else:
            of = f"{len(self._captured.parts.graph.steps)} of {len(self.program.steps)} steps"
            timed = f"timed in {len(self._times[1])} of {TIMED}"
            lines.append(f"a CUDA graph of {of}, compared in {self._checked} of {CHECKS} runs, {timed}")
        return "\n".join(lines)

    @property
    def source(self) -> str:
        """The program as it runs, with the text of its kernels."""
        inside = [repr(item) for item in self.whole.items]
        return "\n".join([f"inputs {self.program.inputs}", *inside, f"outputs {self.program.outputs}"])
