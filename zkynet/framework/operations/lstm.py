"""The LSTM over whole sequences as one operator: one product a time, and one for the gradient of all of w_h."""

from zkynet.backends.recurrent import before, lstm_back

from ..operator import Operator
from ..record import apply


class LSTMSweep(Operator):
    """h and c after each time, (T, N, H) each, and the gates there, (T, 4, N, H): i, f, g, o as in ``lstm_cell``.

    ``parts`` (T, N, 4 H) is what x and the bias contribute.
    """

    outputs = 3

    def forward(self, xp, parts, h, c, w_h):
        return xp.lstm(parts, h, c, w_h)

    def vjp_parts(self, xp, g, c, w_h, y):
        return lstm_back(xp, g, c, w_h, y)[0]

    def vjp_h(self, xp, g, c, w_h, y):
        return lstm_back(xp, g, c, w_h, y)[1]

    def vjp_c(self, xp, g, c, w_h, y):
        return lstm_back(xp, g, c, w_h, y)[2]

    def vjp_w_h(self, xp, g, h, c, w_h, y):
        return times_states(xp, h, y[0], lstm_back(xp, g, c, w_h, y)[0])

    def together(self, xp, g, wanted, parts, h, c, w_h, y):
        """All cotangents by one sweep: what the reverse sweep takes on arrays; parts of g may be None."""
        dz, dh, dc = xp.lstm_back(g, c, w_h, y)
        return dz, dh, dc, times_states(xp, h, y[0], dz) if wanted[3] else None


def times_states(xp, h, states, dz):
    """The cotangent of w_h: the states before each time with ``dz``, lead + (T, N, ...), all times in one product."""
    rows = states.shape[0] * states.shape[1]
    earlier = xp.reshape(before(xp, h, states), (rows, states.shape[2]))
    return xp.matmul(xp.matrix_transpose(earlier), xp.reshape(dz, (*dz.shape[:-3], rows, dz.shape[-1])))


def lstm_sweep(parts, h, c, w_h):
    """All h (T, N, H) and all c of an LSTM over ``parts`` (T, N, 4 H), what x and the bias contribute."""
    return apply(LSTMSweep(), parts, h, c, w_h)[:2]
