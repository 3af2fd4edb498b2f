"""Autoencoders: networks that learn to give back what they were given, through few numbers in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zkynet import backends, nn
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module
from zkynet.models.feedforward import fcn

LIKELIHOODS = ("bernoulli", "gaussian")


class Autoencoder(Module):
    """An ``encoder`` and a ``decoder`` behind it: from x (N, inputs) to its reconstruction, of the same shape."""

    def __init__(self, encoder: Module, decoder: Module):
        self.encoder, self.decoder = encoder, decoder

    def call(self, x: Any) -> Any:
        return self.decode(self.encode(x))

    def encode(self, x: Any) -> Any:
        """The code (N, code) of x (N, inputs)."""
        return self.encoder(x)

    def decode(self, code: Any) -> Any:
        """The reconstruction (N, inputs) of a code (N, code)."""
        return self.decoder(code)

    def loss(self, x: Any) -> Any:
        """The mean over all entries of the squared difference between x and its reconstruction."""
        return op.mean(op.square(op.subtract(self(x), x)))


class VariationalAutoencoder(Module):
    """A model of x by a normal code z: the encoder gives a distribution of z for x, the decoder one of x for z.

    The call gives ``(reconstruction, mean, log_variance)``: those of z given x, (N, code) each, and what the decoder
    makes of a z drawn from it, or after ``model.eval()`` of the mean: the logits of x for the likelihood "bernoulli", x
    in [0, 1]; the mean of x for "gaussian", whose variance is 1. Draws come from ``noise``, a generator of the model's
    own. Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014.
    """

    def __init__(self, encoder: Module, decoder: Module, code: int, generator: Generator | int, likelihood: str):
        if likelihood not in LIKELIHOODS:
            raise ValueError(
                f"VariationalAutoencoder: likelihood must be one of {', '.join(LIKELIHOODS)}; got {likelihood!r}"
            )
        self.encoder, self.decoder, self.code, self.likelihood = encoder, decoder, code, likelihood
        self.noise = nn.as_generator(generator)

    def call(self, x: Any) -> tuple[Any, Any, Any]:
        mean, log_variance = self.encode(x)
        z = op.gaussian(mean, log_variance, self.noise) if self.training else mean
        return self.decode(z), mean, log_variance

    def encode(self, x: Any) -> tuple[Any, Any]:
        """The mean and the logarithm of the variance of the code of x (N, inputs), (N, code) each."""
        both = self.encoder(x)
        return both[:, : self.code], both[:, self.code :]

    def decode(self, z: Any) -> Any:
        """The logits or means (N, inputs) of x for codes (N, code)."""
        return self.decoder(z)

    def loss(self, x: Any, beta: float = 1.0) -> Any:
        """The negative evidence lower bound, the mean over the batch, in nats: -log p(x | z) + KL(q(z | x), N(0, 1)).

        The divergence counts ``beta`` times: with more than 1 codes are nearer to the normal distribution and say less
        of x (Higgins and others, "beta-VAE", ICLR 2017). Of the gaussian likelihood the constant log(2 pi) / 2 an entry
        is left out.
        """
        misfit, divergence = self.parts(x)
        return op.add(misfit, divergence if beta == 1 else op.multiply(divergence, beta))

    def parts(self, x: Any, noise: Generator | None = None) -> tuple[Any, Any]:
        """The two parts of the loss, means over the batch in nats: the misfit -log p(x | z), and the divergence.

        z is drawn in training from the model's own generator, or from ``noise`` where given; else it is the mean.
        """
        mean, log_variance = self.encode(x)
        source = self.noise if noise is None and self.training else noise
        y = self.decode(mean if source is None else op.gaussian(mean, log_variance, source))
        if self.likelihood == "bernoulli":
            misfit = op.sigmoid_cross_entropy(y, x, "sum")
        else:
            misfit = op.multiply(op.sum(op.square(op.subtract(y, x))), 0.5)
        count = float(x.shape[0])
        return op.divide(misfit, count), op.divide(op.gaussian_kl_divergence(mean, log_variance), count)

    def sample(self, count: int, generator: Generator | int) -> Any:
        """Probabilities or means (count, inputs) of x for ``count`` codes drawn from the standard normal distribution.

        The same numbers on every backend for a seed.
        """
        weight = self.decoder.parameters()[0].value
        with backends.use_backend("numpy"):
            z = nn.as_generator(generator).normal((count, self.code)).value
        y = self.decode(backends.backend_of(weight).asarray(z, dtype=weight.dtype))
        return op.sigmoid(y) if self.likelihood == "bernoulli" else y


def autoencoder(
    sizes: Sequence[int] = (64, 32, 8), seed: Generator | int = 0, *, dtype: Any = "float32"
) -> Autoencoder:
    """Return an autoencoder: ``sizes`` are those from the input to the code; the decoder goes the same way back.

    Both are fully connected, with a ReLU between two layers. The weights are drawn from ``seed``. ValueError for fewer
    than two sizes, or a size below 1.
    """
    generator = nn.as_generator(seed)
    return Autoencoder(fcn(sizes, seed=generator, dtype=dtype), fcn(tuple(sizes)[::-1], seed=generator, dtype=dtype))


def variational_autoencoder(
    sizes: Sequence[int] = (64, 64, 8),
    seed: Generator | int = 0,
    *,
    likelihood: str = "bernoulli",
    dtype: Any = "float32",
) -> VariationalAutoencoder:
    """Return a variational autoencoder: ``sizes`` are those from the input to the code.

    Encoder and decoder are fully connected, with a ReLU between two layers; the encoder ends in twice the size of the
    code, mean and log-variance. The weights are drawn from ``seed``, and the codes in training from the same stream.
    ValueError for fewer than two sizes, a size below 1, or an unknown likelihood.
    """
    sizes = tuple(sizes)
    generator = nn.as_generator(seed)
    encoder = fcn((*sizes[:-1], *[2 * code for code in sizes[-1:]]), seed=generator, dtype=dtype)
    decoder = fcn(sizes[::-1], seed=generator, dtype=dtype)
    return VariationalAutoencoder(encoder, decoder, sizes[-1], generator, likelihood)
