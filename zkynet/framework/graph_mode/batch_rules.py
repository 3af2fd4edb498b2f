"""What each of the backends' functions does to a batch: its step for half of it.

A rule has the arguments of the function, behind the HalfBatch that asks. It returns the lane's arguments and what the
outputs are, or gives up; a function without a rule has the same effect. Shapes and their like are in batch_shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .batch_axes import PARTIAL, GiveUpError, HalfBatch, Made, Split, Spot
from .batch_shapes import SHAPES
from .program import Value

# One entry of the result depends on one entry of each argument, by NumPy's broadcasting.
ENTRYWISE = frozenset(
    (
        "abs",
        "acos",
        "acosh",
        "add",
        "asin",
        "asinh",
        "astype",
        "atan",
        "atan2",
        "atanh",
        "bitwise_and",
        "bitwise_invert",
    )
    + ("bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "cbrt", "ceil", "clip", "complex_of")
    + ("conj", "copysign", "cos", "cosh", "divide", "empty_like", "equal", "exp", "exp2", "expm1", "exponent", "floor")
    + ("floor_divide", "fmod", "full_like", "greater", "greater_equal", "hypot", "imag", "isfinite", "isinf", "isnan")
    + ("ldexp", "less", "less_equal", "log", "log10", "log1p", "log2", "logaddexp", "logical_and", "logical_not")
    + ("logical_or", "logical_xor", "maximum", "minimum", "multiply", "multiply_no_nan", "negative", "nextafter")
    + ("not_equal", "ones_like", "own", "positive", "pow", "real", "reciprocal", "relu", "remainder", "round", "select")
    + ("shifted", "sigmoid", "sign", "signbit", "silence", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh")
    + ("trunc", "uniform", "where", "zeros_like")
    + tuple(f"special.{name}" for name in ("erf", "erfc", "erfcx", "erfinv", "gammaln", "digamma", "ndtr", "log_ndtr"))
)
_PLAIN = frozenset(("dtype", "copy"))  # keywords that say nothing of entries
_SUMS = frozenset(("add", "subtract", "negative", "positive", "own"))  # of summands


def _entrywise(name: str) -> Callable[..., Made]:
    def rule(half: HalfBatch, *xs: Any, **kwargs: Any) -> Made:
        if set(kwargs) - _PLAIN:
            raise GiveUpError("other keywords")
        if name in _SUMS and all(map(half.partial, xs)):
            return Made(tuple([half.own[x] for x in xs]), kwargs, PARTIAL)
        if name == "where" and len(xs) != 3:
            raise GiveUpError("no choice")
        split = half.common(*xs)
        spot = _bounds(half, name, xs, split)
        return Made(tuple([half.part(x, split) for x in xs]), kwargs, split, spot)

    return rule


def _bounds(half: HalfBatch, name: str, xs: tuple, split: Split) -> Spot | None:
    """The bounds of integers that come of others by batch entries."""
    if name == "astype" and len(xs) == 2 and half.xp.is_integer(xs[1]):
        return half.spot(xs[0], split)
    if name not in ("add", "multiply") or len(xs) != 2:
        return None
    a, b = (half.spot(x, split) for x in xs)
    if a is None or b is None:
        return None
    if name == "add":
        return Spot(a.step + b.step, a.low + b.low, a.high + b.high)
    if b.step or b.low != b.high:
        a, b = b, a
    factor = b.low
    if b.step or b.low != b.high or factor < 0:
        return None
    return Spot(a.step * factor, a.low * factor, a.high * factor)


def check_index(half: HalfBatch, index: Any, size: Any, what: Any = "index") -> Made:
    split = half.common(index)
    return Made((half.part(index, split), size, what), {}, split, Spot(0, 0, size - 1) if type(size) is int else None)


# ---- along axes ----


def axes_of(x: Value, axis: Any) -> tuple[int, ...]:
    """The axes, negative, that ``axis`` names, an int, a tuple or None for all."""
    ndim = len(x.shape)  # type: ignore[arg-type]
    if axis is None:
        return tuple(range(-ndim, 0))
    each = axis if isinstance(axis, (tuple, list)) else (axis,)
    if not all(type(a) is int and -ndim <= a < ndim for a in each):
        raise GiveUpError("no axis")
    return tuple([a if a < 0 else a - ndim for a in each])


def _reduced(split: Split, axes: tuple[int, ...], keepdims: bool) -> Split:
    """Where the batch is when ``axes``, without its own, are reduced."""
    return split if keepdims else split._replace(axis=split.axis + sum(a > split.axis for a in axes))


def _sum(half: HalfBatch, x: Value, axis: Any = None, *, dtype: Any = None, keepdims: bool = False) -> Made:
    kwargs = {"axis": axis, "keepdims": keepdims} | ({} if dtype is None else {"dtype": dtype})
    if half.partial(x):
        return Made((half.own[x],), kwargs, PARTIAL)
    split, axes = half.common(x), axes_of(x, axis)
    return Made((half.own[x],), kwargs, PARTIAL if split.axis in axes else _reduced(split, axes, keepdims))


def _mean(half: HalfBatch, x: Value, axis: Any = None, *, keepdims: bool = False) -> Made:
    split, axes = half.common(x), axes_of(x, axis)
    mine, kwargs = half.own[x], {"axis": axis, "keepdims": keepdims}
    if split.axis not in axes:
        return Made((mine,), kwargs, _reduced(split, axes, keepdims))
    if not half.xp.is_inexact(x.dtype):
        raise GiveUpError("no floating numbers")
    old = x.shape or ()
    kept = [1 if i - len(old) in axes else size for i, size in enumerate(old)]
    shape = tuple([size for i, size in enumerate(kept) if keepdims or i - len(kept) not in axes])
    # Of all entries there are twice as many: exactly half of it, but for numbers too small to have all digits.
    return Made((half.add("mean", (mine,), kwargs, shape, x.dtype), 0.5), {}, PARTIAL, function="multiply")


def _reduction(half: HalfBatch, x: Value, axis: Any = None, *, keepdims: bool = False, **kwargs: Any) -> Made:
    """What has no sum for it: the batch stays."""
    split, axes = half.common(x), axes_of(x, axis)
    if split.axis in axes or set(kwargs) - {"correction", "dtype"}:
        raise GiveUpError("over the batch")
    named = {**kwargs, "axis": axis, "keepdims": keepdims}
    return Made((half.own[x],), named, _reduced(split, axes, keepdims))


def _along(half: HalfBatch, x: Value, axis: Any = -1, **kwargs: Any) -> Made:
    """Every line along ``axis`` by itself; the shape stays."""
    split = half.common(x)
    if axis is None or split.axis in axes_of(x, axis) or set(kwargs) - {"reverse", "descending", "stable"}:
        raise GiveUpError("along the batch")
    return Made((half.own[x],), {**kwargs, "axis": axis}, split)


def flip(half: HalfBatch, x: Value, *, axis: Any = None) -> Made:
    return _along(half, x, axis)


def _triangle(half: HalfBatch, x: Value, *, k: int = 0) -> Made:
    split = half.common(x)
    if split.axis > -3:
        raise GiveUpError("in the matrices")
    return Made((half.own[x],), {"k": k}, split)


# ---- products ----


def matmul(half: HalfBatch, a: Value, b: Value) -> Made:
    for x in (a, b):
        if type(x) is not Value or len(x.shape or ()) < 2:
            raise GiveUpError("a vector")
    cut_a, cut_b = half.split_of(a), half.split_of(b)
    inner = cut_a if cut_a is not None and cut_a.axis == -1 else cut_b if cut_b and cut_b.axis == -2 else None
    if inner is not None:  # summed over the batch
        a, b = half.part(a, inner._replace(axis=-1)), half.part(b, inner._replace(axis=-2))
        return Made((a, b), {}, PARTIAL)
    if cut_a is not None and cut_a.axis == -2:
        return Made((half.own[a], half.whole(b)), {}, cut_a)
    if cut_b is not None and cut_b.axis == -1:
        return Made((half.whole(a), half.own[b]), {}, cut_b)
    split = half.common(a, b)  # along the stack
    return Made((half.part(a, split), half.part(b, split)), {}, split)


def einsum(half: HalfBatch, labels_in: Any, labels_out: Any, *xs: Value) -> Made:
    found = set()
    for labels, x in zip(labels_in, xs, strict=True):
        split = half.split_of(x)
        if split is not None:
            found.add((labels[split.axis], split.outer, split.inner))
    if len(found) != 1:
        raise GiveUpError("cut in several ways")
    (label, outer, inner), args = found.pop(), []
    for labels, x in zip(labels_in, xs, strict=True):
        where = labels.find(label)
        args.append(half.part(x, Split(where - len(labels), outer, inner)) if where >= 0 else half.whole(x))
    where = labels_out.find(label)
    state = Split(where - len(labels_out), outer, inner) if where >= 0 else PARTIAL
    return Made((labels_in, labels_out, *args), {}, state)


def attention(half: HalfBatch, q: Value, k: Value, v: Value, causal: bool) -> Made:
    return _stacked(half, (q, k, v), causal)


def attention_back(
    half: HalfBatch, g: Value, q: Value, k: Value, v: Value, y: Value, shares: Value, causal: bool
) -> Made:
    return _stacked(half, (g, q, k, v, y, shares), causal)


def _stacked(half: HalfBatch, xs: tuple[Value, ...], *settings: Any) -> Made:
    """Matrices in stacks of one shape."""
    split = half.common(*xs)
    if split.axis > -3 or len({x.shape[:-2] for x in xs}) > 1:  # type: ignore[index]
        raise GiveUpError("in the matrices")
    return Made((*[half.part(x, split) for x in xs], *settings), {}, split)


# ---- sequences (T, N, ...), the batch in the last axis but one ----


def _sequences(half: HalfBatch, *xs: Any) -> Split:
    """How sequences, and states (N, H), are cut: along N. None stands for zeros."""
    split = half.common(*[x for x in xs if x is not None])
    if split != Split(-2):
        raise GiveUpError("not along the sequences")
    return split


def _every(half: HalfBatch, xs: Any, split: Split) -> tuple:
    return tuple([None if x is None else half.part(x, split) for x in xs])


def lstm(half: HalfBatch, parts: Value, h: Value, c: Value, w_h: Value) -> Made:
    split = _sequences(half, parts, h, c)
    return Made((*_every(half, (parts, h, c), split), half.whole(w_h)), {}, split)


def lstm_back(half: HalfBatch, g: Any, c: Value, w_h: Value, y: Any) -> Made:
    split = _sequences(half, *g, c, *y)
    back = _every(half, g, split), half.part(c, split), half.whole(w_h), _every(half, y, split)
    return Made(back, {}, split)


def gru(half: HalfBatch, parts: Value, h: Value, w_h: Value, bias: Value) -> Made:
    split = _sequences(half, parts, h)
    return Made((*_every(half, (parts, h), split), half.whole(w_h), half.whole(bias)), {}, split)


# ---- convolution and windows ----


def _core(half: HalfBatch, stride: tuple, *xs: Value) -> None:
    """Gives up on arrays with leading axes."""
    for x in xs:
        half.split_of(x)
        if type(stride) is not tuple or len(x.shape) != 2 + len(stride):  # type: ignore[arg-type]
            raise GiveUpError("leading axes")


def _images(half: HalfBatch, stride: tuple, x: Value) -> Split:
    """How images (N, C, *S) are cut: along N."""
    split = half.common(x)
    if split.axis != -2 - len(stride):
        raise GiveUpError("not along the images")
    return split


def conv(half: HalfBatch, x: Value, w: Value, stride: Any, padding: Any, dilation: Any, groups: Any) -> Made:
    _core(half, stride, x, w)
    split = _images(half, stride, x)
    return Made((half.own[x], half.whole(w), stride, padding, dilation, groups), {}, split)


def conv_input(half: HalfBatch, g: Value, w: Value, input_shape: Any, stride: Any, *settings: Any) -> Made:
    _core(half, stride, g, w)
    split = _images(half, stride, g)
    return Made((half.own[g], half.whole(w), half.shape(input_shape, split), stride, *settings), {}, split)


def conv_filter(half: HalfBatch, x: Value, g: Value, kernel_shape: Any, stride: Any, *settings: Any) -> Made:
    _core(half, stride, x, g)
    split = half.common(x, g)
    if split.axis != -2 - len(stride):
        raise GiveUpError("not along the images")
    return Made((half.part(x, split), half.part(g, split), kernel_shape, stride, *settings), {}, PARTIAL)


def _windowed(half: HalfBatch, x: Value, kernel: Any, stride: Any, dilation: Any, moved: int = 0) -> Made:
    split = _leading(half, len(kernel), x)
    return Made((half.own[x], kernel, stride, dilation), {}, split._replace(axis=split.axis - moved))


def windows(half: HalfBatch, x: Value, kernel: Any, stride: Any, dilation: Any) -> Made:
    return _windowed(half, x, kernel, stride, dilation, len(kernel))


def window_sum(half: HalfBatch, g: Value, size: Any, kernel: Any, stride: Any, dilation: Any) -> Made:
    split = _leading(half, 2 * len(kernel), g)
    return Made((half.own[g], size, kernel, stride, dilation), {}, split._replace(axis=split.axis + len(kernel)))


def pool_spread(half: HalfBatch, g: Value, size: Any, kernel: Any, stride: Any, dilation: Any) -> Made:
    return Made((half.own[g], size, kernel, stride, dilation), {}, _leading(half, len(kernel), g))


def pool_pick(half: HalfBatch, x: Value, which: Value, kernel: Any, stride: Any, dilation: Any) -> Made:
    split = _leading(half, len(kernel), x, which)
    return Made((half.part(x, split), half.part(which, split), kernel, stride, dilation), {}, split)


def pool_place(half: HalfBatch, g: Value, which: Value, size: Any, kernel: Any, stride: Any, dilation: Any) -> Made:
    split = _leading(half, len(kernel), g, which)
    return Made((half.part(g, split), half.part(which, split), size, kernel, stride, dilation), {}, split)


def _leading(half: HalfBatch, core: int, *xs: Value) -> Split:
    """How arrays are cut before their last ``core`` axes."""
    split = half.common(*xs)
    if split.axis >= -core:  # one of the last
        raise GiveUpError("in the windows")
    return split


RULES: dict[str, Callable[..., Made]] = {
    **{name: _entrywise(name) for name in ENTRYWISE},
    **{name: _reduction for name in ("all", "any", "argmax", "argmin", "max", "min", "prod", "std", "var")},
    **{name: _along for name in ("argsort", "below_top", "cumulative_prod", "cumulative_sum", "softmax", "sort")},
    **{"weights": _along, "flip": flip, "tril": _triangle, "triu": _triangle, "sum": _sum, "mean": _mean},
    **{"matmul": matmul, "einsum": einsum, "attention": attention, "attention_back": attention_back},
    **{"conv": conv, "conv_input": conv_input, "conv_filter": conv_filter, "check_index": check_index},
    **{"windows": windows, "window_sum": window_sum, "pool_sum": _windowed, "pool_max": _windowed},
    **{"lstm": lstm, "lstm_back": lstm_back, "gru": gru, "gru_back": lstm_back},
    **{"pool_spread": pool_spread, "pool_pick": pool_pick, "pool_place": pool_place},
    **SHAPES,
}
