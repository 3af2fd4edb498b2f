"""The forward sweep: tangents through recorded history. Most operators need no rule for it."""

from zkynet import backends

from . import op
from .axes import Shape, align
from .backprop import (
    SOURCE,
    between,
    call_rule,
    contribution,
    fitted,
    is_weak,
    joint_cotangents,
    pull_back,
    traced_argument,
)
from .operator import missing_rule
from .record import CONTEXT, WATCHED, Output, Record, tensor_of, value_of


def push_forward(asked, tangents, roots, traced: bool, lead: Shape = (), order=None) -> list:
    """One forward sweep: the tangent of each root, None where nothing reaches it.

    ``tangents`` belong to the ``asked`` Records, of shape ``lead + record.shape``; Tensors with ``traced``, else
    arrays. ``order``: what ``between`` gives, where that is known.
    """
    moving: dict = {}
    for record, t in zip(asked, tangents, strict=True):
        moving[record] = t if record not in moving else moving[record] + t
    given = set(asked)
    wanted = set(roots)
    found = {}
    order = between(roots, given) if order is None else order
    last = {p: record for record in order for p in record.parents}  # who reads a tangent last, so that it can go
    plain = not traced and not lead
    watchers = CONTEXT.get().watchers if WATCHED else ()
    told = [watcher.pushed for watcher in watchers if hasattr(watcher, "pushed")]
    for record in order:
        if record not in given:
            pushed = record.operator.pushed if plain else None
            if pushed is not None and record.dtype is not None and record.xp.is_host:
                _advance_quickly(record, moving, pushed)
            else:
                _advance(record, moving, traced, lead)
            for pushed in told if record in moving else ():
                pushed(record, [moving.get(p) for p in record.parents], moving[record], record in wanted)
        if record in wanted and record in moving:
            found[record] = moving[record]
        for p in record.parents:
            if last[p] is record:
                moving.pop(p, None)
    return [found.get(root) for root in roots]


def _advance(record, moving, traced, lead):
    """The tangent of one Record from those of its parents."""
    operator = record.operator
    if type(operator) is Output:
        whole = moving.get(record.parents[0])
        if whole is not None and whole[operator.index] is not None:
            moving[record] = whole[operator.index]
        return
    if operator.joint or (operator.outputs > 1 and None in operator.plan.jvp):
        _advance_by_transpose(record, moving, traced, lead)
        return
    total = None
    for i, p in enumerate(record.parents):
        t = moving.get(p) if p is not None else None
        if t is None:
            continue
        part = _moved(record, i, t, traced, lead)
        if operator.outputs > 1:
            total = part if total is None else tuple(a + b for a, b in zip(total, part, strict=True))
        else:
            part = _shaped(record, part, traced, lead)
            total = part if total is None else total + part
    if total is not None:
        moving[record] = total


def _advance_quickly(record, moving, pushed):
    """The most frequent case: arrays of the host, and a rule that reads at most one saved array."""
    operator, xp, shape, dtype = record.operator, record.xp, record.shape, record.dtype
    total, i = None, -1
    for p in record.parents:
        i += 1
        t = moving.get(p) if p is not None else None
        if t is None:
            continue
        method, want = pushed[i]
        part = method(operator, xp, t) if want is None else method(operator, xp, t, record.saved[want])
        if part.dtype is not dtype or part.shape != shape:
            part = _shaped(record, part, False, ())
        total = part if total is None else total + part
    if total is not None:
        moving[record] = total


def _moved(record, i, t, traced, lead):
    """The part of the output's tangent that comes from input ``i``."""
    operator = record.operator
    xp = op if traced else (record.xp if not is_weak(record) else backends.backend_of(t))
    parent = record.parents[i]
    if not traced and not xp.is_host and is_weak(parent) and not xp.owns(t):
        t = xp.asarray(t)  # a Python number's tangent lives on the host
    if operator.right_aligned and record.operator.outputs == 1:
        t = align(xp, t, lead, parent.shape, len(record.shape))
    plan = operator.plan
    rule = plan.jvp[0 if plan.variadic else i]
    if rule is None and operator.elementwise and not operator.linear:
        rule = plan.vjp[0 if plan.variadic else i]
        if rule is None:
            raise missing_rule(operator, i)
    if rule is not None:
        return call_rule(rule, record, i, t, traced)
    if operator.linear:
        return type(operator).forward(operator, xp, t) if not traced else _forward_traced(operator, t)
    if operator.multilinear:
        inputs = [traced_argument(record, k) if traced else record.saved[k] for k in range(len(record.parents))]
        inputs[i] = t
        return operator.forward(xp, *inputs)
    return _twice_back(record, i, t, traced, lead)


def _forward_traced(operator, t):
    return operator(t)


def _shaped(record, t, traced, lead):
    """A tangent in its Record's full shape and dtype."""
    xp = op if traced else backends.backend_of(t)
    if not is_weak(record) and t.dtype != record.dtype:
        if xp.is_complex(t.dtype) and not xp.is_complex(record.dtype):
            t = xp.real(t)
        t = xp.astype(t, record.dtype)
    if tuple(t.shape) != lead + record.shape:
        t = xp.broadcast_to(t, lead + record.shape)
    return t


def _twice_back(record, i, t, traced, lead):
    """A JVP from the VJP rule alone: that is linear in g, and its transpose is the JVP."""
    zeros = record.xp.zeros(record.shape, dtype=record.dtype or record.xp.float64)
    probe = Record(SOURCE, (), (), record.shape, record.dtype or zeros.dtype, record.xp)
    rule = record.operator.plan.vjp[0 if record.operator.plan.variadic else i]
    if rule is None:
        raise missing_rule(record.operator, i)
    c = call_rule(rule, record, i, tensor_of(zeros, probe), True)
    parent = record.parents[i]
    if tuple(c.shape) != parent.shape or c.dtype != parent.dtype:
        c = fitted(c, record, i, parent, True, ())
    if c.record is None:
        return value_of(tensor_of(zeros)) if not traced else tensor_of(zeros)
    return pull_back([c.record], [t], [probe], traced, lead)[0]


def _advance_by_transpose(record, moving, traced, lead):
    """The tangent through an operator with several outputs, or one rule for all inputs, by the same construction."""
    given = {p: moving[p] for p in record.parents if p is not None and p in moving}
    if not given:
        return
    several = record.operator.outputs > 1
    shapes = record.shape if several else (record.shape,)
    dtypes = record.dtype if several else (record.dtype,)
    probes, gs = [], []
    for shape, dtype in zip(shapes, dtypes, strict=True):
        zeros = record.xp.zeros(shape, dtype=dtype or record.xp.float64)
        probes.append(Record(SOURCE, (), (), shape, zeros.dtype, record.xp))
        gs.append(tensor_of(zeros, probes[-1]))
    if record.operator.joint:
        cs = joint_cotangents(record, gs if several else gs[0], set(given), True)
    else:
        cs = [contribution(record, i, gs, True, ()) if p in given else None for i, p in enumerate(record.parents)]
    pairs = [(c.record, given[p]) for c, p in zip(cs, record.parents, strict=True) if c is not None and p in given]
    pairs = [(r, t) for r, t in pairs if r is not None]
    found = pull_back([r for r, _ in pairs], [t for _, t in pairs], probes, traced, lead) if pairs else [None] * len(gs)
    if several:
        moving[record] = tuple(found)
    elif found[0] is not None:
        moving[record] = found[0]
