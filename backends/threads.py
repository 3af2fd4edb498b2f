"""How many threads the BLAS behind NumPy uses, and the same number for a while.

By threadpoolctl where it is installed, else by ctypes for an OpenBLAS; with any other BLAS nothing is known or changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

# An OpenBLAS calls its functions so, by how it was built: NumPy's wheels have "scipy_openblas_set_num_threads64_".
_PREFIXES, _SUFFIXES = ("scipy_", ""), ("64_", "_64", "")

_lock = threading.Lock()
_asked: list[_Blas] = []  # who has set a number now: the last one's holds
_before: list[int] = []  # what each library had before the first of them


def blas_threads() -> int | None:
    """How many threads the BLAS uses (the most, where several are loaded); None where that is not known."""
    numbers = [get() for get, _ in _controls()]
    return max(numbers) if numbers else None


def set_blas_threads(n: int) -> bool:
    """Have the BLAS use ``n`` threads from now on; False where it cannot be told. ValueError for n < 1."""
    _check(n)
    for _, tell in _controls():
        tell(n)
    return bool(_controls())


def blas_threads_set(n: int) -> _Blas:
    """A ``with`` block in which the BLAS uses ``n`` threads; afterwards it has its number again, exceptions included.

    The number is the whole process's. Blocks may be nested, and several threads may be in one: the last to enter sets
    it, and when the last leaves it is what it was before the first. ValueError for n < 1.
    """
    _check(n)
    return _Blas(n)


class _Blas:
    """A block with a number of threads."""

    __slots__ = ("n",)

    def __init__(self, n: int):
        self.n = n

    def __enter__(self) -> None:
        controls = _controls()
        with _lock:
            if not _asked:
                _before[:] = [get() for get, _ in controls]
            _asked.append(self)
            for _, tell in controls:
                tell(self.n)

    def __exit__(self, *exception: Any) -> None:
        with _lock:
            if self in _asked:  # not where the process was forked inside
                _asked.remove(self)
                _restore()


def _restore() -> None:
    for (_, tell), number in zip(_controls(), _before):
        tell(_asked[-1].n if _asked else number)


def _check(n: int) -> None:
    if n < 1:
        raise ValueError(f"BLAS threads: expected a number of at least 1, got {n!r}")


def _after_fork() -> None:
    """In a child there is one thread, and it is in no block."""
    global _lock
    _lock = threading.Lock()
    if _asked:
        _asked.clear()
        _restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# ---- the libraries ----


@cache
def _controls() -> list[tuple[Callable[[], int], Callable[[int], Any]]]:
    """Functions that get and set the number, for each BLAS that is loaded: looked for once."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return _by_ctypes()
    try:
        found = ThreadpoolController().select(user_api="blas").lib_controllers
    except Exception:  # of a library that it does not know how to ask
        return _by_ctypes()
    controls = []
    for each in found:
        if each.get_num_threads() is not None:
            # Its own set_num_threads does nothing in a thread that is not the first to have called it.
            controls.append(_functions(each.dynlib) or (each.get_num_threads, each.set_num_threads))
    return controls


def _by_ctypes() -> list[tuple[Callable[[], int], Callable[[int], Any]]]:
    """The same for OpenBLAS without threadpoolctl."""
    found = []
    for path in _paths():
        with contextlib.suppress(OSError):
            # Only what is loaded already: a second copy would tell nothing about NumPy's.
            library = ctypes.CDLL(path, mode=getattr(os, "RTLD_NOLOAD", 0) | ctypes.DEFAULT_MODE)
            functions = _functions(library)
            if functions is not None:
                found.append(functions)
    return found


def _paths() -> list[str]:
    """Where an OpenBLAS lies that may be loaded."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            words = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines()]
            return sorted({parts[5] for parts in words if len(parts) == 6 and "openblas" in parts[5].lower()})
    package = Path(np.__file__).parent
    folders = (package.parent / "numpy.libs", package / ".dylibs", package / ".libs")
    return [str(path) for folder in folders if folder.is_dir() for path in sorted(folder.glob("*openblas*"))]


def _functions(library: ctypes.CDLL) -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    for prefix in _PREFIXES:
        for suffix in _SUFFIXES:
            get = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
            tell = getattr(library, f"{prefix}openblas_set_num_threads{suffix}", None)
            if get is not None and tell is not None:
                get.argtypes, get.restype = (), ctypes.c_int
                tell.argtypes, tell.restype = (ctypes.c_int,), None
                return get, tell
    return None
