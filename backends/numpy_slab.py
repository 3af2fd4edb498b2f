"""Arrays side by side in one piece of memory, so that an optimizer's rule takes all of them in one call."""

import math
import sys

import numpy as np


class Slab(np.ndarray):
    """The memory of several arrays of one dtype, its members; ``starts`` says where each begins, by its id, in order.

    A view of a member has the member as its ``base``, not the slab, because NumPy follows ``base`` through arrays of
    the same type alone. So what is counted for a member tells who can see its numbers, as for any other array.
    """

    starts: dict[int, int]


def side_by_side(arrays) -> list:
    """Copies of arrays of one dtype, members of a new slab in this order."""
    dtype = arrays[0].dtype
    slab = Slab(sum([x.size for x in arrays]), dtype)
    np.concatenate(arrays, axis=None, out=slab)
    return _cut(slab, [x.shape for x in arrays])


def members(memory, offset, shapes, dtype) -> list:
    """Arrays of these shapes, members of a slab that begins ``offset`` bytes behind the start of ``memory``."""
    from ctypes import c_char

    held = (c_char * memory.nbytes).from_buffer(memory)  # no array: NumPy would follow ``base`` through the slab to it
    return _cut(Slab(sum(map(math.prod, shapes)), dtype, held, offset), shapes)


def _cut(slab, shapes) -> list:
    slab.starts = {}
    found, start = [], 0
    for shape in shapes:
        member = np.ndarray(shape, slab.dtype, slab, start * slab.itemsize)
        slab.starts[id(member)] = start
        found.append(member)
        start += member.size
    return found


def line(members) -> np.ndarray:
    """Neighbours in one slab as one flat array, a view of them all."""
    slab = members[0].base
    if len(members) == len(slab.starts):
        return slab.view(np.ndarray)
    start = slab.starts[id(members[0])]
    return np.ndarray(sum([x.size for x in members]), slab.dtype, slab, start * slab.itemsize)


def is_whole(row, held) -> bool:
    """Whether ``row`` holds all members of one slab, in order, and nobody else does: ``held`` is what is counted."""
    slab = row[0].base
    return (
        type(slab) is Slab
        and list(map(id, row)) == list(slab.starts)
        and all([x.base is slab for x in row])
        and set(map(sys.getrefcount, row)) == {held}
    )


def place(group, held):
    """Where ``p`` and the slots of a group stand: (start, slab, slab ...), the slabs by their ids.

    None where they do not all stand in slabs and begin at the same entry, and where an array is held by others:
    ``held`` is what is counted where it is not.
    """
    found = []
    for i in range(len(group)):
        if i == 1:
            continue
        x = group[i]
        if type(x.base) is not Slab or sys.getrefcount(x) != held:
            return None
        found.append(x.base.starts[id(x)])
    if len(set(found)) > 1:
        return None
    return (found[0], *[id(x.base) for x in (group[0], *group[2:])])
