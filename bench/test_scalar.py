"""What does a small function of two Python numbers cost? (x + w) * x**2, its value and its gradient."""

import pytest

from zkynet.bench.workloads import WORKLOADS


@pytest.mark.parametrize("peer", WORKLOADS["scalar"].makers)
def test_scalar(measure, peer):
    measure(WORKLOADS["scalar"], peer)
