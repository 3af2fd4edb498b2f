"""What does each operation cost, forward and backward, beside autograd? ``zkynet bench --only operations``: a table."""

import pytest

from zkynet.bench import operations
from zkynet.bench.workloads import TABLES


@pytest.mark.parametrize("workload", TABLES["operations"], ids=lambda workload: workload.name)
@pytest.mark.parametrize("peer", operations.MAKERS)
def test_operations(measure, workload, peer):
    measure(workload, peer)
