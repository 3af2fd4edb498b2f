"""Optimizers: how parameters follow their gradients. One source for every backend."""

from zkynet.optim.adam import Adam
from zkynet.optim.optimizer import Optimizer
from zkynet.optim.sgd import SGD

__all__ = ["SGD", "Adam", "Optimizer"]
