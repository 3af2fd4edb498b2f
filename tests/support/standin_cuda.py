"""CUDA's streams, memory and graphs as far as zkynet uses them, on the host: for the stand-in for CuPy.

What runs while a stream captures is written down, and a launch runs it again on the same arrays, into the same arrays:
so a graph sees what its inputs hold when it is launched, and nothing else changes. As on a device, kernels that are
captured have not run: what they make is full of other numbers until the first launch. What the stand-in does not have
is memory that is used again, kernels that run later, and libraries that refuse to be captured.
"""

from __future__ import annotations

import contextlib
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

_state: dict[str, Any] = {"stream": None, "capturing": None}
log: list[str] = []  # what was called, in order


class CUDARuntimeError(RuntimeError):
    """What CUDA says of a call that it refuses."""


def launched(f: Any, arguments: tuple, made: Any) -> None:
    """A function ran, and gave ``made``, a host array or several."""
    if _state["capturing"] is None:
        return
    arrays = [x for x in (made if isinstance(made, (tuple, list)) else (made,)) if isinstance(x, np.ndarray)]
    _state["capturing"].append((f, arguments, arrays))
    given = [x for x in arguments if isinstance(x, np.ndarray)]
    for x in arrays:
        if x.flags.writeable and not any(np.shares_memory(x, other) for other in given):
            x[...] = np.full((), 85 if x.dtype.kind in "fc" else 0, x.dtype)


def read() -> None:
    """The host asks for values: refused while a stream captures, as CUDA does."""
    if _state["capturing"] is not None:
        raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")


class Graph:
    """What a stream captured."""

    def __init__(self, calls):
        self.calls = calls

    def launch(self, stream=None):
        log.append("launch")
        for f, arguments, arrays in self.calls:
            made = f(*arguments)
            again = [x for x in (made if isinstance(made, (tuple, list)) else (made,)) if isinstance(x, np.ndarray)]
            for x, new in zip(arrays, again, strict=True):
                if not np.shares_memory(x, new):
                    x[...] = new


class Stream:
    """A stream, which is also the context in which it is the current one."""

    def __init__(self, null=False, non_blocking=False):
        self.ptr = 0 if null else id(self)

    def __enter__(self):
        self._before, _state["stream"] = _state["stream"], self
        return self

    def __exit__(self, *args):
        _state["stream"] = self._before

    def synchronize(self):
        read()

    def record(self):
        return "event"

    def wait_event(self, event):
        assert event == "event"

    def begin_capture(self, mode=None):
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        assert _state["stream"] is self and _state["capturing"] is None
        log.append("begin_capture")
        _state["capturing"] = []

    def end_capture(self):
        log.append("end_capture")
        calls, _state["capturing"] = _state["capturing"], None
        return Graph(calls)


class MemoryPool:
    """A pool that asks its allocator once, so that this is called as CuPy calls it."""

    def __init__(self, allocator):
        allocator(512)

    def malloc(self, size):
        raise AssertionError("the stand-in's arrays are NumPy's")


def contents() -> dict[str, Any]:
    """What ``cupy.cuda`` has of this."""
    null = _state["stream"] = Stream(null=True)
    runtime = ModuleType("cupy.cuda.runtime")
    runtime.getDevice = lambda: 0  # type: ignore[attr-defined]
    return {
        "Stream": Stream,
        "MemoryPool": MemoryPool,
        "Memory": lambda size: SimpleNamespace(size=size),
        "MemoryPointer": lambda memory, offset: SimpleNamespace(memory=memory, offset=offset),
        "using_allocator": lambda malloc: contextlib.nullcontext(),
        "get_current_stream": lambda: _state["stream"] or null,
        "runtime": runtime,
    }
