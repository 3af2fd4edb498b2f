"""L-BFGS: a quasi-Newton method for losses without noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from zkynet.backends.errors import GradientMismatchError
from zkynet.framework.computation_graph import Module, Parameter, value_and_grad
from zkynet.optim.arrays import array_and_gradient, array_of, backend_of, module, moved, put
from zkynet.optim.line_search import Point, strong_wolfe

_KEPT = ("direction", "gradient", "moves", "changes")  # arrays of the state


class LBFGS:
    """Limited-memory BFGS: steps along -H g, where H is an inverse Hessian made of the last ``history`` steps.

    Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989; Nocedal and Wright,
    "Numerical optimization", 2006, algorithm 7.4. It evaluates the loss several times a step, so it takes the loss
    itself ::

        optimizer = LBFGS()
        for _ in range(10):
            value = optimizer.minimize(loss, model, x, y)

    ``loss(model, *batch)`` is a scalar without randomness, of the same batch every time: full batches, physics, curve
    fitting. Every call makes up to ``steps`` steps, with up to ``evaluations`` of the loss (5/4 of the steps by
    default), and stops earlier where the largest entry of the gradient is at most ``tolerance_grad``, or the loss and
    all parameters change by less than ``tolerance_change``. The length of a step is found by a ``line_search`` under
    the strong Wolfe conditions, from ``lr`` on; with ``line_search=False`` it is ``lr``, and nothing keeps the loss
    from rising. The steps are those of torch.optim.LBFGS, whose default is no line search.

    It knows no groups, schedules, weight decay or complex parameters. All trainable parameters are on one backend and
    of one dtype. ``state`` holds ``step``, the number of steps so far, and arrays of all parameters one after another.
    """

    def __init__(
        self,
        lr: float = 1.0,
        steps: int = 20,
        evaluations: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history: int = 100,
        line_search: bool = True,
    ):
        self.lr, self.steps, self.history = lr, steps, history
        self.evaluations = steps * 5 // 4 if evaluations is None else evaluations
        self.tolerance_grad, self.tolerance_change, self.line_search = tolerance_grad, tolerance_change, line_search
        for name, holds in {
            "lr": lr > 0 and math.isfinite(lr),
            "steps": steps >= 1,
            "evaluations": self.evaluations >= 1,
            "history": history >= 1,
            "tolerance_grad": tolerance_grad >= 0,
            "tolerance_change": tolerance_change >= 0,
        }.items():
            if not holds:
                raise ValueError(f"LBFGS: {name} is out of range.\n  got:      {getattr(self, name)!r}")
        self.state: dict[str, Any] = {"step": 0, "length": 0.0, "scale": 1.0, "names": {}}

    def update(self, model: Module, grads: Any) -> None:
        """TypeError: this optimizer needs the loss itself."""
        raise TypeError(
            "LBFGS evaluates the loss more than once a step.\n"
            "  got:      update(model, grads)\n  expected: minimize(loss, model, *batch)"
        )

    def minimize(self, loss: Callable[..., Any], model: Module, *batch: Any) -> float:
        """Make up to ``steps`` steps on ``loss(model, *batch)``; returns the loss before them.

        An exception in ``loss`` leaves the parameters at the last completed step. FloatingPointError where the loss at
        the parameters that it is given is NaN or infinite.
        """
        line = _Flat(loss, module(model, self, ".minimize"), batch)
        self._check_owner(line)
        value, gradient = line.at_hand()
        if not math.isfinite(value):
            raise FloatingPointError(f"LBFGS.minimize: the loss is {value} before the first step.")
        first = value
        if line.largest(gradient) <= self.tolerance_grad:
            return first
        for taken in range(1, self.steps + 1):
            state, start = dict(self.state), line.start
            try:
                self._turn(line, gradient)
                slope = line.dot(gradient, self.state["direction"])
                if slope > -self.tolerance_change:
                    self.state["length"] = 0.0
                    break
                point = self._walk(line, Point(0.0, value, slope, gradient), last=taken == self.steps)
            except BaseException:
                self.state = state
                line.settle(start)
                raise
            change, value, gradient = abs(point.value - value), point.value, point.gradient
            moved_by = line.largest(self.state["direction"]) * self.state["length"]
            if line.evaluations >= self.evaluations or line.largest(gradient) <= self.tolerance_grad:
                break
            if moved_by <= self.tolerance_change or change < self.tolerance_change:
                break
        return first

    def _turn(self, line: _Flat, gradient: Any) -> None:
        """The direction of the next step, with what the last one has shown of the Hessian."""
        state, xp = self.state, line.xp
        if state["step"] == 0:
            state["direction"], state["moves"], state["changes"] = -gradient, [], []
            state["length"] = min(1.0, 1.0 / line.total(gradient)) * self.lr
        else:
            change, move = gradient - state["gradient"], state["direction"] * state["length"]
            product = line.dot(change, move)
            if product > 1e-10:
                state["moves"] = [*state["moves"], move][-self.history :]
                state["changes"] = [*state["changes"], change][-self.history :]
                state["scale"] = product / line.dot(change, change)
            state["direction"] = _two_loops(line, gradient, state["moves"], state["changes"], state["scale"])
            state["length"] = self.lr
        state["gradient"] = xp.own(gradient)
        state["step"] += 1

    def _walk(self, line: _Flat, start: Point, last: bool) -> Point:
        """Move along the direction; the point where that ends."""
        direction, length = self.state["direction"], self.state["length"]
        if self.line_search:
            most = self.evaluations - line.evaluations
            reach = line.largest(direction)
            point = strong_wolfe(lambda t: line.point(t, direction), start, length, reach, self.tolerance_change, most)
            self.state["length"] = point.t
            line.settle(line.at(point.t, direction))
            return point
        line.settle(line.at(length, direction))
        if last:  # nobody asks for the loss behind the last step
            return Point(length, start.value, start.slope, start.gradient)
        value, gradient = line.at_hand()
        return Point(length, value, 0.0, gradient)

    # ---- the state ----

    def _check_owner(self, line: _Flat) -> None:
        """GradientMismatchError where the state is that of other parameters; its arrays on their backend otherwise."""
        state = self.state
        if state["step"] == 0:
            state["names"] = line.sizes()
        elif state["names"] != line.sizes():
            raise GradientMismatchError(
                "LBFGS: its state belongs to other parameters.\n"
                f"  after:    {state['step']} steps, of {', '.join(state['names'])}\n"
                f"  got:      {', '.join(line.sizes())}\n"
                "Use one optimizer for each model, and a new one after freezing."
            )
        for name in _KEPT if state["step"] else ():
            kept = state[name]
            state[name] = [moved(x, line.xp) for x in kept] if isinstance(kept, list) else moved(kept, line.xp)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as it is now, a plain tree; its arrays are read-only."""
        tree = {name: self.state[name] for name in ("step", "length", "scale")}
        tree["names"] = dict(self.state["names"])
        for name in _KEPT if self.state["step"] else ():
            kept = self.state[name]
            listed = dict(enumerate(kept)) if isinstance(kept, list) else {"": kept}
            tree[name] = {str(i): backend_of(x).read_only(x) for i, x in listed.items()}
        return tree

    def load_state_dict(self, tree: Mapping[str, Any]) -> None:
        """Take over copies of the arrays of a tree that ``state_dict`` gave; ValueError for another one."""
        expected = {"step", "length", "scale", "names", *(_KEPT if tree.get("step") else ())}
        if set(tree) != expected:
            raise ValueError(
                f"this tree is no state of LBFGS.\n  got:      {', '.join(map(str, tree))}\n"
                f"  expected: {', '.join(sorted(expected))}"
            )
        state = {name: tree[name] for name in ("step", "length", "scale")}
        state["names"] = dict(tree["names"])
        for name in _KEPT if tree["step"] else ():
            kept = [backend_of(x).own(x) for x in tree[name].values()]
            state[name] = kept if name in ("moves", "changes") else kept[0]
        self.state = state

    def __repr__(self) -> str:
        search = "" if self.line_search else ", line_search=False"
        return f"LBFGS(lr={self.lr:g}, steps={self.steps}, history={self.history}{search})"


