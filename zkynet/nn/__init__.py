"""Layers and how their weights begin: one source for every backend."""

from zkynet.nn.activation import ReLU, Tanh
from zkynet.nn.initializers import as_generator, glorot_uniform, he_normal
from zkynet.nn.linear import Linear
from zkynet.nn.sequential import Sequential

__all__ = ["Linear", "ReLU", "Sequential", "Tanh", "as_generator", "glorot_uniform", "he_normal"]
