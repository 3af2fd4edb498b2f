"""The simple model f(x, w) = (x + w) * x**2, in both styles, and what the tests of this folder ask of graphs."""

from __future__ import annotations

import numpy as np

import zkynet as zk
from zkynet.framework import cg, op


class Simple(zk.Module):
    """The weight assigned as an attribute, the input read off the signature."""

    def __init__(self, w0=1.0):
        self.w = zk.Parameter("w", w0)

    def call(self, x):
        return (x + self.w) * x**2


class Declared(cg.Module):
    """The input and the weight declared."""

    def __init__(self, w0=1.0):
        super().__init__(inputs=(cg.Variable("x"),), params=(cg.Parameter("w", w0),))

    def call(self, x):
        return op.mult(op.add(x, self.param("w")), op.pow(x, 2))


STYLES = (Simple, Declared)


def module(fn, *inputs, **params):
    """A Module of a function of inputs and params."""
    return cg.Module.build("Made", fn, inputs, [zk.Parameter(name, value) for name, value in params.items()])


def gradients_of(result, model, cotangent=None):
    """The gradients of a graph by the short names of the model's inputs and parameters."""
    result.back(cotangent)
    asked = {**model._inputs(), **{p.short_name: p for p in model.parameters()}}
    return {name: result.grad(x) for name, x in asked.items()}


def sharing(a, b) -> bool:
    """Whether two values share memory."""
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.shares_memory(a, b)
