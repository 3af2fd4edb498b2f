"""What is told from bytecode: names that are computed, long functions, random numbers by any name, other Pythons."""

import dis
import random
from operator import attrgetter
from types import ModuleType

import numpy as np
import pytest
from numpy import random as numbers

import zkynet as zk
from zkynet.framework.graph_mode import code_reads
from zkynet.framework.graph_mode.code_reads import reads_of
from zkynet.framework.graph_mode.guards import Surroundings

rename = getattr
rates_of = attrgetter("rate_1")
mine = ModuleType("mine")
mine.numpy, mine.numbers = np, numbers


class Rates:
    def __init__(self):
        self.rate_1, self.rate_2 = 2.0, 3.0


# ---- names that code computes ----


@pytest.mark.parametrize(
    "f",
    [lambda x, n: getattr(x, f"layer_{n}"), lambda x, n: getattr(x, "layer_" + n), lambda x, n: hasattr(x, "a" + n)]
    + [lambda x, n: getattr(x, "layer_%d" % n), lambda x, n: getattr(x, "layer_{}".format(n))]  # noqa: UP031, UP032
    + [lambda x, n: getattr(x, f"layer_{n}", None)]
    + [lambda x: map(getattr, x, "ab"), lambda x, n: getattr(x(1, "a"), n), lambda x: getattr(*x)],
)
def test_a_name_that_is_put_together_is_any_name(f):
    assert reads_of(f.__code__).any_attribute


@pytest.mark.parametrize(
    "f",
    [lambda x: getattr(x, "a", None), lambda x: getattr(x.b.c, "a", 0), lambda x: getattr(x, "a", [])]
    + [lambda x, y: getattr(x, "a", y), lambda x, y: getattr(x, "a", y.b), lambda x: hasattr(x, "a")]
    + [lambda x: sorted(x, key=lambda each: getattr(each, "a"))],  # noqa: B009
)
def test_a_name_that_is_written_out_is_that_one(f):
    reads = reads_of(f.__code__)
    assert "a" in reads.names and not reads.any_attribute


def test_a_number_behind_a_name_that_is_computed_is_not_kept():
    rates, n, x = Rates(), 1, np.ones(2)
    f = zk.compile(lambda x: x * getattr(rates, f"rate_{n}"))
    assert f(x)[0] == 2 and f(x)[0] == 2
    rates.rate_1 = 7.0
    assert f(x)[0] == 7
    n = 2
    assert f(x)[0] == 3


@pytest.mark.parametrize("f", [lambda x, rates, n: x * rename(rates, n), lambda x, rates, n: x * rates_of(rates)])
def test_getattr_under_a_name_of_the_users(f):
    rates, n = Rates(), "".join(["rate_", "1"])
    s = Surroundings(lambda x: f(x, rates, n))
    assert s.changed() is None
    rates.rate_1 = 7.0
    assert "rates.rate_1" in s.changed()


# ---- long functions ----


def test_a_function_with_more_names_than_a_byte_counts():
    lines = [f"    x.a{i} + b{i} + c.d{i}.e{i} + {i}.5\n" for i in range(300)]
    source = "".join(["def f(x):\n", *lines, "    from ..other import thing\n    return np.random.rand(3)\n"])
    made = {}
    exec(source, made)
    reads = reads_of(made["f"].__code__)
    assert reads.imports == {(2, "other")}
    assert {("np", "random", "rand"), ("c", "d299", "e299")} <= reads.chains
    assert {f"b{i}" for i in range(300)} <= reads.globals and {f"a{i}" for i in range(300)} <= reads.names


# ---- random numbers, by whatever name ----


def _by_closures():
    import numpy
    from numpy import random as also

    return [lambda x: x * numpy.random.rand(), lambda x: x * also.rand()]


def _imports_inside(x):
    from numpy import random as inside

    return x * inside.rand()


@pytest.mark.parametrize(
    "f",
    [lambda x: x * np.random.rand(), lambda x: x * numbers.rand(), *_by_closures(), _imports_inside]
    + [lambda x: x * mine.numpy.random.rand(), lambda x: x * mine.numbers.rand()],
)
def test_the_state_of_numpys_random_numbers_is_guarded(f):
    s = Surroundings(f)
    assert s.changed() is None
    np.random.rand()
    assert s.changed().startswith("the state of numpy.random")


def test_random_numbers_of_python_are_guarded():
    s = Surroundings(lambda x: x * random.random())
    assert s.changed() is None
    random.random()
    assert s.changed().startswith("the state of the module random")


# ---- other versions of Python ----


def _as_in_python_3_14(code):
    """The instructions of ``code`` by names that later versions have, with some between them that mean nothing."""
    for each in list(dis.Bytecode(code)):
        if each.opname == "LOAD_FAST":
            each = each._replace(opname="LOAD_FAST_BORROW")
        elif each.opname == "LOAD_CONST" and type(each.argval) is int:
            each = each._replace(opname="LOAD_SMALL_INT")
        yield from (each._replace(opname="NOP", opcode=dis.opmap["NOP"]), each)


def test_the_same_is_read_in_later_versions(monkeypatch):
    held = Rates()

    def f(x, n):
        from numpy.linalg import solve

        return solve(getattr(x, "a", 0), x.b) + getattr(x.c, "d", n) + np.random.rand() + held.rate_1

    def computed(x, n):
        return getattr(x, n) + getattr(x, f"a_{n}", 0)

    expected = [reads_of(each.__code__) for each in (f, computed)]
    assert not expected[0].any_attribute and expected[1].any_attribute
    monkeypatch.setattr(code_reads.dis, "get_instructions", _as_in_python_3_14)
    assert [reads_of.__wrapped__(each.__code__) for each in (f, computed)] == expected


def test_asking_for_annotations_changes_nothing():
    class Cell(zk.Operator):
        rate: float = 2.0

        def forward(self, xp, x):
            return x * self.rate

        def vjp_x(self, xp, g):
            return g * self.rate

    cell = Cell()
    s = Surroundings(lambda x: cell(x))
    assert Cell.__annotations__ and s.changed() is None  # from Python 3.14 on they are made when they are asked for
    Cell.rate = 3.0
    assert s.changed() is not None
