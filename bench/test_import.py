"""How long does an import take? Beyond NumPy's own it is ``seconds`` of the JSON; the table shows the process."""

import pytest

from zkynet.bench.workloads import WORKLOADS


@pytest.mark.parametrize("peer", WORKLOADS["import"].makers)
def test_import(measure, peer):
    measure(WORKLOADS["import"], peer)
