"""Graph mode: a run is recorded once as a program of array functions, and replayed."""

from .compiled import Compiled, compile
from .exporting import export_numpy

__all__ = ["Compiled", "compile", "export_numpy"]
