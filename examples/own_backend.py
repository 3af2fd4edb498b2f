"""A backend of one's own: a library of the array API standard, whose matrix products are counted.

    pip install array-api-strict
    python examples/own_backend.py

``docs/backends.md`` explains it.
"""

import math

import array_api_strict

import zkynet as zk
from zkynet import models, op
from zkynet.backends.array_api import ArrayAPIBackend


class Counting(ArrayAPIBackend):
    """array_api_strict on a device of its own, so that its arrays are nobody else's; counts multiplications."""

    def __init__(self):
        super().__init__(array_api_strict, device=array_api_strict.Device("device2"), name="counting")
        self.multiplications = 0

    def matmul(self, a, b):
        """What the library does, and one multiplication for each entry of the result and step along the inner axis."""
        y = self.namespace.matmul(a, b)
        self.multiplications += math.prod(y.shape) * a.shape[-1]
        return y


def loss_fn(model, x, y):
    return op.softmax_cross_entropy(model(x), y)


def main() -> tuple[int, int]:
    """Count a forward pass of a network on 8 images, and the same with the gradient."""
    zk.backends.register("counting", Counting)  # made once, when somebody asks for it
    with zk.use_backend("counting") as xp:
        model = models.fcn([64, 32, 10], seed=0)
        images, labels = xp.ones((8, 64), dtype=xp.float32), xp.arange(8)
        loss_fn(model, images, labels)
        forward = xp.multiplications
        zk.value_and_grad(loss_fn)(model, images, labels)
        both = xp.multiplications - forward
    print(f"forward: {forward} multiplications; with the gradient: {both}")
    return forward, both


if __name__ == "__main__":
    main()
