"""The GRU over whole sequences as one operator: one product a time, and one for the gradient of all of w_h."""

from zkynet.backends.recurrent import gru_back

from ..operator import Operator
from ..record import apply
from .lstm import times_states


class GRUSweep(Operator):
    """h after each time, (T, N, H), and what it is made of there, (T, 4, N, H): r, z, n as in ``gru_cell``, and m.

    m is the h part of n. ``parts`` (T, N, 3 H) is what x and its bias contribute, ``bias`` (3 H,) is the h part's.
    """

    outputs = 2

    def forward(self, xp, parts, h, w_h, bias):
        return xp.gru(parts, h, w_h, bias)

    def vjp_parts(self, xp, g, h, w_h, y):
        return gru_back(xp, g, h, w_h, y)[0]

    def vjp_h(self, xp, g, h, w_h, y):
        return gru_back(xp, g, h, w_h, y)[2]

    def vjp_w_h(self, xp, g, h, w_h, y):
        return times_states(xp, h, y[0], gru_back(xp, g, h, w_h, y)[1])

    def vjp_bias(self, xp, g, h, w_h, y):
        return xp.sum(gru_back(xp, g, h, w_h, y)[1], axis=(-3, -2))

    def together(self, xp, g, wanted, parts, h, w_h, bias, y):
        """All cotangents by one sweep: what the reverse sweep takes on arrays; parts of g may be None."""
        dparts, dinner, dh = xp.gru_back(g, h, w_h, y)
        product = times_states(xp, h, y[0], dinner) if wanted[2] else None
        return dparts, dh, product, xp.sum(dinner, axis=(-3, -2)) if wanted[3] else None


def gru_sweep(parts, h, w_h, bias):
    """All h (T, N, H) of a GRU over ``parts`` (T, N, 3 H), what x and its bias contribute; ``bias`` is the h part's."""
    return apply(GRUSweep(), parts, h, w_h, bias)[0]
