"""zk.compile against an adversary: every program gives what eager mode gives, and leaves what eager mode leaves."""

from __future__ import annotations

import sys
import threading
import warnings

import numpy as np
import pytest

import zkynet as zk
from support.comparing import told
from zkynet import nn, op, optim

X = np.array([0.5, -1.5, 2.0])


def history(make, calls, compiled):
    """Results or errors of all calls, and what they made of their arguments."""
    f = zk.compile(make()) if compiled else make()
    seen = []
    for call in calls:
        copies = {id(x): x.copy() if isinstance(x, np.ndarray) else x for x in call}  # aliases stay aliases
        args = [copies[id(x)] for x in call]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result = f(*args)
            except Exception as error:
                result = type(error).__name__
        seen.append((told(result), told(args)))
    return seen


def same_as_eager(make, *calls):
    assert history(make, calls, True) == history(make, calls, False)


def changes_its_argument(x):
    x += 1
    return x * 2


def sets_an_entry(x):
    x[0] = 5
    return x * 2


def fills(x):
    np.add(x, 1, out=x)
    return op.sum(x)


def changes_what_a_view_shows(x):
    y = x * 1.0
    view = y[:2]
    y += 3
    return view


def changes_in_another_dtype(x):
    y = x * 2
    y *= 1.5
    return y


def sums_up(x):
    total = x * 0.0
    for k in range(3):
        total += x * k
    return total


def writes_between_two_uses(x):
    y = np.zeros(3)
    a = y * x
    y[0] = 3
    return a, y * x


@pytest.mark.parametrize(
    "f",
    [changes_its_argument, sets_an_entry, fills, changes_what_a_view_shows, sums_up, writes_between_two_uses],
)
def test_arrays_that_are_written_to(f):
    same_as_eager(lambda: f, (X,), (X,), (X * 2,), (X,))


def test_an_array_that_keeps_its_dtype_when_written_to():
    same_as_eager(lambda: changes_in_another_dtype, (np.arange(3),), (np.arange(3),))
    same_as_eager(lambda: changes_in_another_dtype, (X.astype("f4"),), (X.astype("f4"),))


def test_a_captured_array_that_is_written_to_and_seen_elsewhere():
    def make():
        table = X.copy()
        view = table[:2]

        def f(x):
            nonlocal table
            table += 1
            return x * table, op.sum(view)

        return f

    same_as_eager(make, (X,), (X,), (X,))


def test_entries_of_tensors():
    def make():
        held = op.asarray(X.copy())

        def f(x, t):
            held[0] = op.sum(x)
            t[1] = 7.0
            return held * t

        return f

    calls = [(X, op.asarray(X.copy())) for _ in range(3)]
    others = [(X, op.asarray(X.copy())) for _ in range(3)]
    assert history(make, calls, True) == history(make, others, False)


@pytest.mark.parametrize("write", [lambda d, y: d.update(y=y), lambda d, y: d.pop("x"), lambda d, y: d.update(x=y)])
def test_containers_among_the_arguments_that_are_written_to(write):
    def f(given, x):
        write(given, x * 2)
        return x + 1

    compiled = zk.compile(f)
    for k in range(3):
        ours, theirs = {"x": X + k}, {"x": X + k}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled(ours, X)
        f(theirs, X)
        assert told(ours) == told(theirs)


# ---- one array in two places ----


def test_one_array_as_two_arguments():
    for f in (lambda x, y: x * y, lambda x, y: x * (2 if x is y else 3), zk.grad(lambda x, y: op.sum(x * y * y))):
        same_as_eager(lambda f=f: f, (X, X), (X, X + 1), (X, X), (X + 2, X), (X + 3, X + 4))


def test_an_argument_that_is_captured_too():
    table = X.copy()
    f = zk.compile(lambda x: x * table + (1 if x is table else 0))
    for x in (table, table, X * 3, table, X):
        np.testing.assert_array_equal(f(x), f.function(x))
    table[0] = 10
    for x in (table, X * 3):
        np.testing.assert_array_equal(f(x), f.function(x))


# ---- exceptions that the function deals with ----


def index_or_zero(x, i):
    try:
        return x[i]
    except Exception:
        return x * 0


@pytest.mark.parametrize("order", [(1, 1, 7, 2, 7), (7, 1, 7, 2)])
def test_an_error_that_is_caught(order):
    same_as_eager(lambda: index_or_zero, *[(X, np.array([i])) for i in order])


@pytest.mark.parametrize("signs", [(1, 1, -1, 1), (-1, 1, -1)])
def test_a_matrix_that_is_not_definite_and_caught(signs):
    def f(a):
        try:
            return op.linalg.cholesky(a)
        except np.linalg.LinAlgError:
            return a * 0

    same_as_eager(lambda: f, *[(np.eye(2) * (k + 2) * sign,) for k, sign in enumerate(signs)])


