"""Common subexpressions: one step for all that call the same function with the same arguments.

Values and arrays are the same by identity, Python numbers where type and bits agree: 1 is not 1.0 nor True, 0.0 is not
-0.0, NaN is NaN. Constants without axes are compared by their bits. What a step makes is never changed: many may read
it.
"""

from __future__ import annotations

from struct import pack
from types import EllipsisType, NoneType
from typing import Any

from ..program import Program, Value
from .facts import is_pure, makes, renamed

_BY_VALUE = frozenset((bool, int, str, bytes, NoneType, EllipsisType))


def common_subexpressions(program: Program) -> Program:
    """The program with the first of equal steps alone."""
    names = _equal_constants(program)
    first: dict[Any, Any] = {}
    steps = []
    for old in program.steps:
        step = renamed(old, names)
        if is_pure(step):
            same = first.setdefault((step.function, key_of(step.args), key_of(step.kwargs)), step)
            if same is not step and _kinds(same) == _kinds(step):
                names.update(zip(makes(step), makes(same), strict=True))
                continue
        steps.append(step)
    if not names:
        return program
    constants = {value: array for value, array in program.constants.items() if value not in names}
    outputs = [names.get(value, value) for value in program.outputs]
    return program.replace(steps=steps, outputs=outputs, constants=constants)


def key_of(tree: Any) -> Any:
    """Something hashable that is equal for what a function cannot tell apart."""
    kind = type(tree)
    if kind is Value:
        return tree
    if kind in _BY_VALUE:
        return kind, tree
    if kind is tuple or kind is list:
        return kind, *[key_of(each) for each in tree]
    if kind is dict:
        return kind, *[(name, key_of(each)) for name, each in tree.items()]
    if kind is float:
        return kind, pack("d", tree)
    if kind is complex:
        return kind, pack("dd", tree.real, tree.imag)
    if kind is slice:
        return kind, key_of(tree.start), key_of(tree.stop), key_of(tree.step)
    return kind, id(tree)  # the program keeps it alive


def _kinds(step: Any) -> list[tuple]:
    """What is known of the arrays that a step makes."""
    return [(value.shape, value.dtype, value.weak) for value in makes(step)]


def _equal_constants(program: Program) -> dict[Value, Value]:
    """The first of equal constants without axes, by the others."""
    first: dict[Any, Value] = {}
    names = {}
    for value, array in program.constants.items():
        if value.shape == ():
            bits = program.xp.to_numpy(array).tobytes()
            same = first.setdefault((type(array), value.dtype, value.weak, bits), value)
            if same is not value:
                names[value] = same
    return names
