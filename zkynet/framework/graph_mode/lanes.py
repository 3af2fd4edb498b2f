"""Two lanes: a program in three, the middle one run by two threads at once, each on half of the batch.

``before`` computes what is the same for the whole batch and is needed in the lanes; ``first`` is the lane; ``rest``
does everything else, once, on what the lanes have found, added up or joined. Only ``rest`` has effects: what comes
before it may be run again, or for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Any

from zkynet.backends import threads
from zkynet.backends.worker import run_beside

from .batch_axes import PARTIAL, WHOLE, HalfBatch, Part, Split
from .batch_rules import RULES
from .program import Program, Step, Value

Runner = Callable[[list[Any]], Sequence[Any]]

LEAST_BATCH = 4  # below that a lane would have axes of size 1, which broadcast
LEAST_SHARE = 0.5  # of the work
_ENOUGH_SHARE = 0.9  # no other axis is looked at
_MOST_TRIED = 6  # lengths
_EFFECTS = frozenset(("expect", "update_in_blocks"))
_PRODUCTS = frozenset(("attention", "attention_back", "conv", "conv_filter", "conv_input", "einsum", "matmul"))
_VIEWS = frozenset(
    ("broadcast_to", "expand_dims", "getitem", "matrix_transpose", "moveaxis", "permute_dims", "reshape")
)
_PER_ENTRY = 8  # products that take as long as it takes to read or write one number


class Lanes:
    """A program that two lanes run: three Programs, how the inputs are cut, and how the lanes' results are joined.

    ``before`` and ``rest`` have the program's inputs; ``rest`` has behind them what ``compute`` returns: ``joined``.
    ``share`` is the part of the work that is in the lanes, estimated, ``batch`` the length of the batch.
    """

    def __init__(self, half: HalfBatch, before: Program, first: Program, rest: Program, parts: list[Part]):
        self.before, self.first, self.rest = before, first, rest
        self.batch, self.share = half.n, 0.0
        self.joined: list[Value] = []
        self._n, self._xp = half.n, half.xp
        self._known = half.program.constants
        self._inputs = half.program.inputs
        self._cuts = [self._cut_once(part) for part in parts]
        self._joints: list[Any] = []  # for each of ``joined``: its state, and where it stands among the results

    def compute(self, before: Runner, first: Runner, inputs: Sequence[Any]) -> list[Any]:
        """What the lanes find for these inputs: the arrays of ``joined``. ``before`` and ``first`` run the Programs.

        Both lanes have ended when it returns or raises; of two errors the first lane's is raised.
        """
        known = dict(zip(self._inputs, inputs, strict=True))
        if self.before.outputs:
            known.update(zip(self.before.outputs, before(list(inputs)), strict=True))
        lanes = [[self._fed(cut, known, lane) for cut in self._cuts] for lane in (0, 1)]
        found: list[Any] = [None, None]

        def here() -> None:
            found[0] = first(lanes[0])

        def there() -> None:
            threads.set_blas_threads(1)  # a BLAS that is built on OpenMP counts by thread
            found[1] = first(lanes[1])

        with threads.blas_threads_set(1):
            run_beside(there, here)
        joints = zip(self.joined, self._joints, strict=True)
        return [self._join(value, state, i, found, known) for value, (state, i) in joints]

    def __repr__(self) -> str:
        steps = [len(each.steps) for each in (self.before, self.first, self.rest)]
        return f"<two lanes of {self.batch // 2}: {self.share:.0%} of the work; {steps} steps before, in and behind>"

    # ---- ways in ----

    def _cut_once(self, part: Part) -> Any:
        """A part, with both lanes' arrays where they are known now."""
        if part.source in self._known:
            array = self._known[part.source]
            return part._replace(both=tuple([self._cut(array, part.split, lane) for lane in (0, 1)]))
        return part

    def _fed(self, part: Part, known: Mapping[Any, Any], lane: int) -> Any:
        if part.both is not None:
            return part.both[lane]
        return self._cut(known[part.source], part.split, lane)

    def _cut(self, array: Any, split: Split | None, lane: int) -> Any:
        """The entries of a lane: a view where that is possible."""
        if split is None:
            return array
        axis, half = array.ndim + split.axis, self._n // 2
        where = (slice(None),) * axis
        if split.outer == 1:
            start = lane * half * split.inner
            return array[(*where, slice(start, start + half * split.inner))]
        rows = self._xp.reshape(array, self._apart(array.shape, split, axis, self._n))
        part = rows[(*where, slice(None), slice(lane * half, lane * half + half))]
        shape = list(array.shape)
        shape[axis] //= 2
        return self._xp.reshape(part, tuple(shape))

    @staticmethod
    def _apart(shape: tuple[int, ...], split: Split, axis: int, n: int) -> tuple[int, ...]:
        return (*shape[:axis], split.outer, n, split.inner, *shape[axis + 1 :])

    # ---- and out ----

    def _join(self, value: Value, state: Any, i: int, found: Any, known: Mapping[Any, Any]) -> Any:
        if state is WHOLE:
            return known[value]
        a, b = found[0][i], found[1][i]
        if state is PARTIAL:
            return a + b
        axis = a.ndim + state.axis
        if state.outer == 1:
            return self._xp.concat([a, b], axis=axis)
        halves = [self._xp.reshape(x, self._apart(x.shape, state, axis, self._n // 2)) for x in (a, b)]
        return self._xp.reshape(self._xp.concat(halves, axis=axis + 1), value.shape)


def run(
    lanes: Lanes, before: Runner, first: Runner, rest: Runner, arrays: list[Any], whole: Runner | None = None
) -> Sequence[Any]:
    """The program's outputs by two lanes; the functions run ``lanes.before``, ``lanes.first`` and ``lanes.rest``.

    Each is a function of the list of its inputs, which it may empty, as is this one: so that ``rest`` finds arrays that
    nobody but their owners holds. Where a lane raises and ``whole`` is given, that runs the whole program instead: the
    error is then the one of the whole batch, and steps behind a check that fails are not reached.
    """
    if whole is None:
        arrays += lanes.compute(before, first, arrays)
        return rest(arrays)
    try:
        arrays += lanes.compute(before, first, arrays)
    except Exception:
        done = False
    else:
        done = True
    return rest(arrays) if done else whole(arrays)


def find(program: Program, arguments: Iterable[Value], least: float | None = None) -> Lanes | None:
    """``split`` along the axis of the ``arguments`` by which most of the work is in the lanes; None where none serves.

    The batch is the first axis as a rule, and the second of sequences (T, N, ...): lengths are tried in the order in
    which they stand in the arguments, the largest first. Of all arguments those are cut that have an axis of such a
    length, along the first such.
    """
    values = sorted([value for value in arguments if value.shape], key=lambda value: -prod(value.shape or ()))
    best = None
    for n in list(dict.fromkeys(n for value in values for n in value.shape or ()))[:_MOST_TRIED]:
        axes = {value: value.shape.index(n) for value in values if n in (value.shape or ())}  # type: ignore[union-attr]
        found = split(program, axes, least=LEAST_SHARE if least is None else least)
        if found is not None and (best is None or found.share > best.share):
            best = found
        if best is not None and best.share > _ENOUGH_SHARE:
            break
    return best


def split(
    program: Program,
    batch: Mapping[Value, int] | Iterable[Value],
    *,
    least: float = LEAST_SHARE,
    effects: frozenset[str] = _EFFECTS,
) -> Lanes | None:
    """The program in two lanes; None where they would do less than the share ``least`` of the work.

    ``batch`` are the inputs that carry the batch along their first axis, or a mapping from them to their axes, all of
    one even length of at least 4; other inputs are whole. Steps of ``effects``, and such without outputs, stay in the
    order of the program. On the host's arrays alone, and None on others.
    """
    axes = dict(batch) if isinstance(batch, Mapping) else dict.fromkeys(batch, 0)
    lengths = {value.shape[axis] if value.shape else 0 for value, axis in axes.items()}
    if len(lengths) != 1 or not program.xp.is_host:
        return None
    (n,) = lengths
    if n % 2 or n < LEAST_BATCH or not set(axes) <= set(program.inputs):
        return None
    half = HalfBatch(program, axes, n).walk(RULES, effects)
    return _divided(half, least, effects)


def _divided(half: HalfBatch, least: float, effects: frozenset[str]) -> Lanes | None:
    """The three programs of what the walk has found."""
    program, states = half.program, half.states
    live = _live(half.rest, program.outputs, effects)
    needed = {value for step in live for value in step.reads} | set(program.outputs)
    results = [value for value in half.own if value in needed and value not in program.inputs]
    first_steps = _live([*half.early, *half.steps], [half.own[value] for value in results])
    whole_steps = [step for step in half.rest if _is_whole(step, states)]
    # Views of what is whole are made in the lanes, where they cost nothing; made before, they would be kept.
    first_steps = [*_views(whole_steps, [value for step in first_steps for value in step.reads]), *first_steps]
    read = dict.fromkeys(value for step in first_steps for value in step.reads)
    made = {value for step in first_steps for value in step.makes}
    outside = [value for value in read if value not in made and value not in program.constants]
    parts = [half.parts.get(value) or Part(None, value) for value in outside]
    inner = {value: array for value, array in program.constants.items() if value in read}
    first = program.replace(inputs=outside, steps=first_steps, outputs=[half.own[v] for v in results], constants=inner)
    sources = {part.source: None for part in parts if part.source is not None}
    wanted = [value for value in sources if value not in program.inputs and value not in program.constants]
    before_steps = _live(whole_steps, wanted)
    share = _share(half, first_steps, [*live, *(step for step in before_steps if step not in live)])
    if not results or share < least:
        return None
    # Views are made again behind the lanes: one that is kept meanwhile keeps a parameter from being written in place.
    once = {step for step in before_steps if step.function not in _VIEWS}
    rest_steps = [step for step in live if step not in once]
    late = {value for step in rest_steps for value in step.reads} | set(program.outputs)
    kept = [value for step in before_steps if step in once for value in step.makes if value in late]
    before = program.replace(steps=before_steps, outputs=list(dict.fromkeys([*wanted, *kept])))
    rest = program.replace(inputs=[*program.inputs, *results, *kept], steps=rest_steps)
    lanes = Lanes(half, before, first, rest, parts)
    lanes.share, lanes.joined = share, [*results, *kept]
    lanes._joints = [(states[value], i) for i, value in enumerate(results)] + [(WHOLE, 0)] * len(kept)
    return lanes


def _views(steps: Sequence[Step], outputs: Iterable[Value]) -> list[Step]:
    """Those of ``steps`` that make a view which ``outputs``, or another view for them, need."""
    return _live([step for step in steps if step.function in _VIEWS], outputs)


def _is_whole(step: Step, states: Mapping[Value, Any]) -> bool:
    return bool(step.makes) and all(states.get(value) is WHOLE for value in step.makes)


def _live(steps: Sequence[Step], outputs: Iterable[Value], effects: frozenset[str] = frozenset()) -> list[Step]:
    """The steps that ``outputs`` need, or steps of ``effects`` and, where there are such, steps without outputs."""
    needed, found = set(outputs), []
    for step in reversed(steps):
        stays = bool(effects) and (step.function in effects or not step.makes)
        if stays or any(value in needed for value in step.makes):
            needed.update(step.reads)
            found.append(step)
    return found[::-1]


# ---- how much work there is ----


def _share(half: HalfBatch, first: list[Step], rest: list[Step]) -> float:
    inside = sum(work(half.origin.get(step, step)) for step in first)
    outside = sum(work(step) for step in rest)
    return inside / (inside + outside) if inside else 0.0


def work(step: Step) -> float:
    """How long a step takes, very roughly, by the numbers that it reads, writes and multiplies."""
    sizes = [prod(value.shape) for value in [*step.reads, *step.makes] if value.shape is not None]
    total = float(sum(sizes))
    if step.function in _PRODUCTS and len(sizes) > 2:
        a, b, *_, c = sorted(sizes)[-3:]
        total += (float(a) * b * c) ** 0.5 / _PER_ENTRY  # exact for one matrix product
    return total
