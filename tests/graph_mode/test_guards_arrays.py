"""Guards: captured arrays are read anew where they stand; and how code is read."""

import math
import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

import zkynet as zk
from zkynet.framework.graph_mode.code_reads import owner, reads_of
from zkynet.framework.graph_mode.guards import Surroundings

RATE = 0.1
ARRAY = np.arange(3.0)


class Cfg:
    rate = 0.1

    def __init__(self):
        self.scale, self.count = 2.0, 0

    @property
    def doubled(self):
        return 2 * self.scale

    @classmethod
    def of_class(cls):
        return cls.rate

    @staticmethod
    def fixed():
        return RATE


def test_an_array_that_is_rebound_is_read_anew(monkeypatch):
    held, cfg, listed, pair = np.ones(2), Cfg(), [np.ones(3)], (1, np.ones(4))
    cfg.scale = np.ones(5)
    first = (held, listed[0], pair[1], cfg.scale, ARRAY)
    s = Surroundings(lambda x: (held, cfg.scale, listed, pair, ARRAY))
    places = s.places()
    assert sorted(places) == sorted(id(x) for x in first)
    assert (
        str(s).endswith("; 5 arrays read anew") and "closure variable cfg.scale of <lambda>: float64" in s.guarded()[1]
    )
    held, listed[0], pair, cfg.scale = np.zeros(2), np.zeros(3), (1, np.zeros(4)), np.zeros(5)
    monkeypatch.setitem(globals(), "ARRAY", np.zeros(3))
    assert s.changed() is None and s._untouched()
    assert all(np.array_equal(places[id(x)].read(), np.zeros_like(x)) for x in first)
    assert str(places[id(first[2])]) == "closure variable pair[1] of <lambda>"
    assert sorted(s.places()) == sorted(id(x) for x in (held, listed[0], pair[1], cfg.scale, ARRAY))


def test_an_array_of_another_shape_dtype_or_kind():
    held = np.ones(2)
    s = Surroundings(lambda x: x * held)
    for new in (np.ones(3), np.ones(2, np.float32), [1.0, 1.0], 1.0, np.float64(1)):
        held = new
        assert s.changed().startswith("closure variable held of <lambda>: float64 array of shape (2,) -> ")


def test_an_array_whose_shape_is_changed_in_place():
    held = np.ones((2, 3))
    s = Surroundings(lambda x: x * held)
    held[0] = 5
    assert s.changed() is None
    held.resize((3, 2), refcheck=False)
    assert "shape" in s.changed()


def test_one_array_in_two_places_has_to_stay_one():
    a = b = np.ones(2)
    s = Surroundings(lambda x: x * a + b)
    a = np.zeros(2)
    assert s.changed() == "closure variable b of <lambda> and closure variable a of <lambda> were the same array"
    b = a
    assert s.changed() is None
    assert len(s.places()) == 1


def test_a_tuple_in_two_places_has_to_stay_one():
    a = b = (np.ones(2),)
    s = Surroundings(lambda x: x * a[0] + b[0])
    b = (np.zeros(2),)
    assert "were the same array" in s.changed()


def test_tensors_count_as_the_arrays_in_them():
    held = zk.Tensor(np.ones(2))
    s = Surroundings(lambda x: x * held)
    (place,) = s.places().values()
    held = zk.Tensor(np.zeros(2))
    assert s.changed() is None
    assert np.array_equal(place.read(), np.zeros(2))
    held = zk.Tensor(np.zeros(3))
    assert s.changed() is not None


def test_what_a_run_leaves_where_the_next_one_reads():
    class Found:
        pass

    class Cell(zk.Module):
        def __init__(self):
            self.h, self.table, self.many, self.unread = np.zeros(2), {"a": 1}, [1, 2], None

        def call(self, x):
            return self.h, self.table, self.many, best, hasattr(self, "later")

    best, cell = 1.0, Cell()
    s = Surroundings(lambda x: (cell(x), best))
    assert s.left(lambda x: isinstance(x, Found)) == []
    best = cell.h = cell.table["b"] = cell.many[1] = cell.later = cell.unread = Found()
    places = s.left(lambda x: isinstance(x, Found))
    assert sorted(map(str, places)) == [
        "closure variable best of <lambda>",
        "closure variable cell.h of <lambda>",
        "closure variable cell.later of <lambda>",
        "closure variable cell.many[1] of <lambda>",
        "closure variable cell.table['b'] of <lambda>",
    ]
    for i, place in enumerate(places):
        place.write(i)
    assert sorted([best, cell.h, cell.table["b"], cell.many[1], cell.later]) == list(range(5))
    fixed = (np.ones(2),)
    (place,) = Surroundings(lambda x: fixed).places().values()
    with pytest.raises(TypeError, match=r"closure variable fixed\[0\] of <lambda> cannot be assigned"):
        place.write(np.zeros(2))


