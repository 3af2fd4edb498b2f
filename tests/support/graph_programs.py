"""Programs of array functions for tests of graph mode: written by hand, or drawn at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from zkynet import backends
from zkynet.framework.graph_mode.program import Program, Step, Value, function_of, map_values

NUMPY = backends.get("numpy")
SPECIAL = (0.0, -0.0, -0.0, 1.0, -1.0, float("nan"), float("inf"), -float("inf"), 0.5, 1e-310, 3.0)
NUMBERS = (0, 1, 1.0, 0.0, 0.0, -0.0, -0.0, True, 2, 0.5)


class Writer:
    """Writes a program down while it computes each step, as a recording does."""

    def __init__(self, xp: Any = NUMPY):
        self.xp = xp
        self.held: dict[Value, Any] = {}
        self.inputs: list[Value] = []
        self.constants: dict[Value, Any] = {}
        self.steps: list[Step] = []

    def _value(self, array: Any) -> Value:
        value = Value(len(self.held), tuple(array.shape), array.dtype)
        self.held[value] = array
        return value

    def input(self, array: Any) -> Value:
        """The Value of an input; NumPy arrays keep their strides on NumPy."""
        value = self._value(self.xp.asarray(array))
        self.inputs.append(value)
        return value

    def constant(self, array: Any, dtype: Any = None) -> Value:
        array = self.xp.asarray(array, dtype=dtype)
        value = self._value(array)
        self.constants[value] = array
        return value

    def __call__(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """One step; its outputs."""
        held = self.held.__getitem__
        with self.xp.errstate():
            made = function_of(self.xp, name)(*map_values(held, args), **map_values(held, kwargs))
        outputs = self._outputs(made)
        self.steps.append(Step(name, args, kwargs, outputs))
        return outputs

    def _outputs(self, made: Any) -> Any:
        if isinstance(made, (tuple, list)):
            return tuple([self._outputs(each) for each in made])
        return self._value(made)

    def program(self, *outputs: Value) -> Program:
        return Program(self.xp, self.inputs, self.steps, outputs, self.constants)

    @property
    def arrays(self) -> list[Any]:
        """What the inputs were while it was written."""
        return [self.held[value] for value in self.inputs]


def run(program: Program, arrays: list[Any]) -> list[Any]:
    with program.xp.errstate():
        return program(*arrays)


def difference(xp: Any, a: Any, b: Any, bound: float = 0.0) -> str | None:
    """What tells two arrays apart, in words; None where nothing does. NaN is NaN, 0.0 is not -0.0.

    ``bound``: how much entries of a floating dtype may differ, relative to the largest.
    """
    if a.dtype != b.dtype or tuple(a.shape) != tuple(b.shape):
        return f"{a.dtype}{tuple(a.shape)} became {b.dtype}{tuple(b.shape)}"
    a, b = xp.to_numpy(a), xp.to_numpy(b)
    if a.dtype.kind not in "fc":
        return None if (a == b).all() else f"{a} became {b}"
    nan = np.isnan(a) & np.isnan(b)
    if bound:
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            close = nan | (a == b) | (np.abs(a - b) <= bound * np.max(np.abs(a), initial=0, where=np.isfinite(a)))
        return None if close.all() else f"{a[~close]} became {b[~close]}"
    parts = [(a.real, b.real), (a.imag, b.imag)] if a.dtype.kind == "c" else [(a, b)]
    same = np.logical_and.reduce(
        [((x == y) & (np.signbit(x) == np.signbit(y))) | np.isnan(x) & np.isnan(y) for x, y in parts]
    )
    return None if same.all() else f"{a[~same]} became {b[~same]}"


def written(program: Program) -> str:
    """The program in full: what a pass must not change."""
    return repr(program) + repr(sorted(value.index for value in program.constants))


def complaint(
    program: Program, arrays: list[Any], rewrite: Callable[[Program], Program], bound: float = 0.0
) -> str | None:
    """Why ``rewrite`` is wrong for this program and these inputs; None where it is right."""
    before = written(program)
    wanted = run(program, arrays)
    after = rewrite(program)
    if written(program) != before:
        return "the program that was given has changed"
    if after.inputs != program.inputs or len(after.outputs) != len(program.outputs):
        return "other inputs or outputs"
    try:
        got = run(after, arrays)
    except Exception as error:
        return f"raised {error!r}\n{program}\n\n{after}"
    for value, a, b in zip(program.outputs, wanted, got, strict=True):
        found = difference(program.xp, a, b, bound)
        if found:
            return f"{value!r}: {found}\n{program}\n\n{after}"
    return None


# ---- random programs ----

_UNARY = ("negative", "abs", "exp", "tanh", "sqrt", "square", "floor", "sign", "positive", "relu", "sigmoid", "isnan")
_UNARY += ("logical_not", "bitwise_invert", "negative", "abs", "zeros_like", "ones_like", "conj", "real")
_BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "multiply_no_nan", "pow", "less", "silence")
_REDUCTIONS = ("sum", "mean", "max", "min", "prod", "any", "all")
_LENGTHS = (2, 3, 12, 40, 130)
_ENTRIES, _WORK = 20_000, 300_000  # of an input, of a step: at most


class Drawer:
    """Draws a program: steps on what there is, the latest first; a step that raises is not written down.

    ``tame``: numbers near 1 and functions that keep them there, for bounds on rounding. ``signs``: arithmetic alone, of
    negations, sums, products, factors and placements, as a gradient has them.
    """

    def __init__(
        self,
        seed: int,
        xp: Any = NUMPY,
        tame: bool = False,
        lengths: tuple[int, ...] = _LENGTHS,
        signs: bool = False,
    ):
        self.draw = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.write, self.xp, self.tame, self.signs = Writer(xp), xp, tame, signs
        one = () if tame else (1,)
        self.lengths = (*one, *self.draw.sample(lengths, 2))  # few, so that shapes go together
        self.values: list[Value] = []

    def program(self, steps: int) -> tuple[Program, list[Any]]:
        """A program of about so many steps, and arrays for its inputs."""
        for _ in range(self.draw.randint(1, 4)):
            self.values.append(self.write.input(self.array()))
        kinds = (self.product, self.unary, self.move, self.binary) if self.tame else self.kinds
        if self.signs:
            kinds = (self.negation, self.negation, self.arithmetic, self.arithmetic, self.factor, self.placed)
        for _ in range(steps):
            count = len(self.write.steps)
            try:
                made = self.draw.choice(kinds)()
            except Exception:  # dtypes or shapes that do not go together: another step
                del self.write.steps[count:]
                continue
            self.values.extend([made] if type(made) is Value else made)
        outputs = self.draw.sample(self.values, min(len(self.values), self.draw.choice((1, 4, 40))))
        return self.write.program(self.values[-1], *outputs), self.write.arrays

    @property
    def kinds(self) -> tuple[Callable, ...]:
        often = (self.with_number, self.again, self.move, self.reduce)
        others = (self.unary, self.binary, self.choose, self.create, self.product, self.index, self.repeated)
        return (*often, *often, self.with_number, self.again, *others)

    def array(self) -> Any:
        """An array of any dtype, also one that lies in memory with gaps or in another order."""
        shape = [self.draw.choice(self.lengths) for _ in range(self.draw.randint(2 if self.tame else 0, 3))]
        while np.prod(shape) > _ENTRIES:
            shape.pop()
        x = self.numbers.standard_normal(shape)
        if self.tame:
            return np.tanh(x)
        if shape and self.draw.random() < 0.7:
            x = np.where(self.numbers.random(shape) < 0.3, self.numbers.choice(SPECIAL, shape), x)
        kind = self.draw.choice(("float64", "float64", "float64", "float32", "int64", "bool"))
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            whole = kind in ("int64", "bool")
            x = np.asarray(np.nan_to_num(x, posinf=9, neginf=-9) * 3 if whole else x).astype(kind)
        if self.xp.is_host and x.ndim and self.draw.random() < 0.4:
            x = self.draw.choice(
                (np.asfortranarray(x), x[::-1], np.repeat(x, 2, -1)[..., ::2], np.broadcast_to(x, x.shape))
            )
        return x

    def pick(self) -> Value:
        recent = self.values[-4:] if self.draw.random() < 0.6 else self.values
        return self.draw.choice(recent)

    def step(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """One step, unless it takes long."""
        shapes = [arg.shape for arg in args if type(arg) is Value]
        if name == "matmul":
            work = (
                np.prod(np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2])) * np.prod(shapes[0][-2:]) * shapes[1][-1]
            )
        else:
            work = np.prod(np.broadcast_shapes(*shapes))
        if work > _WORK:
            raise ValueError("too much for a test")
        return self.write(name, *args, **kwargs)

    def unary(self) -> Any:
        return self.step("tanh" if self.tame else self.draw.choice(_UNARY), self.pick())

    def again(self) -> Any:
        """What the last step did, once more: to its result, or to the same."""
        last = self.draw.choice(self.write.steps[-5:])
        if self.draw.random() < 0.5:
            return self.varied(last)
        if self.draw.random() < 0.5 and type(last.outputs) is Value:
            return self.step(last.function, last.outputs, *last.args[1:], **last.kwargs)
        return self.step(last.function, *last.args, **last.kwargs)

    def varied(self, step: Step) -> Any:
        """The same call but for a number or an axis."""
        numbers = [i for i, arg in enumerate(step.args) if type(arg) in (int, float)]
        args, kwargs = list(step.args), dict(step.kwargs)
        if numbers:
            i = self.draw.choice(numbers)
            args[i] = self.draw.choice((-args[i], *NUMBERS))
        elif "axis" in kwargs:
            kwargs["axis"] = self.draw.choice((0, 1, -1))
        return self.step(step.function, *args, **kwargs)

    def with_number(self) -> Any:
        """An operation with a Python number, a constant or an array that is filled with it."""
        x, number = self.pick(), self.draw.choice(NUMBERS)
        form = self.draw.choice((0, 0, 0, 1, 2, 3, 4))
        if form == 1:
            number = self.write.constant(number, x.dtype)
        elif form == 2:
            number = self.step("full", x.shape[self.draw.randint(0, len(x.shape)) :], number, dtype=x.dtype)
        elif form == 3:
            number = self.write.constant(np.full(x.shape, number), x.dtype)
        elif form == 4:
            number = self.write.constant(np.resize([number, self.draw.choice(NUMBERS)], x.shape), x.dtype)
        args = (x, number) if self.draw.random() < 0.7 else (number, x)
        return self.step(self.draw.choice(_BINARY[:8]), *args)

    def binary(self) -> Any:
        return self.step(self.draw.choice(("add", "multiply") if self.tame else _BINARY), self.pick(), self.pick())

    def reduce(self) -> Any:
        x = self.pick()
        axes = self.draw.sample(range(-len(x.shape), 0), self.draw.randint(0, len(x.shape)))
        return self.step(self.draw.choice(_REDUCTIONS), x, axis=tuple(axes) or None, keepdims=self.draw.random() < 0.5)

    def move(self) -> Any:
        """Entries in other places or another shape."""
        x = self.pick()
        n = len(x.shape)
        axis = self.draw.randint(-n, n - 1) if n else 0
        way = self.draw.randint(0, 9)
        if way < 2:
            return self.step("matrix_transpose", x)
        if way == 2:
            return self.step("permute_dims", x, tuple(self.draw.sample(range(n), n)))
        if way == 3:
            return self.step("moveaxis", x, axis, self.draw.randint(-n, n - 1))
        if way == 4:
            return self.step("expand_dims", x, axis=axis)
        if way == 5:
            return self.step("squeeze", x, axis=axis)
        if way == 6:
            shape = self.draw.choice((x.shape, x.shape[::-1], (-1,), (*x.shape[:1], -1), (1, *x.shape)))
            return self.step("reshape", x, shape)
        if way == 7:
            return self.step("broadcast_to", x, self.draw.choice((x.shape, (2, *x.shape))))
        if way == 8:
            return self.step("astype", x, self.draw.choice((x.dtype, x.dtype, self.xp.float32, self.xp.float64)))
        return self.step("concat", [x] if self.draw.random() < 0.5 else [x, x], axis=axis)

    def choose(self) -> Any:
        masks = [value for value in self.values if str(value.dtype).endswith("bool")]
        mask = self.draw.choice(masks) if masks and self.draw.random() < 0.6 else None
        if mask is None:
            mask = self.write.constant(self.draw.random() < 0.5, self.xp.bool)
        if self.draw.random() < 0.5:
            return self.step("select", mask, self.pick())
        x = self.pick()
        return self.step("where", mask, x, self.draw.choice((x, self.pick(), self.write.constant(0, x.dtype))))

    def create(self) -> Any:
        shape = self.pick().shape
        dtype = self.draw.choice((self.xp.float64, self.xp.float32, self.xp.int64))
        name = self.draw.choice(("zeros", "ones", "full", "arange"))
        if name == "arange":
            return self.step("arange", self.draw.randint(1, 5), dtype=dtype)
        return self.step(name, shape, *[self.draw.choice(NUMBERS)] * (name == "full"), dtype=dtype)

    def repeated(self) -> Any:
        """What a reduction gives, repeated to the shape it had, beside what was reduced."""
        x = self.pick()
        y = self.step(self.draw.choice(("sum", "mean", "max")), x, axis=self.draw.choice((0, -1)), keepdims=True)
        args = (x, self.step("broadcast_to", y, x.shape))
        return self.step(self.draw.choice(_BINARY), *(args if self.draw.random() < 0.5 else args[::-1]))

    def product(self) -> Any:
        x = self.pick()
        fitting = [y for y in self.values if len(y.shape) > 1 and x.shape and y.shape[-2] == x.shape[-1]]
        y = self.draw.choice(fitting) if fitting and self.draw.random() < 0.6 else self.step("matrix_transpose", x)
        if self.tame:
            return self.step("tanh", self.step("matmul", x, y))
        return self.step("matmul", x, y)

    def negation(self) -> Any:
        return self.step("negative", self.values[-1] if self.draw.random() < 0.7 else self.pick())

    def arithmetic(self) -> Any:
        """Of what the last steps made, so that each is mostly read once."""
        args = [self.values[-1], self.pick()]
        self.draw.shuffle(args)
        return self.step(self.draw.choice(("add", "subtract", "multiply", "divide")), *args)

    def factor(self) -> Any:
        """A product with a number, by the number's three spellings."""
        x = self.values[-1]
        number = self.draw.choice((1, 2, 3, -4, 100, 1024, 0.5, 3000, 1e-3, 0, -0.0))
        number = self.draw.choice((number, float(number), self.write.constant(number, x.dtype)))
        return self.step("multiply", *((x, number) if self.draw.random() < 0.5 else (number, x)))

    def placed(self) -> Any:
        """Entries at one of few places among zeros: of the last array's shape, or with one more."""
        x = self.values[-1]
        if not x.shape:
            raise ValueError("no entries to place")
        n = x.shape[-1]
        size, index = self.draw.choice(((n + 1, slice(0, n)), (n + 1, slice(1, n + 1)), (2 * n, slice(0, 2 * n, 2))))
        first, second = self.step("place", x, (Ellipsis, index), (size,)), self.step("abs", x)
        index = self.draw.choice((index, slice(0, n)))
        second = self.step("place", second, (Ellipsis, index), (size,))
        return self.step("getitem", self.step("add", first, second), (Ellipsis, slice(0, n)))

    def index(self) -> Any:
        x = self.pick()
        whole = slice(None)
        choices = (
            Ellipsis,
            (Ellipsis,),
            (whole,),
            (Ellipsis, whole),
            0,
            slice(None, None, 2),
            (Ellipsis, None),
            slice(1, None),
        )
        return self.step("getitem", x, self.draw.choice(choices))


def random_program(seed: int, steps: int = 30, **kwargs: Any) -> tuple[Program, list[Any]]:
    """A program drawn by ``seed``, and arrays for its inputs."""
    return Drawer(seed, **kwargs).program(steps)
