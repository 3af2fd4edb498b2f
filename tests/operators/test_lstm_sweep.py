"""The LSTM as one operator beside the composed one, which a mask of all times asks for: values and every derivative."""

import numpy as np
import pytest

import zkynet as zk
from zkynet.framework import op

RNG = np.random.default_rng(0)
T, N, INPUTS, H = 4, 3, 2, 5
SHAPES = (T, N, INPUTS), (N, H), (N, H), (INPUTS, 4 * H), (H, 4 * H), (4 * H,)
ARRAYS = [RNG.normal(size=shape) for shape in SHAPES]
EVERY = tuple(range(len(ARRAYS)))


def flat(reverse, **mask):
    """The LSTM as a function of its arrays: all it gives, in one vector."""

    def run(x, h, c, w_x, w_h, bias):
        ys, state = op.lstm(x, (h, c), w_x, w_h, bias, reverse=reverse, **mask)
        return op.concat([op.reshape(each, (-1,)) for each in (ys, *state)])

    return run


def fused(reverse):
    return flat(reverse)


def composed(reverse):
    return flat(reverse, mask=np.ones((T, N), bool))


@pytest.mark.parametrize("reverse", [False, True])
def test_values_and_gradients_of_every_input(reverse):
    y, expected = fused(reverse)(*ARRAYS), composed(reverse)(*ARRAYS)
    assert np.allclose(y.value, expected.value, rtol=1e-12)
    weights = RNG.normal(size=y.shape)
    parts = {"everything": slice(None), "the last c": slice(-N * H, None), "the first h": slice(0, N * H)}
    for name, part in parts.items():
        found, wanted = (
            zk.grad(lambda *a, f=f, part=part: op.sum((f(*a) * weights)[part]), argnums=EVERY)(*ARRAYS)
            for f in (fused(reverse), composed(reverse))
        )
        for a, b in zip(found, wanted, strict=True):
            assert np.allclose(a, b, rtol=1e-9, atol=1e-14), name


@pytest.mark.parametrize("i", EVERY)
def test_one_input_alone(i):
    """Where others are constants, the sweep finds fewer things kept."""

    def only(f):
        return zk.grad(lambda a: op.sum(op.square(f(*ARRAYS[:i], a, *ARRAYS[i + 1 :]))))(ARRAYS[i])

    assert np.allclose(only(fused(False)), only(composed(False)), rtol=1e-9)


@pytest.mark.parametrize("i", [1, 4])
@pytest.mark.parametrize("mode", ["rev", "fwd"])
def test_jacobians(mode, i):
    def jacobian(f):
        return zk.jacobian(lambda w: f(*ARRAYS[:i], w, *ARRAYS[i + 1 :]), mode=mode)(ARRAYS[i])

    assert np.allclose(jacobian(fused(False)), jacobian(composed(False)), rtol=1e-9, atol=1e-13)


def test_second_derivatives():
    zk.testing.check_grads(fused(False), [a[:2] if i == 0 else a for i, a in enumerate(ARRAYS)], order=2)


def test_the_gates_have_a_gradient_too():
    """Nobody but a second derivative asks for the third output."""
    from zkynet.framework.operations.lstm import LSTMSweep

    def gates(parts, h, c, w_h):
        return LSTMSweep()(parts, h, c, w_h)[2]

    parts = RNG.normal(size=(T, N, 4 * H))
    zk.testing.check_grads(gates, (parts, ARRAYS[1], ARRAYS[2], ARRAYS[4]), order=1)


def test_a_sweep_is_made_once(monkeypatch):
    host, calls = type(zk.backends.get("numpy")), []
    back = host.lstm_back
    monkeypatch.setattr(host, "lstm_back", lambda self, *a: calls.append(1) or back(self, *a))
    zk.grad(lambda *a: op.sum(fused(False)(*a)), argnums=EVERY)(*ARRAYS)
    assert len(calls) == 1


@pytest.mark.parametrize("i", EVERY)
def test_a_nan_goes_where_it_goes_through_the_composed_one(i):
    arrays = [a.copy() for a in ARRAYS]
    arrays[i][(1,) * arrays[i].ndim] = np.nan
    found, wanted = (
        [f(*arrays).value, *zk.grad(lambda *a, f=f: op.sum(f(*a)), argnums=EVERY)(*arrays)]
        for f in (fused(True), composed(True))
    )
    for a, b in zip(found, wanted, strict=True):
        assert np.isnan(b).any()
        assert np.array_equal(np.isnan(a), np.isnan(b))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_other_precisions(dtype):
    arrays = [a.astype(dtype) for a in ARRAYS]
    found = zk.grad(lambda *a: op.sum(op.square(fused(False)(*a))), argnums=EVERY)(*arrays)
    wanted = zk.grad(lambda *a: op.sum(op.square(fused(False)(*a))), argnums=EVERY)(*ARRAYS)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == dtype
        assert np.allclose(a, b, rtol=20 * np.finfo(dtype).eps, atol=20 * np.finfo(dtype).eps)


def test_a_state_for_all_rows_is_no_sweep():
    """A state of one row is stretched by the composed steps."""
    one = [ARRAYS[0], ARRAYS[1][:1], ARRAYS[2][:1], *ARRAYS[3:]]
    full = [ARRAYS[0], *(np.repeat(a, N, axis=0) for a in one[1:3]), *ARRAYS[3:]]
    assert np.allclose(fused(False)(*one).value, fused(False)(*full).value, rtol=1e-12)


def test_every_backend_gives_the_same(backend):
    arrays = [backend.asarray(a) for a in ARRAYS]
    found = zk.grad(lambda *a: op.sum(op.square(fused(True)(*a))), argnums=EVERY)(*arrays)
    expected = zk.grad(lambda *a: op.sum(op.square(composed(True)(*a))), argnums=EVERY)(*ARRAYS)
    for a, b in zip(found, expected, strict=True):
        assert backend.owns(a) and np.allclose(backend.to_numpy(a), b, rtol=1e-9)


def test_a_mask_that_does_not_fit_is_refused():
    for mask in (np.ones((N, T), bool), np.ones((T, N))):
        with pytest.raises(ValueError, match=r"booleans of shape \(4, 3\)"):
            flat(False, mask=mask)(*ARRAYS)
