"""The reverse sweep over recorded history: cotangents flow back and accumulate."""

import os
from operator import attrgetter
from typing import Any

from zkynet import backends
from zkynet.backends.errors import NotDifferentiableError, VJPShapeError

from . import op
from .axes import Shape, size_of, unbroadcast, unbroadcastable
from .operator import missing_rule
from .record import CONTEXT, GUARDS, HOST, WATCHED, Output, Record, Spec, Tensor, output_record, tensor_of, value_of

_by_serial = attrgetter("serial")
_FLOAT64 = HOST.float64
SOURCE = Output(0)  # stands in Records that have no parents


def between(roots, asked, barrier=frozenset()) -> list[Record]:
    """The Records that lie on a way from an asked Record to a root, in the order of their creation.

    No way leads through a Record of ``barrier``.
    """
    low = min(map(_by_serial, asked))
    seen = {r for r in roots if r.serial >= low}
    order = list(seen)
    complete = True  # every way back ends at an asked Record
    for record in order:  # it grows while we go
        source = True
        for p in record.parents if not barrier or record not in barrier else ():
            if p is not None and p.serial >= low:
                source = False
                if p not in seen:
                    seen.add(p)
                    order.append(p)
        if source and record not in asked:
            complete = False
    if GUARDS:
        _check_guards(order)
    order.sort(key=_by_serial)
    if complete:
        return order
    needed = set()
    for record in order:
        if record in asked or (record not in barrier and any(p in needed for p in record.parents)):
            needed.add(record)
    return [record for record in order if record in needed]


def _check_guards(records) -> None:
    """MutationError where a large array of the caller's, which these steps or their inputs read, has changed."""
    for record in {each for r in records for each in (r, *r.parents) if each is not None}:
        for guard in GUARDS.get(record, ()):
            guard.check(f"an input of operator {type(record.operator).__name__}")


def pull_back(
    roots, cotangents, asked, traced: bool, lead: Shape = (), barrier=frozenset(), order=None, careful=False
) -> list:
    """One reverse sweep: the cotangent of each asked Record, None where nothing reaches it.

    ``cotangents`` belong to ``roots``, of shape ``lead + root.shape``. With ``traced`` they and the results are
    Tensors, and the sweep is itself recorded; otherwise all are arrays. ``order``: what ``between`` gives, where that
    is known; ``careful``: a mask stands behind the roots.
    """
    asked_set = set(asked)
    order = between(roots, asked_set, barrier) if order is None else order
    needed = set(order)
    waiting: dict = {}
    for root, g in zip(roots, cotangents, strict=True):
        if root in needed:
            waiting[root] = g if root not in waiting else waiting[root] + g
    found: dict = {}
    _sweep_back(order, waiting, found, needed, asked_set, barrier, traced, lead, careful)
    return [found.get(record) for record in asked]


def _sweep_back(order, waiting, found, needed, asked, barrier, traced, lead, careful):
    """The loop of ``pull_back``: newest first, each step sends its cotangent on to its parents."""
    special = asked | barrier if barrier else asked
    watchers = CONTEXT.get().watchers if WATCHED else ()
    arrived = [watcher.arrived for watcher in watchers if hasattr(watcher, "arrived")] if watchers else ()
    # careful: from the first mask on, what it cut off must stay silent
    plain = not watchers and not careful
    last = c = None  # the newest contribution, not yet in ``waiting``: in a chain it is what comes next
    for record in reversed(order):
        if record is last:
            g, last = c, None
            if waiting and record in waiting:
                g = waiting.pop(record) + g
        else:
            g = waiting.pop(record, None)
            if g is None:
                continue
        if record in special:
            if record in asked:
                found[record] = g
                for tell in arrived:
                    tell(record, g)
            if record in barrier:
                continue
        if not record.parents:  # a leaf
            continue
        operator = record.operator
        quick = operator.plain if plain else None
        if lead and quick is not None and not (operator.batched and (traced or not is_weak(record))):
            quick = None
        if operator.masks:
            careful, plain = True, False
        if quick is None:
            if last is not None:
                _wait(waiting, last, c)
                last = None
            try:
                for parent, c in sent(record, g, waiting, needed, traced, lead, careful):
                    for watcher in watchers:
                        watcher.sent(record, g, parent, c)
                    _wait(waiting, parent, c)
            except Exception as error:
                _note(error, record)
                raise
            continue
        # The most frequent case, written out: an operator whose rules read at most one saved array or shape.
        xp = op if traced else record.xp
        i = 0
        for parent in record.parents:
            if parent is not None and parent in needed:
                if last is not None:
                    _wait(waiting, last, c)
                method, want = quick[i]
                try:
                    if want is None:
                        c = method(operator, xp, g)
                    elif want < 0:
                        c = method(operator, xp, g, _spec(record, ~want))
                    else:
                        c = method(operator, xp, g, traced_argument(record, want) if traced else record.saved[want])
                    form = c.record if traced else c  # of a Tensor the Record tells shape and dtype soonest
                    if (
                        form is None
                        or form.shape != (lead + parent.shape if lead else parent.shape)
                        or (form.dtype is not parent.dtype and (parent.dtype is not None or type(c) is not _FLOAT64))
                        or parent.xp is not record.xp
                    ):
                        c = fitted(c, record, i, parent, traced, lead)
                except Exception as error:
                    _note(error, record)
                    raise
                last = parent
            i += 1


