"""What layers share: sizes and numbers checked in one place, weights drawn or given, and how a layer shows itself."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import operator
from collections.abc import Callable, Sequence
from typing import Any

from zkynet import backends
from zkynet.framework.computation_graph import Generator, Module, Parameter, Tensor
from zkynet.framework.function import Possession
from zkynet.nn.initializers import Initializer

Sizes = int | Sequence[int]  # one for all axes, or one an axis
Paddings = int | str | Sequence[int | Sequence[int]]


def names_itself(call: Callable[..., Any]) -> Callable[..., Any]:
    """A layer's ``call`` whose errors say in a note which layer it was."""

    @functools.wraps(call)
    def noted(self: Module, *inputs: Any, **named: Any) -> Any:
        try:
            return call(self, *inputs, **named)
        except Exception as error:
            error.add_note(f"in {self!r}")
            raise

    return noted


def shown(layer: Module, *first: Any, **settings: Any) -> str:
    """``Conv2d(1, 2, (3, 3), groups=2)``: the class, what comes first, and the settings that are not the default.

    A tuple that holds a setting's default for every axis is that default.
    """
    words = [repr(x) for x in first]
    for name, value in settings.items():
        default = _default(type(layer), name)
        same = all(x == default for x in value) if isinstance(value, tuple) and value else value == default
        words += [] if same else [f"{name}={value!r}"]
    return f"{type(layer).__name__}({', '.join(words)})"


def _default(kind: type, name: str) -> Any:
    """What a setting is unless given, to a class or, where its constructor does not take it, to the next one above."""
    for each in kind.__mro__:
        found = inspect.signature(each.__init__).parameters.get(name)  # type: ignore[misc]
        if found is not None:
            return found.default
    return inspect.Parameter.empty


# ---- settings ----


def size(layer: str, name: str, value: Any, least: int | None = 1) -> int:
    """``value`` as an int; TypeError where it is none, ValueError below ``least``."""
    try:
        found = operator.index(value)
    except TypeError:
        raise TypeError(f"{layer}: {name} is not an int.\n  got:      {value!r}") from None
    if least is not None and found < least:
        raise ValueError(f"{layer}: {name} is too small.\n  got:      {found}\n  expected: at least {least}")
    return found


def each_axis(layer: str, name: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """``value``, an int or one an axis, as ``axes`` ints."""
    if not isinstance(value, (tuple, list)):
        value = (value,) * axes
    if len(value) != axes:
        raise ValueError(
            f"{layer}: {name} has one number per axis.\n  got:      {value!r}\n  expected: an int, or {axes} of them"
        )
    return tuple(size(layer, name, x, least) for x in value)


def each_side(layer: str, value: Any, axes: int) -> Any:
    """A padding: "same", "valid", an int, or one an axis, each of them an int or a pair (before, after)."""
    if isinstance(value, str):
        if value not in ("same", "valid"):
            raise ValueError(f'{layer}: padding is "same", "valid" or numbers.\n  got:      {value!r}')
        return value
    if not isinstance(value, (tuple, list)) or not any(isinstance(x, (tuple, list)) for x in value):
        return each_axis(layer, "padding", value, axes, 0)
    if len(value) != axes:
        raise ValueError(
            f"{layer}: padding has one pair per axis.\n  got:      {value!r}\n"
            f"  expected: {axes} times a number or a pair (before, after)"
        )
    return tuple(each_axis(layer, "padding", x, 2, 0) for x in value)


def number(layer: str, name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """``value`` as a float in [low, high]; TypeError where it is no real number, ValueError outside."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{layer}: {name} is not a number.\n  got:      {value!r}")
    found = float(value)
    if not low <= found <= high:
        bounds = f"at least {low}" if high == math.inf else f"in [{low}, {high}]"
        raise ValueError(f"{layer}: {name} is out of range.\n  got:      {value!r}\n  expected: {bounds}")
    return found


def positive(layer: str, name: str, value: Any) -> float:
    """``value`` as a float above 0."""
    found = number(layer, name, value, 0)
    if not found:
        raise ValueError(f"{layer}: {name} is out of range.\n  got:      {value!r}\n  expected: above 0")
    return found


# ---- what a layer owns ----


def is_size(x: Any) -> bool:
    """Whether ``x`` is a size to draw weights of, rather than an array of weights."""
    return hasattr(x, "__index__") and not getattr(x, "shape", ())


def drawn(
    layer: str,
    made_by: str,
    shape: tuple[int, ...],
    generator: Generator | int | None,
    init: Initializer,
    dtype: Any,
    fans: tuple[int, int],
) -> Any:
    """Weights by ``init``; TypeError without a generator, which says how the layer is ``made_by``."""
    if generator is None:
        raise TypeError(
            f"{layer} draws its weights and needs a generator.\n"
            f"  expected: {layer}({made_by}, zk.Generator(seed)), or an int seed in its place\n"
            "One generator can serve a whole model: every draw moves it on."
        )
    return init(shape, generator, dtype=dtype or "float32", fans=fans)


def given(array: Any, dtype: Any) -> Any:
    """``array`` as an array of its backend, a list as one of the default backend, in ``dtype``.

    Of a Parameter that is what it holds; to share one, assign it: ``layer.weight = other.weight``.
    """
    if isinstance(array, Possession) or (isinstance(array, Tensor) and array.record is None):
        array = array.value
    xp = backends.backend_of(array)
    if xp is None:
        xp, dtype = backends.default_backend(), dtype or "float32"
    return xp.asarray(array, dtype=None if dtype is None else xp.dtype(dtype))


def filled(shape: tuple[int, ...], value: float, dtype: Any) -> Any:
    """An array of the default backend that holds one number."""
    xp = backends.default_backend()
    return xp.full(shape, value, dtype=xp.dtype(dtype or "float32"))


def begun(name: str, wanted: bool, shape: tuple[int, ...], value: float, dtype: Any) -> Parameter | None:
    """A Parameter that begins as one number, where it is wanted."""
    return Parameter(name, filled(shape, value, dtype)) if wanted else None
