"""Layers and how their weights begin: one source for every backend."""

from zkynet.nn.activation import ReLU, Tanh
from zkynet.nn.conv import Conv2d
from zkynet.nn.flatten import Flatten, Reshape
from zkynet.nn.initializers import as_generator, glorot_uniform, he_normal
from zkynet.nn.linear import Linear
from zkynet.nn.sequential import Sequential

__all__ = [
    "Conv2d",
    "Flatten",
    "Linear",
    "ReLU",
    "Reshape",
    "Sequential",
    "Tanh",
    "as_generator",
    "glorot_uniform",
    "he_normal",
]
