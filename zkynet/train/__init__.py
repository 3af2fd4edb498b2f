"""Training: the loop, whole steps compiled, and the runs that the command line starts."""

from zkynet.train.callback import Callback, On
from zkynet.train.compiled import CompiledStep, compiled_step
from zkynet.train.interrupt import Deferred, Interrupted
from zkynet.train.loop import accuracy, train_epoch
from zkynet.train.precision import DynamicLossScale, LossScale, MixedPrecision, Precision
from zkynet.train.trainer import Trainer

__all__ = [
    "Callback",
    "CompiledStep",
    "Deferred",
    "DynamicLossScale",
    "Interrupted",
    "LossScale",
    "MixedPrecision",
    "On",
    "Precision",
    "Trainer",
    "accuracy",
    "compiled_step",
    "train_epoch",
]
