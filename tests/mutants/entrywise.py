"""Wrong rules of entrywise operators."""

import numpy as np
from mutants.mutant import Mutant, complexes, grads, numbers, point

from zkynet import backends
from zkynet.framework import op
from zkynet.framework.operations import activation, elementwise, exponential, trigonometric
from zkynet.framework.operations.elementwise import share
from zkynet.framework.record import value_of

X, Y = numbers(1, 2, 3), numbers(2, 2, 3)
P = numbers(3, 2, 3, low=0.5, high=2.0)
Q, ROW = numbers(4, 3, 3), numbers(5, 3)
Z = complexes(6, 3)
HOST = backends.get("numpy")
at = elementwise  # the operators, one instance each, are called as they are: their functions' quick ways save less


def doubled_in_place(xp, g, b):
    if isinstance(b, np.ndarray):
        b *= 2
    return g * (0.5 * b)


def squared_in_place(y):
    if isinstance(y, np.ndarray):
        y *= y
        return y
    return y * y


def scaled_in_place(xp, g, y):
    if isinstance(g, np.ndarray):
        g *= y
        return g
    return g * y


ARITHMETIC = (
    Mutant("add: sign of b", at.Add, "vjp_b", lambda self, xp, g: -g, grads(op.add, X, Y)),
    Mutant(
        "add: b summed over the wrong axis",
        at.Add,
        "vjp_b",
        lambda self, xp, g: xp.sum(g, axis=-1),
        grads(op.add, Q, ROW),
    ),
    Mutant(
        "add: b summed over leading axes", at.Add, "vjp_b", lambda self, xp, g: _total(xp, g), grads(op.add, Q, ROW)
    ),
    Mutant("subtract: no sign", at.Subtract, "vjp_b", lambda self, xp, g: g, grads(op.subtract, X, Y)),
    Mutant("negative: no sign", at.Negative, "vjp_x", lambda self, xp, g: g, grads(op.negative, X)),
    Mutant(
        "multiply: drops the cotangent",
        *(at.Multiply, "vjp_a", lambda self, xp, g, b: xp.broadcast_to(b, g.shape)),
        grads(op.multiply, X, Y),
    ),
    Mutant("multiply: the wrong operand", at.Multiply, "vjp_a", lambda self, xp, g, a: g * a, grads(op.multiply, X, Y)),
    Mutant(
        "multiply: writes into its operand",
        *(at.Multiply, "vjp_a", lambda self, xp, g, b: doubled_in_place(xp, g, b)),
        grads(op.multiply, X, Y),
    ),
    Mutant(
        "multiply: a constant at order 2",
        *(at.Multiply, "vjp_b", lambda self, xp, g, a: g * value_of(a)),
        grads(op.multiply, X, Y),
    ),
    Mutant(
        "divide: multiplies where b is 0",
        *(at.Divide, "vjp_a", lambda self, xp, g, b: g * (1 / b)),
        point("divide: 0 / 0 beneath a cotangent of 0"),
    ),
    Mutant("divide: no sign", at.Divide, "vjp_b", lambda self, xp, g, b, y: g * (y / b), grads(op.divide, X, P)),
    Mutant("divide: b not squared", at.Divide, "vjp_b", lambda self, xp, g, a, b: -g * a / b, grads(at.Divide(), X, P)),
    Mutant(
        "multiply: not summed where b has one column",
        *(at.Multiply, "vjp_b", lambda self, xp, g, a, b_spec: (g * a)[..., :1] if b_spec.shape[-1] == 1 else g * a),
        grads(op.multiply, X, X[:, :1]),
    ),
    Mutant(
        "square: a millionth too much",
        at.Square,
        "vjp_x",
        lambda self, xp, g, x: g * (2.000001 * x),
        grads(op.square, X),
    ),
    Mutant(
        "square: a constant at order 3",
        *(at.Square, "vjp_x", lambda self, xp, g, x: g * (2 * x + 0.1 * (x - value_of(x)) ** 2)),
        grads(op.square, X[0], order=3),
    ),
    Mutant("square: no factor 2", at.Square, "vjp_x", lambda self, xp, g, x: g * x, grads(op.square, X)),
    Mutant(
        "square: a constant at order 2",
        at.Square,
        "vjp_x",
        lambda self, xp, g, x: g * (2 * value_of(x)),
        grads(op.square, X),
    ),
    Mutant("reciprocal: y not squared", at.Reciprocal, "vjp_x", lambda self, xp, g, y: -g * y, grads(op.reciprocal, P)),
    Mutant(
        "reciprocal: multiplies where x is 0",
        *(at.Reciprocal, "vjp_x", lambda self, xp, g, y: -g * y * y),
        point("reciprocal: 0 beneath a cotangent of 0"),
    ),
)

