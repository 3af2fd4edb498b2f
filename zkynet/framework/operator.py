"""Operators: the atoms of every graph, and what families of them share."""

import inspect
from typing import Any, NamedTuple

from zkynet.backends.errors import NotDifferentiableError

from .axes import lead_shape
from .function import Function
from .record import apply

SPELLINGS: list = []  # what turns a class in one of the older spellings into one of ours; see framework/__init__.py


class Rule(NamedTuple):
    """A rule method, and what it names behind ``g``: a position in ``Record.saved``, or ``~position`` for its spec."""

    method: Any
    wants: tuple[int, ...]


def parameters_of(method) -> tuple[list[str], bool, bool]:
    """The parameters' names, whether ``*name`` is one of them, and whether all are positional and without a default.

    Of a plain function its code tells them, in a fiftieth of the time of ``inspect``: there are hundreds of them.
    """
    code: Any = getattr(method, "__code__", None)
    plain = code is not None and not method.__dict__ and not method.__defaults__
    if plain and not code.co_kwonlyargcount and not code.co_flags & inspect.CO_VARKEYWORDS:
        star = bool(code.co_flags & inspect.CO_VARARGS)
        return list(code.co_varnames[: code.co_argcount + star]), star, True
    found = list(inspect.signature(method).parameters.values())
    star = any(p.kind is p.VAR_POSITIONAL for p in found)
    inputs = found[2:]
    positional = all(p.default is p.empty and p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in inputs)
    return [p.name for p in found], star, positional


class Plan:
    """What the signatures of an Operator's methods say: its inputs, its rules, and what each rule keeps."""

    def __init__(self, cls):
        self.joint = cls.joint
        names, self.variadic, positional = parameters_of(cls.forward)
        self.inputs = tuple(names[2:])
        if not positional:
            raise TypeError(f"{cls.__name__}.forward: inputs have no defaults and no keywords; settings go to __init__")
        if self.variadic and len(self.inputs) != 1:
            raise TypeError(f"{cls.__name__}.forward: a variadic input (*{names[-1]}) must stand alone")
        self.vjp = tuple(self._rule(cls, "vjp_" + name) for name in self.inputs)
        self.jvp = tuple(self._rule(cls, "jvp_" + name) for name in self.inputs)
        self._promoted = None if cls.promotes is None else tuple(self.inputs.index(n) for n in cls.promotes)
        self._promotes = cls.promotion is not None
        self._kept: dict = {}
        self.quick = self._quick(cls)
        self.plain = self._plain(cls)
        self.pushed = self._pushed(cls)

    def _rule(self, cls, name) -> Rule | None:
        method = getattr(cls, name, None)
        if method is None:
            return None
        parameters = parameters_of(method)[0][3 + self.variadic :]
        return Rule(method, tuple([self._want(cls, name, p) for p in parameters]))

    def _want(self, cls, rule, name) -> int:
        places = {n: i for i, n in enumerate(self.inputs)} | {"y": len(self.inputs)}
        if name in places:
            return places[name]
        if name.endswith("_spec") and name[:-5] in places:
            return ~places[name[:-5]]
        known = ", ".join(f"{n}, {n}_spec" for n in places)
        raise TypeError(f"{cls.__name__}.{rule} names {name!r}; behind xp and the cotangent it may name: {known}")

    def _quick(self, cls) -> tuple | None:
        """What ``unary`` and ``binary`` keep: flags for the inputs and the output, by which inputs are tracked."""
        n = len(self.inputs)
        if not cls.elementwise or not cls.differentiable or self.joint or self.variadic or n > 2:
            return (None,) * 4
        masks = [tuple(bool(mask & (1 << i)) for i in range(n)) for mask in range(1 << n)]
        return tuple(None if not any(m) else tuple(code is True for code in self._keep(m)) for m in masks)

    def _plain(self, cls) -> tuple | None:
        """A pair (rule, what it reads as in Rule or None) an input, where every rule reads at most one thing."""
        if self.joint or self.variadic or cls.outputs > 1:
            return None
        simple = [r is not None and len(r.wants) <= 1 for r in self.vjp]
        return tuple((r.method, r.wants[0] if r.wants else None) for r in self.vjp) if all(simple) else None

    def _pushed(self, cls) -> tuple | None:
        """The same for tangents, where what moves them is a VJP rule of an entrywise operator, or ``forward``."""
        if self.joint or self.variadic or cls.outputs > 1 or any(r is not None for r in self.jvp):
            return None
        if cls.linear:
            return ((cls.forward, None),)
        arrays = self.plain is not None and all(want is None or want >= 0 for _, want in self.plain)
        return self.plain if cls.elementwise and arrays else None

    def rule(self, kind: tuple, i: int) -> Rule | None:
        """The rule for input ``i``, of the VJPs or of the JVPs."""
        return kind[0] if self.variadic else kind[i]

    def promoted(self, count: int) -> tuple[int, ...]:
        """The positions of the inputs that are brought to one dtype."""
        if not self._promotes:
            return ()
        return tuple(range(count)) if self._promoted is None else self._promoted

    def keep(self, parents) -> tuple:
        """For each input, and for the output: True (kept), "spec" or None, given which inputs are tracked."""
        key = tuple([p is not None for p in parents])
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._keep(key)
        return found

    def _keep(self, tracked: tuple[bool, ...]) -> tuple:
        if self.joint:
            return (True,) * (len(tracked) + 1)
        wants: set[int] = set()
        for i, live in enumerate(tracked):
            for kind in (self.vjp, self.jvp):
                rule = self.rule(kind, i)
                if live and rule is not None:
                    wants.update(rule.wants)
        n = len(self.inputs)
        codes = [True if i in wants else "spec" if ~i in wants else None for i in range(n + 1)]
        if self.variadic:
            codes = [codes[0]] * len(tracked) + [codes[1]]
        # The spec of a tracked input, and of the output, stands in a Record already.
        return tuple(
            None if code == "spec" and (i == len(tracked) or tracked[i]) else code for i, code in enumerate(codes)
        )


