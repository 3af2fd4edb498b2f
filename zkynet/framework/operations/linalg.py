"""Products of matrices and tensors, and linear algebra."""

from zkynet.backends.errors import ShapeError

from ..axes import broadcast_shapes, lead_shape, normalize_axis, size_of
from ..operator import Operator
from ..record import Tensor, apply, kind_of, shape_of
from . import shape as shapes
from .complex import conj
from .elementwise import multiply
from .indexing import Take, flat_positions
from .shape import matrix_transpose, permute_dims, reshape

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class MatMul(Operator):
    """a @ b for at least two axes each; the function ``matmul`` lifts vectors first."""

    functional_name = "matmul"  # type: ignore[assignment]

    broadcasts = True  # over the stack axes
    right_aligned = True
    multilinear = True  # JVP: forward(ta, b) + forward(a, tb)

    def forward(self, xp, a, b):
        return xp.matmul(a, b)

    def vjp_a(self, xp, g, b):
        return xp.matmul(g, xp.matrix_transpose(b))

    def vjp_b(self, xp, g, a):
        return xp.matmul(xp.matrix_transpose(a), g)

    def diagonal_a(self, xp, g, b):
        return _scaled_rows(xp, g, xp.matrix_transpose(b), -2)

    def diagonal_b(self, xp, g, a):
        return _scaled_rows(xp, g, a, -1)


def _scaled_rows(xp, g, matrix, axis):
    """The cotangents, for a Diagonal, of the vector that ``matrix`` was multiplied by; None if it was no vector.

    ``axis``: the one of size 1 that lifted the vector to a matrix.
    """
    if len(g.entries.shape) != 2 or g.entries.shape[axis] != 1:
        return None
    return xp.expand_dims(g.times(xp, matrix), axis=axis)


class MatVec(Operator):
    """a @ b: a matrix (m, n) and a vector (n,). As one step it costs a third of a lifted product."""

    functional_name = "matmul"  # type: ignore[assignment]

    def forward(self, xp, a, b):
        return xp.matmul(a, b)

    def vjp_a(self, xp, g, b):
        return xp.expand_dims(g, axis=-1) * b

    def vjp_b(self, xp, g, a):
        return xp.matmul(g, a)

    def jvp_a(self, xp, t, b):
        return xp.matmul(t, b)

    def jvp_b(self, xp, t, a):
        return xp.matmul(t, xp.matrix_transpose(a))

    def diagonal_b(self, xp, g, a):
        return g.times(xp, a)


class Linear(Operator):
    """x @ weight + bias: x (rows, inputs), weight (inputs, outputs), bias (outputs,)."""

    def forward(self, xp, x, weight, bias):
        y = xp.matmul(x, weight)
        y += bias
        return y

    def vjp_x(self, xp, g, weight):
        return xp.matmul(g, xp.matrix_transpose(weight))

    def vjp_weight(self, xp, g, x):
        return xp.matmul(xp.matrix_transpose(x), g)

    def vjp_bias(self, xp, g):
        return xp.sum(g, axis=-2)

    def diagonal_x(self, xp, g, weight):
        return _scaled_rows(xp, g, xp.matrix_transpose(weight), -2)

    def jvp_x(self, xp, t, weight):
        return xp.matmul(t, weight)

    def jvp_weight(self, xp, t, x):
        return xp.matmul(x, t)

    def jvp_bias(self, xp, t):
        return xp.expand_dims(t, axis=-2)  # every row's, broadcast by the engine


class Einsum(Operator):
    """A sum of products in canonical form: labels distinct within an operand, the output explicit.

    An axis of size 1 stretches to the size of its label, as in broadcasting.
    """

    broadcasts = True

    def __init__(self, labels, out):
        self.labels, self.out = labels, out

    def forward(self, xp, *arrays):
        return xp.einsum(self.labels, self.out, *arrays)

    def vjp_arrays(self, xp, g, i, arrays, y_spec):
        lead = self.fresh(len(lead_shape(g, y_spec)))
        others = [k for k in range(len(self.labels)) if k != i]
        labels = (lead + self.out, *[self.labels[k] for k in others])
        mine = self.labels[i]
        seen = set("".join(labels))
        # A label of this operand alone was summed over: its cotangent is the same all along that axis.
        found = "".join(c for c in mine if c in seen)
        c = xp.einsum(labels, lead + found, g, *[arrays[k] for k in others])
        if found == mine and tuple(c.shape[len(lead) :]) == tuple(arrays[i].shape):
            return c
        lead_sizes = tuple(c.shape[: len(lead)])
        sizes = dict(zip(found, c.shape[len(lead) :], strict=True))
        c = xp.reshape(c, lead_sizes + tuple(sizes.get(k, 1) for k in mine))
        own = dict(zip(mine, arrays[i].shape, strict=True))
        return xp.broadcast_to(c, lead_sizes + tuple(own[k] if sizes.get(k, 1) == 1 else sizes[k] for k in mine))

    def jvp_arrays(self, xp, t, i, arrays):
        lead = self.fresh(len(t.shape) - len(self.labels[i]))
        labels = tuple(lead + s if k == i else s for k, s in enumerate(self.labels))
        return xp.einsum(labels, lead + self.out, *[t if k == i else a for k, a in enumerate(arrays)])

    def fresh(self, count):
        used = set("".join(self.labels) + self.out)
        return "".join([c for c in LETTERS if c not in used][:count])


