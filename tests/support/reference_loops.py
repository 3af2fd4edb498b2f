"""Branches and loops in NumPy alone."""

import numpy as np


def cond(predicate, if_true, if_false, *operands):
    return if_true(*operands) if predicate else if_false(*operands)


def while_loop(condition, body, state):
    while condition(state):
        state = body(state)
    return state


def scan(function, carry, xs, length=None, reverse=False):
    found = {}
    order = range(len(xs))
    for k in reversed(order) if reverse else order:
        carry, found[k] = function(carry, xs[k])
    if not found:
        y = function(carry, np.zeros(xs.shape[1:], xs.dtype))[1]
        return carry, np.zeros((0, *y.shape), y.dtype)
    return carry, np.stack([found[k] for k in order])


def map(function, xs, axis=0):
    return scan(lambda carry, x: (carry, function(x)), None, np.moveaxis(xs, axis, 0))[1]
