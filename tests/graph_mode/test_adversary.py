"""zk.compile against a second adversary: programs in which a replay once gave something else than eager mode."""

from __future__ import annotations

import collections
import copy
import ctypes
import dataclasses
import functools
import pickle
import sys
import threading
import types
import warnings
import weakref
from typing import Any, ClassVar

import numpy as np
import pytest

import zkynet as zk
from support.comparing import told
from zkynet import nn, op, optim
from zkynet.train.precision import Precision

X = np.array([0.5, -1.5, 2.0])


def history(program, wrap):
    """What a program, a generator, has seen; it gets ``zk.compile`` or nothing as ``wrap``."""
    seen = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for each in program(wrap):
            seen.append(told(each))
    return seen


def same_as_eager(program):
    in_one_lane = functools.partial(zk.compile, deterministic=True)  # two round otherwise, and are tried at some time
    eager, compiled = history(program, lambda f: f), history(program, in_one_lane)
    assert len(eager) > 2 and compiled == eager


# ---- arguments ----


class Listed(list):
    k = 1.0


class Mapped(dict):
    k = 1.0


class Paired(tuple):
    k = 1.0


@dataclasses.dataclass
class Fields:
    x: Any
    k: ClassVar[float] = 1.0


class Flat:
    """A container that keeps a number beside its children."""

    def __init__(self, x, k=1.0):
        self.x, self.k = x, k

    def tree_flatten(self):
        return ["x"], [self.x]

    def tree_unflatten(self, children):
        return Flat(children[0], self.k)


@pytest.mark.parametrize("keys", [(1, 1, True, 1.0), (0.0, 0.0, -0.0, 0), ((1,), (1,), (1.0,), (True,))])
def test_keys_that_are_equal_to_a_dict(keys):
    def program(wrap):
        f = wrap(lambda d: [(k[0] if isinstance(k, tuple) else k) * np.float64(1) * v for k, v in d.items()])
        g = wrap(lambda d: [type(k).__name__ for k in d])
        for k in keys * 2:
            yield f({k: X}), g({k: X})

    same_as_eager(program)


@pytest.mark.parametrize(
    "make",
    [lambda: Listed([X]), lambda: Mapped({0: X}), lambda: Paired([X]), lambda: Fields(X), lambda: Flat(X)],
    ids=["list", "dict", "tuple", "dataclass", "tree_flatten"],
)
def test_a_number_that_a_container_holds_beside_its_children(make):
    def program(wrap):
        f = wrap(lambda d: (d.x if hasattr(d, "x") else d[0]) * d.k)
        for k in (None, None, None, 3.0, None, 4.0, 3.0):
            given = make()
            if k is not None:
                given.k = k
            yield f(given)

    same_as_eager(program)


def test_the_factory_of_a_default_dict():
    def program(wrap):
        f = wrap(lambda d: d["a"] * (2 if d.default_factory is int else 3))
        for factory in (int, int, int, float, int):
            yield f(collections.defaultdict(factory, a=X))

    same_as_eager(program)


def test_another_order_of_bytes():
    def program(wrap):
        f = wrap(lambda x: (x, x + 1, x.dtype == np.float64))
        for _ in range(3):
            yield f(X.astype(">f8"))

    same_as_eager(program)


# ---- results ----


@pytest.mark.parametrize(
    "make, change",
    [
        (lambda x: {1, 2}, lambda r: r.add(9)),
        (lambda x: bytearray(b"ab"), lambda r: r.append(65)),
        (lambda x: iter([1, 2]), next),
        (lambda x: types.SimpleNamespace(n=[3], y=x * 2), lambda r: r.n.append(4)),
        (lambda x: collections.deque([x * 3]), lambda r: r.append(4)),
        (lambda x: collections.Counter("aab"), lambda r: r.update("a")),
        (lambda x: Flat(x * 2, [1]), lambda r: r.k.append(2)),
        (lambda x: map(lambda k: x * k, [1, 2]), next),
    ],
)
def test_each_call_returns_an_object_of_its_own(make, change):
    def program(wrap):
        f = wrap(lambda x: (make(x), x + 1))
        for i in range(4):
            result, y = f(X + i)
            change(result)
            content = vars(result) if hasattr(result, "__dict__") and not isinstance(result, dict) else result
            yield content if isinstance(content, dict) else sorted(map(repr, content)), y

    same_as_eager(program)


