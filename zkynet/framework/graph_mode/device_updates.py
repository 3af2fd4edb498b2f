"""Programs made ready for a device: updates written out as the steps of their rules, outputs that share no memory.

So the steps of an optimizer can be fused and captured like others.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from zkynet.backends.portable import Portable

from ..function import TAPE
from .passes.common_subexpressions import common_subexpressions
from .passes.dead_code import dead_code
from .program import Program, Step, Value
from .recorder import recorder_of
from .tape import Tape

# Functions whose results may be a part of their argument, or the argument itself.
_VIEWS = frozenset(
    ("reshape", "permute_dims", "matrix_transpose", "expand_dims", "squeeze", "flip", "broadcast_to", "moveaxis")
    + ("getitem", "real", "imag", "conj", "weights", "softmax", "asarray", "check_index", "known_shape", "unstack")
)


def owned(program: Program, fresh: frozenset[str]) -> Program:
    """``program`` with copies of outputs that may share memory with an input, a constant or another output.

    ``fresh`` names functions whose results have memory of their own, but for views.
    """
    makers = {x: step for step in program.steps for x in step.makes}
    tree, copies, outputs, given = _Numbered(program), [], [], set()
    for x in program.outputs:
        step = makers.get(x)
        own = step is not None and step.function in fresh - _VIEWS and step.kwargs.get("copy") is not False
        if x.shape is None or (own and x not in given):
            outputs.append(x)
            given.add(x)
        else:
            outputs.append(tree.value(x.shape, x.dtype))
            copies.append(Step("own", (x,), {}, outputs[-1]))
    return program.replace(steps=[*program.steps, *copies], outputs=outputs) if copies else program


class _Numbered:
    """What a tape asks of a tree: new Values, behind those of a program."""

    def __init__(self, program: Program):
        values = [*program.inputs, *program.constants, *[x for step in program.steps for x in step.makes]]
        self._count = count(1 + max([x.index for x in values], default=0))

    def value(self, shape: Any, dtype: Any) -> Value:
        return Value(next(self._count), shape, dtype)


def written_out(program: Program) -> Program:
    """``program`` with the entrywise steps of a rule in the place of each ``update_in_blocks``.

    For backends that update by ``Portable.update_in_blocks``, which copies what the rule writes to: then the steps,
    none of which writes in place, say the same. An update whose rule cannot be recorded stays as it is.
    """
    if type(program.xp).update_in_blocks is not Portable.update_in_blocks:
        return program
    tree, constants = _Numbered(program), dict(program.constants)
    steps: list[Step] = []
    for step in program.steps:
        found = _steps_of(program.xp, step, tree, constants) if step.function == "update_in_blocks" else None
        steps += [step] if found is None else found
    if len(steps) == len(program.steps):
        return program
    return dead_code(common_subexpressions(program.replace(steps=steps, constants=constants)))


def _steps_of(xp: Any, update: Step, tree: Any, constants: dict[Value, Any]) -> list[Step] | None:
    """The steps of one update; None where its rule does what a program cannot do."""
    rule, groups, scalars = update.args
    tape = Tape(xp, recorder_of(xp), tree, {}, {})
    ends: list[tuple[Value, Value]] = []
    token = TAPE.set(tape)
    try:
        with xp.errstate():
            for group, known in zip(groups, update.outputs, strict=True):
                given, numbers = [[_stand_in(tape, x) for x in values] for values in (group, scalars)]
                (new,) = Portable.update_in_blocks(tape.recorder, rule, [given], numbers)
                ends += zip([x.value for x in new], known, strict=True)
    except Exception:  # whatever it is: the update tells, when it runs
        return None
    finally:
        TAPE.reset(token)
    if tape.refusal is not None or not all(isinstance(item, Step) for item in tape.items):
        return None
    constants.update(tape.constants)
    return _named(tape.items, ends)


def _stand_in(tape: Tape, x: Any) -> Any:
    """A recorded array for a Value, with ones in it that take no memory; a Python number as it is."""
    if type(x) is not Value:
        return x
    xp = tape.inner
    return tape.recorder.array_type(xp.broadcast_to(xp.ones((), dtype=x.dtype), x.shape), x, tape)


def _named(steps: list[Step], ends: list[tuple[Value, Value]]) -> list[Step]:
    """The steps, behind which each result of the rule has the name that the program knows it by."""
    makers = {x for step in steps for x in step.makes if step.outputs is x}
    names: dict[Value, Value] = {}
    copies = []
    for found, known in ends:
        if found in makers and found not in names:
            names[found] = known
        else:  # given back as it came in, or twice
            copies.append(Step("own", (names.get(found, found),), {}, known))
    renamed = []
    for step in steps:
        swapped = step.replace(lambda x: names.get(x, x))
        outputs = names.get(step.outputs, step.outputs) if type(step.outputs) is Value else step.outputs
        renamed.append(Step(swapped.function, swapped.args, swapped.kwargs, outputs, step.place))
    return renamed + copies
