"""The exception tree of zkynet, drawn once: the lowest file of all.

Messages state one fact a line: which operator, what was expected, what came, what to do next. Where Python or NumPy has
a class for the mistake, ours derives from it too, so that code written for them keeps catching it.
"""

import numpy as np


class ZkynetError(Exception):
    """Everything that zkynet raises on purpose."""


class BackendError(ZkynetError):
    """Something about array libraries went wrong."""


class BackendNotAvailable(BackendError, ImportError):  # noqa: N818  (reads better at the place where it is raised)
    """The backend that was asked for does not exist, or cannot be used on this machine."""


class MixedBackendsError(BackendError, TypeError):
    """Arrays of two libraries, or of two devices, met in one operation."""


class PrecisionError(BackendError, TypeError):
    """64-bit numbers were asked of a library whose 64-bit mode is off."""


class NotDifferentiableError(ZkynetError, TypeError):
    """A gradient was asked through, or with respect to, something that has none."""


class UndefinedGradientError(NotDifferentiableError, NotImplementedError):
    """A gradient was asked through vectors that only complete a basis, and could as well be others."""


class TrackedValueError(ZkynetError, TypeError):
    """A tracked Tensor was about to turn into a plain number or array, which would drop its history."""


class VJPShapeError(ZkynetError, ValueError):
    """A vector-Jacobian product returned a cotangent of the wrong shape."""


class CotangentError(ZkynetError, ValueError):
    """The cotangent that a caller gave does not fit the output."""


class MutationError(ZkynetError, RuntimeError):
    """An array that a gradient rule needs was changed after the forward pass."""


class JacobianTooLargeError(ZkynetError, MemoryError):
    """A full Jacobian would not fit into the memory that it may take."""


class AxisError(ZkynetError, np.exceptions.AxisError):
    """An axis is outside the dimensions of its array."""


class LinAlgError(ZkynetError, np.linalg.LinAlgError):
    """A matrix is singular, not positive definite, or an iteration did not converge."""


class ConvergenceError(ZkynetError, ArithmeticError):
    """An iteration did not reach its goal: a root, a fixed point, an integral, a step of a differential equation."""


class IndexOutOfBoundsError(ZkynetError, IndexError):
    """An index points outside of its axis."""


class ShapeError(ZkynetError, ValueError):
    """Shapes do not fit together."""


class NotInGraphError(ZkynetError, ValueError):
    """A gradient was asked with respect to something that is no part of the graph."""


class GradientMismatchError(ZkynetError, ValueError):
    """The gradients that an optimizer was given do not belong to its model."""


class FileFormatError(ZkynetError, ValueError):
    """A file is not what its format says, or something cannot be written in that format."""


class CheckpointError(FileFormatError):
    """A file of saved arrays is damaged, or a folder holds no checkpoint that is whole."""


class WeightsMismatchError(ZkynetError, ValueError):
    """The arrays in a file are not those that a model owns."""


class AnomalyError(ZkynetError, FloatingPointError):
    """NaN or infinity came up inside zk.detect_anomaly().

    ``operator`` names what made it; ``file`` and ``line`` say where it was applied, None where that is not known.
    """

    operator: str = ""
    file: str | None = None
    line: int | None = None


class GradientCheckError(ZkynetError, AssertionError):
    """A gradient disagrees with the numerical derivative, or with another backend."""


__all__ = [name for name, item in list(globals().items()) if isinstance(item, type) and issubclass(item, ZkynetError)]