class Solve(Operator):
    """The x with a @ x = b, for matrices b."""

    broadcasts = True  # over the stack axes
    right_aligned = True
    promotion = "floating"

    def forward(self, xp, a, b):
        return xp.linalg.solve(a, b)

    def vjp_a(self, xp, g, a, y):
        return -xp.matmul(xp.linalg.solve(xp.matrix_transpose(a), g), xp.matrix_transpose(y))

    def vjp_b(self, xp, g, a):
        return xp.linalg.solve(xp.matrix_transpose(a), g)

    def jvp_a(self, xp, t, a, y):
        return -xp.linalg.solve(a, xp.matmul(t, y))

    def jvp_b(self, xp, t, a):
        return xp.linalg.solve(a, t)


class Cholesky(Operator):
    """The lower factor L of a Hermitian a = L L^H. The gradient is symmetrised (Murray 2016, arXiv:1602.07527)."""

    promotion = "floating"

    def forward(self, xp, x):
        return xp.linalg.cholesky(x)

    def vjp_x(self, xp, g, y):
        # The transpose of t -> y phi(y^-1 t y^-H), phi: lower triangle, half of the diagonal.
        inner = half_lower(xp, xp.matmul(adjoint(xp, y), xp.conj(xp.tril(g))))
        right = xp.linalg.solve(adjoint(xp, y), inner)
        s = adjoint(xp, xp.linalg.solve(adjoint(xp, y), adjoint(xp, right)))
        return xp.conj(0.5 * (s + adjoint(xp, s)))

    def jvp_x(self, xp, t, y):
        t = 0.5 * (t + adjoint(xp, t))
        left = xp.linalg.solve(y, t)
        inner = adjoint(xp, xp.linalg.solve(y, adjoint(xp, left)))
        return xp.matmul(y, half_lower(xp, inner))


def adjoint(xp, x):
    """The conjugate transpose."""
    return xp.conj(xp.matrix_transpose(x))


def half_lower(xp, x):
    """The lower triangle, the diagonal halved."""
    return 0.5 * (xp.tril(x) + xp.tril(x, k=-1))


class Tril(Operator):
    """The entries on and below diagonal ``k``."""

    linear = True
    promotion = None

    def __init__(self, k):
        self.k = k

    def forward(self, xp, x):
        return xp.tril(x, k=self.k)

    def vjp_x(self, xp, g):
        return xp.tril(g, k=self.k)


_matmul, _matvec, _linear, _solve, _cholesky = MatMul(), MatVec(), Linear(), Solve(), Cholesky()


def matmul(a, b) -> Tensor:
    """The matrix product; a vector stands for a row on the left, a column on the right; stack axes broadcast."""
    sa, sb = shape_of(a), shape_of(b)
    if not sa or not sb:
        raise ShapeError(f"matmul: needs at least one axis each, got shapes {sa} and {sb}; use multiply for scalars")
    inner = (sa[-1], sb[-2] if len(sb) > 1 else sb[0])
    if inner[0] != inner[1]:
        raise ShapeError(
            f"matmul: inner sizes differ.\n  got:      {sa} @ {sb}\n"
            f"  expected: {inner[0]} rows on the right, there are {inner[1]}"
        )
    if len(sa) == 2 and len(sb) == 1:
        return apply(_matvec, a, b)
    if len(sa) == 1 and len(sb) == 2:
        return apply(_matvec, matrix_transpose(b), a)
    if len(sa) > 2 or len(sb) > 2:
        _stacked("matmul", sa, sb)
    if len(sa) > 1 and len(sb) > 1:
        return apply(_matmul, a, b)
    left = reshape(a, (1, *sa)) if len(sa) == 1 else a
    right = reshape(b, (*sb, 1)) if len(sb) == 1 else b
    y = apply(_matmul, left, right)
    full = shape_of(y)
    if len(sb) == 1:
        full = full[:-1]
    if len(sa) == 1:
        full = full[: len(full) - (len(sb) > 1) - 1] + full[len(full) - (len(sb) > 1) :]
    return reshape(y, full)


