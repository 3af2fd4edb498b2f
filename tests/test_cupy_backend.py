"""The CuPy backend's logic on a stand-in for CuPy, made of NumPy functions: no GPU takes part in this file.

What it cannot show, that CUDA's kernels and libraries do what the stand-in does, the contract and the case table show
on a machine with a GPU, where ``--require-backend=cupy`` runs them on CuPy itself.
"""

import copy
import pickle

import numpy as np
import pytest
from test_backend_contract import *  # noqa: F403  (the whole contract, a second time)

import zkynet as zk
from support import standin_cupy
from zkynet import backends, data, models, op, optim
from zkynet.backends.errors import BackendNotAvailable, LinAlgError, MixedBackendsError


@pytest.fixture(scope="module")
def backend():
    """The CuPy backend on the stand-in, registered as CuPy's for the tests of this file."""
    with standin_cupy.registered() as found:
        yield found


@pytest.fixture
def module(backend):
    """The module zkynet.backends.cupy that the fixture ``backend`` comes from."""
    import sys

    return sys.modules[type(backend).__module__]


def test_the_stand_in_leaves_nothing_behind(module):
    import array_api_compat

    import zkynet.backends

    outside = (zkynet.backends.cupy, zkynet.backends.cupy_conv, array_api_compat.cupy)
    with standin_cupy.installed() as other:
        from array_api_compat import cupy as compat

        from zkynet.backends import cupy_conv

        assert cupy_conv.cupy is other is not module.cupy and compat.ndarray is other.ndarray
    assert (zkynet.backends.cupy, zkynet.backends.cupy_conv, array_api_compat.cupy) == outside
    assert module.cupy_conv.cupy is module.cupy


# ---- whether it can be used ----

REASONS = (
    ("CUDARuntimeError: cudaErrorInsufficientDriver: CUDA driver version is insufficient", "no NVIDIA driver"),
    ("CUDARuntimeError: cudaErrorNoDevice: no CUDA-capable device is detected", "CUDA_VISIBLE_DEVICES"),
    ("RuntimeError: CuPy failed to load libnvrtc.so.12: OSError", r"cupy-cuda12x\[ctk\]"),
    ("OutOfMemoryError: Out of memory allocating 512 bytes", "XLA_PYTHON_CLIENT_PREALLOCATE=false"),
)


@pytest.mark.parametrize("said, advice", REASONS, ids=lambda text: text.split(":")[0])
def test_a_device_that_cannot_allocate_is_a_reason_and_not_a_backend(module, monkeypatch, said, advice):
    def arange(*args):
        raise RuntimeError(said + "\nand a second line")

    monkeypatch.setattr(module.cupy, "arange", arange)
    with pytest.raises(
        BackendNotAvailable, match=rf"(?s)CuPy 14.2.0 is installed.*{advice}.*docs/backends.md"
    ) as error:
        module.load()
    assert said in str(error.value) and "second line" not in str(error.value)


def test_an_unknown_failure_is_told_as_it_is(module):
    assert "KeyError: 'odd'" in str(module.unavailable(KeyError("odd")))


def test_arrays_are_known_before_the_backend_is_asked_for(backend, module):
    array = module.cupy.array([1.0])
    loaded = backends._loaded.pop("cupy")
    backends.BACKEND_BY_TYPE.pop(type(array), None)
    try:
        assert backends.backend_of(array).name == "cupy"
    finally:
        backends._loaded["cupy"] = loaded
        backends.BACKEND_BY_TYPE[type(array)] = loaded


def test_host_arrays_follow_and_other_devices_are_refused(backend):
    y = op.multiply(np.array([1.0, 2.0]), backend.asarray([3.0, 4.0])).value
    assert backend.owns(y) and backend.to_numpy(y).tolist() == [3, 8]
    with pytest.raises(MixedBackendsError, match="cupy does not move"):
        backends.get("numpy").asarray(y)
    with pytest.raises(TypeError, match="not allowed"):
        np.asarray(y)


# ---- linear algebra ----


def test_solve_broadcasts(backend):
    a, b = sample((3, 3)) + 3 * np.eye(3), sample((2, 4, 3, 2), seed=1)  # noqa: F405
    own = backend.asarray
    assert_same(backend, backend.linalg.solve(own(a), own(b)), np.linalg.solve(a, b))  # noqa: F405
    stack = np.stack([a, 2 * a])
    assert_same(backend, backend.linalg.solve(own(stack), own(b[0, 0])), np.linalg.solve(stack, b[0, 0]))  # noqa: F405
    assert backend.linalg.solve(own(a), own(np.ones((3, 0)))).shape == (3, 0)


def test_failures_raise_while_the_library_would_pass_on_garbage(backend, module):
    bad = backend.asarray(-np.eye(2))
    assert module.cupy.linalg.cholesky(bad).shape == (2, 2)
    with pytest.raises(LinAlgError, match="cholesky: the matrix is not positive definite"):
        backend.linalg.cholesky(bad)
    assert module.cupy.linalg.cholesky(bad).shape == (2, 2)  # CuPy's own setting is as it was
    with pytest.raises(LinAlgError, match="square"):
        backend.linalg.inv(backend.asarray(np.ones((2, 3))))


# ---- work in pieces ----


