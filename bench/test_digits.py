"""How soon is something trained? A process, from its start to a digit classifier with 97 % test accuracy."""

import pytest

from zkynet.bench.workloads import WORKLOADS


@pytest.mark.parametrize("peer", WORKLOADS["digits"].makers)
def test_digits(measure, peer):
    measure(WORKLOADS["digits"], peer)
