"""The case table is complete: every public function, every Operator, and on every row what a row has to have."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import FunctionType

import pytest

import zkynet as zk
from support.cases import BY_NAME, ROWS
from support.points import is_input, operators_of, points
from zkynet.framework import op, operations
from zkynet.framework.operator import Operator

BEYOND = {"index"}  # rows for what is no function of op: Tensor.__getitem__


def public_functions():
    found = {name for name in op.__all__ if isinstance(getattr(op, name), FunctionType)}
    for space in ("special", "fft", "signal"):
        members = vars(getattr(op, space)).items()
        found |= {f"{space}.{name}" for name, item in members if isinstance(item, FunctionType)}
    return found


def operator_classes():
    """Every Operator of the folder that computes something itself."""
    found = set()
    for module in pkgutil.iter_modules(operations.__path__):
        members = vars(importlib.import_module(f"{operations.__name__}.{module.name}")).values()
        found |= {m for m in members if inspect.isclass(m) and issubclass(m, Operator)}
    return {m for m in found if m.__module__.startswith(operations.__name__) and m.forward is not Operator.forward}


def test_every_public_function_has_a_row():
    assert public_functions() - set(BY_NAME) == set()
    assert set(BY_NAME) - public_functions() == BEYOND
    assert len(BY_NAME) == len(ROWS)


def test_linalg_offers_the_same_functions():
    assert {f.__name__ for f in vars(op.linalg).values() if isinstance(f, FunctionType)} <= set(op.__all__)


def test_every_operator_is_reached_by_a_row(monkeypatch):
    seen = set()
    for cls in operator_classes():

        def forward(self, *args, _forward=cls.forward, **settings):
            seen.update(type(self).__mro__)  # a family whose members share its forward is reached by any of them
            return _forward(self, *args, **settings)

        monkeypatch.setattr(cls, "forward", forward)
    for row in ROWS:
        for point in [*points(row.name), *(points(row.name, True) if row.complex else ())]:
            outputs = []
            if row.differentiable:
                zk.jvp(lambda *x, p=point, kept=outputs: kept.extend(p.f(op, *x)) or 0.0, point.inputs, point.v)
            else:
                point.f(op, *point.inputs)
            seen.update(type(operator) for operator in operators_of(outputs))
    assert {cls.__name__ for cls in operator_classes() - seen} == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_has_what_it_needs(row):
    assert row.samples and row.domain
    if not row.differentiable:
        return
    shapes = [getattr(o, "shape", None) for s in (*row.samples, *row.specials) for o in s.operands if is_input(o)]
    assert shapes, "nothing to differentiate"
    refused = any(0 in getattr(o, "shape", ()) for bad in row.errors for o in bad.operands)
    assert refused or any(shape is not None and 0 in shape for shape in shapes), "an empty array is missing"
    if row.weak:
        assert None in shapes, "a Python number is missing"


def test_undifferentiable_rows_send_nothing_back(backend):
    for row in ROWS:
        for point in points(row.name)[: None if backend.is_host else 1]:
            if row.differentiable or not point.inputs or point.weak:
                continue
            seen = []

            def f(*inputs, point=point, seen=seen):
                seen.extend(point.f(op, *inputs))
                return op.sum(inputs[0])

            with zk.use_backend(backend):
                zk.vjp(f, *[backend.asarray(x) if hasattr(x, "shape") else x for x in point.inputs])
            assert not any(getattr(y, "record", None) for y in seen), point.sample
