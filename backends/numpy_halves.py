"""A batch in two halves, on which two threads work at the same time: for kernels of a millisecond and more."""

from contextlib import nullcontext

ENOUGH = 1 << 24  # multiplications: less is done sooner than it is shared
LARGE = 1 << 21  # multiplications in one product: one thread takes some 40 us, two have to wait for each other


def halves(n, work):
    """The slices of ``n`` entries that a kernel takes one by one: two where it makes ``work`` multiplications or more.

    This is decided by shapes alone, so that sums over a batch are put together in one way on any machine.
    """
    return [slice(0, n // 2), slice(n // 2, n)] if n > 1 and work >= ENOUGH else [slice(0, n)]


def each(parts, f):
    """``[f(part) for part in parts]``, two at the same time where the BLAS may use two threads on two processors.

    Meanwhile it uses one for a product. No call of ``f`` writes what the other one reads.
    """
    if len(parts) == 1:
        return [f(parts[0])]
    from . import threads, worker  # loaded when first needed

    if min(threads.blas_threads() or 1, worker.processors()) == 1:
        return [f(part) for part in parts]
    found = [None, None]

    def run(i):
        found[i] = f(parts[i])

    with threads.blas_threads_set(1):
        worker.run_beside(lambda: run(1), lambda: run(0))
    return found


def one_thread(multiplications):
    """A block in which the BLAS multiplies by one thread, where a product has so few that a second one costs more."""
    if multiplications > LARGE:
        return nullcontext()
    from . import threads

    return threads.blas_threads_set(1)
