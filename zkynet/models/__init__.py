"""Models made of the layers of zkynet.nn."""

from zkynet.models.autoencoders import Autoencoder, VariationalAutoencoder, autoencoder, variational_autoencoder
from zkynet.models.build import build
from zkynet.models.convolutional import cnn
from zkynet.models.coordinates import CoordinateNetwork, coordinate_network
from zkynet.models.exclusive_or import xor
from zkynet.models.feedforward import fcn
from zkynet.models.sequences import (
    RecurrentLanguageModel,
    SequenceClassifier,
    recurrent,
    recurrent_language_model,
)
from zkynet.models.transformers import LanguageModel, TransformerClassifier, language_model, transformer
from zkynet.models.writing import write

__all__ = [
    "Autoencoder",
    "CoordinateNetwork",
    "LanguageModel",
    "RecurrentLanguageModel",
    "SequenceClassifier",
    "TransformerClassifier",
    "VariationalAutoencoder",
    "autoencoder",
    "build",
    "cnn",
    "coordinate_network",
    "fcn",
    "language_model",
    "recurrent",
    "recurrent_language_model",
    "transformer",
    "variational_autoencoder",
    "write",
    "xor",
]
