"""Programs for the tests of what is made of them: written by hand, and at random."""

import numpy as np

from zkynet.framework.graph_mode.program import Program, Step, Value
from zkynet.framework.record import HOST

UNARY = ("exp", "tanh", "negative", "sqrt", "square", "abs", "relu", "sigmoid")
BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
NUMBERS = (0.5, 2, -1.5, 0, float("inf"), True)


class Builder:
    """Records steps by running them: ``inputs``, ``steps`` and the array behind each Value."""

    def __init__(self):
        self.inputs, self.steps, self.constants, self.arrays = [], [], {}, {}

    def value(self, array):
        given = array if hasattr(array, "shape") else None
        value = Value(len(self.arrays), getattr(given, "shape", None), getattr(given, "dtype", None))
        self.arrays[value] = array
        return value

    def input(self, array):
        self.inputs.append(self.value(array))
        return self.inputs[-1]

    def constant(self, array):
        value = self.value(array)
        self.constants[value] = array
        return value

    def __call__(self, function, *args, **kwargs):
        """A step, and the Value (or a tuple of them) that it makes."""
        outputs = [self.value(None)]
        program = Program(HOST, self.arrays, [Step(function, args, kwargs, outputs[0])], outputs)
        with np.errstate(all="ignore"):
            made = program(*self.arrays.values())[0]
        del self.arrays[outputs[0]]
        made = tuple(map(self.value, made)) if isinstance(made, tuple) else self.value(made)
        self.steps.append(Step(function, args, kwargs, made, ("user.py", len(self.steps) // 3, "")))
        return made

    def program(self, *outputs):
        return Program(HOST, self.inputs, self.steps, outputs, self.constants)

    def fresh_inputs(self):
        """Copies of the inputs' arrays."""
        return [np.array(self.arrays[x]) if hasattr(self.arrays[x], "shape") else self.arrays[x] for x in self.inputs]


def random_plan(seed, steps=25, sizes=((4, 6), (6,), (4, 1), (6, 4), (3, 4, 6), ())):
    """A Builder with steps at random, and Values among them for outputs."""
    rng = np.random.default_rng(seed)
    build = Builder()
    for shape in sizes:
        build.input(np.asarray(rng.normal(size=shape), rng.choice(["f4", "f8"])))
    build.constant(rng.normal(size=sizes[0]).astype("f4"))
    while len(build.steps) < steps:
        known = [x for x in build.arrays if x.shape is not None and x.dtype.kind == "f"]
        _random_step(build, rng, known[rng.integers(len(known))], known)
    known = [x for x in build.arrays if x.shape is not None]
    return build, [known[i] for i in rng.integers(len(known), size=4)]


def _random_step(build, rng, x, known):
    n = len(x.shape)
    kind = rng.integers(12)
    if kind < 3:
        build(str(rng.choice(UNARY)), x)
    elif kind < 6:
        others = [y for y in known if _broadcast(x, y)] or [x]
        other = others[rng.integers(len(others))] if rng.integers(2) else NUMBERS[rng.integers(len(NUMBERS))]
        build(str(rng.choice(BINARY)), *((x, other) if rng.integers(2) else (other, x)))
    elif kind == 6 and n:
        axis = None if rng.integers(3) == 0 else int(rng.integers(n)) - n
        build(str(rng.choice(["sum", "max", "min", "mean"])), x, axis=axis, keepdims=bool(rng.integers(2)))
    elif kind == 7 and n >= 2:
        fits = [y for y in known if len(y.shape) >= 2 and y.shape[-2] == x.shape[-1] and _broadcast_lead(x, y)]
        if fits:
            build("matmul", x, fits[rng.integers(len(fits))])
    elif kind == 8 and n >= 2:
        build(*[("matrix_transpose", x), ("permute_dims", x, tuple(rng.permutation(n).tolist()))][rng.integers(2)])
    elif kind == 9 and n:
        index = [(slice(None, None, -1),), (slice(0, 2),), (Ellipsis, None), (0,), (Ellipsis, slice(None, None, 2))]
        build("getitem", x, index[rng.integers(len(index))])
    elif kind == 10 and n:
        build(*[("reshape", x, (-1,)), ("expand_dims", x, -1), ("flip", x), ("silence", x, x)][rng.integers(4)])
    elif kind == 11 and n and x.shape[-1]:
        build(*[("weights", x, -1), ("cumulative_sum", x), ("where", True, x, x), ("conj", x)][rng.integers(4)])


def _broadcast(x, y):
    try:
        return len(np.broadcast_shapes(x.shape, y.shape)) <= 3
    except ValueError:
        return False


def _broadcast_lead(x, y):
    try:
        return bool(np.broadcast_shapes(x.shape[:-2], y.shape[:-2]) or True)
    except ValueError:
        return False


def same(a, b):
    """Whether two results are of one shape and dtype and bit by bit the same; NaN is NaN."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)


def mlp_step(sizes=(5, 4, 3), batch=6, rule=None, numbers=(0.1,), slots=0, dtype="f4", seed=0):
    """A training step of a multi-layer perceptron with ReLU and softmax: ``(builder, outputs)``.

    The inputs are x, one-hot labels, the numbers, then the parameters w, b of each layer, then ``slots`` for each of
    them; the outputs are the loss, then for each parameter itself and its slots.
    """
    from zkynet.optim.sgd import plain

    rng = np.random.default_rng(seed)
    build = Builder()
    x = build.input(rng.normal(size=(batch, sizes[0])).astype(dtype))
    labels = build.input(np.eye(sizes[-1], dtype=dtype)[rng.integers(sizes[-1], size=batch)])
    scalars = build.input(tuple(numbers))
    params = []
    for n, m in zip(sizes[:-1], sizes[1:], strict=True):
        params.append(build.input((rng.normal(size=(n, m)) / n**0.5).astype(dtype)))
        params.append(build.input(np.zeros(m, dtype)))
    moments = [[build.input(np.zeros_like(build.arrays[p])) for _ in range(slots)] for p in params]
    layers, h = list(zip(params[::2], params[1::2], strict=True)), x
    kept = []
    for w, b in layers:
        z = build("add", build("matmul", h, w), b)
        kept.append((h, z))
        h = build("relu", z)
    shares = build("weights", z, -1)
    loss = build("negative", build("mean", build("sum", build("multiply", labels, build("log", shares)), axis=-1)))
    g = build("multiply", build("subtract", shares, labels), 1 / batch)
    grads = []
    for (w, _), (h, _) in zip(reversed(layers), reversed(kept), strict=True):
        grads = [build("matmul", build("matrix_transpose", h), g), build("sum", g, axis=0), *grads]
        if h is not x:
            g = build("select", build("greater", h, 0), build("matmul", g, build("matrix_transpose", w)))
    groups = [[p, g, *m] for p, g, m in zip(params, grads, moments, strict=True)]
    new = [
        tuple(map(build.value, [build.arrays[p], *[build.arrays[x] for x in m]]))
        for p, m in zip(params, moments, strict=True)
    ]
    build.steps.append(Step("update_in_blocks", (rule or plain, groups, scalars), {}, new))
    return build, [loss, *[value for group in new for value in group]]
