"""An optimizer's rule on NumPy: in place where nobody else holds the arrays, block by block, on two threads."""

import sys
from collections import deque
from functools import cache

import numpy as np

from .numpy_slab import Slab, is_whole, line, place, side_by_side
from .worker import processors, run_beside

_ALONE = 1 << 19  # entries: with fewer a second thread wins nothing, handed over and waiting for Python's lock
_SMALL = 1 << 13  # entries: for fewer the calls of a rule take longer than its work


def update_in_blocks(xp, rule, groups, scalars, block):
    """What ``Portable.update_in_blocks`` says, ``block`` entries of each array at a time: they stay in the cache.

    Small arrays, and those whose gradients stand side by side, as a compiled step writes them, move together at their
    first update, and are then updated in one call. Where there is much to do a
    second thread takes some of the blocks; which one takes a block makes no difference. Shorter blocks would stay in a
    nearer cache, but between two calls of NumPy a thread needs Python's lock, and waking up with it takes 50 us.
    """
    held = {id(x) for p, _, *slots in groups for x in (p, *slots)}
    for group in groups:
        if id(group[1]) in held or id(group[1].base) in held:  # some p, say: it is written to before this is read
            group[1] = group[1].copy()
    # 0-d arrays: with a Python number a ufunc takes twice as long.
    numbers = {dtype: _arrays_of(scalars, _real(dtype)) for dtype in {group[0].dtype for group in groups}}
    new, blocks = [None] * len(groups), deque()
    for members, rows in _runs(groups, block):
        g = _as_line([groups[k][1] for k in members])
        blocks.append(([line(row) for row in rows], g, numbers[rows[0][0].dtype]))
        for k, own in zip(members, zip(*rows, strict=True), strict=True):
            new[k] = own
    for k, group in enumerate(groups):
        if new[k] is None:
            own = _writable(group)
            new[k] = tuple(own)
            blocks += _split(own, group[1], numbers[own[0].dtype], block)
    if len(blocks) > 1 and sum([group[1].size for group in groups]) >= _ALONE and processors() > 1:
        run_beside(lambda: _work(xp, rule, blocks), lambda: _work(xp, rule, blocks))
    else:
        _work(xp, rule, blocks)
    return new


def _arrays_of(scalars, dtype):
    return [np.array(x, dtype) for x in scalars]


def _split(own, g, rest, block):
    """The arguments of ``_work``: those of the rule, for blocks of arrays that are larger than one."""
    if g.size <= block:
        return [(own, g, rest)]
    lines = [x.reshape(-1) for x in own]
    gradient = np.ascontiguousarray(g).reshape(-1)
    cuts = [slice(start, start + block) for start in range(0, g.size, block)]
    return [([x[cut] for x in lines], gradient[cut], rest) for cut in cuts]


def _work(xp, rule, blocks):
    """Apply the rule to blocks until none are left, or an error ends it for all who work on them."""
    try:
        while blocks:
            try:
                own, g, rest = blocks.popleft()
            except IndexError:  # the other thread was faster
                return
            results = rule(xp, own[0], g, *own[1:], *rest)
            for target, result in zip(own, results, strict=True):
                if result is not target:  # the rule did not write it itself
                    target[...] = result
    except BaseException:
        blocks.clear()
        raise


# ---- arrays side by side ----


def _runs(groups, block):
    """Groups that stand side by side in slabs: their places in ``groups``, and a row of all p, of each slot.

    Where none of a dtype do, or not all whose gradients stand side by side, they are copied into new slabs; not while
    others hold some: one small array that is kept from every step would keep all the others.
    """
    joined = [k for k, (_, g, *_) in enumerate(groups) if 0 < g.size <= min(_SMALL, block) or type(g.base) is Slab]
    known = _whole_slabs(groups, joined)
    if known is not None:
        return known
    kinds: dict = {}
    for k in joined:
        if len({x.dtype for x in groups[k]}) == 1:
            g = groups[k][1]
            beside = id(g.base) if type(g.base) is Slab else 0
            kinds.setdefault((g.dtype, beside), []).append(k)
    runs = []
    for (dtype, beside), members in kinds.items():
        found = _neighbours(groups, members)
        apart = sum(map(len, found)) < len(members) if beside else not found
        if apart and dtype.char in "fd" and all([_free(groups[k]) for k in members]):
            chunks = _chunks(groups, members, block)
            runs += [(run, [side_by_side(row) for row in _rows(groups, run)]) for run in chunks]
        else:
            runs += [(run, _rows(groups, run)) for run in found]
    return runs