def test_convolutions_in_pieces_equal_those_in_one(backend, module, monkeypatch):
    options = ((2, 1), ((1, 0), (1, 1)), (1, 2), 2)
    x, w = backend.asarray(sample((5, 4, 6, 7))), backend.asarray(sample((6, 2, 3, 2), seed=1))  # noqa: F405
    y = backend.conv(x, w, *options)
    whole = (y, backend.conv_input(y, w, x.shape, *options), backend.conv_filter(x, y, w.shape, *options))
    monkeypatch.setattr(module.cupy_conv, "_COLUMN_BYTES", 20_000)  # two images at a time
    pieces = (
        backend.conv(x, w, *options),
        backend.conv_input(y, w, x.shape, *options),
        backend.conv_filter(x, y, w.shape, *options),
    )
    assert len(module.cupy_conv._parts(5, 8_000)) == 3
    for a, b in zip(whole, pieces, strict=True):
        np.testing.assert_allclose(backend.to_numpy(a), backend.to_numpy(b), rtol=1e-12)


def test_scatter_sum_in_pieces(backend, module, monkeypatch):
    updates, index = sample((2, 7, 3), "complex64"), np.array([4, 0, 0, 2, 4, 4, 1])  # noqa: F405
    monkeypatch.setattr(module, "_SCATTERED", 13)  # elements of one row of pairs of floats: two indices at a time
    got = backend.scatter_sum(backend.asarray(updates), backend.asarray(index), 5, -2)
    assert_same(backend, got, added(updates, index, 5, -2))  # noqa: F405


@pytest.mark.parametrize("dtype", ("int8", "uint16"))
def test_scatter_sum_of_what_no_atomic_addition_takes(backend, dtype):
    got = backend.scatter_sum(backend.asarray(np.ones(3, dtype)), backend.asarray(np.array([0, 0, 2])), 4, -1)
    assert_same(backend, got, np.array([2, 0, 1, 0], dtype), exact=True)  # noqa: F405


# ---- who may change an array ----


def test_writing_into_what_zkynet_gave_out_hurts_nothing(backend):
    parameter = zk.Parameter("w", backend.asarray([1.0, 2.0]))
    parameter.value[0] = 9.0
    y = op.exp(backend.asarray([0.0, 1.0]))
    y.value[0] = 9.0
    assert backend.to_numpy(parameter.value).tolist() == [1, 2] and float(y.value[0]) == 1.0


def test_what_a_transform_differentiates_is_its_own(backend):
    x = backend.asarray([1.0, 2.0])
    _, pull = zk.vjp(lambda x: op.sum(x * x), x)
    x[:] = 50.0
    (found,) = pull(1.0)
    assert backend.to_numpy(found).tolist() == [2, 4]
    found[0] = 7.0  # the caller's, writable
    (again,) = pull(1.0)
    assert backend.to_numpy(again).tolist() == [2, 4]


@pytest.mark.parametrize("seen", (lambda c: c, lambda c: op.reshape(c, (2,))), ids=("itself", "by a view"))
def test_other_arrays_of_the_caller_are_copied_where_a_rule_keeps_them(backend, seen):
    x, c = backend.asarray([1.0, 2.0]), backend.asarray([3.0, 4.0])
    _, pull = zk.vjp(lambda x: x * seen(c), x)
    c[:] = 50.0
    (found,) = pull(backend.asarray([1.0, 1.0]))
    assert backend.to_numpy(found).tolist() == [3, 4]


def test_a_step_on_the_host_gets_its_cotangent_on_the_host(backend):
    x, c = backend.asarray([1.0, 2.0]), np.array([3.0, 4.0])
    assert zk.grad(lambda c: op.sum(c * c * x))(c).tolist() == [6, 16]


def test_gradients_held_by_nobody_else_are_handed_over_without_a_copy(backend):
    items = [backend.asarray(np.ones(3))]
    before = id(items[0])
    backend.hand_over(items)
    assert id(items[0]) == before


# ---- all together ----


def test_a_gradient_to_the_third_order(backend):
    third = zk.grad(zk.grad(zk.grad(lambda x: op.sin(x) * x**2)))
    assert float(third(backend.asarray(0.5))) == pytest.approx(float(third(np.asarray(0.5))), rel=1e-12)


def test_training_gives_what_it_gives_on_numpy(backend):
    def loss_fn(model, x, y):
        return op.softmax_cross_entropy(model(x), y)

    def train(name):
        with zk.use_backend(name):
            images, labels = data.load_digits()
            model, optimizer = models.fcn([64, 16, 10], seed=0), optim.Adam(lr=1e-2)
            for x, y in list(data.Batches((images, labels), batch_size=64, seed=0))[:10]:
                loss, grads = zk.value_and_grad(loss_fn)(model, x, y)
                optimizer.update(model, grads)
            assert {backends.backend_of(p.value).name for p in model.parameters()} == {name}
            return float(loss)

    found = train("cupy")
    assert found == pytest.approx(train("numpy"), rel=1e-5) and found < 2.2


def test_a_model_moves_and_is_copied(backend):
    model = models.fcn([3, 2], seed=0).to("cupy")
    x = np.ones((1, 3), "float32")
    before = backend.to_numpy(model(backend.asarray(x)).value)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(backend.to_numpy(other(backend.asarray(x)).value), before)
    np.testing.assert_allclose(model.to("numpy")(x).value, before, rtol=1e-6)