def test_arrays_are_lent_to_a_run_and_given_back(monkeypatch):
    class Holder:
        table = np.full(2, 5.0)
        none = None

    class Named(NamedTuple):
        a: np.ndarray
        b: int

    @dataclass(frozen=True, slots=True)
    class Frozen:
        x: np.ndarray

    frozen = Frozen(np.full(2, 9.0))
    one, listed, pair, tensor = np.ones(2), [np.full(2, 2.0)], (3, (np.full(2, 3.0),)), zk.Tensor(np.full(2, 4.0))
    named, mine, holder = Named(np.full(2, 6.0), 1), {"x": np.full(2, 7.0)}, Holder()

    def step(x, default=np.full(2, 8.0)):  # noqa: B008
        return one, listed, pair, tensor, holder.table, named.a, mine, ARRAY, holder.none, frozen

    def seen():
        arrays = (one, listed[0], pair[1][0], tensor._value, holder.table, named.a, mine["x"], step.__defaults__[0])
        return [x if isinstance(x, str) else float(x[0]) for x in (*arrays, ARRAY, frozen.x)]

    s, before = Surroundings(step), seen()
    with s.lent(lambda array: f"stands for {array[0]}"):
        assert seen() == [f"stands for {x}" for x in before]
        assert isinstance(named, Named) and isinstance(tensor, zk.Tensor)
        listed[0] = None
    assert listed == [None]
    listed[0] = np.full(2, 2.0)
    assert seen() == before and s.changed() is None
    with pytest.raises(ValueError), s.lent(lambda array: "a stand-in"):
        raise ValueError
    assert seen() == before and s.changed() is None and s._untouched()


def test_numbers_of_an_array_that_are_held():
    held = np.ones(2)
    s = Surroundings(lambda x: x if held[0] else 2 * x)
    s.hold(s.places().values())
    assert s.changed() is None
    held[0] = 0
    assert s.changed().startswith("the numbers of closure variable held of <lambda>")


def test_a_scalar_of_numpy_counts_by_its_value_and_has_a_place():
    held = np.float64(0.5)
    s = Surroundings(lambda x: x * held)
    assert [place.read() for place in s.places().values()] == [0.5]
    held = np.float64(0.5)
    assert s.changed() is None
    held = np.float64(0.25)
    assert s.changed() == "closure variable held of <lambda>: np.float64(0.5) -> np.float64(0.25)"


# ---- how code is read ----


def test_what_code_reads():
    def f(x):
        def inner():
            return RATE, math.pi

        x.assigned = [getattr(x, "by_string"), x.loaded, x.called()]  # noqa: B009
        return inner

    reads = reads_of(f.__code__)
    assert {"RATE", "math"} <= reads.globals and ("math", "pi") in reads.chains
    assert {"loaded", "called", "by_string", "pi"} <= reads.names and "assigned" not in reads.names
    assert not reads.any_attribute and not reads.any_global


@pytest.mark.parametrize(
    "f",
    [lambda x, n: getattr(x, n), lambda x, n: getattr(x, n, "a"), lambda x, n: getattr(x[0], n)]
    + [lambda x, n: map(getattr, x, n), lambda x, n: hasattr(x, n + "a"), lambda x, n: x.__dict__[n]],
)
def test_names_that_code_computes_are_any_names(f):
    assert reads_of(f.__code__).any_attribute


def test_whose_code_it_is(tmp_path, monkeypatch):
    assert [owner(x) for x in ("zkynet.nn.linear", "numpy.linalg", "json", "builtins", "mine", "__main__", None)] == [
        *("zkynet", "library", "library", "library", "user", "user", "user")
    ]
    (tmp_path / "profile.py").write_text("X = 1\n")  # a name of the standard library's
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "profile", raising=False)
    import profile

    assert profile.X == 1 and owner("profile") == "user"
    sys.modules.pop("profile")
