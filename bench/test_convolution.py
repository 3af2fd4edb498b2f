"""What does a convolution cost, forward and backward, beside torch; and the largest entries of windows?

The way that zkynet takes on NumPy stands in each result (``extra_info``); ZKYNET_WINOGRAD=0 leaves Winograd's out. To
compare fairly both sides have as many threads: two for torch, and OPENBLAS_NUM_THREADS=2 for NumPy.
"""

import numpy as np
import pytest

from zkynet import backends
from zkynet.backends import conv_choice

THREADS = 2
SHAPES = {  # x, outputs
    "64 channels 32x32": ((16, 64, 32, 32), 64),
    "64 channels 14x14": ((16, 64, 14, 14), 64),
    "128 channels 28x28": ((4, 128, 28, 28), 128),
    "256 channels 14x14": ((4, 256, 14, 14), 256),
    "CNN, second layer": ((64, 16, 14, 14), 32),
    "CNN, first layer": ((64, 1, 28, 28), 16),
    "small": ((2, 8, 8, 8), 8),
}
POOLS = {"CNN, first pool": (64, 16, 28, 28), "CNN, second pool": (64, 32, 7, 7), "large": (8, 32, 112, 112)}
SETTINGS = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)


def torch_functions():
    torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
    torch.set_num_threads(THREADS)
    return torch


def arrays(shape, outputs, dtype):
    draw = np.random.default_rng(0)
    x, w = draw.standard_normal(shape), draw.standard_normal((outputs, shape[1], 3, 3))
    return x.astype(dtype), w.astype(dtype), draw.standard_normal((shape[0], outputs, *shape[2:])).astype(dtype)


def by_zkynet(x, w, g):
    xp = backends.get("numpy")
    return lambda: (
        xp.conv(x, w, *SETTINGS),
        xp.conv_input(g, w, x.shape, *SETTINGS),
        xp.conv_filter(x, g, w.shape, *SETTINGS),
    )


def by_torch(x, w, g):
    torch = torch_functions()
    x, w, g = (torch.tensor(a) for a in (x, w, g))
    x.requires_grad_(), w.requires_grad_()

    def run():
        y = torch.nn.functional.conv2d(x, w, padding=1)
        return y.detach(), *torch.autograd.grad(y, (x, w), g)

    return run


@pytest.mark.parametrize("peer", [by_zkynet, by_torch])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_convolution_and_both_gradients(benchmark, shape, dtype, peer):
    x, w, g = arrays(*SHAPES[shape], dtype)
    run = peer(x, w, g)
    for found, expected in zip(run(), by_zkynet(x, w, g)(), strict=True):
        np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    benchmark.group = f"conv 3x3 and its gradients, {shape}, {dtype}"
    benchmark.extra_info["zkynet's way"] = [
        conv_choice.chosen(name, x.shape, w.shape, dtype, *SETTINGS) for name in ("conv", "conv_input", "conv_filter")
    ]
    benchmark(run)


def pool_by_zkynet(x, g):
    xp = backends.get("numpy")
    kernel, ones = (2, 2), (1, 1)

    def run():
        y, which = xp.pool_max(x, kernel, kernel, ones)
        return y, xp.pool_place(g, which, x.shape[2:], kernel, kernel, ones)

    return run


def pool_by_torch(x, g):
    torch = torch_functions()
    x, g = torch.tensor(x, requires_grad=True), torch.tensor(g)

    def run():
        y = torch.nn.functional.max_pool2d(x, 2)
        return y.detach(), *torch.autograd.grad(y, x, g)

    return run


@pytest.mark.parametrize("peer", [pool_by_zkynet, pool_by_torch])
@pytest.mark.parametrize("shape", POOLS)
def test_max_pool_and_its_gradient(benchmark, shape, peer):
    draw = np.random.default_rng(0)
    n, c, high, wide = POOLS[shape]
    x, g = (draw.standard_normal(s, dtype="float32") for s in ((n, c, high, wide), (n, c, high // 2, wide // 2)))
    run = peer(x, g)
    for found, expected in zip(run(), pool_by_zkynet(x, g)(), strict=True):
        np.testing.assert_array_equal(np.asarray(found), expected)
    benchmark.group = f"max pool 2x2 and its gradient, {shape}"
    benchmark(run)