def linear(x, weight, bias=None) -> Tensor:
    """x @ weight + bias in one step: x (..., inputs), weight (inputs, outputs), bias (outputs,) or None."""
    if bias is None:
        return matmul(x, weight)
    sx, sw, sb = shape_of(x), shape_of(weight), shape_of(bias)
    if len(sw) != 2 or not sx or sx[-1] != sw[0] or sb != sw[1:]:
        raise ShapeError(
            f"linear: shapes do not fit.\n  got:      x {sx}, weight {sw}, bias {sb}\n"
            f"  expected: x (..., inputs), weight (inputs, outputs), bias (outputs,)"
        )
    if len(sx) == 2:
        return apply(_linear, x, weight, bias)
    rows = size_of(sx[:-1])
    return reshape(apply(_linear, reshape(x, (rows, sx[-1])), weight, bias), sx[:-1] + sb)


def _stacked(name, sa, sb):
    """ShapeError where the stack axes do not broadcast."""
    try:
        broadcast_shapes(sa[:-2], sb[:-2])
    except ShapeError:
        raise ShapeError(f"{name}: the stacks of {sa} and {sb} do not broadcast: {sa[:-2]}, {sb[:-2]}") from None


def tensordot(a, b, axes=2) -> Tensor:
    """Sum of products over ``axes``: a number (the last of a with the first of b), or two sequences of axes."""
    sa, sb = shape_of(a), shape_of(b)
    if isinstance(axes, int):
        axes = list(range(len(sa) - axes, len(sa))), list(range(axes))
    first, second = [[axis] if isinstance(axis, int) else list(axis) for axis in axes]
    left = [normalize_axis(i, len(sa), "tensordot") + len(sa) for i in first]
    right = [normalize_axis(i, len(sb), "tensordot") + len(sb) for i in second]
    if [sa[i] for i in left] != [sb[i] for i in right] or len(set(left)) < len(left):
        raise ShapeError(f"tensordot: axes {axes} do not pair off in shapes {sa} and {sb}")
    rows = [i for i in range(len(sa)) if i not in left]
    columns = [i for i in range(len(sb)) if i not in right]
    inner = size_of(tuple(sa[i] for i in left))
    a = reshape(permute_dims(a, rows + left), (size_of(tuple(sa[i] for i in rows)), inner))
    b = reshape(permute_dims(b, right + columns), (inner, size_of(tuple(sb[i] for i in columns))))
    return reshape(matmul(a, b), tuple(sa[i] for i in rows) + tuple(sb[i] for i in columns))


def dot(a, b) -> Tensor:
    """NumPy's dot: a product of scalars, else a sum over the last axis of a and the second last of b."""
    sa, sb = shape_of(a), shape_of(b)
    if not sa or not sb:
        return multiply(a, b)
    return matmul(a, b) if len(sb) < 3 else tensordot(a, b, ([-1], [-2]))


def einsum(subscripts, *arrays) -> Tensor:
    """Einstein's summation: implicit outputs, repeated labels and ellipsis as in NumPy.

    Or by lists of numbers, one behind each operand and perhaps one for the output: ``einsum(a, [0, 1], b, [1], [0])``.
    Rules call the protocol's canonical form, ``einsum(labels, out, *arrays)``, with a tuple of labels first.
    """
    if isinstance(subscripts, tuple):
        subscripts, arrays = ",".join(subscripts) + "->" + arrays[0], arrays[1:]
    if not isinstance(subscripts, str):
        subscripts, arrays = _from_lists((subscripts, *arrays))
    labels, out = _canonical(subscripts, [shape_of(a) for a in arrays])
    operands = list(arrays)
    for k, text in enumerate(labels):
        labels[k], operands[k] = _without_repeats(text, operands[k])
    _check_sizes(subscripts, labels, [shape_of(a) for a in operands])
    if len(operands) == 1 and len(labels[0]) == len(out):
        return permute_dims(operands[0], [labels[0].index(c) for c in out])
    return apply(Einsum(tuple(labels), out), *operands)


