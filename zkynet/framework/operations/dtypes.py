"""Dtypes: those of the array API standard, questions about them, and what the namespace says of itself.

The dtypes are NumPy's: arrays of NumPy, JAX and CuPy have the same ones, and every function here takes them for any
backend, as it takes names ("float32") and a backend's own.
"""

from typing import Any

from zkynet import backends

from .. import axes
from ..record import HOST, PYTHON_NUMBERS, Tensor, dtype_of, operand, value_of

int8, int16, int32, int64 = HOST.int8, HOST.int16, HOST.int32, HOST.int64
uint8, uint16, uint32, uint64 = HOST.uint8, HOST.uint16, HOST.uint32, HOST.uint64
float32, float64, complex64, complex128 = HOST.float32, HOST.float64, HOST.complex64, HOST.complex128
boolean = HOST.bool
e, inf, nan, newaxis, pi = HOST.e, HOST.inf, HOST.nan, HOST.newaxis, HOST.pi

KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
KINDS["integral"] = KINDS["signed integer"] + KINDS["unsigned integer"]
KINDS["numeric"] = KINDS["integral"] + KINDS["real floating"] + KINDS["complex floating"]
_PLAIN: dict = {bool: "bool", int: "int64", float: "float64", complex: "complex128"}
_PLAIN |= {"int": "int64", "float": "float64", "complex": "complex128"}


def name_of(dtype) -> str:
    """The standard's name of a dtype (a name, NumPy's, a backend's, a Python number type), or of an array's."""
    return dtype_name(dtype_of(dtype) if _is_array(dtype) else dtype)


def _is_array(x) -> bool:
    return not isinstance(x, (type, str)) and (hasattr(x, "dtype") or type(x) in PYTHON_NUMBERS)


def dtype_name(dtype) -> str:
    """The standard's name of a dtype in any form; TypeError for an array in its place."""
    if _is_array(dtype):
        raise TypeError(f"expected a dtype, got {type(dtype).__name__}; write x.dtype for that of an array")
    if dtype in _PLAIN:
        return _PLAIN[dtype]
    # Written "float32", "array_api_strict.float32" or "<class 'numpy.float32'>".
    return str(getattr(dtype, "name", dtype)).rpartition(".")[2].strip("'>").removesuffix("_")


def finfo(type, /):
    """What a real or complex floating-point dtype, or that of an array, can hold, as the array API gives it."""
    return HOST.finfo(name_of(type))


def iinfo(type, /):
    """The bounds of an integer dtype, or of an array's, as the array API gives them."""
    return HOST.iinfo(name_of(type))


def isdtype(dtype, kind) -> bool:
    """Whether a dtype is ``kind``: another dtype, one of the standard's kinds ("real floating"), or a tuple of such."""
    name = name_of(dtype)
    for one in kind if isinstance(kind, tuple) else (kind,):
        if isinstance(one, str) and one not in KINDS:
            raise ValueError(f"isdtype: unknown kind {one!r}.\n  expected: a dtype or one of {', '.join(KINDS)}")
        if name in (KINDS[one] if isinstance(one, str) else (name_of(one),)):
            return True
    return False


def can_cast(from_, to, /) -> bool:
    """Whether a dtype, or an array's, becomes the dtype ``to`` without loss, by NumPy's "safe" rule."""
    return HOST.can_cast(HOST.dtype(name_of(from_)), HOST.dtype(name_of(to)))


def result_type(*arrays_and_dtypes) -> Any:
    """The dtype to which arrays, dtypes and Python numbers promote: a dtype of the arrays' backend, else NumPy's.

    NumPy 2's table on every backend. Python numbers are weak.
    """
    if not arrays_and_dtypes:
        raise ValueError("result_type: needs at least one array or dtype")
    items = [value_of(x) for x in arrays_and_dtypes]
    owners = [backends.backend_of(x) for x in items]
    xp = backends.common_backend([xp for xp in owners if xp is not None] or [HOST])
    return xp.result_type(*[x if type(x) in PYTHON_NUMBERS else xp.dtype_of_name(name_of(x)) for x in items])


