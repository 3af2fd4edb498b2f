"""RNN, LSTM and GRU: one step, and whole sequences in several layers and both directions."""

from __future__ import annotations

from typing import Any

from zkynet import backends
from zkynet.backends.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.computation_graph import Generator, Module, Parameter
from zkynet.nn.initializers import Initializer, as_generator, glorot_uniform
from zkynet.nn.layer import size

ACTIVATIONS = ("tanh", "relu")


class Cell(Module):
    """What the three cells share: ``weight_x`` (inputs, gates * hidden), ``weight_h`` (hidden, gates * hidden), biases.

    Each gate's block of columns is drawn with ``init`` as a matrix of its own. Biases begin at zero, where the cell
    says nothing else. Subclasses say how many ``gates`` and ``states`` they have.
    """

    gates = 1
    states = 1

    def __init__(
        self,
        inputs: int,
        hidden: int,
        generator: Generator | int | None = None,
        *,
        bias: bool = True,
        init: Initializer = glorot_uniform,
        dtype: Any = "float32",
    ):
        self.inputs, self.hidden = (
            size(type(self).__name__, "inputs", inputs),
            size(type(self).__name__, "hidden", hidden),
        )
        generator = needed(self, generator)
        self.weight_x = Parameter("weight_x", self._drawn(self.inputs, generator, init, dtype))
        self.weight_h = Parameter("weight_h", self._drawn(self.hidden, generator, init, dtype))
        self.bias = Parameter("bias", self._first_bias(dtype)) if bias else None

    def _drawn(self, rows: int, generator: Generator, init: Initializer, dtype: Any) -> Any:
        """The blocks of all gates beside each other."""
        blocks = [
            init((rows, self.hidden), generator, dtype=dtype, fans=(rows, self.hidden)) for _ in range(self.gates)
        ]
        return blocks[0] if self.gates == 1 else backends.backend_of(blocks[0]).concat(blocks, axis=1)

    def _first_bias(self, dtype: Any) -> Any:
        xp = backends.default_backend()
        return xp.zeros((self.gates * self.hidden,), dtype=xp.dtype(dtype))

    def first_state(self, rows: int) -> tuple[Any, ...]:
        """Zeros (rows, hidden) for each of the cell's states, of the backend and the dtype of its weights."""
        weight = self.weight_h.value
        xp = backends.backend_of(weight)
        return tuple(xp.zeros((rows, self.hidden), dtype=weight.dtype) for _ in range(self.states))

    def sweep(self, x: Any, state: tuple, reverse: bool, lengths: Any, mask: Any) -> tuple[Any, tuple]:
        """Go over x (T, N, inputs): all outputs (T, N, hidden) and the last state."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inputs}, {self.hidden}{'' if self.bias is not None else ', bias=False'})"


class RNNCell(Cell):
    """One step of a plain recurrent network: h' = activation(x @ weight_x + h @ weight_h + bias).

    From x (N, inputs) and h (N, hidden), zeros unless given, to h' (N, hidden). ``activation`` is "tanh" or "relu".
    Weights are drawn with ``init`` from ``generator``, a zk.Generator or an int seed.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        generator: Generator | int | None = None,
        *,
        activation: str = "tanh",
        bias: bool = True,
        init: Initializer = glorot_uniform,
        dtype: Any = "float32",
    ):
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"{type(self).__name__}: activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}"
            )
        self.activation = activation
        super().__init__(inputs, hidden, generator, bias=bias, init=init, dtype=dtype)

    def call(self, x: Any, h: Any = None) -> Any:
        (h,) = self.first_state(rows_of(self, x)) if h is None else (h,)
        return op.rnn_cell(x, h, self.weight_x, self.weight_h, self.bias, activation=self.activation)

    def sweep(self, x: Any, state: tuple, reverse: bool, lengths: Any, mask: Any) -> tuple[Any, tuple]:
        (h,) = state
        ys, h = op.rnn(
            x,
            h,
            self.weight_x,
            self.weight_h,
            self.bias,
            activation=self.activation,
            reverse=reverse,
            lengths=lengths,
            mask=mask,
        )
        return ys, (h,)