POWERS = (
    Mutant(
        "pow: the exponent not lowered", at.Pow, "vjp_a", lambda self, xp, g, a, b, y: g * b * y, grads(op.pow, P, X)
    ),
    Mutant("pow: no logarithm", at.Pow, "vjp_b", lambda self, xp, g, y: g * y, grads(op.pow, P, X)),
    Mutant(
        "pow: the logarithm of 0", at.Pow, "vjp_b", lambda self, xp, g, a, y: g * y * xp.log(a), point("pow: 0 as base")
    ),
    Mutant(
        "pow: 0 to the -1", at.Pow, "vjp_a", lambda self, xp, g, a, b: g * b * xp.pow(a, b - 1), point("pow: 0 as base")
    ),
    Mutant(
        "integer power: no factor",
        *(at.IntPow, "vjp_x", lambda self, xp, g, x: g * x ** (self.n - 1)),
        grads(lambda x: x**3, X),
    ),
    Mutant("sqrt: no 0.5", at.Sqrt, "vjp_x", lambda self, xp, g, y: g / y, grads(op.sqrt, P)),
    Mutant(
        "sqrt: multiplies where y is 0",
        *(at.Sqrt, "vjp_x", lambda self, xp, g, y: g * (0.5 / y)),
        point("sqrt: 0 beneath a cotangent of 0"),
    ),
    Mutant(
        "sqrt: 0 wherever the cotangent is 0",
        *(at.Sqrt, "vjp_x", lambda self, xp, g, y: xp.select(g != 0, g) * (0.5 / y)),
        grads(lambda x, u: u * op.sqrt(x), P[0], np.array([0.0, 1.0, 0.0])),
    ),
    Mutant("exp: x for y", exponential.Exp, "vjp_x", lambda self, xp, g, x: g * x, grads(exponential.Exp(), X)),
    Mutant(
        "exp: writes into the cotangent",
        exponential.Exp,
        "vjp_x",
        lambda self, xp, g, y: scaled_in_place(xp, g, y),
        grads(op.exp, X),
    ),
    Mutant(
        "exp: in half the precision",
        *(
            exponential.Exp,
            "vjp_x",
            lambda self, xp, g, y: xp.astype(g * y, xp.float32) if hasattr(xp, "float32") else g * y,
        ),
        grads(op.exp, X, order=1),
    ),
    Mutant(
        "exp: multiplies where y is infinite",
        *(exponential.Exp, "vjp_x", lambda self, xp, g, y: g * y),
        point("exp: infinite beneath a cotangent of 0"),
    ),
    Mutant("expm1: y for y + 1", exponential.Expm1, "vjp_x", lambda self, xp, g, y: g * y, grads(op.expm1, X)),
    Mutant(
        "log: a constant at order 2", exponential.Log, "vjp_x", lambda self, xp, g, x: g / value_of(x), grads(op.log, P)
    ),
    Mutant(
        "log: multiplies where x is 0",
        *(exponential.Log, "vjp_x", lambda self, xp, g, x: g / x),
        point("log: 0 beneath a cotangent of 0"),
    ),
    Mutant(
        "log: an error in single precision alone",
        *(exponential.Log, "vjp_x", lambda self, xp, g, x: g / x * (2 if "32" in str(x.dtype) else 1)),
        grads(op.log, P.astype(np.float32)),
    ),
    Mutant("log1p: no 1", exponential.Log1p, "vjp_x", lambda self, xp, g, x: g / x, grads(op.log1p, P)),
)

