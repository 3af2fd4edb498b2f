"""What test_resume.py runs in a process of its own: it forks training runs, kills them, and lets others go on.

    python resuming.py FOLDER POINTS SEED

It ends with one line of JSON: what was found. Forking is quick, and this process has no threads that it could hurt.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

import zkynet as zk
from zkynet import data, io, nn, optim
from zkynet.framework import op
from zkynet.train import Callback, Trainer, callbacks

EPOCHS, SAMPLES, BATCH = 3, 76, 8
STEPS = EPOCHS * -(-SAMPLES // BATCH)  # 30; the last batch of an epoch is a shorter one
HOOKS = ["step_start", "gradients", "step_end", "epoch_start", "epoch_end", "fsync", "replace"]


def optimizer_of(kind):
    if kind == "sgd":
        return optim.SGD(0.05, momentum=0.9)
    return optim.Adam(optim.schedules.Cosine(0.01, STEPS), weight_decay=0.01)


def model_of():
    generator = zk.Generator(5)
    layers = [nn.Linear(6, 16, 1), nn.BatchNorm(16), nn.ReLU(), nn.Dropout(0.3, generator)]
    return nn.Sequential(*layers, nn.Linear(16, 16, 2), nn.ReLU(), nn.Dropout(0.2, generator), nn.Linear(16, 4, 3))


def noisy(batch, generator):
    x, y = batch
    return x + generator.normal(0, 0.05, x.shape).astype(x.dtype), y


def loss(model, x, y):
    return op.softmax_cross_entropy(model(x), y)


class Losses(Callback):
    """The loss of every step, to the bit."""

    def __init__(self):
        self.all = []

    def on_step_end(self, run):
        self.all.append(run.loss.hex())

    def state_dict(self):
        return {"all": list(self.all)}

    def load_state_dict(self, state):
        self.all = list(state["all"])


class Killer(Callback):
    """Kills this process at a hook of a step, or in the first call of the system of that name from then on."""

    order = 2

    def __init__(self, step, hook):
        self.step = step
        if hook in ("fsync", "replace"):
            real = getattr(os, hook)
            self.run = None
            self.on_run_start = lambda run: setattr(self, "run", run)
            setattr(os, hook, lambda *args: self.kill(self.run) or real(*args))
        else:
            setattr(self, f"on_{hook}", self.kill)

    def kill(self, run):
        if run is not None and run.step >= self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def trained(folder, kind, every, killer=None):
    """Train to the end, from the newest checkpoint where there is one; keep what came out in ``folder``."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((SAMPLES, 6)).astype("f4")
    y = rng.integers(0, 4, SAMPLES)
    losses = Losses()
    seen = [losses, callbacks.JsonLog(every=1), callbacks.CsvLog(), *([killer] if killer else [])]
    trainer = Trainer(
        model_of(), loss, optimizer_of(kind), callbacks=seen, folder=folder, checkpoint_every=every, keep=2
    )
    batches = data.Batches((x, y), BATCH, shuffle=True, seed=7, transform=noisy)
    trainer.fit(batches, validation=(x[:20], y[:20]), epochs=EPOCHS, resume=bool(trainer.saved))
    arrays = {path: each.value for path, each in trainer.model.named_possessions((zk.Parameter, zk.State)).items()}
    for name, slots in trainer.optimizer.state_dict().items():
        if isinstance(slots, dict):
            arrays |= {f"{name}/{path}": slot for path, slot in slots.items()}
    io.save_safetensors(folder / "result.safetensors", arrays, {"losses": json.dumps(losses.all)})


def result(folder):
    """Weights, states and the optimizer's, byte for byte; every loss; and the logs, times aside."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    table = [line.split(",") for line in (folder / "log.csv").read_text().splitlines()]
    column = table[0].index("seconds")
    return (
        (folder / "result.safetensors").read_bytes(),
        [{key: value for key, value in line.items() if key != "seconds"} for line in lines],
        [line[:column] + line[column + 1 :] for line in table],
    )


def fork(work):
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode())
        os._exit(1)


def run(folder, points, seed):
    rng = random.Random(seed)
    found = {"kills": 0, "runs": 0, "resumes": 0, "begun_anew": 0, "different": 0, "failed": 0}
    expected = {}
    for kind in ("sgd", "adam"):
        _, status = os.waitpid(fork(lambda kind=kind: trained(folder / kind, kind, None)), 0)
        assert status == 0
        expected[kind] = result(folder / kind)
        losses = json.loads(io.load_metadata(folder / kind / "result.safetensors")["losses"])
        assert len(set(losses)) == len(losses) == STEPS
    while found["resumes"] < points:
        kind, every = rng.choice(["sgd", "adam"]), rng.choice([1, 2, 3, 5, 7, None])
        here = folder / f"run-{found['runs']}"
        steps = sorted(rng.sample(range(STEPS), rng.choice([1, 1, 2, 3])))
        for step in [*steps, None]:
            if not go(here, kind, every, step, rng, found):
                break
        found["runs"] += 1
        found["different"] += result(here) != expected[kind]
    return found


def go(folder, kind, every, step, rng, found):
    """One process of a run, killed from ``step`` on; None: to the end. Whether it was killed."""
    saved = bool(io.list_checkpoints(folder / "checkpoints"))
    found["resumes" if saved else "begun_anew"] += 1  # anew: also where it was killed before its first checkpoint
    hook, wait = rng.choice([*HOOKS, "time"]), rng.uniform(0, 0.3)

    def work():
        trained(folder, kind, every, Killer(step, hook) if step is not None and hook != "time" else None)

    pid = fork(work)
    if step is not None and hook == "time":
        time.sleep(wait)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status)
    found["kills"] += killed
    found["failed"] += os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0
    return killed


if __name__ == "__main__":
    folder, points, seed = sys.argv[1:]
    print(json.dumps(run(Path(folder), int(points), int(seed))))
