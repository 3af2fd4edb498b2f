"""Models made of the layers of zkynet.nn."""

from zkynet.models.autoencoders import Autoencoder, VariationalAutoencoder, autoencoder, variational_autoencoder
from zkynet.models.build import build
from zkynet.models.convolutional import cnn
from zkynet.models.exclusive_or import xor
from zkynet.models.feedforward import fcn
from zkynet.models.sequences import SequenceClassifier, recurrent
from zkynet.models.transformers import LanguageModel, TransformerClassifier, language_model, transformer

__all__ = [
    "Autoencoder",
    "LanguageModel",
    "SequenceClassifier",
    "TransformerClassifier",
    "VariationalAutoencoder",
    "autoencoder",
    "build",
    "cnn",
    "fcn",
    "language_model",
    "recurrent",
    "transformer",
    "variational_autoencoder",
    "xor",
]
