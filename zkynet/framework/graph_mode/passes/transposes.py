"""Transposes: chains of permutations become one, and a product that is transposed is made the other way round.

A transposed view costs a product nothing: BLAS reads it. What costs is everything else that walks through a transposed
array, side by side with one that lies row by row: the optimizer's update of a weight by the gradient ``(g.T @ x).T``
takes several times as long as by ``x.T @ g``. Such a product rounds differently; all else keeps every bit.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..program import Program, Step, Value
from .facts import makes, reads, renamed

_PERMUTING = frozenset(("matrix_transpose", "moveaxis", "permute_dims"))
_INDIFFERENT = _PERMUTING | {"matmul"}  # readers to whom a transposed view is as good


def transposes(program: Program) -> Program:
    """The program with one permutation in the place of a chain, and without those of products where that pays."""
    merged = _merged(program)
    turned = _turned(merged)
    return turned if turned is merged else _merged(turned)


def _merged(program: Program) -> Program:
    """Each permutation of a permutation as one of the first array, by its shortest name."""
    names: dict[Value, Value] = {}
    sources: dict[Value, tuple[Value, tuple[int, ...]]] = {}  # value: x and axes with value = permute_dims(x, axes)
    steps = []
    changed = False
    for old in program.steps:
        step = renamed(old, names)
        axes = _axes_of(step)
        if axes is not None:
            x, inner = sources.get(step.args[0], (step.args[0], tuple(range(len(axes)))))
            axes = tuple([inner[axis] for axis in axes])
            if axes == tuple(range(len(axes))):
                names[step.outputs] = x
                continue
            sources[step.outputs] = x, axes
            new = _permutation(x, axes, step)
            changed, step = changed or new is not step, new
        steps.append(step)
    if not names and not changed:
        return program
    return program.replace(steps=steps, outputs=[names.get(value, value) for value in program.outputs])


def _axes_of(step: Step) -> tuple[int, ...] | None:
    """The axes of the argument in the order in which they stand in the result; None where it is no permutation."""
    if step.function not in _PERMUTING or step.kwargs or type(step.args[0]) is not Value:
        return None
    n = len(step.outputs.shape)
    if step.function == "matrix_transpose":
        return (*range(n - 2), n - 1, n - 2)
    if step.function == "permute_dims":
        return tuple([axis % n for axis in step.args[1]])
    start, end = [[axis % n for axis in (each if type(each) in (list, tuple) else [each])] for each in step.args[1:]]
    order: list[Any] = [axis for axis in range(n) if axis not in start]
    for place, axis in sorted(zip(end, start, strict=True)):
        order.insert(place, axis)
    return tuple(order)


def _permutation(x: Value, axes: tuple[int, ...], step: Step) -> Step:
    """The step that makes the same of ``x``; ``step`` itself where it does so already."""
    n = len(axes)
    if n > 1 and axes == (*range(n - 2), n - 1, n - 2):
        new = Step("matrix_transpose", (x,), {}, step.outputs, step.place)
    else:
        new = Step("permute_dims", (x, axes), {}, step.outputs, step.place)
    return step if (step.function, step.args) == (new.function, new.args) else new


def _turned(program: Program) -> Program:
    """``(a.T @ b).T`` as ``b.T @ a`` where nothing else reads the product, and something but products the result."""
    makers = {value: step for step in program.steps for value in makes(step)}
    read = Counter(program.outputs)
    walked = set(program.outputs)  # what is read by something to which the order in memory matters
    for step in program.steps:
        inner = reads(step)
        read.update(inner)
        if step.function not in _INDIFFERENT:
            walked.update(inner)
    turned: dict[Value, tuple[Step, Step]] = {}  # by the product: what stands in the place of it and its transpose
    for step in program.steps:
        if step.function == "matrix_transpose" and step.outputs in walked:
            product = makers.get(step.args[0])
            if product is not None and product.function == "matmul" and read[product.outputs] == 1:
                found = _other_way_round(product, step, makers)
                if found:
                    turned[product.outputs] = turned[step.outputs] = found
                    makers[step.outputs] = found[1]
    if not turned:
        return program
    steps = []
    for step in program.steps:
        found = turned.get(step.outputs) if type(step.outputs) is Value else None
        steps.append(step if found is None else found[step.function != "matmul"])
    return program.replace(steps=steps)


def _other_way_round(product: Step, step: Step, makers: dict[Value, Step]) -> tuple[Step, Step] | None:
    """One factor's transpose, under the product's number, and the product; None where no factor is a transpose."""
    a, b = product.args
    if type(a) is not Value or type(b) is not Value or len(a.shape or ()) != len(b.shape or ()):
        return None
    for x, other in ((a, b), (b, a)):
        maker = makers.get(x)
        if maker is not None and maker.function == "matrix_transpose":
            *lead, rows, columns = other.shape or ()
            moved = Value(product.outputs.index, (*lead, columns, rows), other.dtype)
            factors = (moved, maker.args[0]) if x is a else (maker.args[0], moved)
            turned = Step("matmul", factors, {}, step.outputs, step.place)
            return Step("matrix_transpose", (other,), {}, moved, product.place), turned
    return None
