"""Shared by the benchmarks: each times one workload of ``zkynet.bench.workloads`` by zkynet and by its peers.

They measure and never judge: no test asserts a time. Peers that are not installed are skipped. Here one peer runs after
the other; ``zkynet bench`` interleaves them, which is fairer where the machine has other work.
"""

import os
import sys

import pytest

CORETYPE = "OPENBLAS_CORETYPE"  # would make NumPy's BLAS use another kernel than the processor's own
_preset = os.environ.get(CORETYPE)
if "numpy" not in sys.modules:  # BLAS reads it when it is loaded
    os.environ.pop(CORETYPE, None)

from zkynet.bench import machine, workloads  # noqa: E402  (loads NumPy)


def pytest_report_header(config):
    kept = os.environ.get(CORETYPE)
    state = f"= {kept}" if kept else "unset" + (f" (it was {_preset})" if _preset else "")
    warning = machine.preset_kernel(machine.blas_facts())
    lines = [f"machine: {machine.processor()}", f"BLAS: {machine.blas()}; {CORETYPE} {state}"]
    return lines if warning is None else [*lines, f"warning: {warning}"]


@pytest.fixture
def measure(benchmark):
    """A function (workload, peer) that times a peer, after comparing what it computes with what zkynet does."""

    def run(workload, peer):
        reason = workloads.missing(peer, workload)
        if reason:
            pytest.skip(reason)
        workloads.compare(workload, peer)
        benchmark.group = f"{workload.name}: {workload.title}"
        function = workload.make(peer)
        if workload.process:
            result = benchmark.pedantic(function, rounds=7, warmup_rounds=1)
        else:
            result = benchmark(function)
        if workload.seconds is not None:
            benchmark.extra_info["seconds"] = workload.seconds(result)

    return run