def _from_lists(arguments):
    """Subscripts as a string, and the operands, of NumPy's alternative form."""
    count = len(arguments) // 2
    lists = [*arguments[1 : 2 * count : 2], *arguments[2 * count :]]
    known = {n: c for n, c in enumerate(sorted(LETTERS))} | {Ellipsis: "..."}
    if any(not isinstance(item, (list, tuple)) or any(n not in known for n in item) for item in lists):
        raise TypeError(
            "einsum: expected a string of subscripts first, or behind each operand a list of its labels:\n"
            f"  numbers from 0 to {len(LETTERS) - 1}, and Ellipsis"
        )
    texts = ["".join(known[n] for n in item) for item in lists]
    return ",".join(texts[:count]) + "".join("->" + t for t in texts[count:]), arguments[: 2 * count : 2]


def _canonical(subscripts, shapes_):
    """The labels of each operand and of the output, ellipses replaced by fresh labels."""
    text = subscripts.replace(" ", "")
    inputs, arrow, out = text.partition("->")
    labels = inputs.split(",")
    if len(labels) != len(shapes_):
        raise ValueError(f"einsum: {subscripts!r} speaks of {len(labels)} operands, got {len(shapes_)}")
    spare = [c for c in LETTERS if c not in text]
    longest = 0
    for k, shape in enumerate(shapes_):
        named = len(labels[k].replace("...", ""))
        extra = len(shape) - named
        if extra < 0 or (extra and "..." not in labels[k]):
            raise ShapeError(f"einsum: {labels[k]!r} does not fit an operand of shape {shape}")
        longest = max(longest, extra if "..." in labels[k] else 0)
        labels[k] = labels[k].replace("...", "\0" * extra)
    dots = "".join(spare[:longest])
    labels = [t.replace("\0" * t.count("\0"), dots[longest - t.count("\0") :]) if "\0" in t else t for t in labels]
    if not arrow:
        joined = "".join(labels)
        out = dots + "".join(sorted(c for c in set(joined) if c not in dots and joined.count(c) == 1))
    elif "..." in out:
        out = out.replace("...", dots)
    if len(set(out)) < len(out) or not set(out) <= set("".join(labels)):
        raise ValueError(f"einsum: the output of {subscripts!r} must name labels of the operands, each once")
    return labels, out


def _without_repeats(text, x):
    """A label that stands twice in one operand means its diagonal."""
    kept = "".join(dict.fromkeys(text))
    if kept == text:
        return text, x
    sizes = dict(zip(text, shape_of(x), strict=True))
    if any(size != sizes[c] for c, size in zip(text, shape_of(x), strict=True)):
        raise ShapeError(f"einsum: repeated labels in {text!r} need equal sizes, got shape {shape_of(x)}")
    lines = [shapes.line(sizes[c], kept.index(c), len(kept)) for c in text]
    flat = flat_positions(tuple(lines), shape_of(x))
    return kept, apply(Take(-1), reshape(x, (-1,)), flat)


def _check_sizes(subscripts, labels, shapes_):
    sizes: dict = {}
    for text, shape in zip(labels, shapes_, strict=True):
        for c, size in zip(text, shape, strict=True):
            if size != 1 and sizes.setdefault(c, size) != size:
                raise ShapeError(f"einsum: {subscripts!r}: label {c!r} has sizes {sizes[c]} and {size}")


def solve(a, b) -> Tensor:
    """The x with a @ x = b; a one-axis b is a vector. LinAlgError where a is singular."""
    sa, sb = _square("solve", a), shape_of(b)
    if not sb or sb[-2 if len(sb) > 1 else 0] != sa[-1]:
        raise ShapeError(f"solve: shapes {sa} and {sb} do not fit; b needs {sa[-1]} rows")
    if len(sb) == 1:
        y = apply(_solve, a, reshape(b, (*sb, 1)))
        return reshape(y, shape_of(y)[:-1])
    _stacked("solve", sa, sb)
    return apply(_solve, a, b)


def cholesky(x, *, upper=False) -> Tensor:
    """The lower (or upper) Cholesky factor. LinAlgError where x is not positive definite; a symmetrised gradient."""
    _square("cholesky", x)
    y = apply(_cholesky, x)
    return conj(matrix_transpose(y)) if upper else y


def tril(x, *, k=0) -> Tensor:
    """x with the entries above diagonal ``k`` set to 0."""
    return apply(Tril(k), x)


def triu(x, *, k=0) -> Tensor:
    """x with the entries below diagonal ``k`` set to 0."""
    return matrix_transpose(tril(matrix_transpose(x), k=-k))


def _square(name, x):
    shape = shape_of(x)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(f"{name}: needs square matrices in the last two axes, got shape {shape}")
    if kind_of(x) == "bool":
        raise TypeError(f"{name}: needs numbers, got booleans")
    return shape
