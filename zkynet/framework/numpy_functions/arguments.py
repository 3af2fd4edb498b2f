"""What NumPy's signatures have and the operations do not: keywords that are refused, dtypes, lists as arrays."""

from typing import Any

from .. import op
from ..operations.dtypes import dtype_name
from ..record import is_tracked


class Unset:
    """The default of a keyword for which None would say something."""

    def __repr__(self) -> str:
        return "<not given>"


UNSET: Any = Unset()
# Values that ask for nothing: `where=True` is everywhere, and Tensors know no memory order.
_NOTHING = {
    "where": (True,),
    "casting": ("same_kind", "unsafe"),
    "order": ("C", "K", "A"),
    "subok": (True, False),
    "copy": (True,),
    "mode": ("raise",),
    "optimize": (True, False, "greedy", "optimal"),
}


def is_given(value: Any) -> bool:
    """Whether a keyword was given; NumPy's own mark for "not given" says no as well."""
    return value is not UNSET and type(value).__name__ != "_NoValueType"


def refuse(name: str, **keywords: Any) -> None:
    """TypeError where one of ``keywords`` asks for something: nothing that was asked for is silently left out."""
    for keyword, value in keywords.items():
        if value is None or not is_given(value):
            continue
        harmless = _NOTHING.get(keyword, ())
        if any(value is h or (isinstance(h, str) and isinstance(value, str) and h == value) for h in harmless):
            continue
        raise TypeError(f"{name}: the keyword {keyword}={_shown(value)} is not supported.\n{_ways_out(keyword)}")


def refuse_tracked(name: str, **settings: Any) -> None:
    """TypeError where one of ``settings`` is tracked: it is read as a number, and its gradient would be lost."""
    for setting, value in settings.items():
        parts = value if isinstance(value, (list, tuple)) else (value,)
        if any(is_tracked(p) for p in parts if p is not None):
            raise TypeError(
                f"{name}: no derivative with respect to {setting} is known; its gradient would be lost.\n"
                f"Give a constant, with zk.stop_gradient({setting})."
            )


def _shown(value) -> str:
    return repr(value) if isinstance(value, (str, int, float, bool)) else f"<{type(value).__name__}>"


def _ways_out(keyword: str) -> str:
    return {
        "out": "A step that is recorded cannot write into an array: take what the function returns.",
        "where": "Choose entries before, with where(mask, x, neutral) or x[mask].",
        "dtype": "Convert before or after, with .astype(dtype).",
        "like": "The function's other arguments, or zk.use_backend, decide which library the array belongs to.",
        "device": "Arrays belong to the default backend: choose it with zk.use_backend.",
        "order": "Tensors know no memory order but C's.",
        "weights": "The weighted quantile is not there: sort, and take along the axis.",
    }.get(keyword, "Leave it out.")


def array(x: Any) -> Any:
    """Lists and tuples as one Tensor, Tensors inside included; anything else as it is."""
    return op.asarray(x) if isinstance(x, (list, tuple)) else x


def cast(x: Any, dtype: Any) -> Any:
    """``array(x)``, converted where a dtype was asked for."""
    x = array(x)
    return x if dtype is None or not is_given(dtype) else op.astype(op.asarray(x), dtype_name(dtype))


def flag(value: Any) -> bool:
    """A keyword like ``keepdims``: False where it was not given."""
    return bool(value) if is_given(value) else False
