"""``apply`` for entrywise operators of one or two inputs: the quick way, for the arrays and numbers met most often.

Eager differentiation pays for every operator in Python, so these two functions write out what ``apply`` does in
general: floating-point arrays of one dtype, and Python floats. Whatever is not as plain goes to ``apply``.
"""

from collections.abc import Callable
from typing import Any

from zkynet.backends import BACKEND_BY_TYPE

from .record import (
    _FLOAT64,
    CONTEXT,
    FLOATING,
    HOST,
    WATCHED,
    Record,
    Tensor,
    _record,
    _serials,
    apply,
    explain,
    operand,
)

_new = object.__new__
_ARRAY = type(HOST.zeros(()))
_context = CONTEXT.get


def binary(operator, doc: str) -> Callable[[Any, Any], Tensor]:
    """The function ``f(a, b)`` that applies an entrywise operator."""
    forward, quick, exact = operator.forward, operator.plan.quick, operator.exact

    def function(a, b):
        if WATCHED:
            return apply(operator, a, b)
        if type(a) is Tensor:
            va = a._value
            ra = a.record
        elif type(a) is float:
            va = a
            ra = None
        else:
            va, ra = operand(a)
        if type(b) is Tensor:
            vb = b._value
            rb = b.record
        elif type(b) is float:
            vb = b
            rb = None
        else:
            vb, rb = operand(b)
        ka = type(va)
        kb = type(vb)
        if kb is float or kb is int:
            if ka is float:
                if kb is int:
                    return apply(operator, a, b)
                values = (va, vb) if exact else (_FLOAT64(va), _FLOAT64(vb))
                return _numbers(operator, values, (ra, rb), quick)
            if ra is not None and ka is not complex and ra.dtype is not None and ra.dtype is not complex:
                xp = ra.xp  # what is tracked is floating point
            else:
                xp = BACKEND_BY_TYPE.get(ka)
                if xp is None or va.dtype not in xp.real_dtypes:
                    return apply(operator, a, b)
            vb = xp.number(vb, va.dtype)
        elif ka is float or ka is int:
            xp = BACKEND_BY_TYPE.get(kb)
            if xp is None or (rb is None and vb.dtype not in xp.real_dtypes):
                return apply(operator, a, b)
            va = xp.number(va, vb.dtype)
        else:
            xp = BACKEND_BY_TYPE.get(ka)
            if xp is None or ka is not kb or va.dtype is not vb.dtype or va.dtype not in xp.real_dtypes:
                return apply(operator, a, b)
        try:
            y = forward(xp, va, vb)
        except Exception as error:
            raise explain(error, operator, (va, vb)) from None
        result = _new(Tensor)
        result._value = y
        if (ra is None and rb is None) or not _context().recording:
            result.record = None
            return result
        if va is a or vb is b:  # the caller's own array, which has to be borrowed
            result.record = _record(operator, (a, b), (va, vb), (ra, rb), y, y.shape, y.dtype, xp)
            return result
        keep_a, keep_b, keep_y = quick[(ra is not None) + 2 * (rb is not None)]
        # Record(...), written out: it takes half the time.
        result.record = record = _new(Record)
        record.operator = operator
        record.parents = (ra, rb)
        record.saved = (va if keep_a else None, vb if keep_b else None, y if keep_y else None)
        record.shape = y.shape
        record.dtype = y.dtype
        record.xp = xp
        record.serial = next(_serials)
        return result

    return _named(function, operator, doc)


def unary(operator, doc: str) -> Callable[[Any], Tensor]:
    """The function ``f(x)`` that applies an entrywise operator."""
    forward, quick = operator.forward, operator.plan.quick[1]
    inexact = operator.promotion in FLOATING

    def function(x):
        if type(x) is not Tensor or WATCHED:
            return apply(operator, x)
        value, parent = x._value, x.record
        kind = type(value)
        if kind is float:
            return _number(operator, value, parent)
        xp = BACKEND_BY_TYPE.get(kind)
        if xp is None or (value.dtype not in xp.real_dtypes if inexact else value.dtype is None):
            return apply(operator, x)
        try:
            y = forward(xp, value)
        except Exception as error:
            raise explain(error, operator, (value,)) from None
        result = _new(Tensor)
        result._value = y
        if parent is None or not _context().recording:
            result.record = None
            return result
        keep_x, keep_y = quick
        result.record = record = _new(Record)
        record.operator = operator
        record.parents = (parent,)
        record.saved = (value if keep_x else None, y if keep_y else None)
        record.shape = y.shape
        record.dtype = y.dtype
        record.xp = xp
        record.serial = next(_serials)
        return result

    return _named(function, operator, doc)


def _numbers(operator, values, parents, quick):
    """An entrywise operator on two Python floats: computed in NumPy's double precision, and a float again."""
    a, b = values
    try:
        y = operator.forward(HOST, a, b)
    except Exception as error:
        raise explain(error, operator, values) from None
    result = _new(Tensor)
    result.record = None
    if type(y) is _ARRAY:
        y = y[()]  # np.where makes 0-d arrays
    if type(y) is float:
        result._value = y
    elif type(y) is _FLOAT64:
        result._value = float(y)
    else:
        result._value = y.item()
        return result
    ra, rb = parents
    keep = quick[(ra is not None) + 2 * (rb is not None)]
    if keep is not None and _context().recording:
        keep_a, keep_b, keep_y = keep
        saved = (a if keep_a else None, b if keep_b else None, y if keep_y else None)
        result.record = Record(operator, parents, saved, (), None, HOST)
    return result


def _number(operator, value, parent):
    """An entrywise operator on one Python float: computed in NumPy's double precision, and a float again."""
    x = _FLOAT64(value)
    try:
        y = operator.forward(HOST, x)
    except Exception as error:
        raise explain(error, operator, (value,)) from None
    result = _new(Tensor)
    result.record = None
    if type(y) is _ARRAY:
        y = y[()]  # np.where makes 0-d arrays
    if type(y) is not _FLOAT64:
        result._value = y.item()
        return result
    result._value = float(y)
    keep = operator.plan.quick[1]
    if parent is not None and keep is not None and _context().recording:
        saved = (x if keep[0] else None, y if keep[1] else None)
        result.record = Record(operator, (parent,), saved, (), None, HOST)
    return result


def _named(function, operator, doc):
    function.__name__ = function.__qualname__ = operator.functional_name
    function.__doc__ = doc
    return function
