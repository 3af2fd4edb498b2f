"""LiveCurves: the curves of loss and accuracy, drawn again after every epoch."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zkynet.train.callback import Callback
from zkynet.train.callbacks.logs import file_of

PLACES = ("notebook", "window", "file")


class LiveCurves(Callback):
    """Draws the figures of all epochs so far whenever one ends: losses, accuracies, and other numbers, by epoch.

    ``where``: "notebook", below the cell, a picture that changes; "window", one of matplotlib, which stays as long as
    the program runs and may be closed; "file", an SVG file written anew after each epoch, which a browser can show and
    reload. None takes the first of these that can be had here: a window needs matplotlib and a display.

    ``path``: the file, ``curves.svg`` in the folder of the run unless given; where it is given it is written beside a
    notebook or a window too. ``names``: titles of figures, ``{"loss": "train loss"}``. ValueError for another
    ``where``, for a file without path and folder; ImportError for a window without matplotlib.
    """

    order = 1  # told after those that add figures

    def __init__(
        self,
        where: str | None = None,
        path: str | os.PathLike | None = None,
        *,
        names: Mapping[str, str] | None = None,
    ):
        if where is not None and where not in PLACES:
            raise ValueError(
                f"LiveCurves: there is no such place to draw.\n  got:      {where!r}\n"
                f"  expected: one of {', '.join(map(repr, PLACES))}, or None"
            )
        self.where, self.path, self.names = where, path, dict(names or {})
        self._file: Path | None = None
        self._surface: _Notebook | _Window | None = None

    def on_run_start(self, run: Any) -> None:
        where = self.where or ("notebook" if in_notebook() else "window" if can_open_windows() else "file")
        self._surface = _Notebook() if where == "notebook" else _Window() if where == "window" else None
        self._file = file_of(self, run, self.path, "curves.svg") if where == "file" or self.path is not None else None
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, run: Any) -> None:
        if self._surface is not None:
            self._surface.draw(run.history, self.names)
        if self._file is not None:
            from zkynet.io import atomic_write
            from zkynet.train.curves import svg

            with atomic_write(self._file) as file:
                file.write(svg(run.history, self.names))


def in_notebook() -> bool:
    """Whether this runs in a notebook's kernel, which shows pictures."""
    if "IPython" not in sys.modules:  # then nobody can have started one
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def can_open_windows() -> bool:
    """Whether matplotlib is here, with a display and a backend that has windows."""
    from importlib.util import find_spec

    from zkynet.visual.window import has_display

    if not has_display() or find_spec("matplotlib") is None:
        return False
    import matplotlib.pyplot as plt
    from matplotlib.backends import BackendFilter, backend_registry

    windows = {name.lower() for name in backend_registry.list_builtin(BackendFilter.INTERACTIVE)}
    return plt.get_backend().lower() in windows - {"nbagg", "webagg"}


class _Notebook:
    """A picture below the cell, replaced by every new one."""

    def __init__(self) -> None:
        self.handle: Any = None

    def draw(self, history: Any, names: Mapping[str, str]) -> None:
        from IPython.display import SVG, display

        from zkynet.train.curves import svg

        picture = SVG(svg(history, names).decode())
        if self.handle is None:
            self.handle = display(picture, display_id=True)
        else:
            self.handle.update(picture)


class _Window:
    """A window of matplotlib; once it is closed nothing is drawn any more."""

    def __init__(self) -> None:
        import matplotlib.pyplot as plt

        self.plt = plt
        self.figure = plt.figure("zkynet", figsize=(7.6, 3), layout="constrained", clear=True)

    def draw(self, history: Any, names: Mapping[str, str]) -> None:
        if not self.plt.fignum_exists(self.figure.number):
            return
        draw(self.figure, history, names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # backends without windows say so
            self.plt.show(block=False)
            self.figure.canvas.draw_idle()
            self.figure.canvas.flush_events()


def draw(figure: Any, history: Any, names: Mapping[str, str]) -> None:
    """The curves of ``history`` in place of what the figure of matplotlib shows."""
    from zkynet.train.curves import GRID, panels

    figure.clear()
    found = panels(history, names)
    for axes, panel in zip(figure.subplots(1, max(1, len(found)), squeeze=False)[0], found, strict=False):
        for title, colour, values in panel.curves:
            axes.plot([each["epoch"] for each in history], values, marker=".", color=colour, label=title)
        axes.set(title=panel.title, xlabel="epoch")
        axes.grid(color=GRID)
