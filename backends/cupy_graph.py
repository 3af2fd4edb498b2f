"""CUDA graphs: what a function launches, captured once and launched again as a whole, without Python in between."""

import threading

import cupy


class CapturedGraph:
    """``run``, a function of a list of arrays that returns a list, captured for arrays of these shapes and layouts.

    ``run`` must do the same kernels for the same shapes, read nothing on the host, and copy nothing from there: what it
    copies from the host's memory would be whatever lies there later. It is run once beforehand, so that all that is
    loaded at the first use is loaded. Called with a list of arrays it copies them in, launches, and gives copies of
    what came out, all on the current stream; only ``here``, where it was captured: in this thread, on this device and
    stream.
    """

    def __init__(self, run, arrays):
        self._home = _place()
        self._memory = []
        pool = cupy.cuda.MemoryPool(self._allocate)
        current, stream = cupy.cuda.get_current_stream(), cupy.cuda.Stream(non_blocking=True)
        with cupy.cuda.using_allocator(pool.malloc):
            self._inputs = [cupy.empty_like(x) for x in arrays]
            self._copy_in(arrays)
            stream.wait_event(current.record())
            with stream:
                run(list(self._inputs))
                stream.synchronize()
                stream.begin_capture()
                try:
                    self._outputs = run(list(self._inputs))
                finally:
                    self._graph = stream.end_capture()

    def _allocate(self, size):
        """Memory that stays while the graph does: it knows addresses, not whether somebody gave them back."""
        block = cupy.cuda.Memory(size)
        self._memory.append(block)
        return cupy.cuda.MemoryPointer(block, 0)

    def _copy_in(self, arrays):
        for own, x in zip(self._inputs, arrays, strict=True):
            own[...] = x

    @property
    def here(self):
        """Whether it may be called now: two streams would write to its memory at the same time."""
        return _place() == self._home

    def __call__(self, arrays):
        self._copy_in(arrays)
        self._graph.launch()
        return [y.copy("K") for y in self._outputs]


def _place():
    return threading.get_ident(), cupy.cuda.runtime.getDevice(), cupy.cuda.get_current_stream().ptr