class LSTMCell(Cell):
    """One step of a long short-term memory: the next (h, c) of x (N, inputs) and (h, c), zeros unless given.

    c' = sigmoid(f) c + sigmoid(i) tanh(g) and h' = sigmoid(o) tanh(c'), where the columns of the weights hold the gates
    i, f, g, o in this order (Hochreiter and Schmidhuber 1997; Gers et al. 2000). The bias of the forget gate begins at
    ``forget_bias``, so that the memory lasts at first (Jozefowicz et al. 2015), that of the others at zero.
    """

    gates = 4
    states = 2

    def __init__(
        self,
        inputs: int,
        hidden: int,
        generator: Generator | int | None = None,
        *,
        forget_bias: float = 1.0,
        bias: bool = True,
        init: Initializer = glorot_uniform,
        dtype: Any = "float32",
    ):
        self.forget_bias = float(forget_bias)
        super().__init__(inputs, hidden, generator, bias=bias, init=init, dtype=dtype)

    def _first_bias(self, dtype: Any) -> Any:
        xp = backends.default_backend()
        parts = [xp.zeros((self.hidden,), dtype=xp.dtype(dtype)) for _ in range(4)]
        parts[1] = parts[1] + self.forget_bias
        return xp.concat(parts)

    def call(self, x: Any, state: Any = None) -> Any:
        state = self.first_state(rows_of(self, x)) if state is None else pair(self, state)
        return op.lstm_cell(x, state, self.weight_x, self.weight_h, self.bias)

    def sweep(self, x: Any, state: tuple, reverse: bool, lengths: Any, mask: Any) -> tuple[Any, tuple]:
        return op.lstm(x, state, self.weight_x, self.weight_h, self.bias, reverse=reverse, lengths=lengths, mask=mask)


class GRUCell(Cell):
    """One step of a gated recurrent unit: h' = (1 - z) n + z h with n = tanh(x part + r (h part)).

    From x (N, inputs) and h (N, hidden), zeros unless given. The columns of the weights hold the gates r, z, n in this
    order; ``bias`` belongs to the x part and ``bias_h``, of the same shape (3 * hidden,), to the h part (Cho et al.
    2014; the reset gate works on the product, as in cuDNN and PyTorch).
    """

    gates = 3

    def __init__(
        self,
        inputs: int,
        hidden: int,
        generator: Generator | int | None = None,
        *,
        bias: bool = True,
        init: Initializer = glorot_uniform,
        dtype: Any = "float32",
    ):
        super().__init__(inputs, hidden, generator, bias=bias, init=init, dtype=dtype)
        self.bias_h = Parameter("bias_h", self._first_bias(dtype)) if bias else None

    def call(self, x: Any, h: Any = None) -> Any:
        (h,) = self.first_state(rows_of(self, x)) if h is None else (h,)
        return op.gru_cell(x, h, self.weight_x, self.weight_h, self.bias, self.bias_h)

    def sweep(self, x: Any, state: tuple, reverse: bool, lengths: Any, mask: Any) -> tuple[Any, tuple]:
        (h,) = state
        ys, h = op.gru(
            x,
            h,
            self.weight_x,
            self.weight_h,
            self.bias,
            self.bias_h,
            reverse=reverse,
            lengths=lengths,
            mask=mask,
        )
        return ys, (h,)