def broadcast_shapes(*shapes) -> tuple[int, ...]:
    """The shape to which arrays of these shapes broadcast; ShapeError, a ValueError, where there is none."""
    return axes.broadcast_shapes(*[tuple(shape) if isinstance(shape, (tuple, list)) else (shape,) for shape in shapes])


# ---- devices, and arrays from elsewhere ----


def device_of(x) -> Any:
    """The device that holds the array of x; for a Python number that of the default backend."""
    value = operand(x)[0]
    return (backends.default_backend().zeros(()) if type(value) in PYTHON_NUMBERS else value).device


def on_device(x: Tensor, device, who: str) -> Tensor:
    """x, which has to be on ``device`` (None: anywhere): arrays change devices with their backend alone."""
    if device is not None and device != device_of(x):
        raise ValueError(
            f"{who}: the array would be on the device {device_of(x)}, not on {device}.\n"
            "The backend decides of the device: choose one with zk.use_backend."
        )
    return x


def from_dlpack(x, /, *, device=None, copy=None) -> Tensor:
    """An array of another library (PyTorch's, say) on the default backend, by DLPack and by way of the host's memory.

    Arrays of a backend and Tensors stay where they are, as in ``asarray``. ValueError for ``copy=False`` of others:
    what a Tensor holds is never shared.
    """
    from .creation import asarray

    if backends.backend_of(value_of(x)) is not None:
        return asarray(x, copy=copy, device=device)
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"from_dlpack: expected an array with the method __dlpack__, got {type(x).__name__}")
    if copy is False:
        raise ValueError("from_dlpack: copy=False cannot be kept; arrays of other libraries are always copied")
    try:
        array = HOST.namespace.from_dlpack(x)
    except (BufferError, RuntimeError, TypeError, ValueError):  # a device that NumPy cannot read
        array = HOST.namespace.from_dlpack(x, device="cpu", copy=True)
    return on_device(Tensor(backends.default_backend().asarray(array)), device, "from_dlpack")


class NamespaceInfo:
    """What ``op`` can do with the default backend, in the array API standard's words."""

    def capabilities(self) -> dict[str, Any]:
        """Masks as indices and shapes that depend on values work, outside of compiled functions."""
        # The least of all backends: CuPy's limit.
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 32}

    def default_device(self) -> Any:
        """The device of the default backend."""
        return device_of(0.0)

    def devices(self) -> tuple:
        """That device alone: another one is another backend."""
        return (self.default_device(),)

    def default_dtypes(self, *, device=None) -> dict[str, Any]:
        """The dtypes of arrays made of Python numbers: double precision on every backend."""
        xp = self._backend(device)
        names = {"real floating": "float64", "complex floating": "complex128", "integral": "int64", "indexing": "int64"}
        return {kind: xp.dtype_of_name(name) for kind, name in names.items()}

    def dtypes(self, *, device=None, kind=None) -> dict[str, Any]:
        """The dtypes by their names; those of a ``kind``, or of a tuple of kinds, as in ``isdtype``."""
        xp = self._backend(device)
        kinds = ("bool", "numeric") if kind is None else kind if isinstance(kind, tuple) else (kind,)
        unknown = [one for one in kinds if one not in KINDS]
        if unknown:
            raise ValueError(f"dtypes: unknown kind {unknown[0]!r}.\n  expected: one of {', '.join(KINDS)}")
        return {name: xp.dtype_of_name(name) for one in kinds for name in KINDS[one] if name in xp.dtypes}

    def _backend(self, device):
        if device not in (None, self.default_device()):
            raise ValueError(f"the default backend computes on {self.default_device()}, not on {device}")
        return backends.default_backend()