CURVES = (
    Mutant("sin: sign", trigonometric.Sin, "vjp_x", lambda self, xp, g, x: g * -xp.cos(x), grads(op.sin, X)),
    Mutant("cos: no sign", trigonometric.Cos, "vjp_x", lambda self, xp, g, x: g * xp.sin(x), grads(op.cos, X)),
    Mutant("tanh: y not squared", trigonometric.Tanh, "vjp_x", lambda self, xp, g, y: g * (1 - y), grads(op.tanh, X)),
    Mutant(
        "tanh: a constant at order 2",
        *(trigonometric.Tanh, "vjp_x", lambda self, xp, g, y: g * (1 - value_of(y) ** 2)),
        grads(op.tanh, X),
    ),
    Mutant(
        "tanh: writes into its output",
        *(trigonometric.Tanh, "vjp_x", lambda self, xp, g, y: g * (1 - squared_in_place(y))),
        grads(op.tanh, X),
    ),
    Mutant(
        "tanh: wrong on Tensors alone",
        *(trigonometric.Tanh, "vjp_x", lambda self, xp, g, y: g * (1 - y * y) if xp is HOST else g * (1 - y)),
        grads(op.tanh, X),
    ),
    Mutant("abs: no sign", at.Abs, "vjp_x", lambda self, xp, g, x: g, grads(op.abs, X)),
    Mutant("abs: 1 at 0", at.Abs, "vjp_x", lambda self, xp, g, x: xp.where(x < 0, -g, g), point("abs: 0")),
    Mutant(
        "complex abs: no conjugate",
        *(at.ComplexAbs, "vjp_x", lambda self, xp, g, x, y: g * (x / y)),
        grads(op.abs, Z, modes=("rev",)),
    ),
    Mutant(
        "complex abs: no conjugate, forward",
        *(at.ComplexAbs, "jvp_x", lambda self, xp, t, x, y: xp.real(t * (x / y))),
        grads(op.abs, Z, modes=("fwd",)),
    ),
    Mutant(
        "complex abs: divides by 0",
        *(at.ComplexAbs, "vjp_x", lambda self, xp, g, x, y: g * (xp.conj(x) / y)),
        point("abs: 0 as a complex number"),
    ),
    Mutant("imag: sign", op.Imag, "vjp_x", lambda self, xp, g: g * 1j, grads(op.imag, Z)),
    Mutant("conj: no conjugate", op.Conj, "vjp_x", lambda self, xp, g: g, grads(lambda z: z * op.conj(z) * z, Z)),
    Mutant("sigmoid: no 1 - y", activation.Sigmoid, "vjp_x", lambda self, xp, g, y: g * y, grads(op.sigmoid, X)),
    Mutant(
        "sigmoid: 1 - y in place of sigmoid(-x)",
        *(activation.Sigmoid, "vjp_x", lambda self, xp, g, y: g * (y * (1 - y))),
        point("sigmoid: far out"),
    ),
)

CHOICES = (
    Mutant(
        "maximum: the other side",
        *(at.Maximum, "vjp_b", lambda self, xp, g, a, b: share(xp, g, a > b, a == b)),
        grads(op.maximum, X, Y),
    ),
    Mutant(
        "maximum: all to a at a tie",
        *(at.Maximum, "vjp_a", lambda self, xp, g, a, b: xp.select(a >= b, g)),
        point("maximum: a tie"),
    ),
    Mutant(
        "maximum: multiplies by a mask",
        *(at.Maximum, "vjp_a", lambda self, xp, g, a, b: g * xp.astype(a > b, g.dtype)),
        point("maximum: an infinite cotangent"),
    ),
    Mutant(
        "minimum: nothing at a tie",
        *(at.Minimum, "vjp_b", lambda self, xp, g, a, b: xp.select(b < a, g)),
        point("minimum: a tie"),
    ),
    Mutant(
        "clip: 0 on its bound",
        at.ClipLow,
        "vjp_x",
        lambda self, xp, g, x, lo: xp.select(x > lo, g),
        point("clip: on its bounds"),
    ),
    Mutant(
        "where: multiplies by the condition",
        *(at.Where, "vjp_a", lambda self, xp, g, condition: g * xp.astype(condition, g.dtype)),
        point("where: an infinite cotangent"),
    ),
    Mutant(
        "where: the condition not inverted",
        *(at.Where, "vjp_b", lambda self, xp, g, condition: xp.select(condition, g)),
        grads(lambda a, b: op.where(X > 0, a, b), X, Y),
    ),
    Mutant(
        "select: multiplies by the mask",
        *(at.Select, "vjp_x", lambda self, xp, g, mask: g * xp.astype(mask, g.dtype)),
        point("select: an infinite cotangent"),
    ),
    Mutant(
        "relu: multiplies by a mask",
        *(activation.Relu, "vjp_x", lambda self, xp, g, y: g * xp.astype(y > 0, g.dtype)),
        point("relu: an infinite cotangent"),
    ),
    Mutant("relu: 1 at 0", activation.Relu, "vjp_x", lambda self, xp, g, y: xp.select(y >= 0, g), point("relu: 0")),
    Mutant("relu: a leak", activation.Relu, "vjp_x", lambda self, xp, g, y: g, grads(op.relu, X)),
    Mutant(
        "multiply_no_nan: 0 wherever a is 0",
        *(at.MultiplyNoNan, "vjp_a", lambda self, xp, g, a, b: xp.select(a != 0, g * b)),
        grads(at.MultiplyNoNan(), np.array([0.0, 1.0]), np.array([2.0, 3.0])),
    ),
    Mutant(
        "the backend's multiply_no_nan is a product",
        *(HOST, "multiply_no_nan", lambda g, d: g * d),
        point("log: 0 beneath a cotangent of 0"),
    ),
    Mutant(
        "the backend's select is a product",
        *(HOST, "select", lambda mask, g: mask * g),
        point("where: an infinite cotangent"),
    ),
)


def _total(xp, g):
    """Summed down to the last axis: right for an ordinary cotangent, wrong for a batch of them."""
    return xp.sum(g, axis=tuple(range(len(g.shape) - 1)))


MUTANTS = ARITHMETIC + POWERS + CURVES + CHOICES
