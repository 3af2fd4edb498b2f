"""Recurrent networks as plain functions: cells, whole sequences, and sequences of different lengths.

Weights stand as in ``linear``: w_x (inputs, gates * H), w_h (H, gates * H). Sequences are (T, N, inputs).
"""

from zkynet.backends.errors import ShapeError

from ..operator import Operator
from ..record import Tensor, apply, kind_of, shape_of
from .activation import relu, sigmoid
from .comparison import greater
from .constants import beside
from .elementwise import add, multiply, subtract, where
from .gru import gru_sweep
from .linalg import linear, matmul
from .lstm import lstm_sweep
from .shape import expand_dims, flip, getitem, pad, reshape, stack
from .trigonometric import tanh


class Parts(Operator):
    """x in ``outputs`` equal parts along a negative axis: their cotangents come back joined, not each among zeros.

    The parts are views: for arrays of our own alone.
    """

    outputs = 2
    promotion = None

    def __init__(self, outputs, axis):
        self.outputs, self.axis = outputs, axis

    def forward(self, xp, x):
        size = x.shape[self.axis] // self.outputs
        rest = (slice(None),) * (-self.axis - 1)
        return tuple(x[(Ellipsis, slice(k * size, (k + 1) * size), *rest)] for k in range(self.outputs))

    def vjp_x(self, xp, g):
        return xp.concat(list(g), axis=self.axis)

    def jvp_x(self, xp, t):
        return self.forward(xp, t)


ACTIVATIONS: dict = {"tanh": tanh, "relu": relu}  # type: ignore[has-type]  # made by functions


def rnn_cell(x, h, w_x, w_h, bias=None, *, activation="tanh") -> Tensor:
    """activation(x @ w_x + h @ w_h + bias): x (N, I), h (N, H); "tanh" or "relu"."""
    return _rnn_step(_inner("rnn_cell", x, h, w_x, w_h, bias, 1), h, w_h, activation)


def lstm_cell(x, state, w_x, w_h, bias=None) -> tuple[Tensor, Tensor]:
    """The next (h, c) of state (h, c), each (N, H), for x (N, I); four gates in the order input, forget, cell, output.

    c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c'). Hochreiter, Schmidhuber 1997; Gers et al. 2000.
    """
    h, c = state
    return _lstm_step(_inner("lstm_cell", x, h, w_x, w_h, bias, 4), h, c, w_h)


def gru_cell(x, h, w_x, w_h, bias=None, bias_h=None) -> Tensor:
    """The next h (N, H) for x (N, I); three gates in the order reset, update, new.

    h' = (1 - z) n + z h with n = tanh(x part + r (h part)), where ``bias_h`` belongs to the h part. Cho et al. 2014.
    """
    return _gru_step(_inner("gru_cell", x, h, w_x, w_h, bias, 3), h, w_h, bias_h)


def rnn(x, h, w_x, w_h, bias=None, *, activation="tanh", reverse=False, lengths=None, mask=None):
    """``rnn_cell`` over x (T, N, I): all states (T, N, H), and the last one.

    ``reverse`` goes from the last time to the first; two of them, joined by ``concat``, are bidirectional. ``lengths``
    (N,): beyond a row's length its state stays as it is, and the outputs are 0. A boolean ``mask`` (T, N) says the same
    of each time.
    """
    parts = _inner("rnn", x, h, w_x, w_h, bias, 1)
    ys, (h,) = _over_time(parts, (h,), lambda p, h: (_rnn_step(p, h, w_h, activation),), reverse, lengths, mask)
    return ys, h


def lstm(x, state, w_x, w_h, bias=None, *, reverse=False, lengths=None, mask=None):
    """``lstm_cell`` over x (T, N, I): all h (T, N, H), and the last (h, c); the settings are those of ``rnn``."""
    h, c = state
    parts = _inner("lstm", x, h, w_x, w_h, bias, 4)
    if lengths is None and mask is None and _sweepable(parts, h, 4) and shape_of(h) == shape_of(c):
        hs, cs = lstm_sweep(flip(parts, axis=0) if reverse else parts, h, c, w_h)
        return (flip(hs, axis=0) if reverse else hs), (getitem(hs, -1), getitem(cs, -1))
    return _over_time(parts, tuple(state), lambda p, h, c: _lstm_step(p, h, c, w_h), reverse, lengths, mask)


