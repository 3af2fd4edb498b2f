"""Training: the loop, whole steps compiled, and the runs that the command line starts."""

from zkynet.train.compiled import CompiledStep, compiled_step
from zkynet.train.loop import accuracy, train_epoch
from zkynet.train.precision import DynamicLossScale, LossScale, MixedPrecision, Precision

__all__ = [
    "CompiledStep",
    "DynamicLossScale",
    "LossScale",
    "MixedPrecision",
    "Precision",
    "accuracy",
    "compiled_step",
    "train_epoch",
]
