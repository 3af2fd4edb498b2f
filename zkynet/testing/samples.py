"""One or two calls of every public operation of ``op``, and all of them on several backends.

Operands are NumPy arrays from a fixed seed and Python numbers; where a function takes a list or fixed settings, ``run``
says how it is called.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from zkynet.backends.errors import GradientCheckError
from zkynet.framework import cg, op

from .crosscheck import CrossCheck, chosen_backends, crosscheck, described
from .samples_arrays import ARRAYS
from .samples_draw import A, M, Sample, V, apart, call, complex_numbers, positive, regular, single
from .samples_entrywise import CURVES
from .samples_layers import LAYERS
from .samples_losses import MEASURES
from .samples_matrices import ALGEBRA
from .samples_special import SPECIAL

FLAGS, INTS = A([[True, False, True], [False, False, True]]), A([[5, 6, 3], [3, 12, 7]])
WINDOW: dict[str, Any] = {"stride": (1, 1), "padding": ((1, 0), (0, 1)), "dilation": (1, 1), "groups": 1}

ENTRYWISE = (
    *(call(name, M) for name in ("negative", "positive", "square", "abs", "expm1", "sin", "cos", "tanh", "sigmoid")),
    *(call(name, M) for name in ("exp", "relu", "copy", "identity", "real", "imag", "conj", "asarray")),
    *(call(name, M, numbers=positive) for name in ("sqrt", "log", "log1p", "reciprocal")),
    *(call(name, M, numbers=complex_numbers) for name in ("exp", "abs", "real", "imag", "conj")),
    *(call(name, M, V) for name in ("add", "subtract", "multiply", "mult", "maximum", "minimum", "shifted")),
    *(call(name, M, V, numbers=positive) for name in ("divide", "pow", "multiply_no_nan")),
    call("pow", M, 2),
    call("multiply", M, M, numbers=complex_numbers),
    call("clip", M, -0.3, 0.3),
    call("where", FLAGS, M, V),
    call("select", FLAGS, M),
    call("silence", A([0.0, 1.0, 2.0]), M),
    call("astype", M, dtype="float32"),
)

REDUCTIONS = (
    *(call(name, M, axis=1) for name in ("sum", "mean", "max", "min", "prod", "logsumexp", "var")),
    call("sum", M),
    call("cumulative_sum", M, axis=1),
    *(call(name, M, axis=-1) for name in ("softmax", "log_softmax", "weights")),
)

CONTRACTIONS = (
    call("matmul", M, (3, 2)),
    call("dot", M, V),
    call("tensordot", M, (3, 2), axes=1),
    call("einsum", M, (3, 2), run=lambda a, b: op.einsum("ij,jk->ik", a, b)),
    call("linear", M, (3, 2), (2,)),
    call("conv", (1, 1, 4, 4), (2, 1, 2, 2), **WINDOW),
    call("conv_input", (1, 2, 4, 4), (2, 1, 2, 2), size=(1, 1, 4, 4), **WINDOW),
    call("conv_filter", (1, 1, 4, 4), (1, 2, 4, 4), size=(2, 1, 2, 2), **WINDOW),
)

MATRICES = (
    call("solve", (3, 3), (3, 2), numbers=lambda rng, s: regular(rng, s) if s[0] == s[-1] else apart(rng, s)),
    call("cholesky", (3, 3), numbers=regular),
    call("eigh", (3, 3), numbers=regular, run=lambda x: _without_signs(*op.eigh(x))),
    call("tril", (3, 3)),
    call("triu", (3, 3), k=1),
)


def _without_signs(w, v):
    """Eigenvalues, and eigenvectors with a first entry that is positive: their sign is the library's choice."""
    return w, v * op.sign(v[:1, :])


LOSSES = (
    call("mean_squared_error", M, M),
    call("softmax_cross_entropy", M, A([2, 0])),
    call("dropout", M, run=lambda x: op.dropout(x, 0.4, cg.Generator(7))),
    call("stop_gradient", M),
)

