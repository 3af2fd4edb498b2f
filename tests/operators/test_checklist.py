"""The checklist of operations, OPS.md, row by row: each is in zkynet under a public name, or left out with a reason."""

from __future__ import annotations

from operator import attrgetter
from typing import NamedTuple

import pytest

import zkynet as zk
import zkynet.numpy
from support.cases import BY_NAME, ROWS
from support.checklist import LEFT_OUT, PLACES, TESTS
from zkynet.framework import op

SPACES = {"op": op, "zk": zk, "zkynet": zkynet}
BESIDE = {"getitem": "index", "setitem": "index_set"}  # rows of the case table that bear no function's name


class Item(NamedTuple):
    """A row of OPS.md."""

    name: str
    kind: str
    standard: str
    autograd: str
    mygrad: str
    priority: str

    @property
    def required(self) -> bool:
        """Of priority 1, in autograd or MyGrad, or in the array API standard."""
        return self.priority == "1" or bool(self.autograd or self.mygrad or self.standard)


@pytest.fixture(scope="module")
def items(checkout):
    path = checkout.parent / "shared" / "OPS.md"
    if not path.exists():
        pytest.skip("OPS.md lies beside the repository where zkynet is made, and is not here")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in path.read_text().splitlines()]
    found = [
        Item(name.strip("`"), kind, standard, autograd, mygrad, priority)
        for name, kind, standard, autograd, mygrad, _, _, _, priority, _ in (c for c in cells if len(c) == 10)
        if name.startswith("`")
    ]
    assert len(found) == 574
    return found


def named(place):
    """What a public name like "op.fft.rfft" stands for."""
    space, _, rest = place.partition(".")
    return attrgetter(rest)(SPACES[space])


@pytest.mark.parametrize("row", PLACES)
def test_names_exist(row):
    assert PLACES[row] and row not in LEFT_OUT
    assert all(callable(named(place)) or place.endswith((".at", ".r_", ".c_")) for place in PLACES[row])


def test_every_row_is_there_or_left_out(items):
    assert {item.name for item in items} == PLACES.keys() | LEFT_OUT.keys()
    assert [item.name for item in items if item.required and item.name in LEFT_OUT] == []


def test_differentiable_rows_are_checked(items):
    tested = {row for _, _, rows in TESTS for row in rows}
    case_rows = {id(attrgetter(row.name)(op)) for row in ROWS if row.differentiable and row.name not in BESIDE.values()}

    def is_checked(item):
        if item.name in tested or item.name in BESIDE:
            return True
        places = [place for place in PLACES[item.name] if place.startswith("op.")]
        return bool(places) and all(id(named(place)) in case_rows for place in places)

    asked = [item for item in items if item.kind in "DS" and item.name in PLACES]
    assert [item.name for item in asked if not is_checked(item)] == []
    assert all(name in BY_NAME for name in BESIDE.values())


def test_the_tests_that_are_named_exist(checkout):
    for file, function, rows in TESTS:
        text = (checkout / file).read_text()
        assert f"\ndef {function}(" in text, f"{file}::{function}"
        assert set(rows) <= PLACES.keys()
        for row in rows:
            family = row.removeprefix("random.").partition(".")[0] if "." in row else ""
            assert family in text, f"{file} says nothing of {row}"
