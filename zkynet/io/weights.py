"""What a model owns, to a file and back, by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from zkynet import backends
from zkynet.backends.errors import WeightsMismatchError
from zkynet.framework.computation_graph import Module, Parameter, State
from zkynet.io.safetensors import host_array, load_safetensors, save_safetensors

_NUMBERS = {float: "float64", complex: "complex128", int: "int64"}


def save_weights(path: str | os.PathLike, model: Module, metadata: Mapping[str, str] | None = None) -> None:
    """Write every Parameter and State of ``model`` by its path, ``layers.0.weight``, to a safetensors file.

    The file does not depend on the backend. Of a Generator it holds how many draws were made, not the seed.
    ``metadata`` are strings by string. The errors are those of ``save_safetensors``; the file is written whole or not
    at all.
    """
    save_safetensors(path, {name: each.value for name, each in _owned(model).items()}, metadata)


def load_weights(path: str | os.PathLike, model: Module) -> None:
    """Give every Parameter and State of ``model`` the array of its path in the safetensors file ``path``.

    The model keeps its backend. WeightsMismatchError, a ValueError, where names are missing or unknown, or a shape or
    dtype differs; CheckpointError for a file that is damaged. Where anything does not fit nothing has changed.
    """
    assign_weights(model, load_safetensors(path))


def assign_weights(model: Module, arrays: Mapping[str, Any]) -> None:
    """``load_weights`` of arrays that are in memory already: by path, each of its shape and dtype."""
    owned = _owned(model)
    _check_names(owned, arrays)
    host = {name: host_array(name, arrays[name]) for name in owned}
    faults = [line for name, each in owned.items() for line in _faults(name, each, host[name])]
    if faults:
        raise WeightsMismatchError("the arrays do not fit the model.\n" + "\n".join(faults))
    new = {name: _of_backend(each, host[name]) for name, each in owned.items()}
    for name, each in owned.items():
        each.value = new[name]


def _owned(model: Module) -> dict[str, Parameter | State]:
    if not isinstance(model, Module):
        raise TypeError(f"the weights of a model are those of a Module.\n  got:      {type(model).__name__}")
    return model.named_possessions((Parameter, State))


def _check_names(owned: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    missing, unknown = [n for n in owned if n not in arrays], [n for n in arrays if n not in owned]
    if missing or unknown:
        lines = [f"  missing:  {', '.join(map(repr, missing))}"] * bool(missing)
        lines += [f"  unknown:  {', '.join(map(repr, unknown))}"] * bool(unknown)
        raise WeightsMismatchError("the arrays are not those of this model.\n" + "\n".join(lines))


def _faults(name: str, possession: Parameter | State, array: np.ndarray) -> list[str]:
    """What does not fit, one line at most."""
    shape, dtype = _kind(possession)
    if array.shape == shape and array.dtype.name == dtype:
        return []
    return [f"  {name}: got {array.dtype.name} of shape {array.shape}, expected {dtype} of shape {shape}"]


def _kind(possession: Parameter | State) -> tuple[tuple[int, ...], str]:
    value = possession.value
    home = backends.backend_of(value)
    return ((), _NUMBERS[type(value)]) if home is None else (tuple(value.shape), home.name_of(value.dtype))


def _of_backend(possession: Parameter | State, array: np.ndarray) -> Any:
    home = backends.backend_of(possession.value)
    return array.item() if home is None else home.asarray(array)