def _note(error, record):
    """Name the step to the error of a rule; NotDifferentiableError where the rule returned no array."""
    kind = type(record.operator).__name__
    if isinstance(error, AttributeError) and error.name in ("shape", "dtype", "record"):
        place = error.__traceback__
        while place.tb_next is not None:
            place = place.tb_next
        if place.tb_frame.f_globals is globals():  # raised here, not in the rule
            raise NotDifferentiableError(
                f"a rule of {kind} returned no array.\n"
                f"  got:      {error.obj!r}\n"
                "  expected: the cotangent of the input, an array of zeros where there is no derivative"
            ) from error
    error.add_note(f"in the gradient of operator {kind}, with an output of shape {record.shape}")


def _wait(waiting, record, c):
    """Keep a contribution until its Record's turn, added to those that wait already."""
    before = waiting.get(record)
    waiting[record] = c if before is None else before + c


def sent(record, g, waiting, needed, traced, lead, careful=False):
    """One step of the sweep in full, for any operator: (parent, contribution) for each parent that is needed."""
    operator = record.operator
    if type(operator) is Output:
        if record.parents:
            _into_slot(waiting, record, g)
        return []
    contributions = []
    joint = None
    if operator.joint:
        joint = _joint(record, g, needed, traced, lead)
    elif operator.together is not None and not traced and not lead:
        wanted = [p is not None and p in needed for p in record.parents]
        joint = operator.together(record.xp, g, wanted, *record.saved)
    for i, parent in enumerate(record.parents):
        if parent is None or parent not in needed:
            continue
        c = contribution(record, i, g, traced, lead) if joint is None else joint[i]
        if c is None and joint is not None:  # a custom rule's way to say that there is none
            continue
        if careful and operator.elementwise:
            c = (op if traced else backends.backend_of(c)).silence(g, c)
        if c.shape != lead + parent.shape or c.dtype is not parent.dtype or parent.xp is not record.xp:
            c = fitted(c, record, i, parent, traced, lead)
        contributions.append((parent, c))
    return contributions


def steps_back(root, cotangent, order, lead: Shape = ()):
    """The sweep of ``pull_back`` on arrays, one step at a time: (record, its cotangent, [(parent, contribution), ...]).

    ``order`` holds the Records to visit, oldest first.
    """
    needed = set(order)
    waiting: dict = {root: cotangent}
    watchers = CONTEXT.get().watchers if WATCHED else ()
    careful = False
    for record in reversed(order):
        g = waiting.pop(record, None)
        if g is None:
            continue
        careful = careful or record.operator.masks
        contributions = sent(record, g, waiting, needed, False, lead, careful)
        for parent, c in contributions:
            for watcher in watchers:
                watcher.sent(record, g, parent, c)
            _wait(waiting, parent, c)
        yield record, g, contributions


def everything(roots) -> list[Record]:
    """All Records that lead to ``roots``, in the order of their creation."""
    order = list(dict.fromkeys(roots))
    seen = set(order)
    for record in order:  # it grows while we go
        for p in record.parents:
            if p is not None and p not in seen:
                seen.add(p)
                order.append(p)
    order.sort(key=_by_serial)
    return order


def _into_slot(waiting, record, g):
    """The cotangent of one output of an operator with several."""
    main = record.parents[0]
    slots = list(waiting.get(main) or [None] * len(main.shape))
    i = record.operator.index
    slots[i] = g if slots[i] is None else slots[i] + g
    waiting[main] = slots


