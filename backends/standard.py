"""The names of the Python array API standard (2024.12) that a Backend binds from its library's namespace."""

from types import SimpleNamespace

CONSTANTS = ("e", "inf", "nan", "newaxis", "pi")

DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)

CREATION = ("arange", "empty", "eye", "full", "linspace", "ones", "zeros")

ELEMENTWISE = (
    *("abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_invert"),
    *("bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clip", "conj", "copysign"),
    *("cos", "cosh", "divide", "equal", "exp", "expm1", "floor", "floor_divide", "greater", "greater_equal", "hypot"),
    *("imag", "isfinite", "isinf", "isnan", "less", "less_equal", "log", "log10", "log1p", "log2", "logaddexp"),
    *("logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "negative"),
    *("nextafter", "not_equal", "positive", "pow", "real", "reciprocal", "remainder", "round", "sign", "signbit"),
    *("sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "trunc"),
)

FUNCTIONS = (
    *CREATION,
    *ELEMENTWISE,
    *("empty_like", "full_like", "meshgrid", "ones_like", "tril", "triu", "zeros_like"),
    *("astype", "can_cast", "finfo", "iinfo", "isdtype"),
    *("matmul", "matrix_transpose", "tensordot", "vecdot"),
    *("broadcast_arrays", "broadcast_to", "concat", "expand_dims", "flip", "moveaxis", "permute_dims", "repeat"),
    *("reshape", "roll", "squeeze", "stack", "tile"),
    *("argmax", "argmin", "argsort", "count_nonzero", "nonzero", "searchsorted", "sort", "where"),
    *("unique_all", "unique_counts", "unique_inverse", "unique_values", "take_along_axis"),
    *("all", "any", "diff", "max", "mean", "min", "prod", "std", "sum", "var"),
)

LINALG = (
    *("cholesky", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matmul", "matrix_norm"),
    *("matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals"),
    *("tensordot", "trace", "vecdot", "vector_norm"),
)

FFT = (
    *("fft", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifftn", "ifftshift", "ihfft", "irfft", "irfftn"),
    *("rfft", "rfftfreq", "rfftn"),
)


def extension(namespace, names) -> SimpleNamespace:
    """Those of ``names`` that ``namespace`` has."""
    return SimpleNamespace(**{item: getattr(namespace, item) for item in names if hasattr(namespace, item)})
