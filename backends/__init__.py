"""Backends: which array libraries there are, and which one an array belongs to.

Arrays decide: an operator runs on the backend that its arrays belong to (``backend_of``, ``common_backend``). The
default backend is only for Python numbers, lists and creation functions. Nothing but NumPy is imported until used.
"""

import importlib
import os
import sys
import threading
import weakref
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as _np

from .base import Backend
from .errors import BackendNotAvailable, MixedBackendsError
from .numpy import NumpyBackend, memory_kept

__all__ = [
    "BACKEND_BY_TYPE",
    "Backend",
    "available",
    "backend_of",
    "common_backend",
    "default_backend",
    "get",
    "memory_kept",
    "register",
    "use_backend",
]

ENTRY_POINTS = "zkynet.backends"
ENVIRONMENT = "ZKYNET_BACKEND"
_HELP = "See docs/backends.md."

_HOST = NumpyBackend()
BACKEND_BY_TYPE: dict = {
    kind: _HOST
    for kind in (_np.ndarray, *_np.sctypeDict.values())
    if not issubclass(kind, (_np.flexible, _np.object_, _np.datetime64, _np.timedelta64))
}
_lock = threading.RLock()


def _from_module(module: str, make: str):
    def load():
        return getattr(importlib.import_module(f".{module}", __name__), make)()

    return load


_loaders = {
    "numpy": lambda: _HOST,
    "jax": _from_module("jax", "load"),
    "cupy": _from_module("cupy", "load"),
    "array_api_strict": _from_module("array_api", "load_strict"),
}
_EXTRAS = {
    "jax": "pip install zkynet[jax]",
    "cupy": "pip install zkynet[cupy] for CUDA 12, zkynet[cuda13] for CUDA 13",
    "array_api_strict": "pip install array-api-strict",
}
_LIBRARIES = {"jax": "jax", "jaxlib": "jax", "cupy": "cupy"}  # whose arrays are known before their backend is loaded
_loaded: dict[str, Backend] = {"numpy": _HOST}
_instances: list[Backend] = []  # backends that came as objects: they have no loader


def register(name: str, loader) -> None:
    """Make ``get(name)`` give what ``loader()`` returns, a Backend; called once, when it is first needed."""
    if name == "numpy":
        raise ValueError("the backend 'numpy' is the host and cannot be replaced")
    with _lock:
        _loaders[name] = loader
        replaced = _loaded.pop(name, None)
        for kind in [kind for kind, backend in BACKEND_BY_TYPE.items() if backend is replaced]:
            del BACKEND_BY_TYPE[kind]


def _names() -> dict:
    """All loaders by name; those that other distributions declare come last and replace none of ours."""
    from importlib import metadata  # slow to import, and seldom needed

    found = dict(_loaders)
    for point in metadata.entry_points(group=ENTRY_POINTS):
        found.setdefault(point.name, lambda point=point: point.load()())
    return found


def _load(name: str) -> Backend:
    """The backend of that name, without side effects on its library's settings."""
    backend = _loaded.get(name)
    if backend is not None:
        return backend
    with _lock:
        loader = _loaders.get(name) or _names().get(name)
        if loader is None:
            for backend in (*_loaded.values(), *_instances):
                if backend.name == name:
                    return backend
            raise BackendNotAvailable(f"there is no backend {name!r}.\n  known: {', '.join(sorted(_names()))}\n{_HELP}")
        try:
            backend = loader()
        except BackendNotAvailable:
            raise
        except ImportError as error:
            hint = _EXTRAS.get(name)
            raise BackendNotAvailable(
                f"the backend {name!r} cannot be used here: {error}"
                + (f"\n  to install it: {hint}" if hint else "")
                + f"\n{_HELP}"
            ) from error
        _loaded[name] = backend
        return backend


def get(name) -> Backend:
    """The backend called ``name``, loaded and made ready; a Backend is returned as it is."""
    if isinstance(name, Backend):
        backend = name
        with _lock:
            if backend not in _loaded.values() and backend not in _instances:
                _instances.append(backend)
    else:
        backend = _load(name)
    backend.selected()
    return backend


def available() -> dict:
    """Every backend's name with None where it can be used here, else the reason why not, as text. Never raises."""
    found = {}
    try:
        names = sorted(_names())
    except Exception:  # a broken installation of somebody else's package
        names = sorted(_loaders)
    for name in names:
        try:
            xp = _load(name)
            xp.item(xp.sum(xp.ones((2,), dtype=xp.float32)))
            found[name] = None
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


_context: ContextVar = ContextVar("zkynet_backend", default=None)
_settings: list = []  # (backend, weak reference to its use_backend), in the order of the calls
_environment: Backend | None = None


class use_backend:  # noqa: N801  (used like a function)
    """Choose the default backend: by a plain call for the process, as a ``with`` block for the context only.

    ``name`` is a backend's name or a Backend. Between the call and the start of its ``with`` block the process default
    is changed for an instant; on entering it is put back.
    """

    def __init__(self, name):
        self.backend = get(name)
        self._tokens = []
        with _lock:
            entry = (self.backend, weakref.ref(self))
            lasting = [e for e in _settings if e[1]() is None][-1:]  # calls that no `with` can take back any more
            _settings[:] = [e for e in _settings if e in lasting or e[1]() is not None] + [entry]

    def __enter__(self) -> Backend:
        with _lock:
            _settings[:] = [e for e in _settings if e[1]() is not self]
        self._tokens.append(_context.set(self.backend))
        return self.backend

    def __exit__(self, *exc):
        _context.reset(self._tokens.pop())

    def __repr__(self) -> str:
        return f"use_backend({self.backend.name!r})"


@contextmanager
def standing_in(backend):
    """Let ``backend``, which records what the default one is asked for, be the default of this context."""
    token = _context.set(backend)
    try:
        yield
    finally:
        _context.reset(token)


def default_backend() -> Backend:
    """The backend for Python numbers, lists and creation functions in this context."""
    found = _context.get()
    if found is not None:
        return found
    settings = _settings
    if settings:
        return settings[-1][0]
    return _environment if _environment is not None else _from_environment()


def _from_environment() -> Backend:
    global _environment
    name = os.environ.get(ENVIRONMENT, "").strip()
    try:
        _environment = get(name) if name else _HOST
    except BackendNotAvailable as error:
        raise BackendNotAvailable(f"{ENVIRONMENT}={name} in the environment: {error}") from error
    return _environment


def backend_of(x) -> Backend | None:
    """The backend that the array ``x`` belongs to; None for anything that is no array of a loaded library."""
    kind = type(x)
    backend = BACKEND_BY_TYPE.get(kind)
    if backend is not None:
        return backend
    if isinstance(x, _np.ndarray):
        _HOST.refuse(x)
        BACKEND_BY_TYPE[kind] = _HOST
        return _HOST
    library = _LIBRARIES.get(kind.__module__.partition(".")[0])
    if library is not None and library not in _loaded and library in sys.modules:
        _load(library)
    for backend in (*_loaded.values(), *_instances):
        if backend.owns(x):
            if backend.owns_type(kind):
                BACKEND_BY_TYPE[kind] = backend
            return backend
    return None


def common_backend(backends) -> Backend:
    """The one backend that several arrays are computed on: host arrays follow a device array that they meet."""
    device = None
    for backend in backends:
        if backend is None or backend.is_host:
            continue
        if device is None:
            device = backend
        elif device is not backend:
            raise MixedBackendsError(
                f"arrays of two backends met in one operation: {device.name} and {backend.name}.\n"
                "  move one of them: backends.get(name).asarray(other.to_numpy(x))"
            )
    return device if device is not None else _HOST
