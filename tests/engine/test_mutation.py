"""Mutation between the forward pass and the gradient: an error or the right gradient, never a wrong one."""

import numpy as np
import pytest

import zkynet as zk
from support.engine import equal, written
from zkynet.errors import MutationError
from zkynet.framework import op

SMALL, LARGE = 6, 300_000  # 300,000 numbers of 8 bytes are more than the 1 MiB up to which arrays are copied


def sliced(a):
    a[:] = 7.0


def one_entry(a):
    a[a.size // 2] += 1.0


def added(a):
    a += 1.0


def through_out(a):
    np.add(a, 1.0, out=a)


def copied_to(a):
    np.copyto(a, 5.0)


def put(a):
    np.put(a, [0], 5.0)


def sorted_down(a):
    a[0] = 1e9
    a.sort()


def shuffled(a):
    np.random.default_rng(0).shuffle(a)


def through_memory(a):
    memoryview(a)[0] = 99.0


def as_integers(a):
    a.view(np.int64)[1] = 5


def reshaped(a):
    a.reshape(2, -1)[1, 0] = -3.0


def filled(a):
    a.fill(3.0)


def added_at(a):
    np.add.at(a, [1, 1], 2.0)


MUTATIONS = [
    sliced,
    one_entry,
    added,
    through_out,
    copied_to,
    put,
    sorted_down,
    shuffled,
    through_memory,
    as_integers,
    reshaped,
    filled,
    added_at,
]


def right_or_error(pull, g, expected):
    """The pulled gradient is ``expected``, or pulling it is a MutationError."""
    try:
        (found,) = pull(g)
    except MutationError:
        return
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize("mutate", MUTATIONS)
def test_a_captured_constant_is_changed(mutate, n):
    c = np.arange(1.0, n + 1)
    expected = c.copy()
    _, pull = zk.vjp(lambda x: x * c, np.ones(n))
    mutate(c)
    right_or_error(pull, np.ones(n), expected)


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize("mutate", MUTATIONS)
def test_the_argument_itself_is_changed(mutate, n):
    x = np.arange(1.0, n + 1)
    expected = 2 * x
    _, pull = zk.vjp(lambda x: x * x, x)
    mutate(x)
    right_or_error(pull, np.ones(n), expected)


def test_small_arrays_are_copied_and_large_ones_watched():
    for n in (SMALL, LARGE):
        c = np.ones(n)
        _, pull = zk.vjp(lambda x, c=c: x * c, np.ones(n))
        c[0] = 5.0
        if n == SMALL:
            np.testing.assert_array_equal(pull(np.ones(n))[0], np.ones(n))
        else:
            with pytest.raises(MutationError, match="Multiply.*\n.*300000"):
                pull(np.ones(n))


def test_a_large_array_that_is_changed_back_is_fine():
    c = np.ones(LARGE)
    _, pull = zk.vjp(lambda x: x * c, np.ones(LARGE))
    c[0] = 5.0
    c[0] = 1.0
    np.testing.assert_array_equal(pull(np.ones(LARGE))[0], c)


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize(
    "view", ["slice", "read-only view", "transposed", "bytearray", "read-only bytearray", "nested"]
)
def test_the_memory_behind_a_view_is_changed(view, n):
    base = np.arange(1.0, 2 * n + 1)
    if view == "slice":
        c = base[:n]
    elif view == "read-only view":
        c = base[:n].view()
        c.flags.writeable = False
    elif view == "transposed":
        c = base.reshape(n, 2).T[0]
    elif view == "nested":
        c = base[: n + 1][1:][::-1].view()
        c.flags.writeable = False
    else:
        base = bytearray(base.tobytes())
        c = np.frombuffer(base)[:n]
        if view.startswith("read"):
            c.flags.writeable = False
    expected = c.copy()
    _, pull = zk.vjp(lambda x: x * c, np.ones(n))
    base[:] = bytes(len(base)) if isinstance(base, bytearray) else 0.0
    right_or_error(pull, np.ones(n), expected)


CONVERSIONS = {
    "reshape": lambda a: op.reshape(a, (-1,)),
    "transpose": op.transpose,
    "slice": lambda a: op.flip(op.flip(a)),
    "expand": lambda a: op.squeeze(op.expand_dims(a, 0), 0),
    "positive": op.positive,
    "stop_gradient": op.stop_gradient,
    "astype": lambda a: op.astype(a, "float64"),
    "real": op.real,
    "conj": op.conj,
    "broadcast": lambda a: op.broadcast_to(a, (1, *a.shape))[0],
    "asarray": op.asarray,
    "copy": op.copy,
    "clip": lambda a: op.clip(a),
    "concat": lambda a: op.concat([a]),
    "where": lambda a: op.where(True, a, 0.0),
    "einsum": lambda a: op.einsum("i->i", a),
    "Tensor": zk.Tensor,
    "Parameter": lambda a: zk.Parameter("a", a) * 1.0,
    "Constant": lambda a: op.reshape(zk.Constant("a", a), (-1,)),
    "list": lambda a: op.asarray([a, a])[0],
}


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize("way", CONVERSIONS)
def test_a_tensor_made_of_the_callers_array_is_its_own(way, n):
    a = np.arange(1.0, n + 1)
    expected = a.copy()
    c = CONVERSIONS[way](a)
    _, pull = zk.vjp(lambda x: x * c, np.ones(n))
    a[:] = 0.0
    np.testing.assert_array_equal(c.value, expected)
    right_or_error(pull, np.ones(n), expected)


def test_a_list_is_read_at_once():
    numbers = [1.0, 2.0, 3.0]
    _, pull = zk.vjp(lambda x: x * numbers, np.ones(3))
    numbers[:] = [9.0, 9.0, 9.0]
    np.testing.assert_array_equal(pull(np.ones(3))[0], [1.0, 2.0, 3.0])


def test_an_index_array_is_changed():
    index = np.array([0, 0, 1])
    _, pull = zk.vjp(lambda x: x[index] * 2.0, np.ones(3))
    index[:] = 2
    np.testing.assert_array_equal(pull(np.ones(3))[0], [4.0, 2.0, 0.0])


def test_labels_and_masks_are_changed():
    labels, mask = np.array([0, 1]), np.array([True, False])
    _, pull = zk.vjp(
        lambda x: op.softmax_cross_entropy(x, labels) + op.sum(op.where(mask, x[0], 0.0)), np.zeros((2, 2))
    )
    labels[:] = 0
    mask[:] = True
    np.testing.assert_allclose(pull(np.float64(1.0))[0], [[-0.25 + 1.0, 0.25], [0.25, -0.25]])


def test_the_parameter_is_assigned_between():
    p = zk.Parameter("p", np.array([2.0, 3.0]))
    _, pull = zk.vjp(lambda p: p * p, p)
    p.value = np.array([50.0, 50.0])
    np.testing.assert_array_equal(pull(np.ones(2))[0], [4.0, 6.0])
    _, pull = zk.vjp(lambda x: x * p, np.ones(2))
    p.value = np.array([1.0, 1.0])
    np.testing.assert_array_equal(pull(np.ones(2))[0], [50.0, 50.0])


def test_a_parameter_and_its_initial_array_are_apart():
    initial = np.ones(2)
    p = zk.Parameter("p", initial)
    initial[:] = 7.0
    np.testing.assert_array_equal(p.value, [1.0, 1.0])
    new = np.array([2.0, 2.0])
    p.value = new
    new[:] = 7.0
    np.testing.assert_array_equal(p.value, [2.0, 2.0])


def test_values_are_read_only():
    t, p = op.ones(3), zk.Parameter("p", np.ones(3))
    for value in (t.value, p.value, t.value[1:], t.reshape((3, 1)).value, op.sin(np.ones(3)).value):
        with pytest.raises(ValueError, match="read-only"):
            value[0] = 5.0
    np.testing.assert_array_equal(t.value, np.ones(3))


def test_an_operator_does_not_change_its_operands():
    a, b = np.ones(3), np.full(3, 2.0)
    y = op.asarray(a)
    y += b
    np.testing.assert_array_equal(a, np.ones(3))
    zk.grad(lambda x: (x.__setitem__(0, 5.0), op.sum(x * b))[1])(a)
    np.testing.assert_array_equal(a, np.ones(3))


# ---- sweeps that are recorded ----


def test_a_cotangent_is_changed_after_a_recorded_pull():
    buffer = np.ones(3)

    def f(x):
        buffer[:] = 1.0
        _, pull = zk.vjp(lambda z: z * z, x)
        (found,) = pull(buffer)
        buffer[:] = 0.0
        return op.sum(found)

    np.testing.assert_array_equal(zk.grad(f)(np.arange(3.0)), [2.0, 2.0, 2.0])


def test_a_tangent_is_changed_after_a_recorded_jvp():
    buffer = np.ones(3)

    def f(x):
        buffer[:] = 1.0
        _, t = zk.jvp(lambda z: z * z, (x,), (buffer,))
        buffer[:] = 0.0
        return op.sum(t)

    np.testing.assert_array_equal(zk.grad(f)(np.arange(3.0)), [2.0, 2.0, 2.0])


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_a_constant_is_changed_between_the_inner_and_the_outer_sweep(n):
    c = np.ones(n)

    def f(w):
        c[:] = 1.0
        found = zk.grad(lambda x: op.sum((x * c) * w))(np.ones(n))
        c[:] = 0.0
        return op.sum(found)

    try:
        found = zk.grad(f)(np.ones(n))
    except MutationError:
        return
    np.testing.assert_array_equal(found, np.ones(n))


# ---- what transforms return is the caller's ----

A = np.array([1.0, 2.0, 3.0])
RETURNED = {
    "grad": lambda: zk.grad(lambda x: op.sum(x * x))(A),
    "shared": lambda: zk.grad(lambda a, b: op.sum(a + b), argnums=(0, 1))(A, A),
    "broadcast": lambda: zk.grad(lambda x: op.sum(x) * 2.0)(A),
    "identity": lambda: zk.grad(lambda x: op.sum(x.reshape((3, 1))))(A),
    "unused": lambda: zk.grad(lambda a, b: op.sum(a), argnums=(0, 1))(A, A),
    "value": lambda: zk.value_and_grad(lambda x: (op.sum(x), [x, x.reshape((3, 1)), x * 2.0]), has_aux=True)(A),
    "jvp": lambda: zk.jvp(lambda x: (x, x, x[1:]), (A,), (A,)),
    "jacobian": lambda: zk.jacobian(lambda x: (x, x.reshape((3, 1))))(A),
    "jacobian forward": lambda: zk.jacobian(lambda x: (x, x * 2.0), mode="fwd")(A),
    "hessian": lambda: zk.hessian(lambda x: op.sum(x * x))(A),
    "hvp": lambda: zk.hvp(lambda x: op.sum(x * x), (A,), (A,)),
    "tree": lambda: zk.grad(lambda d: op.sum(d["a"]) + op.sum(d["b"][0]))({"a": A, "b": [A]}),
    "constant": lambda: zk.vjp(lambda x: (x * 0.0 + CONSTANT, op.asarray(CONSTANT)), A)[0],
    "parameter": lambda: zk.grad(lambda p: op.sum(p * p))(PARAMETER),
}
CONSTANT = np.ones(3)
PARAMETER = zk.Parameter("p", A)


def arrays_in(x):
    if isinstance(x, dict):
        x = list(x.values())
    return [a for part in x for a in arrays_in(part)] if isinstance(x, (tuple, list)) else [x]


@pytest.mark.parametrize("name", RETURNED)
def test_what_a_transform_returns_belongs_to_the_caller(name):
    first, again = RETURNED[name](), RETURNED[name]()
    arrays = [a for a in arrays_in(first) if isinstance(a, np.ndarray)]
    assert all(a.flags.writeable for a in arrays)
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    assert not any(np.shares_memory(a, b) for a in arrays for b in (A, CONSTANT, PARAMETER._value))
    written(first)
    assert equal(RETURNED[name](), again)
    np.testing.assert_array_equal(A, [1.0, 2.0, 3.0])


def test_pull_may_be_called_many_times_whatever_happens_to_its_arrays():
    x, g = A.copy(), np.ones(3)
    y, pull = zk.vjp(lambda x: (x * x, x, x.reshape((3, 1))), x)
    expected = 2 * A + 2
    for _ in range(3):
        (found,) = pull((g, g, g.reshape((3, 1))))
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(g, np.ones(3))
        written(found)
        written(y)
        g[:] = 9.0
        np.testing.assert_array_equal(pull((np.ones(3), np.ones(3), np.ones((3, 1))))[0], expected)
        g[:] = 1.0


def test_a_cotangent_that_comes_back_unchanged_is_a_copy():
    g = np.ones(3)
    _, pull = zk.vjp(lambda x: x, A)
    (found,) = pull(g)
    assert not np.shares_memory(found, g)


# ---- assignment to entries of a Tensor ----


def test_assignment_to_an_argument():
    def f(x):
        x[0] = 5.0
        return op.sum(x * x)

    np.testing.assert_array_equal(zk.grad(f)(A), [0.0, 4.0, 6.0])
    np.testing.assert_array_equal(zk.jvp(f, (A,), (np.ones(3),))[1], 10.0)
    np.testing.assert_array_equal(zk.jacobian(f, mode="fwd")(A), [0.0, 4.0, 6.0])
    np.testing.assert_array_equal(zk.hessian(f)(A), np.diag([0.0, 2.0, 2.0]))


def test_operators_recorded_before_an_assignment_keep_what_they_saw():
    def f(x):
        y = x * 1.0
        before = y * y
        y[0] = 10.0
        return op.sum(before) + op.sum(y * y)

    np.testing.assert_array_equal(zk.grad(f)(A), [2.0, 8.0, 12.0])


def test_a_tracked_value_is_assigned_into_an_untracked_tensor():
    def f(x):
        y = op.zeros(3)
        y[0] = x[1]
        y[1:] = x[:2] * 2.0
        return op.sum(y * y)

    np.testing.assert_array_equal(zk.grad(f)(A), [8.0, 4.0 + 16.0, 0.0])


def test_assignment_with_arithmetic_masks_and_repeated_indices():
    def f(x):
        y = x * 1.0
        y[0] += x[1]
        y[x > 2.5] = 0.0
        y[[1, 1]] = op.stack([x[0], x[2]])  # the last one counts
        return op.sum(y * y)

    np.testing.assert_array_equal(zk.grad(f)(A), [6.0, 6.0, 6.0])


def test_a_view_refuses_an_assignment():
    for view in (lambda x: x[0:2], lambda x: x.reshape((3, 1)), lambda x: x.T, lambda x: op.flip(x)):
        with pytest.raises(MutationError, match=r"x\.at\[i\]\.set\(v\)"):
            view(op.ones(3))[0] = 1.0


def test_assignment_checks_bounds_shapes_and_kinds():
    t = op.ones(3)
    with pytest.raises(IndexError):
        t[3] = 1.0
    with pytest.raises(ValueError):
        t[:] = np.ones(4)
    with pytest.raises(TypeError, match="complex"):
        t[0] = 1j
    with pytest.raises(TypeError, match="int64"):
        op.zeros(3, dtype="int64")[0] = op.ones(1)[0]
    with pytest.raises(TypeError, match="Python number"):
        op.sin(2.0)[()] = 1.0
    np.testing.assert_array_equal(t.value, np.ones(3))


def test_assignment_under_no_grad_is_a_constant():
    def f(x):
        y = op.zeros(3)
        with zk.no_grad():
            y[0] = x[0]
        return op.sum(y * x)

    np.testing.assert_array_equal(zk.grad(f)(A), [1.0, 0.0, 0.0])


def test_at_set_and_add():
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(x.at[0].set(x[1] * 2.0) ** 2))(A), [0.0, 20.0, 6.0])
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(x.at[[0, 0]].add(x[1]) ** 2))(A), [10.0, 24.0, 6.0])
    np.testing.assert_array_equal(zk.grad(lambda x: op.sum(x[1:].at[0].set(1.0) ** 2))(A), [0.0, 0.0, 6.0])


def test_assignment_on_every_backend(backend):
    def f(x):
        y = x * 1.0
        y[1:] = y[:2] * 3.0
        return op.sum(y * y)

    found = zk.grad(f)(backend.asarray(A))
    np.testing.assert_array_equal(backend.to_numpy(found), [20.0, 36.0, 0.0])
