"""Data sets and batches, in NumPy: what a training loop reads.

Nothing here knows a backend or the engine; a model moves a batch to its own device.
"""

from zkynet.data.batches import Batches
from zkynet.data.digits import load_digits, stratified_split
from zkynet.data.pictures import PictureError, digit_of_picture, read_picture

__all__ = ["Batches", "PictureError", "digit_of_picture", "load_digits", "read_picture", "stratified_split"]
