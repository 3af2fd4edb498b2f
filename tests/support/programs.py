"""Random programs: well-typed straight-line code over ``op``, as text, with what finds the smallest one that fails.

A value has one of three types by its shape: "s" a scalar, "v" (3,), "m" (3, 3). Few shapes, so that JAX compiles few
kernels. A line of code keeps what it reads inside its domain and what it gives near 1, so errors do not grow.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import zkynet as zk
from zkynet.framework import op

INPUTS = ("s", "v", "m")
SHAPES = {"s": (), "v": (3,), "m": (3, 3)}
CONSTANTS = {"I": np.eye(3), "SPREAD": np.diag([1.0, 5.0, 9.0]), "MASK": np.array([True, False, True])}
CONSTANTS["PLACES"] = np.array([2, 0, 0])

# fmt: off
# Of one value of any type, a, entry by entry.
ENTRYWISE = (
    "op.sin(a)", "op.cos(a)", "op.tanh(a)", "op.atan(a)", "op.asinh(a)", "op.sigmoid(a)", "op.special.erf(a)",
    "op.exp(-op.square(a))", "op.sinc(a)", "op.negative(a)", "op.abs(a)", "op.positive(a)", "op.copy(a)",
    "op.square(op.tanh(a))", "op.sqrt(1.0 + op.square(a))", "op.rsqrt(1.0 + op.square(a))", "op.log1p(op.square(a))",
    "op.log(1.5 + op.sin(a))", "op.log2(2.0 + op.cos(a))", "op.log10(2.0 + op.cos(a))", "op.expm1(op.tanh(a))",
    "op.exp2(op.tanh(a))", "op.exp(op.tanh(a))", "op.cbrt(2.0 + op.sin(a))", "op.reciprocal(2.0 + op.sin(a))",
    "op.asin(0.9 * op.tanh(a))", "op.acos(0.9 * op.tanh(a))", "op.acosh(2.5 + op.sin(a))",
    "op.atanh(0.9 * op.tanh(a))", "op.sinh(op.tanh(a))", "op.cosh(op.tanh(a))", "op.tan(op.tanh(a))",
    "op.deg2rad(50.0 * op.sin(a))", "op.rad2deg(op.tanh(a)) / 60.0", "op.clip(a, -0.7, 0.9)", "op.nan_to_num(a)",
    "op.relu(a)", "op.relu6(a)", "op.leaky_relu(a)", "op.elu(a)", "op.celu(a)", "op.selu(a)", "op.gelu(a)",
    "op.silu(a)", "op.mish(a)", "op.softplus(a)", "op.squareplus(a)", "op.soft_sign(a)", "op.log_sigmoid(a)",
    "op.hard_tanh(a)", "op.hard_sigmoid(a)", "op.hard_swish(a)", "op.softshrink(a)", "op.hardshrink(a)",
    "op.tanhshrink(a)", "op.special.erfc(a)", "op.special.ndtr(a)", "op.special.gammaln(2.5 + op.sin(a))",
    "op.special.digamma(2.5 + op.sin(a))", "op.special.i0(op.tanh(a))", "op.special.erfinv(0.8 * op.tanh(a))",
    "op.special.expit(a)", "op.special.logit(0.5 + 0.4 * op.tanh(a))", "a ** 2 / (1.0 + op.square(a))",
    "op.tanh(a) ** 3.0", "op.stop_gradient(op.tanh(a)) + a", "zk.checkpoint(lambda y: op.tanh(y) * y)(op.sin(a))",
    "op.real(op.exp(1j * a))", "op.imag(op.conj(op.exp(1j * a)))", "op.abs(1.0 + op.complex(a, a))",
    "op.angle(op.complex(op.tanh(a), 1.5 + op.sin(a)))",
)
# Of two values of one type, a and b.
PAIRS = (
    "op.add(a, b) / 2.0", "op.subtract(a, b)", "op.multiply(op.tanh(a), b)", "op.divide(a, 1.5 + op.square(b))",
    "op.maximum(a, b)", "op.minimum(a, b)", "op.fmax(a, b)", "op.fmin(a, b)", "op.hypot(a, 1.0 + op.square(b)) / 2.0",
    "op.atan2(a, 1.5 + op.square(b))", "op.pow(1.5 + op.sin(a), op.tanh(b))", "op.logaddexp(a, b)",
    "op.logaddexp2(a, b)", "op.copysign(a, b)", "op.lerp(a, b, 0.3)", "op.where(a > b + 0.03, a, 0.5 * b)",
    "op.xlogy(1.5 + op.sin(a), 1.5 + op.cos(b))", "op.xlog1py(op.tanh(a), op.square(b))",
    "op.float_power(1.5 + op.sin(a), op.tanh(b))", "op.choices([a < -0.5, a < 0.5], [op.sin(a), b], 0.25)",
    "op.multiply_no_nan(op.tanh(a), b)", "op.huber_loss(op.tanh(a), b, reduction='none')",
)
# Of values of given types: types of the arguments a, b, ..., type of the result, code.
OTHERS = (
    # reductions
    *((t, r, code) for t, r, axis in (("v", "s", "-1"), ("m", "v", "-1"), ("m", "v", "0")) for code in (
        f"op.sum(a, axis={axis}) / 3.0", f"op.mean(a, axis={axis})", f"op.max(a, axis={axis})",
        f"op.min(a, axis={axis})", f"op.prod(op.tanh(a) + 0.5, axis={axis})", f"op.var(a, axis={axis})",
        f"op.std(op.sin(a) + {'CURVE' if t == 'v' else 'SPREAD'}, axis={axis}) / 3.0", f"op.logsumexp(a, axis={axis})",
        f"op.median(a, axis={axis})", f"op.quantile(a, 0.3, axis={axis})", f"op.ptp(a, axis={axis})",
        f"op.nansum(a, axis={axis}) / 3.0", f"op.nanmean(a, axis={axis})",
        f"op.vector_norm(a + 1.5, axis={axis}) / 3.0",
        f"op.vector_norm(1.5 + op.sin(a), axis={axis}, ord=3)", f"op.logmeanexp(a, axis={axis})",
        f"op.trapezoid(a, axis={axis}) / 2.0",
    )),
    # one array to one of its shape
    *((t, t, code) for t in "vm" for code in (
        "op.softmax(a)", "op.log_softmax(a) / 3.0", "op.softmin(a)", "op.cumulative_sum(a, axis=-1) / 3.0",
        "op.cumulative_prod(0.5 + op.sigmoid(a), axis=-1)", "op.logcumsumexp(a)", "op.cummax(a)", "op.cummin(a)",
        "op.sort(a)", "op.flip(a)", "op.roll(a, 1)", "op.take(a, PLACES, axis=-1)", "op.select(MASK, a)",
        "op.where(MASK, a, op.sin(a))", "op.take_along_axis(a, op.argsort(a), axis=-1)", "op.gradient(a, axis=-1)",
        "op.standardize(op.tanh(a) + (CURVE if a.ndim == 1 else SPREAD))", "op.layer_norm(a + CURVE)",
        "op.rms_norm(a + 1.5)", "op.real(op.fft.ifft(op.fft.fft(a) * CURVE))", "op.imag(op.fft.fft(a)) / 3.0",
        "op.fft.irfft(op.fft.rfft(a), n=3)", "op.reshape(op.ravel(a), a.shape)",
        "op.broadcast_to(op.mean(a), a.shape)",
        "op.diff(op.concat([a, a[..., :1]], axis=-1))", "op.pad(a, ((1, 1),))[..., 2:] + a",
        "a.at[..., 0].set(op.sin(a[..., 1]))", "a.at[..., PLACES].add(0.3 * a)", "op.sparsemax(a)",
    )),
    # vectors
    ("vv", "s", "op.vecdot(a, b) / 3.0"), ("vv", "s", "op.dot(a, op.tanh(b)) / 3.0"),
    ("vv", "v", "op.cross(a, b) / 2.0"),
    ("vv", "m", "op.outer(op.tanh(a), b)"), ("vvv", "m", "op.stack([a, b, c])"), ("vvv", "m", "op.vstack([a, b, c])"),
    ("vv", "v", "op.convolve(a, b, mode='same') / 3.0"), ("vv", "v", "op.correlate(a, b, mode='same') / 3.0"),
    ("vv", "v", "op.concat([a[1:], b[:1]])"), ("sv", "v", "a * op.tanh(b)"), ("sv", "v", "op.where(MASK, a, b)"),
    ("v", "m", "op.diag(a)"), ("v", "s", "a[1]"), ("sss", "v", "op.stack([a, b, c])"),
    ("vv", "v", "op.interp(op.tanh(a), CURVE, b)"), ("vv", "v", "op.polyval(op.tanh(a), op.sin(b)) / 2.0"),
    ("vv", "v", "zk.grad(lambda y: op.sum(op.sin(y) * b * y))(op.tanh(a)) / 3.0"),
    ("vv", "v", "zk.jvp(lambda y: op.tanh(y * a), (b,), (op.sin(a),))[1]"),
    ("vv", "v", "zk.vjp(lambda y: op.sin(y) * b, a)[1](op.cos(b))[0]"),
    ("vv", "v", "zk.hvp(lambda y: op.sum(op.sin(y * a)), (op.tanh(b),), (op.cos(a),))[0] / 3.0"),
    ("v", "m", "zk.jacobian(lambda y: op.softmax(y * op.sum(y)))(op.tanh(a))"),
    # matrices
    ("mm", "m", "op.matmul(a, op.tanh(b)) / 3.0"), ("mv", "v", "op.matmul(a, op.tanh(b)) / 3.0"),
    ("vm", "v", "op.matmul(op.tanh(a), b) / 3.0"), ("mvv", "v", "op.linear(op.tanh(b), a, c) / 3.0"),
    ("mm", "m", "op.einsum('ij,kj->ik', a, op.tanh(b)) / 3.0"), ("mm", "m", "op.tensordot(op.tanh(a), b, 1) / 3.0"),
    ("m", "m", "op.matrix_transpose(a)"), ("m", "m", "op.permute_dims(a, (1, 0))"), ("m", "v", "op.diagonal(a)"),
    ("m", "s", "op.trace(a) / 3.0"), ("m", "m", "op.tril(a)"), ("m", "m", "op.triu(a, k=1)"), ("m", "v", "a[1]"),
    ("m", "v", "a[:, 0]"), ("mv", "m", "a + op.expand_dims(b, axis=-1)"), ("mv", "m", "a * op.tanh(b)"),
    ("mv", "m", "a.at[1].set(b)"), ("m", "m", "op.rot90(a)"), ("m", "m", "op.inv(4.0 * I + op.tanh(a)) * 4.0"),
    ("mv", "v", "op.solve(4.0 * I + op.tanh(a), b) * 4.0"), ("m", "s", "op.det(2.0 * I + 0.5 * op.tanh(a)) / 8.0"),
    ("m", "s", "op.slogdet(3.0 * I + op.tanh(a))[1] / 3.0"),
    ("m", "m", "op.cholesky(I + op.tanh(a) @ op.matrix_transpose(op.tanh(a)))"),
    ("m", "v", "op.eigvalsh(SPREAD + 0.4 * op.tanh(a + a.T)) / 9.0"),
    ("m", "m", "op.square(op.eigh(SPREAD + 0.4 * op.tanh(a + a.T))[1])"),
    ("m", "v", "op.svdvals(SPREAD + 0.4 * op.tanh(a)) / 9.0"), ("m", "m", "op.expm(0.5 * op.tanh(a))"),
    ("m", "m", "op.abs(op.qr(SPREAD + 0.4 * op.tanh(a))[1]) / 9.0"), ("m", "m", "op.matrix_power(op.tanh(a), 3) / 9.0"),
    ("m", "m", "op.pinv(4.0 * I + op.tanh(a)) * 4.0"), ("mv", "v", "op.lstsq(4.0 * I + op.tanh(a), b)[0] * 4.0"),
    ("m", "s", "op.norm(a + 1.5) / 4.0"), ("mm", "m", "op.kron(a[:1], op.tanh(b))[:, ::3]"),
    ("mv", "v", "op.solve_triangular(3.0 * I + op.tanh(a), b, lower=True) * 3.0"),
    ("m", "m", "op.cov(a)"), ("mmm", "m", "op.scaled_dot_product_attention(a, b, c)"),
    ("m", "s", "op.cross_entropy(a, PLACES)"),
)
# fmt: on
CONSTANTS["CURVE"] = np.array([-1.0, 0.2, 1.0])

# Entrywise ones on vectors, and every eighth on the other shapes: JAX compiles each operation for each shape.
TABLE: tuple[tuple[str, str, str], ...] = (
    *(("v", "v", code) for code in ENTRYWISE),
    *(("vv", "v", code) for code in PAIRS),
    *((t, t, code) for t in "sm" for code in ENTRYWISE[::8]),
    *((t + t, t, code) for t in "sm" for code in PAIRS[::4]),
    *OTHERS,
)
# A type first, then one of its operations: scalars, vectors and matrices are equally frequent.
BY_RESULT = {t: [row for row in TABLE if row[1] == t] for t in INPUTS}
_ARGUMENT = re.compile(r"\b[abc]\b(?!')")


@dataclass(frozen=True)
class Line:
    """One line: the type of its result, its code over a, b, c, and the numbers of the values that these stand for."""

    kind: str
    code: str
    reads: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """Lines over the inputs, which are values 0, 1 and 2; the result is a sum over the last line and its neighbours."""

    seed: int
    lines: tuple[Line, ...]

    def kinds(self) -> list[str]:
        """The types of all values."""
        return [*INPUTS, *(line.kind for line in self.lines)]

    def source(self) -> str:
        """The program as a function ``program(x0, x1, x2)``."""
        body = []
        for k, line in enumerate(self.lines, len(INPUTS)):
            names = dict(zip("abc", line.reads))
            body.append(f"    x{k} = " + _ARGUMENT.sub(lambda m, names=names: f"x{names[m[0]]}", line.code))
        last = [*range(len(INPUTS), len(INPUTS) + len(self.lines))][-3:]
        result = " + ".join(f"op.sum(op.sin(x{k}))" for k in last)
        return "\n".join(["def program(x0, x1, x2):", *body, f"    return {result}"])

    def function(self) -> Callable:
        """The program to call."""
        names: dict = {"op": op, "zk": zk, **CONSTANTS}
        exec(compile(self.source(), f"<program {self.seed}>", "exec"), names)
        return names["program"]

    def inputs(self) -> list:
        """The point at which it is differentiated, and a tangent."""
        rng = np.random.default_rng(self.seed)
        return [[np.asarray(rng.uniform(-1.2, 1.2, SHAPES[t])) for t in INPUTS] for _ in range(2)]

    def script(self) -> str:
        """What prints value, gradient and JVP on NumPy and JAX, as a file of its own."""
        constants = "\n".join(f"{n} = np.array({c.tolist()})" for n, c in CONSTANTS.items() if n in self.source())
        point, tangent = ([f"np.array({x.tolist()})" for x in xs] for xs in self.inputs())
        parts = {"constants": constants, "source": self.source(), "point": ", ".join(point)}
        return SCRIPT.format(seed=self.seed, tangent=", ".join(tangent), **parts)


SCRIPT = """# random program {seed}
import numpy as np
import zkynet as zk
from zkynet.framework import op