class Operator(Function):
    """A pure function of arrays, with one vector-Jacobian product an input.

    ``forward(self, xp, a, b)`` computes the output. ``vjp_a(self, xp, g, ...)`` returns the cotangent of input ``a``:
    for ``g`` of shape ``lead + y.shape`` an array of shape ``lead + a.shape``. Behind ``g`` it names what it reads:
    inputs, the output ``y``, or ``a_spec`` and ``y_spec`` (shape and dtype alone). Nothing else is kept for it.
    ``jvp_a(self, xp, t, ...)``, of the same form, is the part of the output's tangent that comes from the tangent ``t``
    of ``a``; leave it out where the rules below give it, or for the slower general construction.
    ``diagonal_a(self, xp, g, ...)``, naming what ``vjp_a`` names, is its like for a ``diagonal.Diagonal`` in place of
    many cotangents ``g``: full Jacobians begin with one. It may return None, and is never needed.

    With ``forward(self, xp, *arrays)`` there is one rule, ``vjp_arrays(self, xp, g, i, ...)``, for input number ``i``.
    """

    broadcasts = False  # True: a cotangent may come back in the output's shape, the engine sums it down
    elementwise = False
    right_aligned = False  # tangents get axes of size 1, so that their leading axes stand before the output's rank
    linear = False  # linear in its one input, with a forward that counts axes from the right: it is its own JVP
    multilinear = False  # linear in each input, the others fixed
    batched = True  # False: rules take only an ordinary cotangent, and the engine loops over leading axes
    differentiable = True  # False: takes tracked values, sends no cotangent
    nondifferentiable: tuple[str, ...] = ()  # inputs without a derivative: indices, conditions
    masks = False  # its rule sends exact zeros, behind which nothing may be heard
    exact = False  # Python floats may be computed on as they are: as in NumPy, and never an exception
    makes_view = False  # the output may share memory with an input
    joint = False  # one method vjp(g, y, arrays, wanted, traced) gives all cotangents, Tensors in and out
    # A method together(xp, g, wanted, *inputs, y) that gives all cotangents in one go, beside rules that share work. It
    # runs for an ordinary cotangent of arrays alone; inputs and y are None where no rule that may run names them, and
    # so are parts of g, of several outputs, that nothing reached.
    together: Any = None
    outputs = 1
    # "common" dtype; "inexact": at least floating point, as NumPy's exp (int8 becomes float16); "floating": the same
    # with float64 for every integer, as NumPy's divide; None: dtypes as they are
    promotion: str | None = "common"
    promotes: tuple[str, ...] | None = None  # the inputs promotion speaks of: all of them

    plan: Plan
    plain: tuple | None = None  # what the reverse sweep needs of a plain rule, see Plan
    pushed: tuple | None = None  # the same for the forward sweep

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for spell in SPELLINGS:
            spell(cls)
        cls.plan = Plan(cls)
        cls.plain, cls.pushed = cls.plan.plain, cls.plan.pushed

    def __call__(self, *inputs):
        return apply(self, *inputs)

    def forward(self, xp, *inputs):
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(self, xp, ...)")

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({settings})"


class Elementwise(Operator):
    """y = f(x, ...) entry by entry: the Jacobian is diagonal, so a VJP rule is a JVP rule too."""

    broadcasts = True
    elementwise = True
    right_aligned = True


class Leaf(Elementwise):
    """Where differentiation ends: an input of a transform or of a call. To what is outside it is the identity.

    ``ref`` is what stands there: a Parameter or Variable of a Module's call.
    """

    def __init__(self, ref=None):
        self.ref = ref

    def forward(self, xp, x):
        return x

    def vjp_x(self, xp, g):
        return g


class Undifferentiable(Elementwise):
    """Entry by entry, without a derivative: comparisons, rounding, predicates."""

    differentiable = False


def missing_rule(operator, i: int) -> NotDifferentiableError:
    """The error for an input that has no rule."""
    kind, name = type(operator).__name__, operator.plan.inputs[0 if operator.plan.variadic else i]
    return NotDifferentiableError(
        f"{kind} has no vector-Jacobian product for its input {name!r}.\n"
        f"  expected: a method {kind}.vjp_{name}(self, xp, g, ...)\n"
        f"Write it, compute {name!r} from other operators, or pass zk.stop_gradient({name}) to hold it constant."
    )


__all__ = ["Elementwise", "Operator", "Undifferentiable", "lead_shape", "missing_rule"]
