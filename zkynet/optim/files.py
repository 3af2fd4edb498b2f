"""The state of an optimizer, an EMA or a schedule, to a file and back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from zkynet import backends
from zkynet.backends.errors import FileFormatError
from zkynet.io import load_metadata, load_safetensors, save_safetensors

_TREE = "zkynet_state"
_PLAIN = (int, float, str, bool, type(None))


def save_state(path: str | os.PathLike, owner: Any) -> None:
    """Write the state of ``owner``, anything with a ``state_dict``, or such a tree, to a safetensors file.

    Arrays are stored under their path in the tree (``squares/layers.0.weight``), everything else as JSON in the file's
    metadata. The file does not depend on the backend, and is written whole or not at all. TypeError for a leaf that is
    neither an array nor a plain value, and for dtypes that the format lacks (complex128).
    """
    tree = owner if isinstance(owner, Mapping) else owner.state_dict()
    arrays: dict[str, Any] = {}
    found = outline(tree, "", arrays)
    save_safetensors(path, arrays, {_TREE: json.dumps(found)})


def load_state(path: str | os.PathLike, owner: Any = None) -> dict[str, Any]:
    """The tree of states in the file ``path``, with NumPy arrays; ``owner.load_state_dict`` gets it where there is one.

    An optimizer's arrays follow its model's backend with the next update. FileFormatError, a ValueError, for a file
    without a state, or a damaged one; ValueError where the state is another's.
    """
    metadata = load_metadata(path)
    if _TREE not in metadata:
        raise FileFormatError(f"{os.fspath(path)} holds no state.\n  expected: a file of zk.optim.save_state")
    arrays = load_safetensors(path)
    try:
        tree = filled(json.loads(metadata[_TREE]), arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{os.fspath(path)}: its state is damaged: {error!r}") from None
    if owner is not None:
        owner.load_state_dict(tree)
    return tree


def outline(node: Any, path: str, arrays: dict[str, Any]) -> Any:
    """The tree without its arrays, which go to ``arrays``: {"dict": {...}}, {"array": path} or {"value": ...}."""
    if isinstance(node, Mapping):
        inside = {key: outline(child, f"{path}/{key}" if path else key, arrays) for key, child in node.items()}
        return {"dict": inside}
    if type(node) in _PLAIN:
        return {"value": node}
    if backends.backend_of(node) is None:
        raise TypeError(
            f"save_state: a state holds arrays and plain values.\n  got:      {type(node).__name__} at {path!r}"
        )
    if path in arrays:
        raise FileFormatError(f"save_state: two arrays have the path {path!r}; rename a parameter")
    arrays[path] = node
    return {"array": path}


def filled(outline: Any, arrays: Mapping[str, Any]) -> Any:
    if "dict" in outline:
        return {key: filled(child, arrays) for key, child in outline["dict"].items()}
    return arrays[outline["array"]] if "array" in outline else outline["value"]
