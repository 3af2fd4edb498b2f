"""Models by name, as files describe them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zkynet.framework.computation_graph import Module
from zkynet.models.autoencoders import autoencoder, variational_autoencoder
from zkynet.models.convolutional import cnn
from zkynet.models.coordinates import coordinate_network
from zkynet.models.exclusive_or import xor
from zkynet.models.feedforward import fcn
from zkynet.models.sequences import recurrent, recurrent_language_model
from zkynet.models.transformers import language_model, transformer

MODELS: dict[str, Callable[..., Module]] = {
    "autoencoder": autoencoder,
    "cnn": cnn,
    "coordinate_network": coordinate_network,
    "fcn": fcn,
    "language_model": language_model,
    "recurrent": recurrent,
    "recurrent_language_model": recurrent_language_model,
    "transformer": transformer,
    "variational_autoencoder": variational_autoencoder,
    "xor": xor,
}


def build(description: Mapping[str, Any], **settings: Any) -> Module:
    """Return the model that ``description`` names: ``{"name": "fcn", "settings": {"sizes": [64, 32, 10]}}``.

    A description is plain data, what JSON holds; ``settings`` such as ``seed`` come on top of its own. ValueError where
    it names no model of zkynet.models or is none, and what the model itself raises for its settings.
    """
    name, own = description.get("name"), description.get("settings")
    if description.keys() != {"name", "settings"} or name not in MODELS or not isinstance(own, Mapping):
        raise ValueError(
            f"this describes no model.\n  got:      {dict(description)}\n"
            f"  expected: a name, one of {', '.join(MODELS)}, and its settings"
        )
    return MODELS[name](**own, **settings)