SHAPES = (
    call("reshape", M, shape=(3, 2)),
    call("permute_dims", M, axes=(1, 0)),
    *(call(name, M) for name in ("transpose", "matrix_transpose")),
    call("moveaxis", M, source=0, destination=1),
    call("broadcast_to", V, shape=(2, 3)),
    call("expand_dims", M, axis=1),
    call("squeeze", (1, 3), axis=0),
    call("flip", M, axis=1),
    call("concat", M, M, run=lambda a, b: op.concat([a, b], axis=1)),
    call("stack", M, M, run=lambda a, b: op.stack([a, b], axis=1)),
    call("pad", M, widths=((1, 0), (0, 1))),
    call("place", V, index=(..., 0, slice(0, 3)), shape=(2, 3)),
)

INDEXING = (
    call("take", M, A([2, 0, 2]), axis=1),
    call("take_along_axis", M, A([[2, 2, 0], [1, 0, 0]]), axis=1),
    call("index_set", M, V, run=lambda x, v: op.index_set(x, 0, v)),
    call("scatter_add", M, V, run=lambda x, v: op.scatter_add(x, A([1]), v)),
    call("scatter_set", V, (1,), run=lambda x, v: op.scatter_set(x, A([1]), v)),
    call("scatter_sum", M, A([1, 1, 0]), size=4),
)

HOLES = A([[0.3, np.nan, -1.2], [2.5, 0.1, 0.7]])
COUNTS = A([0, 2, 2, 1])

SORTING = (
    *(call(name, M) for name in ("sort", "argsort", "unique_values", "unique_counts", "unique_inverse", "unique_all")),
    *(call(name, M, 1) for name in ("partition", "argpartition", "kthvalue")),
    call("topk", M, 2),
    *(call(name, INTS - 3) for name in ("nonzero", "flatnonzero", "argwhere", "count_nonzero")),
    call("searchsorted", A([0.1, 0.4, 0.9]), M),
    call("isin", INTS, A([3, 7])),
    call("choose", A([0, 1, 0]), M, M, run=lambda index, a, b: op.choose(index, [a, b])),
    call("choices", FLAGS, M, M, run=lambda mask, a, b: op.choices([mask], [a], b)),
    call("piecewise", FLAGS, M, run=lambda mask, x: op.piecewise(x, [mask], [op.sin, op.cos])),
)

STATISTICS = (
    *(call(name, M, axis=1) for name in ("average", "std", "median", "ptp", "cummax", "cummin", "diff")),
    *(call(name, HOLES, axis=1) for name in ("nansum", "nanmean", "nanmax", "nanmin", "nanprod", "nanmedian")),
    *(call(name, HOLES, axis=1) for name in ("nanvar", "nanstd")),
    call("cumulative_prod", M, axis=1),
    call("associative_scan", M, run=lambda x: op.associative_scan(op.multiply, x, axis=1)),
    *(call(name, M, q=q, axis=1) for name, q in (("quantile", 0.3), ("percentile", 30.0), ("nanquantile", 0.3))),
    *(call(name, (2, 4)) for name in ("cov", "corrcoef")),
    call("bincount", COUNTS, (4,)),
    call("histogram", M, bins=3),
    call("batch_l2_norm_squared", M),
    call("sum_to", M, shape=(1, 3)),
)

EXACT = (
    *(call(name, M, V) for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")),
    *(call(name, FLAGS, FLAGS[0]) for name in ("logical_and", "logical_or", "logical_xor")),
    *(call(name, INTS, INTS[0]) for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "floor_divide")),
    *(call(name, FLAGS) for name in ("logical_not", "all", "any")),
    call("bitwise_invert", INTS),
    *(call(name, A([1.0, np.nan, -np.inf])) for name in ("isnan", "isinf", "isfinite")),
    *(call(name, A([-1.5, 2.5, 0.0])) for name in ("sign", "floor", "ceil", "trunc", "round")),
    *(call(name, M, axis=1) for name in ("argmax", "argmin")),
)

