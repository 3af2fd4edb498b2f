"""The workloads: each one written for zkynet and for its peers, in the way that each library's users would.

A maker gives a function without arguments that does the work once and returns what was computed. Libraries are imported
by the makers alone.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import zkynet as zk
from zkynet.bench import jacobians, networks, operations
from zkynet.bench.networks import import_jax, import_torch
from zkynet.framework import op

# By peer, what has to be installed for it.
LIBRARIES = {
    "torch": "torch",
    "torch fused": "torch",
    "jax.jit": "jax",
    "jax.jit one-hot": "jax",
    "jax": "jax",
    "autograd": "autograd",
    "zkynet on jax": "jax",
    "zkynet graph on jax": "jax",
}
TOLERANCE = 2e-4  # relative, of single precision after a few steps
FLOOR = 1e-6  # absolute: what rounding leaves of a loss near zero, a difference of numbers of order one


class Workload(NamedTuple):
    """One thing to do, by zkynet and its peers."""

    name: str
    title: str
    makers: dict[str, Callable[..., Callable[[], Any]]]  # by peer
    process: bool = False  # whether each call is a process of its own: seldom repeated
    apart: Callable[[str], list[str]] | None = None  # the script, by peer, that takes its turns in a process of its own
    timed: dict = {}  # the settings that a maker takes to be timed
    rehearsed: dict = {}  # those for the comparison of results, where they differ
    calls: int = 1  # how many results in a row are compared
    seconds: Callable[[Any], float] | None = None  # reads its own time out of a result; None: the call is timed
    whole: bool = False  # whether the result is one array, whose entries are compared relative to the largest
    needs: str | None = None  # the library without which zkynet itself cannot take part

    def make(self, peer: str) -> Callable[[], Any]:
        """The function to time."""
        return self.makers[peer](**self.timed)

    def results(self, peer: str) -> list[float]:
        """What the peer computes, as plain numbers."""
        run = self.makers[peer](**{**self.timed, **self.rehearsed})
        return [number for _ in range(self.calls) for number in _numbers(run())]


class DifferentResultsError(Exception):
    """A peer does not compute what zkynet does, so that their times cannot be compared."""


class ProcessError(Exception):
    """A process that was to be timed failed."""


def missing(peer: str, workload: Workload | None = None) -> str | None:
    """Why a peer cannot take part (in ``workload``): a library is not installed. None where it can."""
    if peer.startswith("zkynet graph") and not hasattr(zk, "compile"):
        return "there is no zk.compile"
    library = LIBRARIES.get(peer) or (workload.needs if workload is not None else None)
    if library is None or importlib.util.find_spec(library) is not None:
        return None
    return f"{library} is not installed"


def compare(workload: Workload, peer: str) -> None:
    """DifferentResultsError where ``peer`` does not compute what zkynet does."""
    if workload.seconds is not None or peer == "zkynet":
        return  # an import computes nothing
    known = WORKLOADS.get(workload.name) is workload
    theirs, ours = workload.results(peer), _ours(workload.name) if known else workload.results("zkynet")
    slack = TOLERANCE * float(np.max(np.abs(ours))) if workload.whole else 0
    if len(theirs) != len(ours) or not np.allclose(theirs, ours, rtol=TOLERANCE, atol=slack):
        raise DifferentResultsError(f"{workload.name}: {peer} computes {theirs[:5]}, zkynet {ours[:5]}")


@functools.cache
def _ours(name: str) -> list[float]:
    return WORKLOADS[name].results("zkynet")


def _numbers(result: Any) -> list[float]:
    if isinstance(result, (tuple, list)):
        return [number for item in result for number in _numbers(item)]
    return [float(number) for number in np.ravel(np.asarray(result))]


# ---- a chain of 1,000 operators: what one operator costs ----

LENGTH, FACTOR = 1_000, 1.001


def _chain(x):
    for _ in range(LENGTH):
        x = x * FACTOR
    return x


def _chain_data():
    return np.linspace(0.5, 1.5, 10, dtype=np.float32)


def _chain_zkynet():
    return partial(zk.grad(lambda x: op.sum(_chain(x))), _chain_data())


def _chain_torch():
    torch = import_torch()
    x = torch.tensor(_chain_data(), requires_grad=True)
    return lambda: torch.autograd.grad(_chain(x).sum(), x)[0]


def _chain_autograd():
    import autograd
    import autograd.numpy as anp

    return partial(autograd.grad(lambda x: anp.sum(_chain(x))), _chain_data())


def _chain_jax():
    jax = import_jax()
    gradient = jax.jit(jax.grad(lambda x: _chain(x).sum()))
    x = jax.numpy.array(_chain_data())
    return lambda: gradient(x).block_until_ready()


# ---- a function of two numbers ----

X, W = 3.0, 2.0


def _cubic(x, w):
    return (x + w) * x**2


def _scalar_zkynet():
    return partial(zk.value_and_grad(_cubic, argnums=(0, 1)), X, W)


def _scalar_torch():
    torch = import_torch()
    x, w = (torch.tensor(number, requires_grad=True) for number in (X, W))

    def run():
        y = _cubic(x, w)
        return y.detach(), torch.autograd.grad(y, (x, w))

    return run


def _scalar_autograd():
    import autograd

    return partial(autograd.value_and_grad(_cubic, argnum=(0, 1)), X, W)


def _scalar_jax():
    jax = import_jax()
    value_and_grad = jax.jit(jax.value_and_grad(_cubic, argnums=(0, 1)))
    return lambda: jax.block_until_ready(value_and_grad(X, W))


# ---- one training step of a network: forward, backward, Adam ----

SIZES = (784, 256, 128, 10)


RATE = 1e-7  # so small that thousands of timed steps leave the numbers what they are: nothing underflows


def _step(maker, batch, rate):
    x, labels = _batch(batch, SIZES[0])
    own, step, _ = maker(_weights(zk.models.fcn(SIZES)), rate)
    return partial(step, own(x), own(labels))


def _batch(size, width):
    draw = np.random.default_rng(0)
    return draw.standard_normal((size, width), dtype=np.float32), draw.integers(0, SIZES[-1], size)


def _weights(model):
    return [np.array(p.value) for p in model.parameters()]


@functools.cache
def _step_file(batch):
    x, y = _batch(batch, SIZES[0])
    return _saved(f"step{batch}", zk.models.fcn(SIZES), RATE, x=x, y=y)


def _saved(name, model, rate, **arrays):
    """The path of an .npz file with what a process starts from."""
    path = str(_folder() / f"{name}.npz")
    weights = {f"weight{i}": w for i, w in enumerate(_weights(model))}
    np.savez(path, rate=rate, **weights, **arrays)
    return path


@functools.cache
def _folder():
    folder = tempfile.TemporaryDirectory(prefix="zkynet-bench-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _mlp(batch):
    return Workload(
        name=f"mlp-{batch}",
        title=f"training step of an MLP {'-'.join(map(str, SIZES))}, batch {batch}, Adam, float32",
        makers={peer: partial(_step, maker) for peer, maker in networks.MAKERS.items()},
        # BLAS and torch have threads that wait awake for more work, and zkynet sets how memory is given back.
        apart=lambda peer: [networks.__file__, "serve", "eager", peer, _step_file(batch)],
        timed={"batch": batch, "rate": RATE},
        rehearsed={"rate": 1e-3},
        calls=4,
    )


# ---- the same, compiled as a whole: zkynet on JAX beside JAX by hand ----


def _jitted(batch):
    return _mlp(batch)._replace(
        name=f"jit-{batch}",
        title=f"the step of mlp-{batch} on JAX, compiled as a whole by zk.train.compiled_step",
        makers={peer: partial(_step, maker) for peer, maker in networks.JITTED.items()},
        apart=lambda peer: [networks.__file__, "serve", "jitted", peer, _step_file(batch)],
        needs="jax",
    )


CNN_BATCH = 64
PIXELS = 64


@functools.cache
def _cnn_file():
    x, y = _batch(CNN_BATCH, PIXELS)
    return _saved("cnn", zk.models.cnn(), RATE, x=x, y=y)


def _cnn_step(maker, rate):
    x, labels = _batch(CNN_BATCH, PIXELS)
    own, step, _ = maker(_weights(zk.models.cnn()), rate)
    return partial(step, own(x), own(labels))


def _jitted_cnn():
    return Workload(
        name="jit-cnn",
        title=f"training step of the digits' CNN on JAX, batch {CNN_BATCH}, Adam, float32, compiled as a whole",
        makers={peer: partial(_cnn_step, maker) for peer, maker in networks.JITTED_CNN.items()},
        apart=lambda peer: [networks.__file__, "serve", "jitted-cnn", peer, _cnn_file()],
        timed={"rate": RATE},
        rehearsed={"rate": 1e-3},
        calls=4,
        needs="jax",
    )


# ---- Jacobians and Hessians ----


def _jacobian(name):
    return Workload(
        name=name,
        title=jacobians.TITLES[name],
        makers={peer: partial(maker, name) for peer, maker in jacobians.MAKERS.items()},
        apart=lambda peer: [jacobians.__file__, name, peer],  # as for networks
        whole=True,
    )


# ---- whole processes ----

_IMPORT = "import time, numpy; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def _import(library):
    return lambda: printed("-c", _IMPORT.format(library))


def start(arguments: list[str]) -> subprocess.Popen:
    """Start a Python process that is to be timed, or that times itself."""
    command = [sys.executable, "-P", *arguments]  # -P: not what lies in the current folder
    # A library that is installed is compiled too: where this process may not keep what it compiles, that one may.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.setdefault(name, str(networks.THREADS))
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def failed(process: subprocess.Popen) -> ProcessError:
    """What to raise where a process has ended, or is to end, too early."""
    _, said = process.communicate()
    last = (said.splitlines() or ["it said nothing"])[-1]
    return ProcessError(f"a process that was to be timed ended with {process.returncode}: {last}")


def printed(*arguments: str) -> Any:
    """What a Python process prints, a line of JSON."""
    with start([*arguments]) as process:
        result = process.stdout.read() if process.stdout else ""
        if process.wait():
            raise failed(process)
    return json.loads(result)


@functools.cache
def _digits_file():
    from zkynet.data import Batches
    from zkynet.train import digits

    (x, y), (tx, ty) = digits.split_digits()
    batches = Batches((np.arange(len(x)),), batch_size=32, drop_last=True)
    orders = [[rows for (rows,) in batches] for _ in range(40)]
    return _saved(
        "digits", zk.models.fcn(digits.SIZES), digits.LEARNING_RATES["adam"], x=x, y=y, tx=tx, ty=ty, orders=orders
    )


def _digits(peer):
    path = _digits_file()
    return lambda: printed(networks.__file__, "train", peer, path)["losses"]


WORKLOADS = {
    each.name: each
    for each in (
        Workload(
            "chain",
            f"gradient through {LENGTH:,} multiplications of 10 float32 by a number",
            {"zkynet": _chain_zkynet, "torch": _chain_torch, "jax.jit": _chain_jax, "autograd": _chain_autograd},
        ),
        Workload(
            "scalar",
            "value and gradient of (x + w) * x**2 for two Python numbers",
            {"zkynet": _scalar_zkynet, "torch": _scalar_torch, "jax.jit": _scalar_jax, "autograd": _scalar_autograd},
        ),
        _mlp(32),
        _mlp(256),
        Workload(
            "import",
            "import, beyond what `import numpy` takes",
            {library: partial(_import, library) for library in ("zkynet", "torch", "jax", "autograd")},
            process=True,
            seconds=float,
        ),
        Workload(
            "digits",
            f"a process that trains the digit classifier to {networks.GOAL:.0%} test accuracy",
            {peer: partial(_digits, peer) for peer in networks.MAKERS if peer != "torch fused"},
            process=True,
        ),
        _jitted(32),
        _jitted(256),
        _jitted_cnn(),
        *(_jacobian(name) for name in jacobians.TITLES),
    )
}


def _operation(row, size):
    return Workload(
        name=f"{row.name}, {size}",
        title=f"value and gradient of the sum of {row.name}, axes of {size}, float64",
        makers={peer: partial(maker, row, size) for peer, maker in operations.MAKERS.items()},
        whole=True,
    )


# Many small workloads each, for a table of ratios: timed where they are asked for by name.
TABLES = {"operations": [_operation(row, size) for size in operations.SIZES for row in operations.ROWS]}
