"""Programs written for HIPS autograd run with zkynet by a change of their imports, and give the same numbers."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from support.autograd_programs import PROGRAMS
from support.points import host

HERE = importlib.util.find_spec("autograd") is not None


def run(source):
    names: dict = {}
    exec(compile(source, "program", "exec"), names)
    return host(names["found"])


def moved(source):
    """The program with its imports changed, and nothing else."""
    return source.replace("import autograd.numpy as np", "import zkynet.numpy as np").replace(
        "from autograd import", "from zkynet import"
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_with_its_imports_changed(name):
    found = run(moved(PROGRAMS[name]))
    assert all(np.isfinite(x).all() and x.dtype.kind == "f" for x in found)


@pytest.mark.skipif(not HERE, reason="autograd, whose numbers these have to be, is not installed")
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_numbers_are_autograds(name):
    found, truth = run(moved(PROGRAMS[name])), run(PROGRAMS[name])
    assert len(found) == len(truth) > 1
    for a, b in zip(found, truth):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
