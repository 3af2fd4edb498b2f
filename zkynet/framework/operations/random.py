"""Random numbers from explicit generators, and dropout.

A Generator is State: a key, and a counter that every draw moves on. Draws are Philox 4x64-10 (Salmon et al. 2011), the
same numbers on every backend for the same seed.
"""

import threading

from zkynet import backends
from zkynet.backends.errors import MutationError

from ..axes import size_of
from ..function import State
from ..record import CONTEXT, PYTHON_NUMBERS, Tensor, kind_of, operand, shape_of
from .elementwise import multiply, select

DRAW = 1 << 32  # counters lie this far apart: no draw of up to 2**34 words reaches into the next


_lock = threading.Lock()


class Generator(State):
    """A stream of random numbers: ``Generator(seed)``, or ``Generator((key0, key1))``.

    ``value`` is how many draws were made; assign it to go back or forth. The same seed gives the same stream on every
    backend, up to rounding of the last bit in ``normal``.
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

    def uniform(self, shape, dtype="float64") -> Tensor:
        """Numbers from [0, 1), on the default backend."""
        xp = backends.default_backend()
        bits = self.bits(xp, size_of(tuple(shape)))
        return Tensor(xp.reshape(xp.uniform(bits, xp.dtype(dtype)), tuple(shape)))

    def normal(self, shape, dtype="float64") -> Tensor:
        """Numbers from the standard normal distribution (Box and Muller 1958), on the default backend."""
        xp = backends.default_backend()
        count = size_of(tuple(shape))
        bits = self.bits(xp, count + count % 2)  # Box and Muller make two numbers of two
        return Tensor(xp.reshape(xp.normal(bits, xp.dtype(dtype))[:count], tuple(shape)))


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


def dropout(x, rate, generator) -> Tensor:
    """x with entries set to 0 with probability ``rate``, the others divided by 1 - ``rate`` (inverted dropout)."""
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate must be in [0, 1), got {rate!r}")
    if not isinstance(generator, Generator):
        raise TypeError(f"dropout: needs an explicit zkynet Generator, got {type(generator).__name__}")
    if kind_of(x) not in ("real", "complex"):
        raise TypeError("dropout: needs a floating-point array")
    value = operand(x)[0]
    xp = backends.default_backend() if type(value) in PYTHON_NUMBERS else backends.backend_of(value)
    shape = shape_of(x)
    bits = generator.bits(xp, size_of(shape))
    mask = xp.reshape(xp.uniform(bits, xp.float64), shape) >= rate
    if type(value) in PYTHON_NUMBERS:
        mask = bool(mask)  # a number stays weak
    return multiply(select(mask, x), 1 / (1 - rate))
