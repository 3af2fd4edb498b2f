"""How fast do batches come? One epoch over images in memory, shuffled, 20,000 of 28 x 28 in float32, batch 64.

torch's DataLoader in two ways: as everybody writes it, where samples are fetched one by one and stacked, and with a
sampler of whole batches, its quick way. ``ratio`` is zkynet's time as a part of theirs, taken round by round.
"""

import numpy as np
import pytest

from zkynet.bench import race
from zkynet.bench.workloads import Workload

COUNT, BATCH = 20_000, 64


def arrays():
    generator = np.random.default_rng(0)
    return generator.random((COUNT, 28, 28), np.float32), generator.integers(0, 10, COUNT)


def epoch(batches):
    """A function that runs over the batches once, and counts: samples, and the sum of their labels."""

    def run():
        samples = total = 0
        for _, y in batches:
            samples, total = samples + len(y), total + int(y.sum())
        return [samples, total]

    return run


def of_zkynet(**options):
    from zkynet.data import Batches

    return epoch(Batches(arrays(), BATCH, seed=0, **options))


def of_torch(whole_batches=False):
    import torch
    from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

    dataset = TensorDataset(*(torch.from_numpy(array) for array in arrays()))
    if not whole_batches:
        return epoch(DataLoader(dataset, BATCH, shuffle=True))
    return epoch(DataLoader(dataset, sampler=BatchSampler(RandomSampler(dataset), BATCH, False), batch_size=None))


MAKERS = {
    "zkynet": of_zkynet,
    "zkynet, prefetch": lambda: of_zkynet(prefetch=2),
    "torch": of_torch,
    "torch, whole batches": lambda: of_torch(whole_batches=True),
}
EPOCH = Workload("data-epoch", "one epoch of shuffled batches", MAKERS, process=True)


@pytest.mark.parametrize("peer", MAKERS)
def test_an_epoch_of_batches(benchmark, peer):
    if peer.startswith("torch"):
        pytest.importorskip("torch", reason="torch is not installed")
    assert EPOCH.results(peer) == EPOCH.results("zkynet")  # each sample once
    benchmark.group = f"{EPOCH.name}: {EPOCH.title}"
    if benchmark.enabled and peer.startswith("torch"):
        times = race.race(EPOCH, ["zkynet", peer], rounds=10)
        ratio = race.ratio(times["zkynet"], times[peer])
        benchmark.extra_info["ratio"] = ratio._asdict()
        print(f"\nzkynet to {peer}: {ratio}")
    benchmark.pedantic(EPOCH.make(peer), rounds=5, warmup_rounds=1)