{constants}


{source}


point = [{point}]
tangent = [{tangent}]
for name in ("numpy", "jax"):
    xp = zk.backends.get(name)
    x, t = ([xp.asarray(a) for a in arrays] for arrays in (point, tangent))
    print(name, zk.value_and_grad(program, argnums=(0, 1, 2))(*x), zk.jvp(program, x, t)[1])
"""


def generate(seed: int, length: int | None = None) -> Program:
    """The program of a seed: 2 to 40 lines, later ones reading mostly what stands shortly before."""
    rng = np.random.default_rng(seed)
    kinds, lines = list(INPUTS), []
    for _ in range(length or int(rng.integers(2, 41))):
        kind = INPUTS[rng.integers(len(INPUTS))]
        reads_kinds, _, code = BY_RESULT[kind][rng.integers(len(BY_RESULT[kind]))]
        reads = []
        for t in reads_kinds:
            found = [k for k, other in enumerate(kinds) if other == t]
            reads.append(found[-1 - min(int(rng.geometric(0.4)) - 1, len(found) - 1)])
        lines.append(Line(kind, code, tuple(reads)))
        kinds.append(kind)
    return Program(seed, tuple(lines))


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """The smallest program found that still fails: lines are left out while it does, what read them reads an input."""
    shorter = True
    while shorter:
        shorter = False
        for k in reversed(range(len(program.lines))):
            smaller = _without(program, k)
            if smaller.lines and fails(smaller):
                program, shorter = smaller, True
    return program


def _without(program: Program, k: int) -> Program:
    """The program without line ``k``: what read it reads an argument of its own type instead, or an input."""
    number = k + len(INPUTS)
    line, kinds = program.lines[k], program.kinds()
    same = [r for r in line.reads if kinds[r] == line.kind]
    instead = same[0] if same else INPUTS.index(line.kind)
    new = [r if r < number else instead if r == number else r - 1 for r in range(len(kinds))]
    kept = [Line(each.kind, each.code, tuple(new[r] for r in each.reads)) for each in program.lines]
    return Program(program.seed, (*kept[:k], *kept[k + 1 :]))


# ---- agreement ----


def results(program: Program, xp) -> list[np.ndarray]:
    """Value, gradients and JVP on a backend, as NumPy arrays."""
    f = program.function()
    x, t = ([xp.asarray(a) for a in arrays] for arrays in program.inputs())
    value, gradients = zk.value_and_grad(f, argnums=(0, 1, 2))(*x)
    _, moved = zk.jvp(f, x, t)
    return [xp.to_numpy(xp.asarray(part)) for part in (value, *gradients, moved)]


def disagreement(program: Program, backends, tolerance: float = 1e-9) -> str | None:
    """What differs between backends, or between gradient and JVP, relative to the largest gradient; None: nothing."""
    names = ("value", "gradient 0", "gradient 1", "gradient 2", "jvp")
    try:
        first, *others = [results(program, xp) for xp in backends]
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    scale = max(1.0, *(float(np.abs(part).max()) for part in first))
    for xp, found in zip(backends[1:], others):
        for name, a, b in zip(names, first, found):
            if a.dtype != np.float64 or a.shape != b.shape or not np.max(np.abs(a - b)) <= tolerance * scale:
                return f"{name}: {a.tolist()} on {backends[0].name}, {b.tolist()} on {xp.name}"
    along = sum(float(np.sum(g * t)) for g, t in zip(first[1:4], program.inputs()[1]))
    if not abs(along - float(first[4])) <= tolerance * scale:
        return f"gradient along the tangent {along}, jvp {float(first[4])}"
    return None


def report(program: Program, backends) -> str:
    """A failing program shrunk, what it does wrong, and its code."""
    small = shrink(program, lambda p: disagreement(p, backends) is not None)
    return f"program {program.seed}, {len(small.lines)} lines: {disagreement(small, backends)}\n\n{small.script()}"
