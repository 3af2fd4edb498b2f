"""Dropout and its kin: noise while the model is trained, nothing after ``model.eval()``."""

from __future__ import annotations

from typing import Any

from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module
from zkynet.nn.initializers import as_generator
from zkynet.nn.layer import names_itself, number


class _Noise(Module):
    """What draws from a generator in training, at a rate."""

    def __init__(self, rate: float, generator: Generator | int | None = None):
        layer = type(self).__name__
        self.rate = number(layer, "rate", rate, 0, 1)
        if self.rate == 1:
            raise ValueError(f"{layer}: nothing would be left.\n  got:      rate {rate}\n  expected: below 1")
        if generator is None:
            raise TypeError(
                f"{layer} draws random numbers and needs a generator.\n"
                f"  expected: {layer}(rate, zk.Generator(seed)), or an int seed in its place\n"
                "One generator can serve a whole model: every draw moves it on."
            )
        self.generator = as_generator(generator)

    @names_itself
    def call(self, x: Any) -> Any:
        return self.disturbed(x) if self.training and self.rate else x

    def disturbed(self, x: Any) -> Any:
        """x with noise."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.rate!r})"


class Dropout(_Noise):
    """Entries set to 0 with probability ``rate`` in training, the others divided by 1 - rate; any shape.

    The random numbers come from ``generator``, a zk.Generator or an int seed: the same on every backend, new in every
    call, and its counter is saved with the model. After ``model.eval()`` inputs go through as they are (Srivastava et
    al., "Dropout", JMLR 2014). TypeError without a generator, ValueError for a rate outside [0, 1).
    """

    def disturbed(self, x: Any) -> Any:
        return op.dropout(x, self.rate, self.generator)


class FeatureDropout(_Noise):
    """Dropout of whole channels of x (N, C, ...), for neighbours that say the same; torch's Dropout1d to Dropout3d."""

    def disturbed(self, x: Any) -> Any:
        return op.feature_dropout(x, self.rate, self.generator)


class AlphaDropout(_Noise):
    """Dropout to the value that SELU tends to, scaled so that mean 0 and variance 1 stay (Klambauer et al. 2017)."""

    def disturbed(self, x: Any) -> Any:
        return op.alpha_dropout(x, self.rate, self.generator)
