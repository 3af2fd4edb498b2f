"""A network of places: one picture, held in weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from zkynet import backends, nn
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module, State, no_grad
from zkynet.models.feedforward import fcn
from zkynet.nn.layer import positive, size

BEGINNING = 0.1  # of the usual size of the last weights: a picture begins gray, not as noise that has to go first
AT_ONCE = 16384  # places that are drawn at a time: what bounds the memory of a large picture


class CoordinateNetwork(Module):
    """A picture as a function: from places (N, 2) to ``channels`` brightnesses each, (N, channels), in (0, 1).

    A place is (x, y) as ``places`` gives it: the longer side of the picture goes from -1 to 1. The network sees it as
    cos and sin of the ``waves`` that pass over it: without them it would draw nothing but smooth blots. ``frequencies``
    (2, waves), radians a unit, are drawn once and not trained; they are a State, so that files hold them. Tancik and
    others, "Fourier features let networks learn high frequency functions in low dimensional domains", NeurIPS 2020.
    """

    def __init__(self, frequencies: Any, net: Module):
        self.frequencies = State("frequencies", frequencies)
        self.net = net

    def call(self, places: Any) -> Any:
        angles = op.matmul(places, self.frequencies)
        return op.sigmoid(self.net(op.concat([op.cos(angles), op.sin(angles)], axis=-1)))

    def draw(self, height: int, width: int) -> np.ndarray:
        """Return the picture in so many pixels: a NumPy array (height, width, channels) of the network's dtype."""
        xp = backends.backend_of(self.frequencies.value)
        where = places(height, width, xp.name_of(self.frequencies.value.dtype))
        with no_grad():
            parts = [self(xp.asarray(where[i : i + AT_ONCE])).value for i in range(0, len(where), AT_ONCE)]
        return np.concatenate([xp.to_numpy(part) for part in parts]).reshape(height, width, -1)


def coordinate_network(
    channels: int = 3,
    waves: int = 256,
    frequency: float = 10.0,
    hidden: Sequence[int] = (128, 128),
    seed: Generator | int = 0,
    *,
    dtype: Any = "float32",
) -> CoordinateNetwork:
    """Return a network that can learn one picture: waves, fully connected layers with ReLU, a sigmoid at the end.

    ``frequency``, in cycles a unit, is the standard deviation of the normal distribution that the waves are drawn from:
    too low, and edges stay soft; too high, and what lies between the pixels is noise. A picture of n pixels along its
    longer side has nothing above n / 4; about n / 25 learns best. Everything is drawn from ``seed``. ValueError for
    ``channels``, ``waves`` or a layer below 1 and for a frequency that is not above 0.
    """
    generator = nn.as_generator(seed)
    waves = size("coordinate_network", "waves", waves)
    frequency = positive("coordinate_network", "frequency", frequency)
    normal = generator.normal((2, waves), dtype=dtype).value
    net = fcn((2 * waves, *hidden, channels), seed=generator, dtype=dtype)
    last = net.parameters()[-2]  # the weight, before the bias
    last.value = last.value * BEGINNING
    return CoordinateNetwork(normal * (2 * math.pi * frequency), net)


def places(height: int, width: int, dtype: Any = "float32") -> np.ndarray:
    """Return the middles of the pixels of a picture, row by row: shape (height * width, 2), x and y.

    The longer side goes from -1 to 1, the shorter one as far as the aspect says: a place is the same at every
    resolution. ValueError for a side below 1.
    """
    height, width = size("places", "height", height), size("places", "width", width)
    unit = 2 / max(height, width)
    x, y = ((np.arange(count) + 0.5 - count / 2) * unit for count in (width, height))
    return np.stack(np.broadcast_arrays(x, y[:, None]), axis=-1).reshape(-1, 2).astype(dtype)
