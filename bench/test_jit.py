"""What does a compiled training step cost? zkynet on JAX beside the same step written by hand in JAX."""

import pytest

from zkynet.bench.workloads import WORKLOADS


@pytest.mark.parametrize("name", ["jit-32", "jit-256", "jit-cnn"])
@pytest.mark.parametrize("peer", WORKLOADS["jit-32"].makers)
def test_jitted_step(measure, name, peer):
    measure(WORKLOADS[name], peer)