class Recurrent(Module):
    """What RNN, LSTM and GRU share: cells over whole sequences, layer upon layer, in one direction or both.

    ``cells`` holds them layer by layer, in each the forward one first. ``x`` is (N, T, inputs), with ``time_first`` (T,
    N, inputs). The call gives all outputs (N, T, directions * hidden) of the last layer, forward and backward joined,
    and the last state of every cell, (layers * directions, N, hidden); the backward ones' is that at time 0. ``state``,
    of that shape, is where they begin: zeros unless given.

    Ragged batches: ``lengths`` (N,), how many times of each row count, or ``mask`` (N, T), booleans, which ones do; the
    mask is (T, N) with ``time_first``. Where a time does not count the state stays as it is and the output is 0, so the
    last state is that after the last time that counts, and a backward cell begins there.

    ``dropout`` is the rate at which outputs between layers are dropped in training; it draws from ``generator``, which
    the module then owns as ``noise``. ``model.eval()`` turns it off.
    """

    cell: type[Cell] = Cell
    arrays = 1  # of a state

    def __init__(
        self,
        inputs: int,
        hidden: int,
        generator: Generator | int | None = None,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        time_first: bool = False,
        **settings: Any,
    ):
        self.layers, self.directions = size(type(self).__name__, "layers", layers), 2 if bidirectional else 1
        self.inputs, self.hidden = (
            size(type(self).__name__, "inputs", inputs),
            size(type(self).__name__, "hidden", hidden),
        )
        self.dropout, self.time_first = rate(self, dropout), bool(time_first)
        generator = needed(self, generator)
        widths = [self.inputs] + [self.directions * self.hidden] * (self.layers - 1)
        self.cells = tuple(
            self.cell(width, self.hidden, generator, **settings) for width in widths for _ in range(self.directions)
        )
        self.noise = generator if self.dropout else None

    def call(self, x: Any, state: Any = None, *, lengths: Any = None, mask: Any = None) -> Any:
        x = self._times_first(x)
        steps, rows = x.shape[:2]
        mask = _checked_rows(self, steps, rows, lengths, mask, self.time_first)
        states = self._states(state, rows)
        last = []
        for i in range(self.layers):
            if i and self.noise is not None and self.training:
                x = op.dropout(x, self.dropout, self.noise)
            ys = []
            for k in range(self.directions):
                at = i * self.directions + k
                y, new = self.cells[at].sweep(x, states[at], k == 1, lengths, mask)
                ys.append(y)
                last.append(new)
            x = ys[0] if len(ys) == 1 else op.concat(ys, axis=-1)
        x = x if self.time_first else op.moveaxis(x, 0, 1)
        ends = tuple(op.stack([each[j] for each in last]) for j in range(self.arrays))
        return x, ends if self.arrays > 1 else ends[0]

    def _times_first(self, x: Any) -> Any:
        shape = tuple(x.shape)
        if len(shape) != 3 or shape[-1] != self.inputs or 0 in shape[:2]:
            axes = "T, N" if self.time_first else "N, T"
            raise ShapeError(
                f"{self!r}: the input has the wrong shape.\n  got:      {shape}\n"
                f"  expected: ({axes}, {self.inputs}) with at least one row and one time"
            )
        return x if self.time_first else op.moveaxis(x, 0, 1)

    def _states(self, state: Any, rows: int) -> list[tuple]:
        """Where each cell begins."""
        if state is None:
            return [cell.first_state(rows) for cell in self.cells]
        given = (state,) if self.arrays == 1 else pair(self, state)
        wanted = (len(self.cells), rows, self.hidden)
        for each in given:
            if tuple(each.shape) != wanted:
                raise ShapeError(
                    f"{self!r}: the state has the wrong shape.\n  got:      {tuple(each.shape)}\n"
                    f"  expected: {wanted}: a row of states for each of {len(self.cells)} cells"
                )
        return [tuple(op.asarray(each)[i] for each in given) for i in range(len(self.cells))]

    def __repr__(self) -> str:
        settings = [f"layers={self.layers}"] * (self.layers > 1) + ["bidirectional=True"] * (self.directions == 2)
        settings += [f"dropout={self.dropout}"] * (self.dropout > 0) + ["time_first=True"] * self.time_first
        return f"{type(self).__name__}({', '.join([f'{self.inputs}, {self.hidden}', *settings])})"


class RNN(Recurrent):
    """A plain recurrent network over sequences: see ``Recurrent`` for the shapes and ``RNNCell`` for a step.

    ``RNN(inputs, hidden, generator, layers=1, bidirectional=False, dropout=0.0, time_first=False)``, and the settings
    of the cell: ``activation``, ``bias``, ``init``, ``dtype``. The call gives (outputs, last state).
    """

    cell = RNNCell


