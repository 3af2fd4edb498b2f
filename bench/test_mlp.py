"""What does a training step of a small network cost? An MLP 784-256-128-10, forward, backward and Adam."""

import pytest

from zkynet.bench.workloads import WORKLOADS


@pytest.mark.parametrize("batch", [32, 256])
@pytest.mark.parametrize("peer", WORKLOADS["mlp-32"].makers)
def test_mlp_step(measure, batch, peer):
    measure(WORKLOADS[f"mlp-{batch}"], peer)
