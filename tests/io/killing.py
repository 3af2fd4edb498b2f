"""What test_kill.py runs in a process of its own: it forks processes that save checkpoints, and kills them.

    python killing.py moments FOLDER KILLS SEED      at random moments
    python killing.py calls FOLDER                   before every call of the system, and in the middle of every write

It ends with one line of JSON: what was found. Forking is quick, and this process has no threads that it could hurt.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from zkynet import io
from zkynet.io import atomic

KEEP = 2


def contents(serial):
    """What the ``serial``-th save writes: of another size each time, and recognisable. Every step is saved twice."""
    size = 1000 + serial * 7919 % 200_000
    arrays = {"w": np.full(size, serial, "i8"), "v": np.arange(size % 977, dtype="f4") + serial, "n": np.array(serial)}
    state = {"serial": serial, "numbers": list(range(serial, serial + 300)), "loss": [float("nan"), serial / 3]}
    return arrays, state


def save(folder, serial, step=None):
    io.save_checkpoint(folder, *contents(serial), step=serial // 2 if step is None else step, keep=KEEP)


def is_whole(arrays, state):
    """Whether it is exactly what one save has written."""
    expected, whole = contents(state["serial"])
    return (
        arrays.keys() == expected.keys()
        and all(x.dtype == arrays[k].dtype and np.array_equal(x, arrays[k]) for k, x in expected.items())
        and state["numbers"] == whole["numbers"]
        and state["loss"][1:] == whole["loss"][1:]
    )


def read(folder):
    """The serial that a resumed run would go on from (0 for none), and how many checkpoints are accepted in part."""
    newest, halves = 0, 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a damaged one that is passed over is half a file too: its JSON was there
        for path in io.list_checkpoints(folder):
            try:
                halves += not is_whole(*io.load_checkpoint(path))
            except io.CheckpointError:
                halves += 1
        if io.list_checkpoints(folder):
            arrays, state = io.load_checkpoint(folder)
            newest = state["serial"]
    return newest, halves


def fork(work):
    """The id of a new process that does ``work()`` and ends."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode())
        os._exit(1)


# ---- at random moments ----


def moments(folder, kills, seed):
    rng, serial, start = random.Random(seed), 4, time.perf_counter()
    for n in range(1, serial + 1):
        save(folder, n)
    longest = 3 * (time.perf_counter() - start) / serial  # until a kill: some saves of this disk
    found = {"kills": 0, "saves": 0, "lost": 0, "halves": 0, "left_over": 0, "without_json": 0, "clean": 0}
    while found["kills"] < kills:
        reports, report = os.pipe()

        def work(report=report, first=serial + 1):
            n = first
            while True:
                save(folder, n)
                os.write(report, n.to_bytes(8, "little"))
                n += 1

        pid = fork(work)
        os.close(report)
        time.sleep(rng.uniform(0, longest))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), "it ended by itself"
        with open(reports, "rb") as file:
            told = file.read()
        reported = int.from_bytes(told[-8:], "little") if told else serial
        look(folder, found)
        newest, halves = read(folder)
        found["kills"] += 1
        found["saves"] += newest - serial
        found["lost"] += newest < reported
        found["halves"] += halves
        longest *= 1.1 if newest == serial else 0.95  # so that about every third process is killed in its first save
        serial = newest
    return found


def look(folder, found):
    """What the kill left: files in the making, arrays that were not yet committed, or nothing."""
    names = os.listdir(folder) if folder.is_dir() else []
    records = {name.split(".")[0] for name in names if name.endswith(".json")}
    arrays = [name.split(".")[0] for name in names if name.startswith("step") and name.endswith(".safetensors")]
    if any(name.endswith(".part") for name in names):
        found["left_over"] += 1
    elif len(arrays) > len(records):
        found["without_json"] += 1
    else:
        found["clean"] += 1


# ---- before every call ----


class Deadly:
    """Counts calls of the system, and kills this process before the one that has its number."""

    def __init__(self, number):
        self.left = number

    def count(self):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function):
        def counted(*args, **kwargs):
            self.count()
            return function(*args, **kwargs)

        return counted

    def open(self, path, mode):
        self.count()
        return File(open(path, mode), self)

    def install(self):
        for name in ("fsync", "replace", "unlink", "open", "mkdir", "listdir"):
            setattr(os, name, self.around(getattr(os, name)))
        atomic.open = self.open


class File:
    """A file whose every write can end in its middle."""

    def __init__(self, file, deadly):
        self.file, self.deadly = file, deadly
        self.flush, self.fileno = file.flush, file.fileno

    def write(self, piece):
        self.deadly.count()
        middle = len(piece) // 2
        self.file.write(piece[:middle])
        self.file.flush()
        self.deadly.count()
        self.file.write(piece[middle:])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.file.close()


def calls(folder):
    """The steps 10, 20 and 30 are there, serials 1 to 3; then serial 4 is saved as a step after, among and before."""
    found = {"kills": 0, "halves": 0, "wrong": [], "outcomes": []}
    for serial in (1, 2, 3):
        io.save_checkpoint(folder / "three", *contents(serial), step=10 * serial)
    for step, before in [(40, {3}), (30, {3}), (20, {3, 2}), (15, {3, 2, 1}), (5, {3, 2, 1, 0})]:
        seen, number, killed = [], 0, True
        while killed:
            here = folder / f"{step}-{number}"
            shutil.copytree(folder / "three", here)

            def work(number=number, here=here, step=step):
                Deadly(number).install()
                save(here, 4, step)

            _, status = os.waitpid(fork(work), 0)
            killed = os.WIFSIGNALED(status)
            newest, halves = read(here)
            found["kills"] += killed
            found["halves"] += halves
            if newest not in ({4} | before if killed else {4}):
                found["wrong"].append([step, number, newest])
            if not seen or seen[-1] != newest:
                seen.append(newest)
            io.save_checkpoint(here, *contents(5), step=50, keep=1)  # the next save puts things in order
            if len(os.listdir(here)) != 2 or read(here) != (5, 0):
                found["wrong"].append([step, number, sorted(os.listdir(here))])
            number += 1
        found["outcomes"].append(seen)
    return found


if __name__ == "__main__":
    way, folder, *numbers = sys.argv[1:]
    print(json.dumps({"moments": moments, "calls": calls}[way](Path(folder), *map(int, numbers))))