def gru(x, h, w_x, w_h, bias=None, bias_h=None, *, reverse=False, lengths=None, mask=None):
    """``gru_cell`` over x (T, N, I): all h (T, N, H), and the last one; the settings are those of ``rnn``."""
    parts = _inner("gru", x, h, w_x, w_h, bias, 3)
    if lengths is None and mask is None and _sweepable(parts, h, 3):
        bias_h = beside([0.0] * shape_of(w_h)[1], w_h) if bias_h is None else bias_h
        hs = gru_sweep(flip(parts, axis=0) if reverse else parts, h, w_h, bias_h)
        return (flip(hs, axis=0) if reverse else hs), getitem(hs, -1)
    ys, (h,) = _over_time(parts, (h,), lambda p, h: (_gru_step(p, h, w_h, bias_h),), reverse, lengths, mask)
    return ys, h


def _inner(who, x, h, w_x, w_h, bias, gates):
    """x @ w_x + bias, the shapes checked: for all times in one product."""
    size = shape_of(h)[-1]
    wanted = {"w_x": (shape_of(x)[-1], gates * size), "w_h": (size, gates * size), "bias": (gates * size,)}
    for (name, shape), given in zip(wanted.items(), (w_x, w_h, bias), strict=True):
        if given is not None and shape_of(given) != shape:
            raise ShapeError(
                f"{who}: {name} has shape {shape_of(given)}.\n"
                f"  expected: {shape}, for x {shape_of(x)} and a state {shape_of(h)}"
            )
    return linear(x, w_x, bias)


