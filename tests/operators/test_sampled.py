"""At least 25 sampled inputs of every differentiable row, in every layout of memory, to rtol 1e-6 in float64.

On NumPy, or on the backend that the environment variable ZKYNET_SAMPLED names: JAX compiles every new shape, so that is
one long run, and docs/measurements.md has its figure.
"""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.cases import DIFFERENTIABLE
from support.cases_beside import BESIDE, DISTRIBUTIONS
from support.sampling import COUNT, TRIES, KinkError, check, is_empty, sampled

ROWS = {row.name: row for row in (*DIFFERENTIABLE, *BESIDE)}
SCIPYS = {row.name for row in DISTRIBUTIONS}
BACKEND = os.environ.get("ZKYNET_SAMPLED", "numpy")


@pytest.fixture(scope="module")
def figures(request):
    """Counts over all rows, shown at the end of the run."""
    counts = Counter()
    yield counts
    figure = ", ".join(f"{counts[what]} {what}" for what in ("rows", "inputs", "empty inputs", "redrawn beside kinks"))
    plugins = request.config.pluginmanager
    with plugins.get_plugin("capturemanager").global_and_fixture_disabled():
        plugins.get_plugin("terminalreporter").write_line(f"\nsampled on {BACKEND}: {figure}")


@pytest.mark.parametrize("name", ROWS)
def test_sampled_inputs(name, figures):
    row, xp = ROWS[name], backends_here.get(BACKEND)
    if name in SCIPYS:
        pytest.importorskip("scipy", reason="SciPy's distributions are what ours are compared with")
    seen = Counter()
    with zk.use_backend(xp):
        for point, inputs in sampled(row):
            if not xp.is_host and not any(isinstance(x, np.ndarray) for x in inputs):
                continue  # Python numbers alone are computed on the host
            try:
                check(point, inputs, xp)
            except KinkError as kink:
                seen["redrawn beside kinks"] += 1
                assert seen["redrawn beside kinks"] < TRIES, f"differences settle nowhere: {kink}"
                continue
            seen.update(layouts(inputs))
            seen["empty inputs" if is_empty(point.sample) else "inputs"] += 1
            if seen["inputs"] >= COUNT and seen.total() >= len(row.samples):
                break
    wide = any(isinstance(x, np.ndarray) and x.size > 1 for sample in row.samples for x in sample.operands)
    assert not wide or (seen["with gaps"] and seen["backwards"]), "a layout is missing"
    figures.update(seen)
    figures["rows"] += 1


def layouts(inputs):
    """Which layouts occur among the arrays with at least two entries."""
    arrays = [x for x in inputs if isinstance(x, np.ndarray) and x.size > 1]
    if any(s < 0 for x in arrays for s in x.strides):
        yield "backwards"
    if any(not x.flags.c_contiguous and not x.flags.f_contiguous and min(x.strides) > 0 for x in arrays):
        yield "with gaps"
