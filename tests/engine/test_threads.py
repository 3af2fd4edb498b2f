"""Threads and tasks differentiate independently."""

import asyncio
import contextvars
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import zkynet as zk
from support.engine import nothing_left_behind
from zkynet import backends
from zkynet.framework import op
from zkynet.framework.record import CONTEXT

THREADS, CASES = 8, 2_500


def nested(x):
    return zk.grad(lambda y: y * zk.grad(lambda z: y * z * z)(y))(x), 6 * x * x


def second(x):
    return zk.grad(zk.grad(lambda y: y**3))(x), 6 * x


def third(x):
    return zk.grad(zk.grad(zk.grad(lambda y: y**4)))(x), 24 * x


def confusion(x):
    return zk.grad(lambda a: a * zk.grad(lambda b: a + b)(1.0))(x), 1.0


def forward(x):
    return zk.jvp(zk.grad(lambda y: y**3), (x,), (1.0,))[1], 6 * x


def forward_inside(x):
    return zk.grad(lambda y: zk.jvp(lambda z: z**3 * y, (y,), (1.0,))[1])(x), 9 * x**2


def without(x):
    def f(y):
        with zk.no_grad():
            c = y * y
        return c * y

    return zk.grad(f)(x), x * x


def gradient_without(x):
    def f(y):
        with zk.no_grad():
            c = zk.grad(lambda z: z * z)(y)
        return c * y

    return zk.grad(f)(x), 2 * x


def stopped(x):
    return zk.grad(lambda y: op.stop_gradient(y) * y)(x), x


def raising(x):
    def f(y):
        raise ZeroDivisionError

    def g(y):
        with pytest.raises(ZeroDivisionError), zk.no_grad():
            zk.grad(f)(y)
        return y * y

    return zk.grad(g)(x), 2 * x


def elsewhere(x):
    with zk.use_backend("array_api_strict") as xp:
        found = zk.grad(lambda y: op.sum(y * op.asarray([2.0, 3.0])))(xp.asarray([x, x]))
        assert xp.owns(found)
        return float(found[1]), 3.0


COMMON = (nested, second, third, confusion, forward, forward_inside, without, gradient_without, stopped)


def wrong_of(thread):
    """The cases of one thread, one after the other; those whose result was wrong."""
    rng = np.random.default_rng(thread)
    wrong = []
    for i in range(CASES):
        case = raising if i % 50 == 7 else elsewhere if i % 50 == 11 else COMMON[rng.integers(len(COMMON))]
        x = float(rng.uniform(0.5, 2.0))
        got, expected = case(x)
        if abs(got - expected) > 1e-9 * max(1.0, abs(expected)) or CONTEXT.get().depth or not CONTEXT.get().recording:
            wrong.append((case.__name__, x, got, expected))
    return wrong


@pytest.mark.slow
def test_eight_threads_nest_gradients_under_different_modes():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            wrong = [case for found in pool.map(wrong_of, range(THREADS)) for case in found]
    finally:
        sys.setswitchinterval(interval)
    assert not wrong, f"{len(wrong)} of {THREADS * CASES}: {wrong[:5]}"


def in_thread(f, *args):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(f, *args).result()


def test_a_thread_does_not_see_no_grad_of_another():
    with zk.no_grad():
        assert in_thread(zk.grad(lambda x: x * x), 3.0) == 6.0


def test_operators_in_a_thread_are_recorded():
    assert zk.grad(lambda x: in_thread(lambda: x * x * x))(2.0) == 12.0


