"""What does a step of an optimizer cost alone, the gradients at hand, beside torch: its default, and ``fused``?

To compare fairly both sides have as many threads: two for torch; zkynet takes two for large models, by itself.
"""

import numpy as np
import pytest

import zkynet as zk
from zkynet.bench.networks import import_torch

RATE = 1e-7  # so small that thousands of timed steps leave the numbers what they are
SHAPES = {
    "5 million parameters in 20 arrays": [(500, 500)] * 20,
    "MLP 784-256-128-10": [(784, 256), (256,), (256, 128), (128,), (128, 10), (10,)],
    "50 small layers": [(32, 32), (32,)] * 50,
}
TORCH = {"adam": "Adam", "sgd": "SGD"}
ZKYNET = {"adam": zk.optim.Adam, "sgd": lambda rate: zk.optim.SGD(rate, momentum=0.9)}


class Owner(zk.Module):
    """Parameters, and nothing that is done with them."""

    def __init__(self, arrays):
        self.parts = [zk.Parameter("p", x) for x in arrays]


def arrays(shapes):
    draw = np.random.default_rng(0)
    return [draw.standard_normal(shape, dtype="float32") for shape in shapes]


def by_zkynet(name, shapes, rate):
    model, optimizer = Owner(arrays(shapes)), ZKYNET[name](rate)
    grads = dict(zip(model.trainable_parameters(), arrays(shapes), strict=True))
    return lambda: optimizer.update(model, grads), lambda: [p.value for p in model.parameters()]


def by_torch(name, shapes, rate, fused=False):
    pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
    torch = import_torch()
    parts = [torch.nn.Parameter(torch.tensor(x)) for x in arrays(shapes)]
    for p in parts:
        p.grad = p.detach().clone()
    settings = {"momentum": 0.9} if name == "sgd" else {}
    optimizer = getattr(torch.optim, TORCH[name])(parts, rate, fused=fused, **settings)
    return optimizer.step, lambda: [p.detach().numpy() for p in parts]


def by_torch_fused(name, shapes, rate):
    return by_torch(name, shapes, rate, fused=True)


@pytest.mark.parametrize("peer", [by_zkynet, by_torch, by_torch_fused])
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", ZKYNET)
def test_update(benchmark, name, shapes, peer):
    found = []
    for maker in (by_zkynet, peer):
        step, read = maker(name, SHAPES[shapes], 1e-3)
        for _ in range(3):
            step()
        found.append(read())
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)
    step, _ = peer(name, SHAPES[shapes], RATE)
    benchmark.group = f"{name}, {shapes}"
    benchmark(step)
