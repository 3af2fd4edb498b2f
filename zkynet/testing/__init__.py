"""Checks for operators and models of one's own: derivatives against differences, and backends against each other."""

from .check_grads import check_grads
from .crosscheck import CrossCheck, crosscheck

__all__ = ["CrossCheck", "check_grads", "crosscheck"]
