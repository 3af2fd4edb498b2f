"""Items made ahead of their use, in one thread, in order."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Generator, Iterable
from typing import Any

_ITEM, _ERROR, _END = range(3)


def prefetched(items: Iterable[Any], ahead: int) -> Generator[Any, None, None]:
    """Yield ``items``, of which a thread makes up to ``ahead`` >= 1 before they are asked for.

    The thread begins with the first item asked for, and has ended when this iterator is exhausted or closed. What
    raises in it is raised here, at the place of the item that it stopped at.
    """
    slots = threading.Semaphore(ahead)
    ready: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    stopped = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, slots, ready, stopped), name="zkynet-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = ready.get()
            slots.release()
            if kind == _ERROR:
                try:
                    raise item
                finally:
                    del item  # its traceback knows this frame: no cycle
            if kind == _END:
                return
            yield item
            del item  # while the next one is waited for, this one can be freed
    finally:
        stopped.set()
        slots.release()
        if not sys.is_finalizing():  # then the thread no longer runs, and joining it would wait for ever
            thread.join()


def _fill(items: Iterable[Any], slots: threading.Semaphore, ready: queue.SimpleQueue, stopped: threading.Event) -> None:
    source = iter(items)
    while True:
        slots.acquire()
        if stopped.is_set():
            return
        try:
            item = next(source)
        except StopIteration:
            ready.put((_END, None))
            return
        except BaseException as error:  # noqa: B036  (it is raised again where the item is asked for)
            ready.put((_ERROR, error))
            return
        ready.put((_ITEM, item))
        del item
