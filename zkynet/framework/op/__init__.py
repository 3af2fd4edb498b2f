"""The traced namespace ``op``: the array protocol's functions, taking and returning Tensors.

It is the protocol that operators are written against, so a rule that runs on it is itself recorded. Names are those of
the Python array API standard, then NumPy's; the list below is all there is. The operators' classes are here by their
names too: ``op.Multiply()`` is the operator that ``op.multiply`` applies. The file of a family is loaded when one of
its names is first asked for.
"""

import importlib
import sys
from typing import Any

from zkynet.backends import lazy

from ..operator import Operator

FAMILIES = {  # the files of ``operations``, and what is exported of each
    "activation": "log_softmax, relu, shifted, sigmoid, softmax, weights",
    "angles": "deg2rad, rad2deg, unwrap",
    "arithmetic": (
        "bias, cbrt, copysign, float_power, fmax, fmin, fmod, frexp, heaviside, hypot, ldexp, lerp, nan_to_num, "
        "remainder, rsqrt, scale"
    ),
    "arrangement": (
        "as_strided, atleast_1d, atleast_2d, atleast_3d, block_diag, broadcast_arrays, diag, diag_embed, fliplr, "
        "flipud, pad, ravel, repeat, roll, rollaxis, rot90, sliding_window_view, swapaxes, tile"
    ),
    "attention": "masked_softmax, multi_head_attention, rotary_embedding, scaled_dot_product_attention",
    "calculus": "cumulative_trapezoid, gradient, interp, map_coordinates, polyfit, polyval, trapezoid, vander",
    "columns": "fold, local_conv, unfold",
    "comparison": (
        "all, allclose, any, array_equal, bitwise_and, bitwise_invert, bitwise_left_shift, bitwise_or, "
        "bitwise_right_shift, bitwise_xor, equal, greater, greater_equal, isclose, iscomplex, isfinite, isinf, isnan, "
        "isneginf, isposinf, isreal, less, less_equal, logical_and, logical_not, logical_or, logical_xor, nextafter, "
        "not_equal, signbit"
    ),
    "complex": "angle, complex, conj, imag, polar, real, real_if_close",
    "control": (
        "arange, argmax, argmin, copy, copy as identity, eye, is_complex, is_traced, ones, ones_like, stop_gradient, "
        "zeros, zeros_like"
    ),
    "conv": "conv, conv1d, conv2d, conv3d, conv_filter, conv_input, conv_transpose, depthwise_conv",
    "cotangents": "gradient_clip, gradient_reversal, straight_through",
    "creation": "asarray, empty, empty_like, full, full_like, geomspace, linspace, logspace",
    "crf": "argmax_crf1d, crf1d",
    "ctc": "ctc",
    "cumulative": "associative_scan, cummax, cummin, cumulative_prod, diff",
    "decompositions": "lu, qr, svd, svdvals",
    "determinants": "cofactor_slope, cofactors, det, slogdet",
    "distances": (
        "absolute_error, contrastive, cosine_embedding, cosine_similarity, cross_covariance, decov, "
        "gaussian_kl_divergence, gaussian_nll, hinge, huber_loss, kl_div, log_cosh, margin_ranking, "
        "mean_absolute_error, mean_squared_error, multiclass_hinge, poisson_nll, smooth_l1, soft_margin, "
        "squared_error, triplet"
    ),
    "dtypes": (
        "boolean as bool, broadcast_shapes, can_cast, complex128, complex64, e, finfo, float32, float64, from_dlpack, "
        "iinfo, inf, int16, int32, int64, int8, isdtype, NamespaceInfo as __array_namespace_info__, nan, newaxis, pi, "
        "result_type, uint16, uint32, uint64, uint8"
    ),
    "elementwise": (
        "abs, add, astype, clip, divide, maximum, minimum, multiply, multiply as mult, multiply_no_nan, negative, "
        "positive, pow, reciprocal, select, silence, sqrt, square, subtract, where"
    ),
    "embedding": "bilinear, embedding, embedding_bag, embedding_rows",
    "exponential": "exp, exp2, expm1, log, log10, log1p, log2, xlog1py, xlogy",
    "gates": "geglu, gelu, glu, mish, silu, soft_sign, softmin, sparsemax, squareplus, swiglu, swish",
    "indexing": "index_set, scatter_add, scatter_set, scatter_sum, take, take_along_axis",
    "joining": (
        "append, array_split, block, column_stack, delete, dsplit, dstack, hsplit, hstack, insert, meshgrid, "
        "row_stack, split, unstack, vsplit, vstack"
    ),
    "linalg": "cholesky, dot, einsum, linear, matmul, solve, tensordot, tril, triu",
    "log_space": "log1mexp, log_sigmoid, logaddexp, logaddexp2, logcumsumexp, logmatmulexp, logmeanexp, softplus",
    "loops": "cond, map, scan, while_loop",
    "loss": (
        "bernoulli_nll, binary_cross_entropy, cross_entropy, dice_loss, focal_loss, nll_loss, sigmoid_cross_entropy, "
        "sigmoid_focal_loss, softmax_cross_entropy"
    ),
    "matrix_functions": "expm, logm, matrix_power, sqrtm",
    "noise": (
        "alpha_dropout, dropconnect, dropout, feature_alpha_dropout, feature_dropout, gaussian, gumbel_softmax, zoneout"
    ),
    "normalization": (
        "batch_norm, batch_norm_eval, batch_renorm, group_norm, instance_norm, layer_norm, local_response_norm, "
        "normalize, rms_norm, spectral_norm, standardize, weight_norm, weight_standardization"
    ),
    "norms": "matrix_norm, matrix_rank, norm, vector_norm",
    "pool": (
        "adaptive_average_pool, adaptive_max_pool, average_pool, global_average_pool, global_max_pool, lp_pool, "
        "max_pool, max_unpool, spatial_pyramid_pool, unpool"
    ),
    "products": (
        "cdist, cross, diagonal, inner, kron, matvec, multi_dot, outer, sparse_matmul, trace, vdot, vecdot, vecmat"
    ),
    "rectifiers": (
        "celu, clipped_relu, crelu, elu, hard_sigmoid, hard_swish, hard_tanh, hardshrink, leaky_relu, maxout, prelu, "
        "relu6, rrelu, selu, softshrink, tanhshrink, threshold"
    ),
    "recurrent": "gru, gru_cell, lstm, lstm_cell, pad_sequence, rnn, rnn_cell, slstm, transpose_sequence, tree_lstm",
    "reduction": "cumulative_sum, logsumexp, max, mean, min, prod, sum, var",
    "resize": "affine_grid, grid_sample, interpolate, pixel_shuffle, pixel_unshuffle",
    "rounding": "ceil, fix, floor, floor_divide, rint, round, sign, trunc",
    "selection": (
        "compress, dynamic_slice, dynamic_update_slice, gather_nd, masked_fill, one_hot, permutate, put_along_axis, "
        "segment_max, segment_mean, segment_min, segment_prod, segment_sum, select_item"
    ),
    "shape": (
        "broadcast_to, concat, expand_dims, flip, matrix_transpose, moveaxis, permute_dims, place, reshape, squeeze, "
        "stack, transpose"
    ),
    "signal": "convolve, correlate",
    "solvers": (
        "cho_solve, condition_number, inv, lstsq, lu_solve, pinv, solve_banded, solve_sylvester, solve_triangular, "
        "tensorinv, tensorsolve, toeplitz"
    ),
    "sorting": (
        "argpartition, argsort, argwhere, choices, choose, flatnonzero, isin, kthvalue, nonzero, partition, piecewise, "
        "searchsorted, sort, topk, unique_all, unique_counts, unique_inverse, unique_values"
    ),
    "spectral": "eig, eigh, eigvals, eigvalsh",
    "statistics": (
        "average, batch_l2_norm_squared, bincount, corrcoef, count_nonzero, cov, histogram, median, nanmax, nanmean, "
        "nanmedian, nanmin, nanprod, nanquantile, nanstd, nansum, nanvar, percentile, ptp, quantile, std, sum_to"
    ),
    "trigonometric": (
        "acos, acosh, acot, acoth, acsc, acsch, asec, asech, asin, asinh, atan, atan2, atanh, cos, cosh, cot, coth, "
        "csc, csch, sec, sech, sin, sinc, sinh, tan, tanh"
    ),
    "windows": "pool_pick, pool_place, pool_spread, pool_sum, window_sum, windows",
}
# Only the operators' classes are exported of these: their functions are in op.special, or in other families.
CLASSES = (
    *("fft", "gru", "lstm", "random"),
    *("special_bessel", "special_error", "special_gamma", "special_incomplete", "special_integrals", "special_student"),
)

is_host = False
__array_api_version__ = "2025.12"

_exported, __dir__, __all__ = lazy.exports(
    __name__,
    {f"..operations.{family}": names for family, names in FAMILIES.items()} | {".": "fft, linalg, signal, special"},
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        return _exported(name)
    families = [f"zkynet.framework.operations.{family}" for family in (*FAMILIES, *CLASSES) if name[:1].isupper()]
    for family in sorted(families, key=lambda family: family not in sys.modules):  # those that are loaded first
        found = vars(importlib.import_module(family)).get(name)
        if isinstance(found, type) and issubclass(found, Operator):
            globals()[name] = found
            return found
    raise AttributeError(f"zkynet.framework.op has no operation {name!r}")