@pytest.mark.parametrize("ask", [np.sum, lambda x: x.sum(), lambda x: np.add(x, 1, out=x), lambda x: x.fill(2)])
def test_what_cannot_be_recorded_is_not_caught(ask):
    def f(x):
        try:
            return ask(x)
        except Exception as error:
            return type(error).__name__

    same_as_eager(lambda: f, (X,), (X,))


def test_an_exception_behind_the_update():
    def make():
        model, optimizer = nn.Linear(3, 2, 0, dtype="float64"), optim.Adam(0.1)

        def f(x, caught):
            try:
                optimizer.update(model, zk.grad(lambda m: op.sum(op.square(m(x))))(model))
                if float(op.sum(x)) > 5:
                    raise KeyError
            except KeyError:
                if not caught:
                    raise
            return model.weight.value

        return f

    x = X[None]
    same_as_eager(make, (x, True), (x, True), (x * 10, True), (x, True), (x * 10, False), (x, False))


# ---- values as text, keys, numbers ----


@pytest.mark.parametrize(
    "f",
    [
        lambda x: f"{op.sum(x)}",
        lambda x: repr(op.sin(x)),
        str,
        lambda x: f"{x[0]:.2f}",
        lambda x: len({x[0], x[1], x[2]}),
        lambda x: {0.5: "a", 1.0: "b", -0.5: "c"}.get(x[0]),
        lambda x: sorted([op.sin(each) for each in x]),
        lambda x: 0 < op.sum(x) < 5,
        lambda x: 0.5 in x,
    ],
)
def test_values_that_leave_as_text_or_decide(f):
    same_as_eager(lambda: f, (X,), (X,), (X * 2,), (-X,), (np.ones(3),), (X,), (X * 2,))


def test_the_sign_of_a_complex_zero():
    ks = [complex(-0.0, 1), complex(0.0, 1), complex(-0.0, -0.0), complex(2.0, -0.0), complex(float("nan"), -0.0)]
    same_as_eager(lambda: lambda x, k: x * k, *[(X, k) for k in ks * 2])


def test_a_scalar_stays_a_scalar():
    same_as_eager(lambda: lambda x: (op.sum(x), x[0] + x[1], op.max(x).value), (X,), (X,), (X,))


# ---- where it is written ----


def test_a_method_knows_its_object():
    class Scaled:
        def __init__(self, k):
            self.k = k

        @zk.compile
        def __call__(self, x):
            return x * self.k

        @zk.compile
        def plus(self, x):
            return x + self.k

    a, b = Scaled(2.0), Scaled(3.0)
    for _ in range(3):
        for each in (a, b):
            np.testing.assert_array_equal(each.plus(X), X + each.k)
            np.testing.assert_array_equal(each(X), X * each.k)
            each.k += 1.0
    np.testing.assert_array_equal(Scaled.plus(a, X), X + a.k)


def test_a_branch_on_the_optimizers_step():
    def make():
        model, optimizer = zk.nn.Linear(2, 1, 0), zk.optim.SGD(0.1)

        def step(x):
            optimizer.update(model, zk.grad(lambda m: op.sum(m(x)))(model))
            return "late" if optimizer.state["step"] >= 3 else "early"

        return step

    x = np.ones((1, 2), "f4")
    compiled, eager = zk.compile(make()), make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [compiled(x) for _ in range(6)] == [eager(x) for _ in range(6)]


def test_code_that_asks_for_the_exact_type_runs_eagerly():
    def f(x):
        return x * 2 if type(x) is np.ndarray else x * 3

    compiled = zk.compile(f)
    with pytest.warns(UserWarning, match="isinstance"):
        np.testing.assert_array_equal(compiled(np.ones(2)), [2.0, 2.0])


def test_threads_that_change_places_all_the_time_get_their_own_answers():
    f = zk.compile(lambda x: x * 2 + 1)
    given = [np.full(3, float(k)) for k in range(8)]
    f(given[0])
    wrong, before = [], sys.getswitchinterval()

    def work(k):
        wrong.extend(k for _ in range(1000) if f(given[k])[0] != 2 * k + 1)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong and not f.retraces


def test_a_history_from_outside_is_not_lost():
    model = nn.Linear(3, 1, 0, dtype="float64")
    x = np.arange(3.0)[None]
    loss = zk.compile(lambda y: op.sum(op.square(y)))
    with pytest.warns(UserWarning, match="history outside"):
        found = zk.gradients(loss(model(x)), [model.weight])
    np.testing.assert_array_equal(found[0], zk.gradients(loss.function(model(x)), [model.weight])[0])
