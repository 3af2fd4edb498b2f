"""What do full derivatives cost? Jacobians, a Hessian and a Hessian-vector product of float32 arrays."""

import pytest

from zkynet.bench import jacobians
from zkynet.bench.workloads import WORKLOADS


@pytest.mark.parametrize("name", jacobians.TITLES)
@pytest.mark.parametrize("peer", jacobians.MAKERS)
def test_jacobians(measure, name, peer):
    measure(WORKLOADS[name], peer)
