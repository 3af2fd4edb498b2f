"""Models made of the layers of zkynet.nn."""

from zkynet.models.build import build
from zkynet.models.convolutional import cnn
from zkynet.models.feedforward import fcn

__all__ = ["build", "cnn", "fcn"]
