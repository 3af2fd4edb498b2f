"""Gradients beside the arrays that they belong to: what fits, what is converted, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zkynet import backends
from zkynet.backends.errors import GradientMismatchError, TrackedValueError
from zkynet.framework.computation_graph import Module, Parameter, Tensor

NUMBERS = (int, float, complex)
HOST = backends.get("numpy")


def backend_of(array: Any) -> Any:
    """The backend of an array; the host's for what belongs to none."""
    return backends.backend_of(array) or HOST


def by_backend(groups: Mapping[str, list], names: list[str]) -> dict[Any, list[str]]:
    """The names by the backend of their parameter: one for most models."""
    kinds = {type(groups[name][0]) for name in names}
    if len(kinds) == 1:
        xp = backends.BACKEND_BY_TYPE.get(kinds.pop())
        if xp is not None:
            return {xp: names}
    found: dict[Any, list[str]] = {}
    for name in names:
        found.setdefault(backend_of(groups[name][0]), []).append(name)
    return found


def moved(array: Any, xp: Any) -> Any:
    """``array`` on the backend ``xp``."""
    home = backend_of(array)
    return array if home is xp else xp.own(xp.asarray(home.to_numpy(array)))


def module(model: Any, owner: Any, call: str) -> Module:
    """``model``; TypeError where it is no Module."""
    if isinstance(model, Module):
        return model
    name = f"{type(owner).__name__}{call}"
    raise TypeError(
        f"{name} takes a Module, whose parameters it reads or changes.\n  got:      {type(model).__name__}\n"
        f"  expected: {name}(model, ...)"
    )


def check_names(named: Mapping[str, Parameter], grads: Any) -> None:
    """GradientMismatchError where ``grads`` has not a gradient for each of the parameters, and for these alone."""
    if type(grads) is not dict and not isinstance(grads, Mapping):
        raise TypeError(
            f"the gradients of a model are a dict keyed by parameter path.\n  got:      {type(grads).__name__}\n"
            "Differentiate with respect to the model: zk.value_and_grad(loss)(model, ...)."
        )
    if grads.keys() == named.keys():
        return
    missing, unknown = named.keys() - grads.keys(), grads.keys() - named.keys()
    lines = [f"  missing:  {', '.join(repr(n) for n in named if n in missing)}"] if missing else []
    lines += [f"  unknown:  {', '.join(repr(n) for n in grads if n in unknown)}"] if unknown else []
    raise GradientMismatchError("the gradients are not those of this model.\n" + "\n".join(lines))


def squared(xp: Any, g: Any) -> Any:
    """|g|^2 entry by entry, a real array."""
    return xp.real(xp.conj(g) * g) if xp.is_complex(g.dtype) else g * g


def array_of(parameter: Parameter) -> Any:
    """The array of a parameter itself; a Python number as an array of double precision."""
    p = parameter._value
    if type(p) in NUMBERS:
        return HOST.asarray(p, dtype=HOST.complex128 if type(p) is complex else HOST.float64)
    return p


def put(parameter: Parameter, array: Any) -> None:
    """Give a parameter an array that nobody else holds; one that is a Python number stays one."""
    parameter._value = array.item() if type(parameter._value) in NUMBERS else array


def array_and_gradient(name: str, parameter: Parameter, gradient: Any) -> list:
    """[p, g]: the parameter's array and its gradient in that form."""
    p = parameter._value
    if type(p) in NUMBERS:
        p = array_of(parameter)
    same = type(gradient) is type(p) and gradient.shape == p.shape and gradient.dtype == p.dtype
    return [p, gradient if same else _converted(name, p, gradient)]


def _converted(name: str, p: Any, gradient: Any) -> Any:
    """The gradient as an array of the backend and dtype of ``p``; an error where it cannot be p's gradient."""
    xp = backend_of(p)
    g = xp.asarray(untracked(gradient, lambda: f"the gradient of {name!r}"))
    if tuple(g.shape) != tuple(p.shape) or (xp.is_complex(g.dtype) and not xp.is_complex(p.dtype)):
        raise GradientMismatchError(
            f"the gradient of {name!r} does not fit it.\n"
            f"  got:      shape {tuple(g.shape)}, dtype {g.dtype}\n"
            f"  expected: shape {tuple(p.shape)}, dtype {p.dtype}"
        )
    return xp.asarray(g, dtype=p.dtype)


def untracked(gradient: Any, what: Callable[[], str]) -> Any:
    """The array of a gradient that may be a Tensor; TrackedValueError where a transform would lose its history."""
    if isinstance(gradient, Tensor):
        if gradient.record is not None:
            raise TrackedValueError(
                f"{what()} is a tracked Tensor: an update would lose its history.\n"
                "Call update outside of the transforms, or take .value of the gradient."
            )
        return gradient.value
    return gradient
