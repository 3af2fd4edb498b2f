"""The operator case table: one row for every public function of ``zkynet.framework.op``. A test holds it complete."""

from __future__ import annotations

from . import cases_elementwise, cases_numeric, cases_shape
from .rows import Row

ROWS: tuple[Row, ...] = (*cases_elementwise.ROWS, *cases_shape.ROWS, *cases_numeric.ROWS)
BY_NAME = {row.name: row for row in ROWS}
DIFFERENTIABLE = tuple(row for row in ROWS if row.differentiable)
