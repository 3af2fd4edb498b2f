"""Kills training runs at random moments with SIGKILL, resumes them, and compares: ``killed_runs.py FOLDER COUNT``.

For each kill a process trains in a folder of its own and dies; another goes on from what it has left. Prints a line of
JSON: how many kills there were, how many runs were resumed from a checkpoint, how many lost a checkpoint that was
there, and how many ended with other weights or another log than a run that nobody killed. Processes are forked from
this one, which has imported everything but started no thread.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

import zkynet as zk
from zkynet import nn, optim
from zkynet.data import Batches
from zkynet.framework import op
from zkynet.train import On, Trainer
from zkynet.train.callbacks import JsonLog

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 6), dtype=np.float32)
LABELS = RNG.integers(0, 3, 60)
OPTIMIZERS = {"sgd": lambda: optim.SGD(0.05, momentum=0.9), "adam": lambda: optim.Adam(1e-2)}
EPOCHS, PAUSE = 4, 0.002  # seconds that a step waits, so that a run takes long enough to be hit anywhere


def loss(model, x, labels):
    return op.softmax_cross_entropy(model(x), labels)


def noisy(batch, generator):
    return batch[0] + 0.1 * generator.standard_normal(batch[0].shape, dtype=np.float32), batch[1]


def train(folder, optimizer):
    """Train to the end, from a checkpoint where there is one; the run leaves its bits in the file ``end``."""
    g = zk.Generator(1)
    model = nn.Sequential(nn.Linear(6, 8, g), nn.BatchNorm(8), op.tanh, nn.Dropout(0.3, g), nn.Linear(8, 3, g))
    callbacks = [JsonLog(every=1), On(step_end=lambda run: time.sleep(PAUSE))]
    run = Trainer(model, loss, OPTIMIZERS[optimizer](), callbacks=callbacks, folder=folder, checkpoint_every=3)
    batches = Batches((X, LABELS), 7, seed=2, transform=noisy)
    resumed = bool(run.saved)
    (folder / "began").write_text(str(int(resumed)))
    run.fit(batches, (X[:20], LABELS[:20]), EPOCHS, resume=resumed)
    (folder / "end").write_text(bits_of(run, folder))


def bits_of(run, folder):
    """A checksum of all arrays, and of the log without its times."""
    digest = hashlib.sha256()
    for path, each in run.model.named_possessions((zk.Parameter, zk.State)).items():
        digest.update(path.encode() + np.array(each.value).tobytes())
    for line in (folder / "log.jsonl").read_text().splitlines():
        figures = json.loads(line)
        figures.pop("seconds", None)
        digest.update(json.dumps(figures).encode())
    return digest.hexdigest()


def forked(folder, optimizer):
    """The number of a process that trains."""
    child = os.fork()
    if child:
        return child
    try:
        train(folder, optimizer)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def ended(child):
    """Wait for a process; whether it came to the end."""
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(f"a run has failed, exit status {os.WEXITSTATUS(status)}")
    return os.WIFEXITED(status)


def killed(folder, optimizer, seconds):
    """Train for ``seconds`` and kill; whether the run was still going."""
    child = forked(folder, optimizer)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return not ended(child)


def checkpoints(folder):
    return sorted((folder / "checkpoints").glob("step-*.json"))


def main(base, count):
    references, length = {}, 0.0
    for name in OPTIMIZERS:
        (base / name).mkdir(parents=True)
        begun = time.perf_counter()
        ended(forked(base / name, name))
        length = max(length, time.perf_counter() - begun)
        references[name] = (base / name / "end").read_text()
    found = {"kills": 0, "resumed": 0, "lost": 0, "different": 0}
    moments = random.Random(0)
    for number in range(count):
        optimizer = list(OPTIMIZERS)[number % 2]
        folder = base / f"run-{number}"
        folder.mkdir()
        while not killed(folder, optimizer, moments.uniform(0.0, length)):  # it had ended before: not a kill
            for path in sorted(folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        found["kills"] += 1
        there = bool(checkpoints(folder))
        ended(forked(folder, optimizer))
        resumed = (folder / "began").read_text() == "1"
        found["resumed"] += resumed
        found["lost"] += there and not resumed
        found["different"] += (folder / "end").read_text() != references[optimizer]
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