def contribution(record, i, g, traced, lead):
    """What the rule for input ``i`` gives for the cotangent ``g``."""
    operator = record.operator
    plan = operator.plan
    rule = plan.vjp[0 if plan.variadic else i]
    if rule is None:
        raise missing_rule(operator, i)
    if operator.outputs > 1:
        g = tuple(_zeros(record, k, traced, lead) if part is None else part for k, part in enumerate(g))
    if lead and not operator.batched:
        return _looped(record, i, rule, g, traced, lead)
    return call_rule(rule, record, i, g, traced)


def _joint(record, g, needed, traced, lead):
    """The cotangents of all inputs of an operator that gives them together, for one cotangent after the other."""
    if not lead:
        return joint_cotangents(record, g, needed, traced)
    xp = op if traced else backends.backend_of(g[0] if isinstance(g, list) else g)
    n = size_of(lead)

    def row(part, k):
        return None if part is None else xp.reshape(part, (n,) + tuple(part.shape[len(lead) :]))[k, ...]

    rows = []
    for k in range(n):
        rows.append(
            joint_cotangents(record, [row(p, k) for p in g] if isinstance(g, list) else row(g, k), needed, traced)
        )
    whole: list = []
    for i, parent in enumerate(record.parents):
        parts = [r[i] for r in rows]
        if parent is None or not parts or all(p is None for p in parts):
            whole.append(None)
            continue
        pieces = [fitted(p, record, i, parent, traced, ()) for p in parts]
        whole.append(xp.reshape(xp.stack(pieces), lead + parent.shape))
    return whole


def joint_cotangents(record, g, needed, traced):
    def wrap(part):
        return part if part is None or traced else tensor_of(part)

    operator, n = record.operator, len(record.parents)
    wanted = [p is not None and p in needed for p in record.parents]
    arrays = [
        (_tensor(v, p) if traced else tensor_of(v)) for v, p in zip(record.saved[:n], record.parents, strict=False)
    ]
    y = _tensor(record.saved[n], record if traced else None) if len(record.saved) > n else None
    g = tuple(wrap(part) for part in g) if isinstance(g, list) else wrap(g)
    return [c if traced else value_of(c) for c in operator.vjp(g, y, arrays, wanted, traced)]


def call_rule(rule, record, i, g, traced):
    operator, saved, wants = record.operator, record.saved, rule.wants
    if traced:
        arguments = [traced_argument(record, w) for w in wants]
        xp = op
    else:
        xp = record.xp if not is_weak(record) or not wants else _home(record, g)
        if record.operator.plan.variadic:
            arguments = [_raw_variadic(record, w) for w in wants]
        elif len(wants) == 1 and wants[0] >= 0:
            return rule.method(operator, xp, g, saved[wants[0]])
        else:
            arguments = [saved[w] if w >= 0 else _spec(record, ~w) for w in wants]
    if operator.plan.variadic:
        return rule.method(operator, xp, g, i, *arguments)
    return rule.method(operator, xp, g, *arguments)


def _home(record, g):
    """Where to run the rule of a Python number's step: with the array that comes back, if that has no values yet."""
    return backends.backend_of(g) if type(g) is not _FLOAT64 else record.xp


def _spec(record, place):
    """The shape and dtype of input ``place``, or of the output behind the last input."""
    if place == len(record.parents):
        if record.operator.outputs > 1:
            return tuple(Spec(s, d) for s, d in zip(record.shape, record.dtype, strict=True))
        return record
    return record.parents[place] or record.saved[place]


def _raw_variadic(record, want):
    saved, n = record.saved, len(record.parents)
    if want == 0:
        return saved[:n]
    if want == ~0:
        return [record.parents[k] or saved[k] for k in range(n)]
    return saved[n] if want > 0 else _spec(record, n)


def traced_argument(record, want):
    """What a rule asks for, as Tensors that know where they come from."""
    parents, saved = record.parents, record.saved
    n = len(parents)
    if record.operator.plan.variadic:
        if want == 0:
            lent = GUARDS and record in GUARDS
            return [v if lent and p is None else _tensor(v, p) for v, p in zip(saved[:n], parents, strict=True)]
        if want == ~0:
            return _raw_variadic(record, want)
        want = n if want > 0 else ~n
    if want < 0:
        return _spec(record, ~want)
    if want < n:
        if GUARDS and parents[want] is None and record in GUARDS:
            return saved[want]  # a lent array as it is, so that what is recorded now gets a guard of its own
        return _tensor(saved[want], parents[want])
    if record.operator.outputs > 1:
        return tuple(tensor_of(v, output_record(record, k)) for k, v in enumerate(saved[n]))
    return _tensor(saved[n], record)


