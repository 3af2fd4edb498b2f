"""Graph mode: a run is recorded once as a program of array functions, and replayed."""

from .compiled import Compiled, compile

__all__ = ["Compiled", "compile"]
