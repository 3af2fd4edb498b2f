"""Files: arrays and models, written whole or not at all, and read without running anything that is in them."""

from zkynet.backends.errors import CheckpointError, FileFormatError, WeightsMismatchError
from zkynet.io.atomic import atomic_write
from zkynet.io.checkpoint import list_checkpoints, load_checkpoint, save_checkpoint
from zkynet.io.events import EventWriter
from zkynet.io.safetensors import load_metadata, load_safetensors, save_safetensors
from zkynet.io.weights import assign_weights, load_weights, save_weights

__all__ = [
    "CheckpointError",
    "EventWriter",
    "FileFormatError",
    "WeightsMismatchError",
    "assign_weights",
    "atomic_write",
    "list_checkpoints",
    "load_checkpoint",
    "load_metadata",
    "load_safetensors",
    "load_weights",
    "save_checkpoint",
    "save_safetensors",
    "save_weights",
]
