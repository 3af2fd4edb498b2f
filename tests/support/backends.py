"""The backends that a test session runs on, and why one is left out.

A test that takes the fixture ``backend`` runs once per backend that is here. ``--require-backend=NAME`` says which must
be: without it a missing one is skipped with its reason, with it the session fails.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest

NAMES = ("numpy", "jax", "array_api_strict", "cupy")

_required: set[str] = set()


def register_strict() -> None:
    """Make ``array_api_strict`` mean its ``device1`` in this session, whoever asks for it."""
    from zkynet import backends

    backends.register("array_api_strict", _load_strict)


def require_in_session(names: list[str]) -> None:
    """Turn the absence of the backends ``names`` into a failure; UsageError where one is unknown or missing."""
    _required.update(names)
    for name in names:
        if name not in NAMES:
            raise pytest.UsageError(f"--require-backend={name}: expected one of {', '.join(NAMES)}")
        reason = why_missing(name)
        if reason is not None:
            raise pytest.UsageError(f"--require-backend={name}: this backend is missing here: {reason}")


@functools.cache
def why_missing(name: str) -> str | None:
    """Return None where backend ``name`` can hold an array here, otherwise the reason in words."""
    from zkynet import backends

    reason = backends.available().get(name, "the registry does not know it")
    if reason is not None:
        return reason
    try:
        # An import proves nothing: CuPy imports on a machine without a GPU, or with a driver that is too old.
        backends.get(name).asarray([1.0])
    except Exception as error:
        return f"allocating an array failed: {type(error).__name__}: {error}"
    return None


@functools.cache
def present() -> tuple[str, ...]:
    """Return the names of the backends that are here, in the order of NAMES."""
    return tuple(name for name in NAMES if why_missing(name) is None)


def get(name: str) -> Any:
    """Return the backend ``name``; where it is missing the running test is skipped, or fails if it is required."""
    reason = why_missing(name)
    if reason is not None:
        stop = pytest.fail if name in _required else pytest.skip
        stop(f"backend {name} is missing here: {reason}")
    from zkynet import backends

    return backends.get(name)


def _load_strict() -> Any:
    import array_api_strict

    from zkynet.backends.array_api import ArrayAPIBackend

    # device1 refuses to become a NumPy array by accident, as a GPU's memory does: a rule that leaks fails without one.
    return ArrayAPIBackend(array_api_strict, device=array_api_strict.Device("device1"))
