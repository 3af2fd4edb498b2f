"""Mixed precision: computing in narrow numbers, with weights in wide ones, and loss scaling."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zkynet import backends
from zkynet.backends.errors import PrecisionError
from zkynet.framework import op, pytree
from zkynet.framework.computation_graph import Module, Parameter, Tensor, value_and_grad
from zkynet.framework.function import Possession
from zkynet.framework.record import CONTEXT, entered
from zkynet.optim.arrays import untracked

_FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Precision:
    """Which dtypes a model computes in (``compute``), keeps its parameters in, and gives its results in.

    Names of real dtypes: "float16", "bfloat16", "float32", "float64". ::

        model = Precision("bfloat16").wrap(models.fcn([64, 32, 10], seed=0))
        value, grads = zk.value_and_grad(loss)(model, x, y)     # float32 gradients of float32 parameters
        optimizer.update(model, grads)

    With the defaults the parameters are the master weights: float32, cast for each call, so that small updates are not
    rounded away; and losses are computed from float32 results. NumPy and JAX have float16, JAX bfloat16. bfloat16 has
    float32's range; gradients in float16 underflow below 6e-8 and need a LossScale. On processors narrow numbers are
    slower than float32.
    """

    compute: str
    parameter: str = "float32"
    output: str = "float32"

    def __post_init__(self) -> None:
        for name in ("compute", "parameter", "output"):
            if getattr(self, name) not in _FLOATS:
                raise ValueError(
                    f"Precision: unknown dtype for {name}.\n  got:      {getattr(self, name)!r}\n"
                    f"  expected: {', '.join(map(repr, _FLOATS))}"
                )

    def check(self, xp: Any) -> None:
        """PrecisionError where the backend ``xp`` lacks one of the dtypes."""
        for name in (self.compute, self.parameter, self.output):
            if not _has(xp, name):
                raise PrecisionError(
                    f"the backend {xp.name} has no {name}, which {self!r} asks for.\n"
                    f"  it has:   {', '.join(each for each in _FLOATS if _has(xp, each))}\n"
                    "Use one of these, or move the model: NumPy and JAX have float16, JAX has bfloat16."
                )

    def wrap(self, model: Module) -> MixedPrecision:
        """A Module that runs ``model`` in this precision; the model's parameters are converted in place.

        PrecisionError where a parameter's backend lacks a dtype, TypeError for complex parameters; nothing has changed
        then. Parameters that are Python numbers take the dtype of what they meet, as ever.
        """
        if not isinstance(model, Module):
            raise TypeError(f"Precision.wrap takes a Module.\n  got:      {type(model).__name__}")
        new: dict[Parameter, Any] = {}
        for name, each in _arrays_of(model).items():
            xp = backends.backend_of(each._value)
            self.check(xp)
            if xp.is_complex(each._value.dtype):
                raise TypeError(f"Precision: the parameter {name!r} is complex.\n  expected: real parameters")
            if xp.name_of(each._value.dtype) != self.parameter:
                new[each] = xp.own(xp.asarray(each._value, dtype=xp.dtype(self.parameter)))
        for each, value in new.items():
            each._value = value
        return MixedPrecision(model, self)


class MixedPrecision(Module):
    """A model in the precision of a policy: what ``Precision.wrap`` gives.

    A call casts floating-point inputs, in containers too, and the parameters to the compute dtype, and the floating-
    point results to the output dtype; integers and booleans stay. It owns what the model owns, under the same paths:
    gradients, optimizers and files do not see the difference. States keep their dtype. Methods of the model other than
    its call run as they are, in the dtype of the parameters.
    """

    def __init__(self, model: Module, policy: Precision):
        self.model, self.policy = model, policy

    def call(self, *inputs: Any, **settings: Any) -> Any:
        parameters = list(_arrays_of(self.model).values())
        for xp in {backends.backend_of(each._value) for each in parameters}:
            self.policy.check(xp)
        context, compute = CONTEXT.get(), self.policy.compute
        cast = {each: op.astype(each, compute) for each in parameters}
        with entered(context.replace(bindings=context.bindings | cast)):
            result = self.model(*_cast(inputs, compute), **_cast(settings, compute))
        return _cast(result, self.policy.output)

    def named_possessions(self, kind: Any = Parameter) -> dict[str, Any]:
        """Those of the model, by its paths."""
        return self.model.named_possessions(kind)

    def _inputs(self) -> Any:
        return self.model._inputs()

    def __repr__(self) -> str:
        return f"MixedPrecision({self.model!r}, {self.policy!r})"


class LossScale:
    """A factor on the loss that keeps the gradients of narrow numbers above zero, and is taken out again.

    ::

        scale = DynamicLossScale()
        value, grads = scale.value_and_grad(loss)(model, x, y)   # value and gradients without the factor
        grads, norm = clip_by_norm(grads, 1.0)                   # where wanted
        scale.update(optimizer, model, grads)

    This one stays ``value`` > 0: gradients that are not finite are an error. DynamicLossScale finds its own.
    """

    def __init__(self, value: float):
        self.value = _in_range(self, "value", value, value > 0, "a finite number above 0")

    def value_and_grad(self, loss: Callable[..., Any]) -> Callable[..., tuple[Any, dict[str, Any]]]:
        """As zk.value_and_grad(loss), a function of a model and more: the sweep runs with the loss times ``value``.

        The loss is widened to float32 before, where it is narrower.
        """

        scaled = self.scaled(loss)
        return lambda model, *args: scaled(model, self.value, *args)

    @staticmethod
    def scaled(loss: Callable[..., Any]) -> Callable[..., tuple[Any, dict[str, Any]]]:
        """The same as a function of (model, factor, and more), to be compiled: a factor that is an array may change."""

        def times(model: Any, factor: Any, *args: Any) -> tuple[Any, Any]:
            value = loss(model, *args)
            if _dtype_name(value) in ("float16", "bfloat16"):
                value = op.astype(value, "float32")
            return op.multiply(value, _beside(value, factor)), value

        both = value_and_grad(times, has_aux=True)

        def value_and_gradient(model: Any, factor: Any, *args: Any) -> tuple[Any, dict[str, Any]]:
            (_, value), grads = both(model, factor, *args)
            return value, pytree.map_tree(lambda g: g / _beside(g, factor), grads)

        return value_and_gradient

    def update(self, optimizer: Any, model: Module, grads: Mapping[str, Any]) -> bool:
        """``optimizer.update(model, grads)``, and True; FloatingPointError where a gradient is not finite."""
        bad = not_finite(grads)
        if bad:
            raise FloatingPointError(
                f"LossScale: gradients are not finite at the scale {self.value:g}.\n  got:      {bad[0]!r}"
                f"{f' and {len(bad) - 1} others' if len(bad) > 1 else ''}\n"
                "Use a smaller scale, or DynamicLossScale; zk.detect_anomaly() names the operator."
            )
        optimizer.update(model, grads)
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value:g})"


class DynamicLossScale(LossScale):
    """A loss scale that is as large as the numbers allow.

    An update whose gradients are not finite is left out, and the scale is divided by ``factor`` > 1; after ``interval``
    good ones in a row it is multiplied by it. Micikevicius and others, "Mixed precision training", ICLR 2018; the
    defaults are PyTorch's. Where the gradients are not finite even at the scale ``least``, no overflow of the scaled
    loss is to blame: FloatingPointError. ``skipped`` counts the updates that were left out. ``state_dict`` and
    ``load_state_dict`` are for zk.optim.save_state and load_state.
    """

    def __init__(self, value: float = 2.0**16, factor: float = 2.0, interval: int = 2000, least: float = 1.0):
        super().__init__(value)
        self.factor = _in_range(self, "factor", factor, factor > 1, "a finite number above 1")
        self.interval = _in_range(self, "interval", interval, interval >= 1, "an int of at least 1")
        self.least = _in_range(self, "least", least, 0 < least <= value, "above 0 and at most value")
        self.good, self.skipped = 0, 0

    def update(self, optimizer: Any, model: Module, grads: Mapping[str, Any]) -> bool:
        """``optimizer.update(model, grads)`` where all gradients are finite; whether they were."""
        if not_finite(grads):
            if self.value <= self.least:
                return super().update(optimizer, model, grads)  # raises
            self.value = max(self.value / self.factor, self.least)
            self.good, self.skipped = 0, self.skipped + 1
            return False
        optimizer.update(model, grads)
        self.good += 1
        if self.good >= self.interval:
            self.value, self.good = self.value * self.factor, 0
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the state as it is now: ``value``, ``good`` and ``skipped``."""
        return {"value": self.value, "good": self.good, "skipped": self.skipped}

    def load_state_dict(self, tree: Mapping[str, Any]) -> None:
        """Go on from what ``state_dict`` gave; ValueError for anything else."""
        if set(tree) != {"value", "good", "skipped"}:
            raise ValueError(
                f"this tree is no state of DynamicLossScale.\n  got:      {', '.join(map(str, tree))}\n"
                "  expected: value, good, skipped"
            )
        self.value, self.good, self.skipped = float(tree["value"]), int(tree["good"]), int(tree["skipped"])


