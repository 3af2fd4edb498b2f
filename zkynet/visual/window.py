"""A window with the drawing, where there is a display."""

from __future__ import annotations

import os
import sys
import warnings

from zkynet.visual.png import POINTS, figure_of, require_matplotlib
from zkynet.visual.scene import Scene

INCHES = (13.0, 9.0)  # at most


def has_display() -> bool:
    """Whether a window could be seen: on Linux and its kin, only with an X or Wayland display."""
    if sys.platform in ("win32", "cygwin", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def show(scene: Scene, seconds: float) -> bool:
    """Show ``scene`` in a window for ``seconds``, then close it; returns whether there was one.

    Without a display, or where matplotlib has been told to use a backend without windows (as in a notebook, or by
    ``MPLBACKEND=agg``), nothing happens, at once. Raises BackendNotAvailable where there is a display and no
    matplotlib.
    """
    if seconds <= 0 or not has_display():
        return False
    require_matplotlib("A window")
    import matplotlib.pyplot as plt
    from matplotlib.backends import BackendFilter, backend_registry

    windows = {name.lower() for name in backend_registry.list_builtin(BackendFilter.INTERACTIVE)} - {"nbagg", "webagg"}
    if plt.get_backend().lower() not in windows:
        return False
    zoom = min(1.0, INCHES[0] * POINTS / scene.width, INCHES[1] * POINTS / scene.height)
    figure = plt.figure(figsize=(scene.width * zoom / POINTS, scene.height * zoom / POINTS))
    try:
        figure_of(scene, figure, zoom)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some backends warn that they cannot raise a window
            plt.pause(seconds)
    finally:
        plt.close(figure)
    return True
