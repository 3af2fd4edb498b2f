"""What does one operator cost? A chain of 1,000 multiplications of a short vector, forward and backward."""

import pytest

from zkynet.bench.workloads import WORKLOADS


@pytest.mark.parametrize("peer", WORKLOADS["chain"].makers)
def test_operator(measure, peer):
    measure(WORKLOADS["chain"], peer)
