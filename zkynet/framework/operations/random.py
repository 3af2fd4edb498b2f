"""Random numbers from explicit generators.

A Generator is State: a key, and a counter that every draw moves on. Draws are Philox 4x64-10 (Salmon et al. 2011), the
same numbers on every backend for the same seed.
"""

import math
import threading

from zkynet import backends
from zkynet.backends.errors import MutationError
from zkynet.backends.philox import word

from ..axes import normalize_axis, size_of
from ..function import State
from ..record import CONTEXT, Tensor, operand

DRAW = 1 << 32  # counters lie this far apart: no draw of up to 2**34 words reaches into the next
GAMMA_TRIES = 24  # each passes with a probability of 0.95 or more


_lock = threading.Lock()


class Generator(State):
    """A stream of random numbers: ``Generator(seed)``, or ``Generator((key0, key1))``.

    ``value`` is how many draws were made; assign it to go back or forth. The same seed gives the same stream on every
    backend, up to rounding of the last bit where logarithms are taken. Samples are constants for gradients.
    """

    def __init__(self, seed=0):
        key = (seed, 0) if isinstance(seed, int) else tuple(seed)
        if len(key) != 2 or any(not isinstance(k, int) or not 0 <= k < 1 << 64 for k in key):
            raise ValueError(f"Generator: the seed must be one int or two, each in 0 .. 2**64 - 1; got {seed!r}")
        super().__init__("generator", 0)
        self.key = key

    def bits(self, xp, count):
        """``count`` random 64-bit words on backend ``xp``; moves the counter on."""
        if count > 4 * DRAW:
            raise ValueError(f"Generator: one draw gives at most {4 * DRAW} numbers, asked for {count}")
        return xp.random_bits(self.key, self._advance() * DRAW, count)

    def _advance(self):
        log = CONTEXT.get().draws
        if log is not None:  # inside checkpoint: noted in the first run, replayed in the second
            return log.draw(self)
        return self.step()

    def step(self) -> int:
        """The counter of the next draw; threads that share a generator get different ones."""
        with _lock:
            self._value += 1
            return self._value - 1

    def uniform(self, shape, dtype="float64", *, low=0.0, high=1.0) -> Tensor:
        """Numbers from [low, high), on the default backend."""
        xp = backends.default_backend()
        u = self._unit(xp, shape, dtype)
        return Tensor(u if (low, high) == (0.0, 1.0) else low + u * (high - low))

    def normal(self, shape, dtype="float64", *, mean=0.0, std=1.0) -> Tensor:
        """Normal numbers (Box and Muller 1958), standard ones unless said otherwise, on the default backend."""
        xp = backends.default_backend()
        count = size_of(tuple(shape))
        bits = self.bits(xp, count + count % 2)  # Box and Muller make two numbers of two
        z = xp.reshape(xp.normal(bits, xp.dtype(dtype))[:count], tuple(shape))
        return Tensor(z if (mean, std) == (0.0, 1.0) else mean + z * std)

    def truncated_normal(self, shape, dtype="float64", *, low=-2.0, high=2.0) -> Tensor:
        """Standard normal numbers given that they lie in [low, high], by the inverse of their distribution."""
        if not low < high:
            raise ValueError(f"truncated_normal: low must be below high, got {low} and {high}")
        if low > 0:  # where the distribution is nearly 1 its inverse has no digits left
            return Tensor(-self.truncated_normal(shape, dtype, low=-high, high=-low)._value)
        xp = backends.default_backend()
        below, above = (0.5 * math.erfc(-x / math.sqrt(2.0)) for x in (low, high))
        u = self._unit(xp, shape, "float64")
        z = xp.special.ndtri(below + u * (above - below))
        return Tensor(xp.astype(xp.where(z < low, low, xp.where(z > high, high, z)), xp.dtype(dtype)))

    def exponential(self, shape, dtype="float64", *, scale=1.0) -> Tensor:
        """Exponential numbers of mean ``scale``, never 0, on the default backend."""
        xp = backends.default_backend()
        return Tensor(xp.astype(self._exponential(xp, shape) * scale, xp.dtype(dtype)))

    def gumbel(self, shape, dtype="float64") -> Tensor:
        """Standard Gumbel numbers, -log of exponential ones, on the default backend."""
        xp = backends.default_backend()
        return Tensor(xp.astype(-xp.log(self._exponential(xp, shape)), xp.dtype(dtype)))

    def gamma(self, shape, alpha, dtype="float64") -> Tensor:
        """Gamma numbers of shape parameter ``alpha``, a positive Python number, and scale 1, on the default backend.

        Marsaglia and Tsang 2000: the first of 24 tries that passes; less than one in 10**30 has none, and takes the
        last. There is no gradient with respect to alpha: ``zk.stats.gamma.rsample`` draws differentiable ones.
        """
        if not alpha > 0:
            raise ValueError(f"gamma: alpha must be positive, got {alpha!r}")
        xp = backends.default_backend()
        d = (alpha if alpha >= 1 else alpha + 1) - 1 / 3
        found, done = None, None
        for _ in range(GAMMA_TRIES):
            x = self.normal(shape)._value
            v = (1 + x / math.sqrt(9 * d)) ** 3
            positive = v > 0
            safe = xp.where(positive, v, xp.ones_like(v))
            passed = positive & (xp.log(self._unit(xp, shape, "float64")) < 0.5 * x * x + d * (1 - safe + xp.log(safe)))
            found = safe if found is None else xp.where(done, found, safe)
            done = passed if done is None else done | passed
        y = d * found
        if alpha < 1:
            y = y * xp.exp(-self._exponential(xp, shape) / alpha)
        return Tensor(xp.astype(y, xp.dtype(dtype)))

    def bernoulli(self, shape, p=0.5) -> Tensor:
        """Booleans that hold with probability ``p``, on the default backend."""
        if not 0 <= p <= 1:
            raise ValueError(f"bernoulli: p must be in [0, 1], got {p!r}")
        xp = backends.default_backend()
        return Tensor(self._unit(xp, shape, "float64") < p)

    def randint(self, low, high, shape, dtype="int64") -> Tensor:
        """Integers from low .. high - 1, on the default backend; biased by less than 2**-64 (high - low)."""
        if not low < high or high - low > 1 << 63:
            raise ValueError(f"randint: needs low < high, at most 2**63 apart, got {low} and {high}")
        xp = backends.default_backend()
        bits = self.bits(xp, size_of(tuple(shape)))
        found = xp.astype(xp.remainder(bits, xp.reshape(word(xp, high - low), ())), xp.int64) + low
        return Tensor(xp.astype(xp.reshape(found, tuple(shape)), xp.dtype(dtype)))

    def permutation(self, n) -> Tensor:
        """0 .. n - 1 in random order, on the default backend: ``op.take(x, generator.permutation(n), 0)`` shuffles."""
        xp = backends.default_backend()
        return Tensor(xp.astype(xp.argsort(self.bits(xp, n)), xp.int64))

    def categorical(self, logits, shape=(), axis=-1) -> Tensor:
        """Classes drawn with probabilities softmax(logits) over ``axis``: ``shape`` draws of each row, on its backend.

        The result has the shape ``shape + rest``, rest that of the logits without ``axis``. Integers, no gradient.
        """
        value = operand(logits)[0]
        xp = backends.backend_of(value)
        if xp is None or not value.shape:
            raise ValueError("categorical: needs an array of logits with at least one axis")
        axis = normalize_axis(axis, len(value.shape), "categorical")
        scores = xp.astype(value, xp.float64) - xp.log(self._exponential(xp, (*shape, *value.shape)))
        return Tensor(xp.argmax(scores, axis=axis))

    def _unit(self, xp, shape, dtype):
        """Numbers from [0, 1) on a backend."""
        return xp.reshape(xp.uniform(self.bits(xp, size_of(tuple(shape))), xp.dtype(dtype)), tuple(shape))

    def _exponential(self, xp, shape):
        """Exponential numbers of mean 1 in double precision, at least 2**-54."""
        e = -xp.log1p(-self._unit(xp, shape, "float64"))
        return xp.where(e > 2.0**-54, e, xp.full_like(e, 2.0**-54))


class DrawLog:
    """The draws of one run of a checkpointed function, to be made again in its second run."""

    def __init__(self, outer=None):
        self.outer, self.noted, self.position = outer, [], None

    def draw(self, generator):
        if self.position is not None:
            self.position += 1
            if self.position > len(self.noted) or self.noted[self.position - 1][0] is not generator:
                raise MutationError(
                    "checkpoint: running the function again drew other random numbers.\n"
                    f"  first run: {len(self.noted)} draws\n"
                    "Its draws may depend on its arguments alone."
                )
            return self.noted[self.position - 1][1]
        if self.outer is not None:
            counter = self.outer.draw(generator)
        else:
            counter = generator.step()
        self.noted.append((generator, counter))
        return counter

    def replay(self) -> "DrawLog":
        """A log that gives the noted draws again, from the first."""
        again = DrawLog()
        again.noted, again.position = self.noted, 0
        return again
