"""Training: the loop, and the runs that the command line starts."""

from zkynet.train.loop import accuracy, train_epoch

__all__ = ["accuracy", "train_epoch"]
