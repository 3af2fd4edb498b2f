"""Windows on JAX: the portable ways, each compiled as one."""

from functools import partial

import jax

from .pooling import Pooling


class JaxPooling:
    """What JAX does better than the portable Pooling: one call for many slices."""

    def windows(self, x, *settings):
        return _compiled(self, "windows", (x,), settings)

    def window_sum(self, g, *settings):
        return _compiled(self, "window_sum", (g,), settings)

    def pool_sum(self, x, *settings):
        return _compiled(self, "pool_sum", (x,), settings)

    def pool_spread(self, g, *settings):
        return _compiled(self, "pool_spread", (g,), settings)

    def pool_max(self, x, *settings):
        return _compiled(self, "pool_max", (x,), settings)

    def pool_pick(self, x, which, *settings):
        return _compiled(self, "pool_pick", (x, which), settings)

    def pool_place(self, g, which, *settings):
        return _compiled(self, "pool_place", (g, which), settings)


@partial(jax.jit, static_argnums=(0, 1, 3))
def _compiled(xp, name, arrays, settings):
    return getattr(Pooling, name)(xp, *arrays, *settings)