CREATION = (
    *(call(name, shape=(2, 3)) for name in ("zeros", "ones")),
    call("full", shape=(2, 3), fill_value=2.5),
    call("eye", run=lambda: op.eye(3)),
    call("linspace", 0.0, 1.0, 5, run=lambda *_: op.linspace(0.0, 1.0, 5)),
    call("arange", run=lambda: op.arange(1.0, 2.0, 0.25)),
    *(call(name, M) for name in ("zeros_like", "ones_like")),
    call("finfo", run=lambda: float(op.finfo(np.dtype("float32")).eps)),
    call("iinfo", run=lambda: op.iinfo(np.dtype("int16")).max),
    call("isdtype", run=lambda: op.isdtype(np.dtype("float32"), "real floating")),
    call("can_cast", run=lambda: op.can_cast(np.dtype("int32"), np.dtype("float64"))),
    call("result_type", run=lambda: np.dtype(op.result_type(np.dtype("int8"), np.dtype("uint8"))).itemsize),
    call("broadcast_shapes", run=lambda: A(op.broadcast_shapes((3, 1), (2,)))),
    call("from_dlpack", M),
    call("is_complex", run=lambda: bool(op.is_complex("complex64"))),
    call("is_traced", M, run=lambda x: bool(op.is_traced(x))),
)

SAMPLES: tuple[Sample, ...] = (
    *(*ENTRYWISE, *REDUCTIONS, *CONTRACTIONS, *map(single, CONTRACTIONS), *MATRICES, *LOSSES),
    *(*SHAPES, *INDEXING, *SORTING, *STATISTICS, *EXACT, *CREATION),
    *(*CURVES, *ARRAYS, *ALGEBRA, *LAYERS, *MEASURES, *SPECIAL),
)


class OperationsCheck:
    """What crosscheck_operations found: ``ok``, ``exit_code``, and ``checks``, the worst CrossCheck by name.

    Printing it gives a line an operation that diverges, and a summary.
    """

    def __init__(self, names: list[str]):
        self.backends = names
        self.checks: dict[str, CrossCheck] = {}
        self.errors: dict[str, str] = {}  # operations that raised

    @property
    def ok(self) -> bool:
        return not self.errors and all(check.ok for check in self.checks.values())

    @property
    def exit_code(self) -> int:
        return 0 if self.ok else 1

    @property
    def bad(self) -> list[str]:
        """The names of the operations that diverge or raise."""
        return [*self.errors, *(name for name, check in self.checks.items() if not check.ok)]

    def add(self, name: str, check: CrossCheck) -> None:
        """Keep a check, unless one of the same operation is worse."""
        known = self.checks.get(name)
        if known is None or (known.ok and (not check.ok or _part(check) > _part(known))):
            self.checks[name] = check

    def raise_if_bad(self) -> None:
        """GradientCheckError where an operation diverges."""
        if not self.ok:
            raise GradientCheckError(str(self))

    def summary(self) -> str:
        """One line."""
        count = f"{len(self.checks | self.errors)} operations x {len(self.backends)} backends"
        count += f" ({', '.join(self.backends)})"
        if not self.ok:
            return f"{count}: {len(self.bad)} diverge: {', '.join(self.bad)}"
        name = max(self.checks, key=lambda name: _part(self.checks[name]), default=None)
        worst = self.checks[name].worst if name is not None else None
        return f"{count}: all agree" + (f" (largest: {described(worst)}, of {name})" if worst else "")

    def __str__(self) -> str:
        lines = [f"{name}: {text}" for name, text in self.errors.items()]
        lines += [check.summary() for check in self.checks.values() if not check.ok]
        return "\n".join([*lines, self.summary()])

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain dicts and lists, for JSON."""
        checks = {name: check.as_dict() for name, check in self.checks.items()}
        return {"ok": self.ok, "backends": self.backends, "errors": self.errors, "operations": checks}


def _part(check: CrossCheck) -> float:
    return check.worst.largest.relative if check.worst is not None else 0.0


def crosscheck_operations(
    backends: Iterable[Any] | None = None, rtol: float | None = None, atol: float | None = None
) -> OperationsCheck:
    """crosscheck of every public operation of ``op``, values and gradients, with the calls of ``SAMPLES``."""
    chosen = chosen_backends(backends)
    result = OperationsCheck([xp.name for xp in chosen])
    for sample in SAMPLES:
        try:
            result.add(sample.name, crosscheck(sample.run, *sample.operands, backends=chosen, rtol=rtol, atol=atol))
        except Exception as error:
            result.errors.setdefault(sample.name, "; ".join([f"{type(error).__name__}: {error}", *_notes(error)]))
    return result


def _notes(error: Exception) -> list[str]:
    return getattr(error, "__notes__", [])
