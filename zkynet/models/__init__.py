"""Models made of the layers of zkynet.nn."""

from zkynet.models.feedforward import fcn

__all__ = ["fcn"]