def test_a_gradient_in_a_thread_is_differentiated_by_the_one_around_it():
    """A new thread does not inherit the context, so the inner transform cannot know from it that there is an outer."""
    assert zk.grad(lambda x: in_thread(zk.grad(lambda y: y**3), x))(2.0) == 12.0
    assert zk.grad(lambda x: in_thread(zk.grad(lambda y: x * y * y), 3.0))(2.0) == 6.0
    assert zk.grad(lambda x: in_thread(lambda: zk.jvp(lambda y: y * y, (x,), (1.0,))[1]))(2.0) == 2.0
    assert zk.grad(lambda x: in_thread(lambda: zk.jvp(lambda y: y * y, (2.0,), (x,))[1]))(2.0) == 4.0
    assert zk.grad(lambda x: in_thread(zk.jacobian(lambda y: y * x), 1.0))(2.0) == 1.0


def test_a_pullback_in_a_thread_is_differentiated_by_the_transform_around_it():
    def f(x):
        _, pull = zk.vjp(lambda y: y**3, x)
        return in_thread(pull, x)[0]

    assert zk.grad(f)(2.0) == 9 * 2.0**2
    _, pull = zk.vjp(lambda y: y**3, 2.0)
    assert zk.grad(lambda g: in_thread(pull, g)[0])(1.0) == 12.0


def test_the_context_can_be_taken_along_into_a_thread():
    p = zk.Parameter("p", 3.0)

    def f(p):
        context = contextvars.copy_context()
        return in_thread(context.run, lambda: p * p)

    assert zk.grad(f)(p) == 6.0


def test_a_parameter_read_in_a_thread_is_no_silent_constant():
    p = zk.Parameter("p", 3.0)
    try:
        found = zk.grad(lambda _: in_thread(lambda: p * p))(p)
    except Exception as error:
        assert "copy_context" in str(error)
    else:
        assert found == 6.0


def test_threads_differentiate_one_model_at_the_same_time():
    p, q = zk.Parameter("p", np.ones(3)), zk.Parameter("q", 2.0)
    together = threading.Barrier(4, timeout=30)

    def loss(parameters, k):
        together.wait()  # all are inside
        found = op.sum(parameters[0] * parameters[0]) * k * parameters[1]
        together.wait()
        return found

    def work(k):
        return zk.grad(loss)((p, q), k)

    with ThreadPoolExecutor(4) as pool:
        for k, (by_p, by_q) in zip((1.0, 2.0, 3.0, 4.0), pool.map(work, (1.0, 2.0, 3.0, 4.0)), strict=True):
            np.testing.assert_array_equal(by_p, np.full(3, 4 * k))
            assert by_q == 3 * k


def test_results_in_a_thread_are_arrays_while_another_thread_differentiates():
    def f(x):
        found = in_thread(zk.grad(lambda y: op.sum(y * y)), np.ones(3))
        assert type(found) is np.ndarray
        return op.sum(x * found)

    np.testing.assert_array_equal(zk.grad(f)(np.ones(3)), [2.0, 2.0, 2.0])


def test_tasks_have_a_context_of_their_own():
    async def quiet():
        with zk.no_grad():
            for _ in range(20):
                await asyncio.sleep(0)
                assert zk.grad(lambda x: op.stop_gradient(x) * x)(2.0) == 2.0
                assert not CONTEXT.get().recording

    async def loud():
        for _ in range(20):
            await asyncio.sleep(0)
            assert CONTEXT.get().recording
            assert zk.grad(lambda x: zk.grad(lambda y: y**3)(x))(2.0) == 12.0

    async def other():
        with zk.use_backend("array_api_strict") as xp:
            for _ in range(20):
                await asyncio.sleep(0)
                assert backends.default_backend() is xp

    async def main():
        await asyncio.gather(quiet(), loud(), other(), quiet(), loud())
        assert backends.default_backend().is_host

    with nothing_left_behind():
        asyncio.run(main())


def test_a_task_started_in_a_transform_belongs_to_it():
    p = zk.Parameter("p", 3.0)

    def f(p):
        async def main():
            return (await asyncio.gather(asyncio.to_thread(lambda: p * p), asyncio.to_thread(lambda: p * 1.0)))[0]

        return asyncio.run(main())

    assert zk.grad(f)(p) == 6.0