def not_finite(grads: Mapping[str, Any]) -> list[str]:
    """The names of the gradients that hold NaN or infinity."""
    grads = {name: untracked(g, lambda: "a gradient to be looked at") for name, g in grads.items()}
    homes = {name: backends.backend_of(g) for name, g in grads.items()}
    finite: dict[str, bool] = {name: math.isfinite(abs(grads[name])) for name, xp in homes.items() if xp is None}
    for xp in {xp for xp in homes.values() if xp is not None}:
        names = [name for name, home in homes.items() if home is xp]
        flags = xp.stack([xp.all(xp.isfinite(grads[name])) for name in names])  # one look at the device
        finite.update(zip(names, xp.to_numpy(flags).tolist(), strict=True))
    return [name for name in grads if not finite[name]]


def _in_range(owner: Any, name: str, value: Any, holds: bool, expected: str) -> Any:
    if not holds or not math.isfinite(value):
        raise ValueError(
            f"{type(owner).__name__}: {name} is out of range.\n  got:      {value!r}\n  expected: {expected}"
        )
    return value


def _beside(x: Any, factor: Any) -> Any:
    """The factor of ``x``, an array or a Tensor: a number as it is, an array in the dtype of ``x``."""
    if isinstance(factor, (int, float)):
        return factor
    return op.astype(factor, x.dtype) if isinstance(x, Tensor) else backends.backend_of(x).astype(factor, x.dtype)  # type: ignore[union-attr]


def _has(xp: Any, name: str) -> bool:
    """Whether the backend itself has the dtype, and it is not switched off."""
    if name not in xp.dtypes:  # NumPy knows the name bfloat16 where another library has brought it along
        return False
    try:
        xp.dtype(name)
    except PrecisionError:
        return False
    return True


def _arrays_of(model: Module) -> dict[str, Parameter]:
    """The parameters of a model that are arrays, by path."""
    return {name: p for name, p in model.named_parameters().items() if backends.backend_of(p._value) is not None}


def _cast(tree: Any, dtype: str) -> Any:
    """A tree with its real floating-point arrays in ``dtype``; everything else as it is."""
    return pytree.map_tree(lambda x: op.astype(x, dtype) if _is_real_array(x) else x, tree, _is_leaf)


def _is_leaf(x: Any) -> bool:
    return isinstance(x, (Module, Possession, Tensor))


def _is_real_array(x: Any) -> bool:
    return _dtype_name(x) in _FLOATS


def _dtype_name(x: Any) -> str:
    """The dtype of an array, a Tensor or a possession; nothing for anything else."""
    if isinstance(x, (Tensor, Possession)):
        x = x._value
    xp = backends.backend_of(x)
    return "" if xp is None else xp.name_of(x.dtype)