class LSTM(Recurrent):
    """A long short-term memory over sequences: see ``Recurrent`` for the shapes and ``LSTMCell`` for a step.

    ``LSTM(inputs, hidden, generator, layers=1, bidirectional=False, dropout=0.0, time_first=False)``, and the settings
    of the cell: ``forget_bias``, ``bias``, ``init``, ``dtype``. The call gives (outputs, (h, c)), and a given state is
    such a pair.
    """

    cell = LSTMCell
    arrays = 2


class GRU(Recurrent):
    """A gated recurrent unit over sequences: see ``Recurrent`` for the shapes and ``GRUCell`` for a step.

    ``GRU(inputs, hidden, generator, layers=1, bidirectional=False, dropout=0.0, time_first=False)``, and the settings
    of the cell: ``bias``, ``init``, ``dtype``. The call gives (outputs, last state).
    """

    cell = GRUCell


# ---- what is given ----


def rate(who: Module, value: Any) -> float:
    """``value`` as a rate of dropout, in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{type(who).__name__}: dropout must be in [0, 1), got {value!r}")
    return float(value)


def needed(who: Module, generator: Any) -> Generator:
    """``generator`` as a Generator; TypeError where there is none."""
    if generator is None:
        raise TypeError(
            f"{type(who).__name__} draws its weights and needs a generator.\n"
            f"  expected: {type(who).__name__}(..., zk.Generator(seed)), or an int seed in its place\n"
            "One generator can serve a whole model: every draw moves it on."
        )
    return as_generator(generator)


def pair(who: Module, state: Any) -> tuple:
    """A state (h, c)."""
    if not isinstance(state, (tuple, list)) or len(state) != 2:
        raise TypeError(
            f"{type(who).__name__}: the state is a pair.\n  got:      {type(state).__name__}\n  expected: (h, c)"
        )
    return tuple(state)


def rows_of(who: Cell, x: Any) -> int:
    """N of x (N, inputs)."""
    shape = tuple(x.shape)
    if len(shape) != 2 or shape[1] != who.inputs:
        raise ShapeError(f"{who!r}: the input has the wrong shape.\n  got:      {shape}\n  expected: (N, {who.inputs})")
    return shape[0]


def _checked_rows(who: Recurrent, steps: int, rows: int, lengths: Any, mask: Any, time_first: bool) -> Any:
    """The mask with the times first; errors for lengths and masks that do not fit."""
    if lengths is not None and mask is not None:
        raise TypeError(f"{who!r}: both lengths and mask are given.\n  expected: one of them")
    if lengths is not None:
        _check_lengths(who, op.asarray(lengths), steps, rows)
    if mask is None:
        return None
    mask = op.asarray(mask)
    wanted = (steps, rows) if time_first else (rows, steps)
    if tuple(mask.shape) != wanted or "bool" not in str(mask.dtype):
        raise ShapeError(
            f"{who!r}: the mask does not fit.\n  got:      {mask.dtype} of shape {tuple(mask.shape)}\n"
            f"  expected: booleans of shape {wanted}"
        )
    return mask if time_first else op.matrix_transpose(mask)


def _check_lengths(who: Recurrent, lengths: Any, steps: int, rows: int) -> None:
    xp = backends.backend_of(lengths.value)
    if tuple(lengths.shape) != (rows,) or "int" not in str(lengths.dtype):
        raise ShapeError(
            f"{who!r}: the lengths do not fit.\n  got:      {lengths.dtype} of shape {tuple(lengths.shape)}\n"
            f"  expected: integers of shape {(rows,)}"
        )
    wrong = (lengths.value < 0) | (lengths.value > steps)
    if not xp.is_traced(wrong) and bool(xp.any(wrong)):
        raise ValueError(
            f"{who!r}: a length is out of range.\n  got:      {xp.to_numpy(lengths.value).tolist()}\n"
            f"  expected: 0 .. {steps}"
        )