def _sweepable(parts, h, gates):
    """Whether one operator can go over all times: parts (T, N, gates * H), nothing of it empty, for h (N, H)."""
    shape = shape_of(parts)
    return len(shape) == 3 and 0 not in shape and shape_of(h) == (shape[1], shape[2] // gates)


def _over_time(parts, state, step, reverse, lengths, mask):
    """``step`` for one time after the other: the first part of each state, and the last state."""
    times, *row = shape_of(parts)
    if mask is not None and (lengths is not None or shape_of(mask) != (times, *row[:-1]) or kind_of(mask) != "bool"):
        raise ShapeError(
            f"a mask of shape {shape_of(mask)} does not fit.\n"
            f"  expected: booleans of shape {(times, *row[:-1])}, and no lengths beside it"
        )
    each = apply(Parts(times, -len(row) - 1), parts) if times > 1 else [parts]
    found: list = [None] * times
    for t in reversed(range(times)) if reverse else range(times):
        new = step(reshape(each[t], tuple(row)), *state)
        if lengths is None and mask is None:
            state, found[t] = new, new[0]
        else:
            alive = expand_dims(getitem(mask, t) if lengths is None else greater(lengths, t), -1)
            state = tuple(where(alive, a, b) for a, b in zip(new, state, strict=True))
            found[t] = where(alive, new[0], 0.0)
    return stack(found), state


def _rnn_step(part, h, w_h, activation):
    if activation not in ACTIVATIONS:
        raise ValueError(f"rnn: activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")
    return ACTIVATIONS[activation](add(part, matmul(h, w_h)))


def _lstm_step(part, h, c, w_h):
    i, f, g, o = apply(Parts(4, -1), add(part, matmul(h, w_h)))
    c = add(multiply(sigmoid(f), c), multiply(sigmoid(i), tanh(g)))
    return multiply(sigmoid(o), tanh(c)), c


def _gru_step(part, h, w_h, bias_h):
    size = shape_of(h)[-1]
    inner = linear(h, w_h, bias_h)
    early = sigmoid(add(getitem(part, _columns(0, 2 * size)), getitem(inner, _columns(0, 2 * size))))
    r, z = apply(Parts(2, -1), early)
    late = _columns(2 * size, 3 * size)
    n = tanh(add(getitem(part, late), multiply(r, getitem(inner, late))))
    return add(n, multiply(z, subtract(h, n)))


def _columns(start, stop):
    return (Ellipsis, slice(start, stop))


def _split(x, count):
    """The last axis in ``count`` equal parts."""
    size = shape_of(x)[-1] // count
    return [getitem(x, _columns(k * size, (k + 1) * size)) for k in range(count)]


def slstm(c1, c2, x1, x2) -> tuple[Tensor, Tensor]:
    """The cell (c, h) of two memories c1, c2 (N, H) and two sums x1, x2 (N, 4 H), gates in the order of ``lstm_cell``.

    c = the sum over both of sigmoid(i) tanh(g) + sigmoid(f) c_k, h = sigmoid(o1 + o2) tanh(c). Zhu et al. 2015.
    """
    (i1, f1, g1, o1), (i2, f2, g2, o2) = _split(x1, 4), _split(x2, 4)
    first = add(multiply(sigmoid(i1), tanh(g1)), multiply(sigmoid(f1), c1))
    c = add(first, add(multiply(sigmoid(i2), tanh(g2)), multiply(sigmoid(f2), c2)))
    return c, multiply(sigmoid(add(o1, o2)), tanh(c))


def tree_lstm(memories, x) -> tuple[Tensor, Tensor]:
    """The cell (c, h) of n children's memories (N, H) and x (N, (3 + n) H): gates input, cell, output, n forget gates.

    c = sigmoid(i) tanh(g) + the sum of sigmoid(f_k) c_k, h = sigmoid(o) tanh(c). Tai, Socher, Manning 2015.
    """
    memories = list(memories)
    if shape_of(x)[-1] % (3 + len(memories)):
        raise ShapeError(f"tree_lstm: {shape_of(x)[-1]} columns are no {3 + len(memories)} gates")
    i, g, o, *forget = _split(x, 3 + len(memories))
    c = multiply(sigmoid(i), tanh(g))
    for f, memory in zip(forget, memories, strict=True):
        c = add(c, multiply(sigmoid(f), memory))
    return c, multiply(sigmoid(o), tanh(c))


# ---- sequences of different lengths ----


def pad_sequence(sequences, value=0.0) -> Tensor:
    """Arrays (T_n, ...) side by side in (T, N, ...), T the longest, with ``value`` behind the shorter ones."""
    sequences = list(sequences)
    shapes = [shape_of(s) for s in sequences]
    if not shapes or any(not s or s[1:] != shapes[0][1:] for s in shapes):
        raise ShapeError(f"pad_sequence: needs arrays (T, ...) that agree but for T, got {shapes}")
    longest = max(s[0] for s in shapes)
    parts = []
    for x, shape in zip(sequences, shapes, strict=True):
        short = longest - shape[0]
        y = pad(x, ((0, short),) + ((0, 0),) * (len(shape) - 1)) if short else x
        if short and value:
            behind = reshape(beside([0.0] * shape[0] + [float(value)] * short, x), (longest,) + (1,) * (len(shape) - 1))
            y = add(y, behind)
        parts.append(y)
    return stack(parts, axis=1)


def transpose_sequence(sequences) -> list[Tensor]:
    """Arrays (T_n, ...), the longest first, as one array for each time: (how many last that long, ...)."""
    sequences = list(sequences)
    lengths = [shape_of(s)[0] for s in sequences]
    if lengths != sorted(lengths, reverse=True):
        raise ValueError(f"transpose_sequence: the longest come first, got lengths {lengths}")
    alive = [[s for s, n in zip(sequences, lengths, strict=True) if n > t] for t in range(max(lengths, default=0))]
    return [stack([getitem(s, t) for s in some]) for t, some in enumerate(alive)]