def test_generators_closures_and_modules_that_are_returned():
    def numbers(x):
        yield x * 2
        yield x * 3

    def program(wrap):
        f, g = wrap(numbers), wrap(lambda x: functools.partial(np.add, x * 2))
        h = wrap(lambda x: nn.Linear(3, 2, 0, dtype="float64"))
        for i in range(4):
            module = h(X)
            module.bias.value = module.bias.value + i
            yield list(f(X + i)), g(X + i)(X), module.bias.value

    same_as_eager(program)


def test_what_was_there_before_is_returned_as_it_is():
    class Settings:
        pass

    settings = Settings()
    f = zk.compile(lambda x: (settings, x * 2))
    for _ in range(3):
        assert f(X)[0] is settings
    assert f.eager_because is None


def test_a_value_that_was_left_in_an_attribute_says_so():
    class Note:
        last = None

    note = Note()

    def f(x):
        note.last = op.sum(x)
        return x * 2

    f = zk.compile(f)
    f(X)
    for read in (float, bool, lambda t: t.item(), "{:.1f}".format):
        with pytest.raises(RuntimeError, match="after its end"):
            read(note.last)


def test_arrays_left_in_tuples_dicts_and_new_objects():
    def program(wrap):
        note = types.SimpleNamespace(h=(np.zeros(3), np.ones(3)), d={"h": np.zeros(3)}, o=Flat(np.zeros(3)), many=[])

        def f(x):
            h, c = note.h
            note.h = h + x, c * x
            note.d = {"h": note.d["h"] + x}
            note.o = Flat(note.o.x + x)
            note.many.append([x])
            return h * c + len(note.many)

        f = wrap(f)
        for i in range(7):
            yield f(X + i), note.h, note.d, note.o.x, note.many

    same_as_eager(program)


def test_arrays_that_change_places():
    def program(wrap):
        note = types.SimpleNamespace(a=np.zeros(3), b=np.ones(3), last=np.zeros(3))

        def f(x):
            note.a, note.b = note.b, note.a
            y = x * note.a + note.b * 3 + note.last
            note.last = x
            return y

        f = wrap(f)
        for i in range(7):
            x = X + i
            yield f(x), note.a.copy(), note.b.copy(), note.last is x
            x += 7

    same_as_eager(program)


# ---- operators ----


@pytest.mark.parametrize("other", [[0.5, 1.0, 2.0], None, "a", (0.5, 0.5, 0.5)])
def test_operands_that_are_no_arrays(other):
    def program(wrap):
        f = wrap(lambda x: (x == other, x != other))
        g = wrap(lambda n: [1, 2] * n)
        for _ in range(3):
            yield f(X), g(np.array(2))

    same_as_eager(program)


def test_an_operand_of_a_class_that_knows_no_arrays():
    class Twice:
        def __rmul__(self, x):
            return x * 2

    def program(wrap):
        f = wrap(lambda x: x * Twice())
        for _ in range(3):
            y = f(X)
            yield str(y.dtype), y.astype(float)

    same_as_eager(program)


@pytest.mark.parametrize(
    "ask", [round, lambda v: divmod(v, 2.0), copy.copy, lambda v: v.__array_interface__["typestr"]]
)
def test_protocols_of_numpy_that_are_caught(ask):
    def program(wrap):
        def f(x):
            try:
                return ask(x[0])
            except (TypeError, AttributeError):
                return "caught"

        f = wrap(f)
        for i in range(3):
            yield f(X * 2 + i)

    same_as_eager(program)


