"""Checks for operators and models of one's own: their derivatives against differences."""

from .check_grads import check_grads

__all__ = ["check_grads"]