def _rows(groups, run):
    """All p of a run of groups, and all arrays of each slot."""
    return [[groups[k][i] for k in run] for i in range(len(groups[run[0]])) if i != 1]


def _as_line(gradients):
    """Gradients as one flat array: a view where they are neighbours in a slab, else a copy."""
    slab = gradients[0].base
    if type(slab) is Slab and all([x.base is slab for x in gradients]):
        starts = list(slab.starts)
        first = starts.index(id(gradients[0]))
        if list(map(id, gradients)) == starts[first : first + len(gradients)]:
            return line(gradients)
    return np.concatenate(gradients, axis=None)


def _whole_slabs(groups, joined):
    """The runs where they are those of whole slabs, as in most steps; else None."""
    runs, done = [], 0
    while done < len(joined):
        slab = groups[joined[done]][0].base
        if type(slab) is not Slab:
            return None
        run = joined[done : done + len(slab.starts)]
        rows = _rows(groups, run)
        if not all([is_whole(row, _HELD_IN_ROW) for row in rows]):
            return None
        runs.append((run, rows))
        done += len(run)
    return runs


def _neighbours(groups, members):
    """The runs, of two groups at least, among groups that stand in slabs."""
    runs, following = [], None
    for k in members:
        here = place(groups[k], _HELD_BY_TWO)
        if here is None or here != following:
            runs.append([])
        if here is not None:
            runs[-1].append(k)
        following = here and (here[0] + groups[k][1].size, *here[1:])
    return [run for run in runs if len(run) > 1]


def _chunks(groups, members, block):
    """Runs of up to ``block`` entries, and of two groups at least."""
    chunks, size = [], block
    for k in members:
        size += groups[k][1].size
        if size > block:
            chunks.append([])
            size = groups[k][1].size
        chunks[-1].append(k)
    return [chunk for chunk in chunks if len(chunk) > 1]


# ---- whose arrays may be written to ----


def _free(group) -> bool:
    """Whether only group and owner hold ``p`` and the slots."""
    for i in range(len(group)):
        x = group[i]
        if i != 1 and sys.getrefcount(x) > _HELD_BY_TWO:
            return False
    return True


def _writable(group):
    """``p`` and the slots of a group: themselves where only group and owner hold them, otherwise copies."""
    own = []
    for i in range(len(group)):
        if i == 1:
            continue
        x = group[i]
        if x.base is None:
            free = x.flags.carray and sys.getrefcount(x) == _HELD_BY_TWO
        else:
            del x
            free = held_alone(group, i, owners=1) and group[i].flags.carray
            x = group[i]
        own.append(x if free else np.array(x, order="C"))
    return own


def held_alone(items, i, owners=0) -> bool:
    """Whether nobody but ``owners`` others can see the memory of the array ``items[i]``, and it can be written to."""
    x = items[i]
    writable, base = x.flags.writeable, x.base
    if base is None or type(base) is Slab:
        del x, base
        return writable and references(items, i) == HELD + owners
    # A view of the whole of an array that only the view holds is as good as that array.
    whole = type(base) is np.ndarray and base.base is None and base.nbytes == x.nbytes and base.flags.writeable
    del x, base
    alone = writable and whole and references(items, i) == HELD + owners
    return alone and references([items[i].base], 0) == HELD + 1


def references(items, i) -> int:
    return sys.getrefcount(items[i])


def _references_from_loop(group) -> int:
    """What ``_writable``, ``_free`` and ``place`` count for an array that stands in a list and nowhere else."""
    for i in range(len(group)):
        x = group[i]
        if x.base is None:
            return sys.getrefcount(x)
    return 0


def _references_from_row(row) -> int:
    """What ``is_whole`` counts for an array that stands in a list and nowhere else."""
    return max(map(sys.getrefcount, row))


HELD = references([np.empty(1)], 0)  # what is counted for an array that stands in a list and nowhere else
_HELD_BY_TWO = _references_from_loop([np.empty(1)]) + 1
_HELD_IN_ROW = _references_from_row([np.empty(1)]) + 2


@cache
def _real(dtype):
    return np.empty(0, dtype).real.dtype