def _two_loops(line: _Flat, gradient: Any, moves: list, changes: list, scale: float) -> Any:
    """-H g by the two-loop recursion over steps and the changes of the gradient, H beginning as ``scale``."""
    q, alphas = -gradient, []
    inverse = [1.0 / line.dot(change, move) for move, change in zip(moves, changes, strict=True)]
    for move, change, rho in zip(reversed(moves), reversed(changes), reversed(inverse), strict=True):
        alphas.append(line.dot(move, q) * rho)
        q = q - alphas[-1] * change
    r = q * scale
    for move, change, rho, alpha in zip(moves, changes, inverse, reversed(alphas), strict=True):
        r = r + (alpha - line.dot(change, r) * rho) * move
    return r


class _Flat:
    """The loss as a function of all trainable parameters of a model, one after another in one array."""

    def __init__(self, loss: Callable[..., Any], model: Module, batch: tuple):
        self.model, self.batch = model, batch
        self.gradient = value_and_grad(loss)
        self.named: dict[str, Parameter] = model.trainable_parameters()
        arrays = [array_of(each) for each in self.named.values()]
        kinds = {(backend_of(x).name, backend_of(x).name_of(x.dtype)) for x in arrays}
        if len(kinds) != 1 or "complex" in next(iter(kinds))[1]:
            found = ", ".join(sorted(f"{dtype} on {name}" for name, dtype in kinds)) or "no trainable parameters"
            raise TypeError(
                f"LBFGS: the parameters do not make one array.\n  got:      {found}\n"
                "  expected: one real dtype on one backend"
            )
        self.xp = backend_of(arrays[0])
        self.shapes = [tuple(x.shape) for x in arrays]
        self.start = self._joined(arrays)
        self.evaluations = 0

    def sizes(self) -> dict[str, int]:
        """The number of entries of each parameter."""
        return {name: math.prod(shape) for name, shape in zip(self.named, self.shapes, strict=True)}

    def at_hand(self) -> tuple[float, Any]:
        """The loss and its gradient at the parameters as they are."""
        value, grads = self.gradient(self.model, *self.batch)
        self.evaluations += 1
        flat = [array_and_gradient(name, each, grads[name])[1] for name, each in self.named.items()]
        number = float(value)
        return (math.inf if math.isnan(number) else number), self._joined(flat)

    def at(self, t: float, direction: Any) -> Any:
        """All parameters at the distance ``t`` from the start along ``direction``."""
        return self.start + t * direction if t else self.start

    def point(self, t: float, direction: Any) -> Point:
        """The line at the distance ``t``; the parameters stay there."""
        self._put(self.at(t, direction))
        value, gradient = self.at_hand()
        return Point(t, value, self.dot(gradient, direction), gradient)

    def settle(self, start: Any) -> None:
        """Give the parameters these numbers, and start from there."""
        self.start = start
        self._put(start)

    def _put(self, flat: Any) -> None:
        begin, xp = 0, self.xp
        for each, shape in zip(self.named.values(), self.shapes, strict=True):
            end = begin + math.prod(shape)
            put(each, xp.own(xp.reshape(flat[begin:end], shape)))
            begin = end

    def _joined(self, arrays: list[Any]) -> Any:
        return self.xp.concat([self.xp.reshape(x, (-1,)) for x in arrays])

    def dot(self, a: Any, b: Any) -> float:
        return float(self.xp.sum(a * b))

    def largest(self, x: Any) -> float:
        return float(self.xp.max(self.xp.abs(x)))

    def total(self, x: Any) -> float:
        return float(self.xp.sum(self.xp.abs(x)))
