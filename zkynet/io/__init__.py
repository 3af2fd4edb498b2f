"""Files: arrays and models, written whole or not at all, and read without running anything that is in them."""

from zkynet.backends.errors import FileFormatError, WeightsMismatchError
from zkynet.io.atomic import atomic_write
from zkynet.io.safetensors import load_metadata, load_safetensors, save_safetensors
from zkynet.io.weights import assign_weights, load_weights, save_weights

__all__ = [
    "FileFormatError",
    "WeightsMismatchError",
    "assign_weights",
    "atomic_write",
    "load_metadata",
    "load_safetensors",
    "load_weights",
    "save_safetensors",
    "save_weights",
]
