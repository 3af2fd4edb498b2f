"""The operator case table: one row for every public function of ``zkynet.framework.op``. A test holds it complete."""

from __future__ import annotations

from . import (
    cases_activation,
    cases_arrangement,
    cases_decompositions,
    cases_elementwise,
    cases_elementwise_curves,
    cases_elementwise_more,
    cases_fft,
    cases_linalg,
    cases_loops,
    cases_losses,
    cases_models,
    cases_nn,
    cases_numeric,
    cases_recurrent,
    cases_shape,
    cases_special,
    cases_statistics,
)
from .rows import Row

ROWS: tuple[Row, ...] = (
    *cases_elementwise.ROWS,
    *cases_elementwise_curves.ROWS,
    *cases_elementwise_more.ROWS,
    *cases_activation.ROWS,
    *cases_shape.ROWS,
    *cases_numeric.ROWS,
    *cases_statistics.ROWS,
    *cases_arrangement.ROWS,
    *cases_linalg.ROWS,
    *cases_nn.ROWS,
    *cases_models.ROWS,
    *cases_recurrent.ROWS,
    *cases_losses.ROWS,
    *cases_loops.ROWS,
    *cases_decompositions.ROWS,
    *cases_special.ROWS,
    *cases_fft.ROWS,
)
BY_NAME = {row.name: row for row in ROWS}
DIFFERENTIABLE = tuple(row for row in ROWS if row.differentiable)
