"""Data sets and batches, in NumPy: what a training loop reads. See docs/data.md.

Nothing here knows a backend or the engine; a model moves a batch to its own device.
"""

from zkynet.data.augment import Augment, Crop, Flip, Rotate, Shift, crop, flip, rotate, shift
from zkynet.data.batches import Batches
from zkynet.data.datasets import Arrays, Dataset, Subset
from zkynet.data.digits import load_digits, stratified_split
from zkynet.data.housing import BOSTON_FEATURES, load_boston_housing
from zkynet.data.images import ImageFolder, PictureError, read_image
from zkynet.data.mnist import load_mnist, read_idx
from zkynet.data.pictures import digit_of_picture, read_picture
from zkynet.data.pixels import SIGN_LETTERS, load_digit_recognizer, load_sign_language
from zkynet.data.preprocess import Standardizer, one_hot
from zkynet.data.sklearn_sets import load_sklearn
from zkynet.data.splitting import split
from zkynet.data.tables import Table, encode_labels, read_table
from zkynet.data.text import TextWindows, Vocabulary, read_text, words

__all__ = [
    "BOSTON_FEATURES",
    "SIGN_LETTERS",
    "Arrays",
    "Augment",
    "Batches",
    "Crop",
    "Dataset",
    "Flip",
    "ImageFolder",
    "PictureError",
    "Rotate",
    "Shift",
    "Standardizer",
    "Subset",
    "Table",
    "TextWindows",
    "Vocabulary",
    "crop",
    "digit_of_picture",
    "encode_labels",
    "flip",
    "load_boston_housing",
    "load_digit_recognizer",
    "load_digits",
    "load_mnist",
    "load_sign_language",
    "load_sklearn",
    "one_hot",
    "read_idx",
    "read_image",
    "read_picture",
    "read_table",
    "read_text",
    "rotate",
    "shift",
    "split",
    "stratified_split",
    "words",
]
