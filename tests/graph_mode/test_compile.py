"""zk.compile: the same results as eager mode, whatever changes between the calls."""

from __future__ import annotations

import threading
import warnings
from collections import namedtuple

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn, op, optim
from zkynet.errors import IndexOutOfBoundsError

RATE = 2.0
TABLE = np.array([1.0, 2.0, 3.0])
X = np.array([0.5, -1.5, 2.0])
Pair = namedtuple("Pair", "first second")


def agree(compiled, f, *args, times=3):
    """Call both a few times with the same arguments; the results have to be the same to the bit."""
    for _ in range(times):
        same(compiled(*args), f(*args))


def same(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, (tuple, list)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            same(found[name], expected[name])
    else:
        found, expected = (x.value if isinstance(x, zk.Tensor) else x for x in (found, expected))
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
        assert getattr(found, "dtype", None) == getattr(expected, "dtype", None)


def recorded(compiled):
    """How many paths there are; the function must not have gone over to eager mode."""
    assert compiled.eager_because is None, compiled.eager_because
    return sum(v.tree.paths for known in compiled._variants.values() for v in known)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# ---- the same results ----


def test_a_function_its_gradient_and_its_hessian():
    def f(x, w):
        return op.sum(op.tanh(x * w) * op.exp(-x))

    for g in (f, zk.grad(f), zk.value_and_grad(f, argnums=(0, 1)), zk.hessian(f), zk.jacobian(lambda x, w: x * w)):
        compiled = zk.compile(g)
        agree(compiled, g, X, X + 1)
        same(compiled(X * 3, X), g(X * 3, X))
        assert recorded(compiled) == 1


def test_it_runs_as_python_once(capsys):
    @zk.compile
    def f(x):
        print("in Python")
        return x * 2

    for _ in range(3):
        np.testing.assert_array_equal(f(X), X * 2)
    assert capsys.readouterr().out == "in Python\n"


@pytest.mark.parametrize(
    "returns",
    [
        lambda x: {"a": x, "b": [x * 2, None, "text"]},
        lambda x: (op.sum(x), 3, x),
        lambda x: Pair(x + 1, op.max(x)),
        lambda x: op.asarray(x),
        lambda x: None,
        lambda x: x,
        lambda x: op.zeros((2,)),
        lambda x: x.shape,
    ],
)
def test_whatever_is_returned(returns):
    agree(zk.compile(returns), returns, X)


def test_results_belong_to_the_caller():
    f = zk.compile(lambda x: (x, op.tanh(x).value, op.reshape(x, (3, 1)).value, op.tanh(x).value))
    given = X.copy()
    for _ in range(3):
        results = f(given)
        for result in results:
            result += 100.0  # all writable, none sees the others
        np.testing.assert_array_equal(given, X)
        for result, expected in zip(results, (X, np.tanh(X), X.reshape(3, 1), np.tanh(X)), strict=True):
            np.testing.assert_array_equal(result, expected + 100.0)


def test_shapes_and_dtypes_are_kinds_of_their_own():
    f = zk.compile(lambda x: op.sum(x * 2))
    columns = np.asfortranarray(np.eye(3))
    for x in (X, X.astype("f4"), np.arange(3), X[:2], X[None], X > 0, np.float32(2.5), X[::-1], columns):
        agree(f, f.function, x)
    assert recorded(f) == 8  # X and X[::-1] are one kind


def test_keywords_defaults_and_settings():
    def f(x, scale=1.0, *, axis=None, name="a"):
        y = op.sum(x * scale, axis=axis)
        return -y if name == "b" else y

    compiled = zk.compile(f)
    x = np.ones((2, 3))
    for settings in ({}, {"scale": 3.0}, {"axis": 0}, {"axis": -1, "name": "b"}, {"scale": 3}, {"scale": True}, {}):
        same(compiled(x, **settings), f(x, **settings))
    assert recorded(compiled) == 6


# ---- never stale: what other libraries get wrong ----


def test_a_number_that_is_an_argument():  # tinygrad's TinyJit keeps the second one
    f = zk.compile(lambda t, k: t * k)
    for k in (1, 2, 3, 4, 5, 2.5, -0.0, 0.0, True):
        for _ in range(2):
            same(f(X, k), X * k)
    assert np.signbit(f(X, -0.0)[0]) and not np.signbit(f(X, 0.0)[0])


def test_a_branch_on_a_value():  # torch.jit.trace and autograd's const_graph keep the first one
    f = zk.compile(lambda x: 2 * x if op.sum(x) > 0 else -x)
    for value in (3.0, -3.0, 4.0, -5.0, 0.0):
        same(f(np.array([value])), np.array([2 * value if value > 0 else -value]))
    assert recorded(f) == 2


def test_a_global_number(monkeypatch):  # jax.jit keeps the first one
    f = zk.compile(lambda x: x * RATE)
    for rate in (2.0, 10.0, 2.0, 10):
        monkeypatch.setitem(globals(), "RATE", rate)
        same(f(X), X * rate)


def test_a_captured_array_that_is_written_to(monkeypatch):  # autograd gives the gradient of the new value
    table = np.array([1.0, 2.0, 3.0])
    f, g = zk.compile(lambda x: x * table * TABLE), zk.compile(zk.grad(lambda x: op.sum(x * table * x)))
    for k in range(4):
        same(f(X), X * table * TABLE)
        same(g(X), 2 * X * table)
        table[k % 3] += 10
        monkeypatch.setitem(globals(), "TABLE", np.array([4.0, 5.0, 6.0]) + k)
    assert recorded(f) == 1 and recorded(g) == 1


def test_a_captured_array_that_is_out_of_sight():
    hidden = iter([np.ones(3), np.ones(3)])
    table = next(hidden)

    class Holder:
        __slots__ = ()

        def __call__(self, x, cache={}):  # noqa: B006
            return x * cache.setdefault("table", table)

    f = zk.compile(Holder())
    for k in range(5):
        same(f(X), X * table)
        table[0] = k


def test_an_index_out_of_bounds_is_an_error():  # JAX takes the last entry
    f = zk.compile(lambda x, i: x[i])
    same(f(X, np.array([2])), X[[2]])
    same(f(X, np.array([1])), X[[1]])
    for bad in ([3], [10], [-4]):
        with pytest.raises((IndexOutOfBoundsError, IndexError)):
            f(X, np.array(bad))
    same(f(X, np.array([0])), X[[0]])


def test_float64_stays_float64():
    assert zk.compile(lambda x: op.sin(x))(X).value.dtype == np.float64


def test_closures_attributes_and_flags():
    best = 1.0
    model = nn.Sequential(nn.Linear(3, 4, 0), nn.Dropout(0.5, 1), nn.Linear(4, 2, 2))
    settings = {"scale": 1.0}

    def f(x):
        return op.sum(model(x)) * best * settings["scale"]

    compiled = zk.compile(f)
    x = np.ones((2, 3), "f4")
    model.eval()
    agree(compiled, f, x)
    best = 3.0
    agree(compiled, f, x)
    settings["scale"] = 5.0
    agree(compiled, f, x)
    before = recorded(compiled)
    model.train()
    first, second = compiled(x).value, compiled(x).value
    assert first != second  # dropout draws anew
    assert recorded(compiled) == before + 1
    model.eval()
    agree(compiled, f, x)
    assert recorded(compiled) == before + 1  # the one of before serves again


def test_random_python_goes_on_eagerly():
    rng = np.random.default_rng(0)

    def f(x):
        return x * rng.normal()

    compiled = zk.compile(f)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = [compiled(X)[0] for _ in range(60)]
    rng = np.random.default_rng(0)
    expected = [f(X)[0] for _ in range(len(results))]
    assert len(set(results)) == len(results)
    assert set(expected) <= set(results) | set(expected)


def test_an_array_made_by_numpy_inside():
    def f(x):
        return x @ np.diag(np.arange(1.0, 4.0)) + np.full(3, 2.0)

    compiled = zk.compile(f)
    agree(compiled, f, X, times=5)
    assert recorded(compiled) == 1
    count = iter(range(100))

    def unsteady(x):
        return x * np.full(3, float(next(count)))

    with pytest.warns(UserWarning, match="runs eagerly"):
        results = [zk.compile(unsteady)(X)[0]]
        compiled = zk.compile(unsteady)
        results += [compiled(X)[0] for _ in range(6)]
    assert len(set(results)) == len(results)


# ---- values decide ----


def test_a_while_loop_on_values_and_its_gradient():
    def root(a):
        x = a
        while op.abs(x * x - a) > 1e-9:
            x = 0.5 * (x + a / x)
        return x

    f, g = zk.compile(root), zk.compile(zk.grad(root))
    for a in (2.0, 9.0, 1e4, 2.0, 1e-3, 1e6, 1e4):
        x = np.array(a)
        same(f(x), root(x))
        same(g(x), zk.grad(root)(x))
    assert 2 <= recorded(f) <= 7


def test_item_int_index_and_lists():
    def f(x, n):
        k = int(op.max(n))
        parts = [x[i] for i in op.sort(n).value.tolist()]
        return op.sum(x[:k]) * float(x[0]) + parts[0] + x[n[0]]

    compiled = zk.compile(f)
    for n in ([1, 2], [0, 1], [1, 2], [2, 2]):
        same(compiled(X, np.array(n)), f(X, np.array(n)))


def test_nonzero_shapes_are_looked_at():
    def f(x):
        return op.sum(op.nonzero(op.asarray(x) > 0)[0]) + op.sum(x)

    compiled = zk.compile(f)
    for x in (X, -X, X, np.zeros(3), np.ones(3)):
        same(compiled(x), f(x))


def test_too_many_paths_go_on_eagerly_and_say_so_once():
    f = zk.compile(lambda x: x * float(x[0]), max_paths=4)
    with pytest.warns(UserWarning, match="more than 4 different paths") as caught:
        for k in range(10):
            same(f(X + k), (X + k) * (X + k)[0])
    assert len(caught) == 1
    assert "4 different paths" in f.explain()
    assert "Python numbers" not in f.eager_because


def test_a_number_that_varies_is_told_to_come_as_an_array():
    f = zk.compile(lambda x, rate: x * rate, max_paths=4)
    with pytest.warns(UserWarning, match=r"differ in Python numbers.*\n.*np.asarray\(number, x.dtype\)"):
        for k in range(6):
            same(f(X, k / 4), X * (k / 4))
    f = zk.compile(lambda x, rate: x * rate, max_paths=4)
    for k in range(6):
        same(f(X, np.asarray(k / 4)), X * (k / 4))
    assert f.eager_because is None


# ---- where it stands ----


def test_inside_transforms_and_other_compiled_functions():
    inner = zk.compile(lambda x: op.sum(op.sin(x) * x))
    same(zk.grad(inner)(X), zk.grad(inner.function)(X))
    inner(X)
    same(zk.grad(inner)(X), zk.grad(inner.function)(X))
    outer = zk.compile(lambda x: inner(x) * 2)
    agree(outer, lambda x: inner.function(x) * 2, X)
    with zk.no_grad():
        agree(inner, inner.function, X)


def test_a_nan_is_found_inside():
    f = zk.compile(zk.grad(lambda x: op.sum(op.log(x))))
    f(np.abs(X))
    with np.errstate(all="ignore"), zk.detect_anomaly(), pytest.raises(zk.errors.AnomalyError, match="Log"):
        f(np.array([1.0, -1.0, 2.0]))


def test_errors_are_those_of_eager_mode_and_leave_all_as_it_was():
    model = nn.Linear(3, 2, 0)
    optimizer = optim.SGD(0.1)

    @zk.compile
    def step(x):
        grads = zk.grad(lambda m, x: op.sum(m(x)))(model, x)
        optimizer.update(model, grads)
        if float(op.sum(x)) > 5:
            raise KeyError("too much")
        return op.sum(x)

    x = np.ones((1, 3), "f4")
    step(x)
    step(x)
    before = model.weight.value.copy()
    with pytest.raises(KeyError, match="too much"):
        step(3 * x)
    assert step.eager_because is None
    del before


def test_threads_at_once():
    f = zk.compile(lambda x: op.sum(op.tanh(x @ x) * x))
    given = [np.random.default_rng(k).normal(size=(20, 20)) for k in range(8)]
    expected = [f.function(x).value for x in given]
    f(given[0])
    wrong = []

    def work(k):
        for _ in range(200):
            if f(given[k]).value != expected[k]:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_explain_tells_plans_guards_and_causes():
    def f(x):
        return x * RATE if op.sum(x) > 0 else x

    compiled = zk.compile(f)
    for x in (X, -X, X):
        compiled(x)
    text = compiled.explain(X)
    for part in ("2 paths", "float64", "fork: bool(...)", "test_compile.py", "for the first time", "multiply", "ms"):
        assert part in text, (part, text)


def test_what_cannot_be_compiled():
    with pytest.raises(TypeError, match="takes a function"):
        zk.compile(3)


def test_every_trick_can_be_switched_off():
    from zkynet.framework.graph_mode.compiled import SWITCHES

    def f(x):
        return op.sum(op.tanh(x @ x.T) * 2.0 + op.zeros((40, 40)), axis=0)

    x = np.random.default_rng(0).normal(size=(40, 4))
    for off in (*[{name} for name in SWITCHES], SWITCHES):
        compiled = zk.compile(f, off=off)
        for _ in range(3):
            np.testing.assert_allclose(compiled(x).value, f(x).value, rtol=1e-12)
    with pytest.raises(ValueError, match="expected: some of buffers, chains"):
        zk.compile(f, off=["speed"])


def test_a_choice_of_lanes_is_saved_and_loaded():
    model = nn.Linear(64, 64, 0, dtype="float64")

    def f(x):
        return op.mean(op.tanh(model(x)))

    x = np.ones((8, 64))
    one = zk.compile(f)
    one(x)
    [title] = one.state_dict()["lanes"]
    other = zk.compile(f)
    other.load_state_dict({"lanes": {title: {"lanes": 2, "why": "it was so"}}})
    other(x)
    assert other.state_dict() == {"lanes": {title: {"lanes": 2, "why": "it was so"}}}
    assert "two lanes: it was so" in other.explain()
    np.testing.assert_allclose(other(x).value, f(x).value, rtol=1e-12)
    fixed = zk.compile(f, deterministic=True)
    fixed.load_state_dict(other.state_dict())
    fixed(x)
    assert "one lane: deterministic" in fixed.explain()