@pytest.mark.parametrize(
    "x",
    [
        np.array([-0.0, 3.3, np.inf], "f2"),
        np.array([1 + 2j, -1, complex(-np.inf, 0), 0]),
        np.array([True, False]),
        np.float64(-0.0),
        np.float32(3.3),
        np.array([-np.inf, -0.0, 2.0]),
    ],
    ids=str,
)
def test_powers(x):
    def program(wrap):
        for e in (2, 0.5, -1, 1, 0, -2, np.float64(0.5)):
            for f in (lambda x, e=e: x**e, lambda x, e=e: op.pow(x, e), lambda x: np.float32(2.0) ** x):
                f = wrap(f)
                for _ in range(3):
                    yield f(x) if e >= 0 or x.dtype != bool else 0

    same_as_eager(program)


def test_a_scalar_that_is_an_argument_stays_one():
    def program(wrap):
        f = wrap(lambda x: (op.conj(x), -x, x))
        for _ in range(3):
            yield f(np.int64(3)), f(np.float64(2.5)), f(np.array(2.5))

    same_as_eager(program)


def test_relu_of_booleans():
    def program(wrap):
        f = wrap(op.relu)
        for _ in range(3):
            yield f(X > 0)

    same_as_eager(program)


# ---- what code reads in ways of its own ----


class Cfg:
    __match_args__ = ("rate",)

    def __init__(self, rate):
        self.rate = rate


def matched(cfg):
    match cfg:
        case Cfg(rate):
            return rate


def stored_in_a_module(name):
    sys.modules[name] = module = types.ModuleType(name)
    module.rate = 2.0
    return module


def by_import(x):
    import importlib

    return x * importlib.import_module("adversary_settings").rate


def reading(x):
    """Pairs of a function that reads a number, and one that sets it."""
    cfg, event, cell, table = Cfg(2.0), threading.Event(), ctypes.c_double(2.0), np.ones(3)
    ref, weak = weakref.ref(cfg), weakref.WeakValueDictionary(cfg=cfg)
    module, computed = stored_in_a_module("adversary_settings"), types.ModuleType("adversary_computed")
    exec("R = 2.0\ndef __getattr__(name):\n    return R", computed.__dict__)

    def set_rate(value):
        cfg.rate = value

    return {
        "a format": (lambda x: x * float("{.rate}".format(cfg)), set_rate),  # noqa: UP032  (the method is what is tried)
        "a pattern": (lambda x: x * matched(cfg), set_rate),
        "a weak reference": (lambda x: x * ref().rate, set_rate),
        "a weak dict": (lambda x: x * weak["cfg"].rate, set_rate),
        "an event": (lambda x: x * (1 + event.is_set()), lambda value: event.set() if value > 2 else None),
        "ctypes": (lambda x: x * cell.value, lambda value: setattr(cell, "value", value)),
        "import_module": (by_import, lambda value: setattr(module, "rate", value)),
        "sys.modules": (lambda x: x * sys.modules["adversary_settings"].rate, lambda v: setattr(module, "rate", v)),
        "a module's getattr": (lambda x: x * computed.rate, lambda value: setattr(computed, "R", value)),
        "an array": (lambda x: x * table, lambda value: table.fill(value)),
        "kept alive": (lambda x: x + 0 * len((cfg, module)), lambda value: None),
    }