def _tensor(value, record):
    # A Python number's step saved NumPy scalars; as a Tensor it is a number again.
    if record is not None and is_weak(record) and type(value) is not Tensor:
        value = value.item() if getattr(value, "shape", None) == () and HOST.is_host_scalar(value) else value
    return tensor_of(value, record)


def _zeros(record, k, traced, lead):
    zeros = record.xp.zeros(lead + record.shape[k], dtype=record.dtype[k])
    return tensor_of(zeros) if traced else zeros


def _looped(record, i, rule, g, traced, lead):
    """A rule that takes no leading axes, called for one cotangent after the other."""
    xp = op if traced else record.xp
    n = size_of(lead)
    parent = record.parents[i]

    def flat(part):
        return xp.reshape(part, (n,) + tuple(part.shape[len(lead) :]))

    parts = tuple(flat(part) for part in g) if isinstance(g, tuple) else flat(g)
    pieces = []
    for k in range(n):
        one = tuple(part[k, ...] for part in parts) if isinstance(g, tuple) else parts[k, ...]
        c = call_rule(rule, record, i, one, traced)
        if c.shape != parent.shape or c.dtype is not parent.dtype or parent.xp is not record.xp:
            c = fitted(c, record, i, parent, traced, ())
        pieces.append(c)
    if not pieces:
        zeros = record.xp.zeros(lead + parent.shape, dtype=parent.dtype or record.xp.float64)
        return tensor_of(zeros) if traced else zeros
    return xp.reshape(xp.stack(pieces), lead + parent.shape)


def fitted(c, record, i, parent, traced, lead):
    """A contribution in its parent's shape and dtype, summed down where the operator broadcasts."""
    operator = record.operator
    xp = op if traced else backends.backend_of(c)
    shape = lead + parent.shape
    if tuple(c.shape) != shape:
        if not operator.broadcasts or not unbroadcastable(tuple(c.shape), lead, parent.shape):
            raise _wrong_shape(operator, i, c, lead, parent)
        c = unbroadcast(xp, c, len(lead), parent.shape)
    return _cast(xp, c, parent, traced)


def _cast(xp, c, parent, traced):
    """``c`` in the dtype of its parent, and at home there: the real part where that is real."""
    if is_weak(parent):
        return _weak(xp, c, parent.dtype is complex, traced)
    home = parent.xp
    if not traced and xp is not home and not xp.is_traced(c):
        c = home.asarray(xp.to_numpy(c))
        xp = home
    if c.dtype == parent.dtype:
        return c
    if xp.is_complex(c.dtype) and not xp.is_complex(parent.dtype):
        c = xp.real(c)
    return xp.astype(c, parent.dtype) if c.dtype != parent.dtype else c


def is_weak(record) -> bool:
    """Whether a Record is a Python number's, float or complex."""
    return record.dtype is None or record.dtype is complex


def _weak(xp, c, is_complex, traced):
    """The cotangent of a Python number: double precision on the host, unless it has no value yet or is batched."""
    if xp.is_complex(c.dtype) and not is_complex:
        c = xp.real(c)
    if traced:
        return c + 0j if is_complex and not xp.is_complex(c.dtype) else c
    if xp.is_traced(c):
        return c
    if c.shape == ():
        return HOST.complex128(xp.item(c)) if is_complex else HOST.float64(xp.item(c))
    if not xp.is_host:  # where the values are that a batched one meets next
        c, xp = HOST.asarray(xp.to_numpy(c)), HOST
    return xp.astype(c, xp.complex128 if is_complex else xp.float64)


def _wrong_shape(operator, i, c, lead, parent):
    name = operator.plan.inputs[0 if operator.plan.variadic else i]
    kind = type(operator).__name__
    hint = "" if operator.broadcasts else "\nIf the operator broadcasts its inputs, set broadcasts = True."
    return VJPShapeError(
        f"{kind}.vjp_{name} returned a cotangent of the wrong shape.\n"
        f"  got:      {tuple(c.shape)}\n"
        f"  expected: {lead + parent.shape} = {lead} leading + {parent.shape} input {name}{hint}"
    )


def memory_limit() -> int:
    """The number of bytes that a Jacobian may take: a quarter of the machine's memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
    except (ValueError, OSError, AttributeError):
        return 4 << 30


def seed(record: Record, number: float = 1.0) -> Any:
    """A cotangent of ones for a Record's output."""
    if is_weak(record):
        return HOST.float64(number) if record.dtype is None else HOST.complex128(number)
    if record.shape == ():
        return record.xp.number(number, record.dtype)
    return record.xp.full(record.shape, number, dtype=record.dtype)
