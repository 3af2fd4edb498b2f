"""Ctrl-C and SIGTERM between two steps, never in the middle of one."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interrupted(KeyboardInterrupt):  # noqa: N818  (it is no error: whoever catches KeyboardInterrupt catches it)
    """A signal has ended a training run, between two of its steps.

    ``path`` is where everything was saved, None where nothing was to be; ``exit_code`` is what a program that ends by
    it returns: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, number: int, path: Any = None):
        self.number, self.path, self.exit_code = number, path, 128 + number
        super().__init__(f"{name_of(number)}; {'nothing was saved' if path is None else f'saved in {path}'}")


class Deferred:
    """A block in which the first Ctrl-C (SIGINT) or SIGTERM is noted in ``came``, and nothing else happens.

    ``came`` is the number of the signal, 0 until one has come. A second one comes at once. Signals that the program
    ignores or handles itself are left to it, and in other threads than the main one, which cannot set handlers, nothing
    is held back. Behind the block everything is as it was. ``enabled=False`` for a block that does nothing.
    """

    def __init__(self, enabled: bool = True):
        self.enabled, self.came = enabled, 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Deferred:
        if self.enabled and threading.current_thread() is threading.main_thread():
            for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) is usual or signal.getsignal(number) == usual:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exc: Any) -> None:
        self._restore()

    def check(self) -> None:
        """Raise Interrupted where a signal has come."""
        if self.came:
            raise Interrupted(self.came)

    def _note(self, number: int, frame: Any) -> None:
        self.came = number
        self._restore()  # so that a second one comes at once

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            if signal.getsignal(number) == self._note:  # somebody may have set another one meanwhile
                signal.signal(number, handler)


def name_of(number: int) -> str:
    """Ctrl-C, or the name of a signal: SIGTERM."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
