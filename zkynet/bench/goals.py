"""The goals of speed and memory, row by row: the tables that ``zkynet bench --only goals``, jax and memory measure.

Limits are those of the issue that set them. E is eager mode, R graph mode. Where the issue names neither, a limit
against torch holds for both, one against JAX for graph mode.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import zkynet
from zkynet import backends
from zkynet.bench import child, networks, tasks
from zkynet.bench.tables import Row, Table, by_function, by_task
from zkynet.bench.tasks import Task
from zkynet.bench.workloads import WORKLOADS, compare, printed

STEPS = 200  # that are made while memory is watched: so many that graph mode has tried both one lane and two
PROCESS_ROUNDS = 7  # whole processes are measured this often at most

PEERS = {"zkynet": "zkynet E", "zkynet graph": "zkynet R", "torch": "torch", "jax": "jax.jit"}
RATIOS: dict[str, tuple[str, str | None]] = {
    "E/torch": ("zkynet", "torch"),
    "R/torch": ("zkynet graph", "torch"),
    "E/jax": ("zkynet", "jax"),
    "R/jax": ("zkynet graph", "jax"),
    "alone": ("zkynet", None),
}


def both(limit: float) -> dict[str, float]:
    """A limit against torch for eager and graph mode."""
    return {"E/torch": limit, "R/torch": limit}


def _step(name: str, title: str, task: Task, goals: dict[str, float], equal: dict[str, float] | None = None) -> Row:
    return Row(name, title, by_task(task), goals, equal)


def _jacobian(name: str, title: str, family: str, goals: dict[str, float]) -> Row:
    return Row(name, title, by_task(Task(family)), goals)


STEP_ROWS = [
    _step("w1-scalar", "(x + w) x², value and gradient", Task("scalar"), {"E/torch": 0.35, "R/jax": 1.0}),
    _step("w1-chain", "gradient through 1,000 operators", Task("chain"), {"E/torch": 0.45, "R/torch": 0.11}),
    _step(
        "w2-32-sgd",
        "MLP 784-256-128-10, batch 32, SGD",
        tasks.mlp(optimizer="sgd"),
        {"E/torch": 0.55, "R/torch": 0.48, "R/jax": 0.85},
        both(0.75),
    ),
    _step(
        "w2-32-adam",
        "MLP 784-256-128-10, batch 32, Adam",
        tasks.mlp(),
        {"E/torch": 0.62, "R/torch": 0.55, "R/jax": 1.2},
        both(0.8),
    ),
    _step(
        "w2-256-sgd",
        "MLP 784-256-128-10, batch 256, SGD",
        tasks.mlp(batch=256, optimizer="sgd"),
        {"E/torch": 0.5, "R/jax": 0.85},
        both(0.8),
    ),
    _step(
        "w2-256-adam",
        "MLP 784-256-128-10, batch 256, Adam",
        tasks.mlp(batch=256),
        {"E/torch": 0.5, "R/jax": 0.85},
        both(0.8),
    ),
    _step(
        "w3-cnn",
        "CNN on 28 x 28 pixels, batch 64, Adam",
        tasks.cnn(),
        {"E/torch": 0.8, "R/torch": 0.45, "R/jax": 0.24},
        {"R/torch": 0.68},
    ),
    _step(
        "w3-conv",
        "convolution 3 x 3, 64 to 64 channels on 32 x 32, batch 16, forward and back",
        tasks.conv(),
        {**both(0.6), "R/jax": 0.4},
        both(0.85),
    ),
    _step(
        "w4-lstm",
        "LSTM, batch 32, 64 times, 128 units, forward and back",
        tasks.lstm(),
        {**both(1.25), "R/jax": 0.42},
        both(1.9),
    ),
    _step(
        "w5-block",
        "causal transformer block of 128, 4 heads, 128 times, batch 8, Adam",
        tasks.transformer(),
        {"E/torch": 0.8, "R/torch": 0.44, "R/jax": 0.72},
        {"R/torch": 0.7},
    ),
    _jacobian("w6-dense", "dense Jacobian, 200 to 200", "jacobian", {**both(0.21), "R/jax": 0.5}),
    _jacobian("w6-diagonal", "Jacobian of tanh by 1,000 numbers", "jacobian-entrywise", {**both(0.07), "R/jax": 0.65}),
    _jacobian("w6-hessian", "Hessian of a logistic loss, 100 parameters", "hessian", {**both(0.04), "R/jax": 0.7}),
    _jacobian("w6-hvp", "Hessian-vector product, 500 numbers", "hvp", {"E/torch": 0.15, "R/torch": 0.01, "R/jax": 1.8}),
    _step("w7-adam", "Adam on 5 million parameters", tasks.adam(), {**both(0.7), "R/jax": 1.2}),
]


# ---- whole processes ----

_IMPORT = """
import json, time, numpy
from pathlib import Path
def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))
before, start = resident(), time.perf_counter()
import {}
print(json.dumps([time.perf_counter() - start, resident() - before]))
"""


def _import_seconds(library: str) -> float:
    return printed("-c", _IMPORT.format(library))[0]


def _import_bytes(library: str) -> float:
    return printed("-c", _IMPORT.format(library))[1]


def _own_bytes(_: str) -> float:
    """What the files of the package take, without compiled ones."""
    folders = [Path(zkynet.__file__).parent, Path(backends.__file__).parent]
    files = {path.resolve() for folder in folders for path in folder.rglob("*") if path.is_file()}
    return float(sum(path.stat().st_size for path in files if "__pycache__" not in path.parts))


def _digits(peer: str) -> float:
    """The seconds of a process that trains until it meets the goal; it has to train as zkynet does."""
    name = {"jax": "jax.jit"}.get(peer, peer)
    _compared(name)
    start = time.perf_counter()
    WORKLOADS["digits"].make(name)()
    return time.perf_counter() - start


@cache
def _compared(name: str) -> None:
    compare(WORKLOADS["digits"], name)


IMPORTS = ("zkynet", "torch", "jax")
PROCESS_ROWS = [
    Row(
        "w8-import",
        "import, beyond NumPy's",
        by_function(_import_seconds),
        {"alone": 0.010},
        peers=IMPORTS,
        rounds=PROCESS_ROUNDS,
    ),
    Row(
        "w8-memory",
        "memory of the import, beyond NumPy's",
        by_function(_import_bytes),
        {"alone": 3e6},
        unit="B",
        peers=IMPORTS,
        rounds=PROCESS_ROUNDS,
    ),
    Row(
        "w8-files",
        "files of the package",
        by_function(_own_bytes),
        {"alone": 1.5e6},
        unit="B",
        peers=("zkynet",),
        rounds=1,
    ),
    Row(
        "w9-digits",
        f"digits to {networks.GOAL:.0%}, the whole process",
        by_function(_digits),
        {**both(0.12), "E/jax": 0.27, "R/jax": 0.27},
        rounds=PROCESS_ROUNDS,
    ),
]
GOALS = Table("steps beside torch and JAX", PEERS, RATIOS, STEP_ROWS + PROCESS_ROWS)


# ---- zkynet on JAX beside JAX by hand ----

JAX = Table(
    "zkynet on JAX beside JAX by hand",
    {"jax": "jax.jit by hand", "zkynet on jax": "compiled_step", "zkynet graph on jax": "zk.compile"},
    {"compiled_step": ("zkynet on jax", "jax"), "zk.compile": ("zkynet graph on jax", "jax")},
    [
        _step(name, title, task, {"compiled_step": 1.03, "zk.compile": 1.03})
        for name, title, task in (
            ("jax-w2-32", "MLP 784-256-128-10, batch 32, Adam", tasks.mlp()),
            ("jax-w2-256", "MLP 784-256-128-10, batch 256, Adam", tasks.mlp(batch=256)),
            ("jax-w3", "CNN on 28 x 28 pixels, batch 64, Adam", tasks.cnn()),
            ("jax-w4", "LSTM, batch 32, 64 times, 128 units, Adam", tasks.lstm("adam")),
            ("jax-w5", "causal transformer block of 128, 4 heads, 128 times, batch 8, Adam", tasks.transformer()),
        )
    ],
)


# ---- memory ----


def _growing(name: str, title: str, task: Task) -> Row:
    def grown(peer: str) -> float:
        return printed(*child.arguments(peer, task, steps=STEPS))

    return Row(name, title, by_function(grown), {"R/torch": 1.0}, unit="B", rounds=3)


MEMORY = Table(
    f"growth of resident memory over {STEPS} steps, at its highest",
    PEERS,
    {name: RATIOS[name] for name in ("E/torch", "R/torch")},
    [
        _growing("memory-w3", "CNN on 28 x 28 pixels, batch 64, Adam", tasks.cnn()),
        _growing("memory-w5", "causal transformer block of 128, batch 8, Adam", tasks.transformer()),
    ],
)
TABLES = {"goals": GOALS, "jax": JAX, "memory": MEMORY}
ROWS = {row.name: (table, row) for table in TABLES.values() for row in table.rows}