@pytest.mark.parametrize("how", reading(X))
def test_a_number_that_is_read(how):
    def program(wrap):
        f, put = reading(X)[how] if how not in ("import_module", "sys.modules") else of_modules[how]
        f = wrap(f)
        for i in range(6):
            put(2.0 + i // 3)
            yield f(X)

    of_modules = reading(X)
    same_as_eager(program)


def test_a_sparse_matrix_that_is_read():
    sparse = pytest.importorskip("scipy.sparse", reason="the matrix is SciPy's").csr_matrix(np.eye(3))

    def program(wrap):
        f = wrap(lambda x: x * sparse.sum())
        for i in range(6):
            sparse.data[:] = 2.0 + i // 3
            yield f(X)

    same_as_eager(program)


def test_a_function_of_a_library_that_is_replaced(monkeypatch):
    f = zk.compile(lambda x: op.relu(x) * np.pi)
    f(X), f(X)
    monkeypatch.setattr(op, "relu", lambda x: x * 10)
    np.testing.assert_array_equal(f(X), X * 10 * np.pi)
    monkeypatch.setattr(np, "pi", 3.0)
    np.testing.assert_array_equal(f(X), X * 10 * 3.0)
    assert f.eager_because is None


@pytest.mark.parametrize("write", [lambda b: b.__iadd__(1), lambda b: b.__setitem__(0, b[0] + 1)])
def test_an_array_out_of_sight_that_the_function_writes_to(write):
    def program(wrap):
        @functools.lru_cache(None)
        def buffer(n):
            return np.zeros(n)

        def f(x):
            b = buffer(3)
            write(b)
            return x * b

        f = wrap(f)
        for _ in range(8):
            yield f(X)

    same_as_eager(program)


# ---- updates in the middle of a step ----

XS, YS = np.sin(np.arange(24.0)).reshape(8, 3), np.cos(np.arange(16.0)).reshape(8, 2)


def mse(model, x, y):
    return op.mean(op.square(model(x) - y))


def state_of(model, optimizer):
    slots = {name: dict(each) if isinstance(each, dict) else each for name, each in optimizer.state.items()}
    return [np.array(each.value) for each in model.named_possessions().values()], slots


@pytest.mark.parametrize("decide", ["branch", "error", "item"])
@pytest.mark.parametrize(
    "make", [lambda: optim.SGD(0.1), lambda: optim.SGD(0.1, momentum=0.9), lambda: optim.Adam(0.1)]
)
def test_a_call_that_comes_to_nothing_behind_an_update(make, decide):
    """Parameters that were written in place, and a check that failed later: the update then came twice."""

    def program(wrap):
        model, optimizer = nn.Linear(3, 2, 0, dtype="float64"), make()

        def step(x, y, limit):
            loss, grads = zk.value_and_grad(mse)(model, x, y)
            optimizer.update(model, grads)
            with zk.no_grad():
                new = mse(model, x, y)
            if decide == "error":
                op.linalg.cholesky(op.eye(2) * (limit - new))
            elif decide == "item":
                return loss, new.item()
            return (loss, "higher") if new > limit else (loss, "lower")

        step = wrap(step)
        for i in range(10):
            try:
                yield step(XS * (1 + i % 3), YS, np.float64([5.0, 5.0, 5.0, 0.01, 0.3][i % 5]))
            except np.linalg.LinAlgError:
                yield "not definite"
            yield state_of(model, optimizer)

    same_as_eager(program)


def test_an_update_that_nothing_follows_is_made_in_place():
    model, optimizer = nn.Linear(3, 2, 0, dtype="float64"), optim.SGD(0.1)

    @zk.compile
    def step(x, y):
        loss, grads = zk.value_and_grad(mse)(model, x, y)
        optimizer.update(model, grads)
        return loss

    for _ in range(2):
        step(XS, YS)
    before = model.weight._value.ctypes.data
    for _ in range(3):
        step(XS, YS)
    assert model.weight._value.ctypes.data == before


# ---- copies, and where other things hold ----


def doubled(x):
    return x * 2


class Fast(zk.Module):
    def __init__(self):
        self.linear = nn.Linear(3, 2, 0)
        self.fast = zk.compile(self.inner)

    def inner(self, x):
        return self.linear(x)

    def call(self, x):
        return self.fast(x)


def test_a_model_with_a_compiled_function_is_copied():
    model, x = Fast(), XS.astype("f4")
    with zk.no_grad():
        before = model(x).value
        model(x)
        other = copy.deepcopy(model)
        other.linear.weight.value = other.linear.weight.value * 2
        for _ in range(3):
            np.testing.assert_array_equal(model(x).value, before)
            assert not np.array_equal(other(x).value, before)
    again = pickle.loads(pickle.dumps(zk.compile(doubled)))
    np.testing.assert_array_equal(again(X), X * 2)


def test_mixed_precision_reaches_a_compiled_function():
    model, x = Fast(), XS.astype("f4")
    wrapped = Precision("float16").wrap(model)
    with zk.no_grad():
        model(x), model(x)
        np.testing.assert_array_equal(wrapped(x).value, Precision("float16").wrap(model.linear)(x).value)
