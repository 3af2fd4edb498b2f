"""Says once per backend whether the session runs on it: a missing one shows as a skip with its reason."""

import subprocess
import sys

import numpy as np
import pytest

from support import backends as backends_here


@pytest.mark.parametrize("name", backends_here.NAMES)
def test_backend_is_present(name):
    assert backends_here.get(name) is not None


@pytest.mark.parametrize("name", ("cupy", "abacus"))
def test_a_required_backend_that_is_missing_is_a_failure(name, checkout):
    if name in backends_here.present():
        pytest.skip("it is here")
    asked = [f"--require-backend={name}", "--collect-only", "-q", "tests/test_backends_present.py"]
    done = subprocess.run([sys.executable, "-m", "pytest", *asked], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"--require-backend={name}: " in done.stderr and ("missing here" in done.stderr or "one of" in done.stderr)


def test_numpy_is_always_present():
    assert "numpy" in backends_here.present()


def test_fixture_runs_on_a_present_backend(backend_name, backend):
    assert backend_name in backends_here.present()
    assert backend.asarray([1.0, 2.0]).shape == (2,)


def test_strict_arrays_do_not_become_numpy_arrays():
    xp = backends_here.get("array_api_strict")
    array = xp.asarray([1.0, 2.0])
    with pytest.raises(Exception, match="device"):
        np.asarray(array)
