"""The traced namespace ``op``: the array protocol's functions, taking and returning Tensors.

It is the protocol that operators are written against, so a rule that runs on it is itself recorded. Names are those of
the Python array API standard, then NumPy's; the list below is all there is. The operators' classes are here by their
names too: ``op.Multiply()`` is the operator that ``op.multiply`` applies.
"""

import sys
from types import SimpleNamespace

from ..operator import Operator
from . import fft as _fft
from . import linalg as _linalg
from . import signal as _signal
from . import special as special
from .activation import log_softmax, relu, shifted, sigmoid, softmax, weights
from .angles import deg2rad, rad2deg, unwrap
from .arithmetic import (
    bias,
    cbrt,
    copysign,
    float_power,
    fmax,
    fmin,
    fmod,
    frexp,
    heaviside,
    hypot,
    ldexp,
    lerp,
    nan_to_num,
    remainder,
    rsqrt,
    scale,
)
from .arrangement import (
    as_strided,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    block_diag,
    broadcast_arrays,
    diag,
    diag_embed,
    fliplr,
    flipud,
    pad,
    ravel,
    repeat,
    roll,
    rollaxis,
    rot90,
    sliding_window_view,
    swapaxes,
    tile,
)
from .attention import masked_softmax, multi_head_attention, rotary_embedding, scaled_dot_product_attention
from .calculus import (
    cumulative_trapezoid,
    gradient,
    interp,
    map_coordinates,
    polyfit,
    polyval,
    trapezoid,
    vander,
)
from .columns import fold, local_conv, unfold
from .comparison import (
    all,
    allclose,
    any,
    array_equal,
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    equal,
    greater,
    greater_equal,
    isclose,
    iscomplex,
    isfinite,
    isinf,
    isnan,
    isneginf,
    isposinf,
    isreal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    nextafter,
    not_equal,
    signbit,
)
from .complex import angle, complex, conj, imag, polar, real, real_if_close
from .control import (
    arange,
    argmax,
    argmin,
    copy,
    eye,
    is_complex,
    is_traced,
    ones,
    ones_like,
    stop_gradient,
    zeros,
    zeros_like,
)
from .conv import conv, conv1d, conv2d, conv3d, conv_filter, conv_input, conv_transpose, depthwise_conv
from .cotangents import gradient_clip, gradient_reversal, straight_through
from .creation import asarray, empty, empty_like, full, full_like, geomspace, linspace, logspace
from .crf import argmax_crf1d, crf1d
from .ctc import ctc
from .cumulative import associative_scan, cummax, cummin, cumulative_prod, diff
from .decompositions import lu, qr, svd, svdvals
from .determinants import cofactor_slope, cofactors, det, slogdet
from .distances import (
    absolute_error,
    contrastive,
    cosine_embedding,
    cosine_similarity,
    cross_covariance,
    decov,
    gaussian_kl_divergence,
    gaussian_nll,
    hinge,
    huber_loss,
    kl_div,
    log_cosh,
    margin_ranking,
    mean_absolute_error,
    mean_squared_error,
    multiclass_hinge,
    poisson_nll,
    smooth_l1,
    soft_margin,
    squared_error,
    triplet,
)
from .dtypes import (
    NamespaceInfo,
    broadcast_shapes,
    can_cast,
    complex64,
    complex128,
    e,
    finfo,
    float32,
    float64,
    from_dlpack,
    iinfo,
    inf,
    int8,
    int16,
    int32,
    int64,
    isdtype,
    nan,
    newaxis,
    pi,
    result_type,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .dtypes import boolean as bool
from .elementwise import (
    abs,
    add,
    astype,
    clip,
    divide,
    maximum,
    minimum,
    multiply,
    multiply_no_nan,
    negative,
    positive,
    pow,
    reciprocal,
    select,
    silence,
    sqrt,
    square,
    subtract,
    where,
)
from .embedding import bilinear, embedding, embedding_bag, embedding_rows
from .exponential import exp, exp2, expm1, log, log1p, log2, log10, xlog1py, xlogy
from .gates import (
    geglu,
    gelu,
    glu,
    mish,
    silu,
    soft_sign,
    softmin,
    sparsemax,
    squareplus,
    swiglu,
    swish,
)
from .indexing import index_set, scatter_add, scatter_set, scatter_sum, take, take_along_axis
from .joining import (
    append,
    array_split,
    block,
    column_stack,
    delete,
    dsplit,
    dstack,
    hsplit,
    hstack,
    insert,
    meshgrid,
    row_stack,
    split,
    unstack,
    vsplit,
    vstack,
)
from .linalg import cholesky, linear, matmul, solve, tensordot, tril, triu
from .linalg import einsum as _einsum
from .log_space import (
    log1mexp,
    log_sigmoid,
    logaddexp,
    logaddexp2,
    logcumsumexp,
    logmatmulexp,
    logmeanexp,
    softplus,
)
from .loops import cond, map, scan, while_loop
from .loss import (
    bernoulli_nll,
    binary_cross_entropy,
    cross_entropy,
    dice_loss,
    focal_loss,
    nll_loss,
    sigmoid_cross_entropy,
    sigmoid_focal_loss,
    softmax_cross_entropy,
)
from .matrix_functions import expm, logm, matrix_power, sqrtm
from .noise import (
    alpha_dropout,
    dropconnect,
    dropout,
    feature_alpha_dropout,
    feature_dropout,
    gaussian,
    gumbel_softmax,
    zoneout,
)
from .normalization import (
    batch_norm,
    batch_norm_eval,
    batch_renorm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    normalize,
    rms_norm,
    spectral_norm,
    standardize,
    weight_norm,
    weight_standardization,
)
from .norms import matrix_norm, matrix_rank, norm, vector_norm
from .pool import (
    adaptive_average_pool,
    adaptive_max_pool,
    average_pool,
    global_average_pool,
    global_max_pool,
    lp_pool,
    max_pool,
    max_unpool,
    spatial_pyramid_pool,
    unpool,
)
from .products import (
    cdist,
    cross,
    diagonal,
    inner,
    kron,
    matvec,
    multi_dot,
    outer,
    sparse_matmul,
    trace,
    vdot,
    vecdot,
    vecmat,
)
from .rectifiers import (
    celu,
    clipped_relu,
    crelu,
    elu,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    hardshrink,
    leaky_relu,
    maxout,
    prelu,
    relu6,
    rrelu,
    selu,
    softshrink,
    tanhshrink,
    threshold,
)
from .recurrent import gru, gru_cell, lstm, lstm_cell, pad_sequence, rnn, rnn_cell, slstm, transpose_sequence, tree_lstm
from .reduction import cumulative_sum, logsumexp, max, mean, min, prod, sum, var
from .resize import affine_grid, grid_sample, interpolate, pixel_shuffle, pixel_unshuffle
from .rounding import ceil, fix, floor, floor_divide, rint, round, sign, trunc
from .selection import (
    compress,
    dynamic_slice,
    dynamic_update_slice,
    gather_nd,
    masked_fill,
    one_hot,
    permutate,
    put_along_axis,
    segment_max,
    segment_mean,
    segment_min,
    segment_prod,
    segment_sum,
    select_item,
)
from .shape import (
    broadcast_to,
    concat,
    expand_dims,
    flip,
    matrix_transpose,
    moveaxis,
    permute_dims,
    place,
    reshape,
    squeeze,
    stack,
    transpose,
)
from .signal import convolve, correlate
from .solvers import (
    cho_solve,
    condition_number,
    inv,
    lstsq,
    lu_solve,
    pinv,
    solve_banded,
    solve_sylvester,
    solve_triangular,
    tensorinv,
    tensorsolve,
    toeplitz,
)
from .sorting import (
    argpartition,
    argsort,
    argwhere,
    choices,
    choose,
    flatnonzero,
    isin,
    kthvalue,
    nonzero,
    partition,
    piecewise,
    searchsorted,
    sort,
    topk,
    unique_all,
    unique_counts,
    unique_inverse,
    unique_values,
)
from .spectral import eig, eigh, eigvals, eigvalsh
from .statistics import (
    average,
    batch_l2_norm_squared,
    bincount,
    corrcoef,
    count_nonzero,
    cov,
    histogram,
    median,
    nanmax,
    nanmean,
    nanmedian,
    nanmin,
    nanprod,
    nanquantile,
    nanstd,
    nansum,
    nanvar,
    percentile,
    ptp,
    quantile,
    std,
    sum_to,
)
from .trigonometric import (
    acos,
    acosh,
    acot,
    acoth,
    acsc,
    acsch,
    asec,
    asech,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cos,
    cosh,
    cot,
    coth,
    csc,
    csch,
    sec,
    sech,
    sin,
    sinc,
    sinh,
    tan,
    tanh,
)
from .windows import pool_pick, pool_place, pool_spread, pool_sum, window_sum, windows

FAMILIES = (
    *("fft", "signal", "calculus"),
    *("angles", "arithmetic", "comparison", "complex", "exponential", "rounding", "trigonometric"),
    *("gates", "log_space", "rectifiers"),
    "statistics",
    "sorting",
    "cumulative",
    *("activation", "control", "conv", "elementwise", "indexing", "linalg"),
    *("loss", "random", "reduction", "shape", "spectral"),
    *("special_error", "special_gamma", "special_incomplete", "special_integrals", "special_bessel"),
    "special_student",
    *("decompositions", "determinants", "matrix_functions", "norms", "products", "solvers"),
    "windows",
    "pool",
    "columns",
    "normalization",
    "embedding",
    "attention",
    "distances",
    "ctc",
    "resize",
    "noise",
    "cotangents",
    "recurrent",
    "crf",
)


def __getattr__(name: str):
    """The class of an operator, from the file of its family."""
    for family in FAMILIES:
        found = vars(sys.modules[f"{__name__}.{family}"]).get(name)
        if isinstance(found, type) and issubclass(found, Operator):
            return found
    raise AttributeError(f"zkynet.framework.op has no operation {name!r}")


is_host = False

__array_namespace_info__ = NamespaceInfo
__array_api_version__ = "2025.12"
mult = multiply
identity = copy
fft = SimpleNamespace(
    fft=_fft.fft,
    ifft=_fft.ifft,
    rfft=_fft.rfft,
    irfft=_fft.irfft,
    hfft=_fft.hfft,
    ihfft=_fft.ihfft,
    fftn=_fft.fftn,
    ifftn=_fft.ifftn,
    rfftn=_fft.rfftn,
    irfftn=_fft.irfftn,
    fft2=_fft.fft2,
    ifft2=_fft.ifft2,
    rfft2=_fft.rfft2,
    irfft2=_fft.irfft2,
    fftfreq=_fft.fftfreq,
    rfftfreq=_fft.rfftfreq,
    fftshift=_fft.fftshift,
    ifftshift=_fft.ifftshift,
    truncate_pad=_fft.truncate_pad,
    dct=_signal.dct,
    idct=_signal.idct,
)
signal = SimpleNamespace(
    convolve=_signal.convolve_nd,
    correlate=_signal.correlate_nd,
    fftconvolve=_signal.fftconvolve,
    stft=_signal.stft,
    istft=_signal.istft,
)
linalg = SimpleNamespace(
    cholesky=cholesky,
    cho_solve=cho_solve,
    cofactor_slope=cofactor_slope,
    cofactors=cofactors,
    cond=condition_number,
    cross=cross,
    det=det,
    diagonal=diagonal,
    eig=eig,
    eigh=eigh,
    eigvals=eigvals,
    eigvalsh=eigvalsh,
    expm=expm,
    inv=inv,
    kron=kron,
    logm=logm,
    lstsq=lstsq,
    lu=lu,
    lu_solve=lu_solve,
    matmul=matmul,
    matrix_norm=matrix_norm,
    matrix_power=matrix_power,
    matrix_rank=matrix_rank,
    matrix_transpose=matrix_transpose,
    multi_dot=multi_dot,
    norm=norm,
    outer=outer,
    pinv=pinv,
    qr=qr,
    slogdet=slogdet,
    solve=solve,
    solve_banded=solve_banded,
    solve_sylvester=solve_sylvester,
    solve_triangular=solve_triangular,
    sqrtm=sqrtm,
    svd=svd,
    svdvals=svdvals,
    tensordot=tensordot,
    tensorinv=tensorinv,
    tensorsolve=tensorsolve,
    toeplitz=toeplitz,
    trace=trace,
    vecdot=vecdot,
    vector_norm=vector_norm,
)


def dot(a, b):
    """NumPy's dot: a product of scalars, else a sum over the last axis of a and the second last of b."""
    from ..record import shape_of

    sa, sb = shape_of(a), shape_of(b)
    if not sa or not sb:
        return multiply(a, b)
    if len(sb) < 3:
        return matmul(a, b)
    return tensordot(a, b, ([-1], [-2]))


def einsum(subscripts, *arrays):
    """Einstein's summation: ``einsum("ij,jk->ik", a, b)``.

    Rules call the protocol's canonical form, ``einsum(labels, out, *arrays)``, with a tuple of labels first.
    """
    if isinstance(subscripts, tuple):
        out, *arrays = arrays
        return _einsum(",".join(subscripts) + "->" + out, *arrays)
    return _einsum(subscripts, *arrays)
