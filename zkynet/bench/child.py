"""A process of its own for one library: it computes a task, writes what came out, and is timed in turns, or weighed.

Run as ``python -m zkynet.bench.child REQUEST``, a JSON object of ``peer``, ``task`` and ``results``, the path of the
.npz file for what the first steps compute; or of ``peer``, ``task`` and ``steps``, to print how many bytes the
process's resident memory grows by while it makes so many.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zkynet.bench import by_jax, by_torch, by_zkynet
from zkynet.bench.networks import THREADS
from zkynet.bench.tasks import RATE, REHEARSAL, Task

# By peer: a function (task, rate) that makes the function to time.
MAKERS: dict[str, Callable[[Task, float], Callable[[], Any]]] = {
    "zkynet": by_zkynet.make,
    "zkynet graph": partial(by_zkynet.make, graph=True),
    "torch": by_torch.make,
    "jax": by_jax.make,
    "zkynet on jax": partial(by_zkynet.make, backend="jax"),
    "zkynet graph on jax": partial(by_zkynet.make, backend="jax", graph=True),
}
COMPARED = 4  # steps
WARM = 2.0  # seconds before the first call that is timed, and five calls: graph mode chooses one lane or two meanwhile


def arguments(peer: str, task: Task, **more: Any) -> list[str]:
    """What Python is started with for the process of a peer."""
    request = {"peer": peer, "task": task._asdict(), **more}
    return ["-m", "zkynet.bench.child", json.dumps(request)]


def rehearse(peer: str, task: Task) -> list[Any]:
    """The arrays that the first steps give, at a rate that changes the weights."""
    run = MAKERS[peer](task, REHEARSAL.get(task.optimizer or "", RATE))
    return [array for _ in range(COMPARED if task.optimizer else 1) for array in _arrays(run())]


def _arrays(result: Any) -> Iterator[Any]:
    """Copies of the arrays in a result, in order; a dict's by its own."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        for each in result:
            yield from _arrays(each)
    else:
        yield np.asarray(result).copy()


def turns(run: Callable[[], Any]) -> None:
    """Print the seconds of a call once warm; then for each number on stdin make so many calls, print those of one."""
    calls, start = 0, time.perf_counter()
    while calls < 5 or time.perf_counter() - start < WARM:
        run()
        calls += 1
    gc.collect()
    gc.freeze()  # a collection need not walk what was imported
    calls = 1
    while calls:
        run()  # what others pushed out of the caches comes back
        start = time.perf_counter()
        for _ in range(calls):
            run()
        print((time.perf_counter() - start) / calls, flush=True)
        calls = int(sys.stdin.readline() or 0)


def growth(run: Callable[[], Any], steps: int) -> int:
    """By how many bytes resident memory grows, at its highest, while ``run`` is called; Linux alone tells.

    What the process needed before, to import and to make its data, is forgotten where the kernel allows it: else the
    result is too large by what was given back, never too small.
    """
    gc.collect()
    before = _status("VmRSS")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the highest so far is what there is now
    except OSError:
        print("the peak of memory could not be reset", file=sys.stderr)
    for _ in range(steps):
        run()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status does not tell {name}")


def _two_cores() -> None:
    """Leave this process, and the threads that it has and will have, as many cores as every library has threads."""
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > THREADS:
        cores = sorted(os.sched_getaffinity(0))[:THREADS]
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


def main() -> None:
    request = json.loads(sys.argv[1])
    peer, task = request["peer"], Task(**request["task"])
    _two_cores()
    if "steps" in request:
        print(growth(MAKERS[peer](task, RATE), request["steps"]))
        return
    np.savez(request["results"], *rehearse(peer, task))
    turns(MAKERS[peer](task, RATE))


if __name__ == "__main__":
    main()
