"""compiled_step: a whole training step as one program, on backends that compile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from zkynet import backends
from zkynet.framework.computation_graph import Generator, Module, Parameter, State, Tensor, value_and_grad
from zkynet.framework.graph_mode.program import compiles
from zkynet.framework.graph_mode.whole import give_away, independent
from zkynet.framework.record import CONTEXT, Context, entered
from zkynet.optim import Optimizer
from zkynet.optim.optimizer import Part

_NUMBERS = (int, float, complex)


def compiled_step(
    model: Module,
    optimizer: Optimizer,
    loss: Callable[..., Any],
    change: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> CompiledStep:
    """Return a function ``step(*batch)`` that does the same as ::

        value, grads = zk.value_and_grad(loss)(model, *batch)
        grads = change(grads)  # where given, to clip them say: lambda grads: clip_by_norm(grads, 1.0)[0]
        optimizer.update(model, grads)

    and returns ``value``, in one compiled program: with JAX the forward pass, the gradients and the update under
    ``jax.jit``, the arrays of the model and of the optimizer given away to it and replaced. On other backends, whose
    libraries do not compile, it runs these lines as they stand.

    ``loss(model, *batch)`` is a scalar; the batch is one array an argument, of any library that the model's backend
    takes. Each new set of shapes and dtypes is compiled once. ``model`` and ``optimizer`` stay what they are: they hold
    the new numbers after every step, may be changed in between (a new learning rate does not compile again), and saved.
    Arrays that somebody else holds, a ``parameter.value`` taken earlier, keep their numbers. Every step draws anew from
    the generators that ``loss`` meets, and States take over what it assigns. Parameters and States of other modules
    that it reads are read anew.

    What is not an array is fixed when the step is compiled: settings, flags, the closure of ``loss``, the branches that
    Python took. A change of the model's own attributes is noticed, and compiled; arrays in a closure, or attributes
    that are plain arrays, have to be arguments or States. Checks that read values (labels, index bounds) are not made
    inside a compiled program. Within ``zk.detect_anomaly()`` and other watchers the step runs uncompiled, so that there
    is something to see. One thread at a time may use the model.

    An exception in ``loss`` leaves model and optimizer as they were. Where the device itself fails in the middle of a
    step (out of memory), parameters may be gone, and reading one says so: start again from saved weights.

    TypeError for an optimizer with an ``update`` of its own and, where the library compiles, for an argument of the
    step that is not an array and for a Parameter or State that holds a Python number.
    """
    if type(optimizer).update is not Optimizer.update:
        raise TypeError(
            "compiled_step needs an optimizer that is a rule.\n"
            f"  got:      {type(optimizer).__name__}, with an update of its own\n"
            "  expected: the update of zkynet.optim.Optimizer, and a rule(xp, p, g, *slots, *numbers)"
        )
    return CompiledStep(model, optimizer, loss, change)


class CompiledStep:
    """What compiled_step returns: ``step(*batch)`` trains on one batch and returns the loss before the update."""

    def __init__(self, model: Module, optimizer: Optimizer, loss: Callable[..., Any], change: Any = None):
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self._gradient = value_and_grad(loss) if change is None else _changed(value_and_grad(loss), change)
        self._plan: _Plan | None = None

    def __call__(self, *batch: Any) -> Any:
        context = CONTEXT.get()
        if context.depth or context.session or context.watchers:  # somebody differentiates, or looks
            return self._eagerly(batch)
        plan = self._plan
        if plan is None or not plan.holds():
            plan = self._plan = _Plan(self.model, self.optimizer)
        if not plan.compiles:
            return self._eagerly(batch)
        arrays = [_argument(plan.xp, i, x) for i, x in enumerate(batch)]
        key = tuple([(x.shape, x.dtype) for x in arrays])
        program = plan.programs.get(key)
        if program is not None:
            return program.run(arrays)
        try:
            return self._first(plan, key, arrays)
        except BaseException:
            if not plan.programs:  # nothing has been trained yet
                self._plan = None
                self.optimizer.state.update(plan.before)
            raise

    def _first(self, plan: _Plan, key: Any, arrays: list[Any]) -> Any:
        """Compile a program for arguments of these shapes, and run it."""
        while True:  # once for what the model owns, and again where the loss reads more
            program = _Program(plan, self._gradient)
            try:
                value = program.run(arrays)
            except _ReadsMoreError as found:
                plan.add(found.met)
            else:
                plan.programs[key] = program
                return value

    def _eagerly(self, batch: Sequence[Any]) -> Any:
        value, grads = self._gradient(self.model, *batch)
        self.optimizer.update(self.model, grads)
        return value

    def __repr__(self) -> str:
        count = 0 if self._plan is None else len(self._plan.programs)
        return f"<compiled step of {type(self.model).__name__} by {self.optimizer!r}, {count} programs>"


class _Plan:
    """What programs are made for: the model's structure, what it owns and the optimizer's state, as they are now."""

    def __init__(self, model: Module, optimizer: Optimizer):
        self.model, self.optimizer = model, optimizer
        self.parameters: dict[str, Parameter] = model.trainable_parameters()
        self.frozen = [p for p in model.named_parameters().values() if not p.trainable]
        self.states: list[State] = []
        self.generators: list[Generator] = []
        self.others: list[Parameter] = []  # of other modules: read, never changed
        self.programs: dict[Any, _Program] = {}
        self.before = dict(optimizer.state)
        self.xp: Any = None
        homes = {backends.backend_of(p._value) for p in self.parameters.values()}
        self.compiles = homes != {None} and all(compiles(xp) for xp in homes if xp is not None)
        if self.compiles:
            self.xp = backends.common_backend([xp for xp in homes if xp is not None])
            self.add([*model.named_states().values(), *self.frozen])
            for name, parameter in self.parameters.items():
                _check_array(name, parameter)
            optimizer._begun(model, {name: [p._value] for name, p in self.parameters.items()})
        self.state, self.settings = optimizer.state, optimizer.__zkynet_guard__()
        self._look()

    def add(self, possessions: Iterable[Any]) -> None:
        """Take up possessions that the loss reads."""
        for each in possessions:
            if isinstance(each, Generator):
                self.generators.append(each)
                continue
            _check_array(each.short_name, each)
            (self.states if isinstance(each, State) else self.others).append(each)

    # ---- whether it still holds ----

    def _look(self) -> None:
        """Keep what every module and container inside the model holds."""
        self._readers: list[Callable[[], Any]] = []
        self._held: list[Any] = []  # alive, so that no other object gets its id
        seen: set[int] = set()
        stack: list[Any] = [self.model]
        while stack:
            node = stack.pop()
            read = None if id(node) in seen else _reader(node)
            if read is not None:
                seen.add(id(node))
                self._readers.append(read)
                self._held += [node, *read()]
                stack += read()
        self._ids = self._now()
        self._kinds = {type(p._value) for p in self.parameters.values()}

    def _now(self) -> list[int]:
        return [id(x) for read in self._readers for x in read()]

    def holds(self) -> bool:
        """Whether the model still consists of the same objects, on the same backend, and the state is the same one."""
        return (
            self.state is self.optimizer.state
            and self.settings == self.optimizer.__zkynet_guard__()
            and self._kinds == {type(p._value) for p in self.parameters.values()}
            and self._ids == self._now()
            and all([p.trainable for p in self.parameters.values()])
            and not any([p.trainable for p in self.frozen])
        )


def _changed(gradient: Callable[..., Any], change: Callable[..., Any]) -> Callable[..., Any]:
    """``gradient``, a function that gives a value and gradients, with these changed."""

    def value_and_changed(*args: Any) -> tuple[Any, Any]:
        value, grads = gradient(*args)
        return value, change(grads)

    return value_and_changed


def _reader(node: Any) -> Callable[[], Any] | None:
    """A function that gives what a module or a container holds; None for anything else."""
    if isinstance(node, dict):
        return node.values
    if isinstance(node, (list, tuple, deque)):
        return node.__iter__
    if not isinstance(node, Module) and not hasattr(type(node), "__dataclass_fields__"):
        return None
    slots = [name for cls in type(node).__mro__ for name in vars(cls).get("__slots__", ()) if not name.startswith("__")]
    if slots:
        return lambda: [getattr(node, name, None) for name in slots] + list(getattr(node, "__dict__", {}).values())
    return vars(node).values


class _Program:
    """A plan compiled for arguments of certain shapes."""

    def __init__(self, plan: _Plan, gradient: Callable[..., Any]):
        self.xp, self.model, self.optimizer, self.gradient = plan.xp, plan.model, plan.optimizer, gradient
        self.names = list(plan.parameters)
        self.owned = [*plan.parameters.values(), *plan.states]
        self.others, self.generators = list(plan.others), list(plan.generators)
        self.parts: list[Part] = []  # of the optimizer, in the step that runs
        self.places: list[tuple[str, str]] = []
        self.drawn: list[int] = []  # by each generator in a step; known once it is traced
        self.compiled = plan.xp.compile(self._traced, donated=0)

    def run(self, batch: list[Any]) -> Any:
        """One step: the loss, with the model and the optimizer moved on."""
        optimizer = self.optimizer
        step = optimizer.state["step"] + 1
        self.parts = optimizer._parts(self.model, self.names)
        numbers = optimizer._numbers(self.parts, step)
        places = self.places = optimizer._places(self.parts)
        kept = [p._value for p in self.owned] + [optimizer.state[slot][name] for slot, name in places]
        give_away(self.xp, kept)
        read = [self.xp.asarray(p._value) for p in self.others]
        counters = np.array([g.value for g in self.generators], np.uint64) if self.generators else ()
        value, new, _ = self.compiled(kept, read, numbers, counters, batch)
        for possession, array in zip(self.owned, new, strict=False):
            possession._value = array
        for (slot, name), array in zip(places, new[len(self.owned) :], strict=True):
            optimizer.state[slot][name] = array
        for generator, count in zip(self.generators, self.drawn, strict=True):
            generator.value = generator.value + count
        optimizer.state["step"] = step
        return value

    def _traced(self, kept: list[Any], read: list[Any], numbers: list, counters: Any, batch: list[Any]) -> tuple:
        """The step as a function of arrays alone: the loss, and what it leaves in ``kept``."""
        values, slots = kept[: len(self.owned)], kept[len(self.owned) :]
        watch = _Watch(self, counters)
        try:
            with _lent([*self.owned, *self.others], [*values, *read]), entered(Context(draws=watch, watchers=(watch,))):
                value, grads = self.gradient(self.model, *batch)
                states = [state._value for state in self.owned[len(self.names) :]]
        finally:
            for each, held in watch.met:
                each._value = held  # a State may hold what only the trace knows
        if watch.met:
            raise _ReadsMoreError([each for each, _ in watch.met])
        groups = {name: [p, grads[name]] for name, p in zip(self.names, values, strict=False)}
        for (_, name), array in zip(self.places, slots, strict=True):
            groups[name].append(array)
        new = self.optimizer._applied(groups, self.parts, numbers)
        self.drawn = watch.counts
        moved = [new[name][0] for name in self.names]
        begun = [array for part in self.parts for name in part.names for array in new[name][1:]]
        return value, moved + states + begun, independent([x for part in numbers for x in part])


class _Watch:
    """Sees, while a step is traced, what the loss reads and draws beyond what the program knows of."""

    def __init__(self, program: _Program, counters: Any):
        self.known = {id(p) for p in (*program.owned, *program.others)}
        self.counters = counters
        self.positions = {id(g): i for i, g in enumerate(program.generators)}
        self.counts = [0] * len(program.generators)
        self.met: list[tuple[Any, Any]] = []  # a possession, and what it held

    def meet(self, possession: Any) -> None:
        """Note a possession that the program does not know of."""
        if id(possession) not in self.known:
            self.known.add(id(possession))
            self.met.append((possession, possession._value))

    def applied(self, operator: Any, inputs: Sequence[Any], result: Any) -> None:
        """Told of every application of an operator."""
        for x in inputs:
            if isinstance(x, (Parameter, State)):
                self.meet(x)

    def sent(self, record: Any, g: Any, parent: Any, c: Any) -> None:
        """Told of every contribution of a reverse sweep."""

    def draw(self, generator: Generator) -> Any:
        """The counter of the next draw, counted from where the generator stands when the step runs."""
        i = self.positions.get(id(generator))
        if i is None:
            self.meet(generator)
            return 0
        self.counts[i] += 1
        return self.counters[i] + np.uint64(self.counts[i] - 1)


class _ReadsMoreError(Exception):
    """The loss reads Parameters, States or Generators, ``met``, that the program does not know of."""

    def __init__(self, met: list[Any]):
        super().__init__(met)
        self.met = met


@contextmanager
def _lent(possessions: list[Any], arrays: list[Any]) -> Iterator[None]:
    """A block in which the possessions hold ``arrays``, those of a trace; behind it they have their own again."""
    own = [each._value for each in possessions]
    try:
        for each, array in zip(possessions, arrays, strict=True):
            each._value = array
        yield
    finally:
        for each, array in zip(possessions, own, strict=True):
            each._value = array


# ---- arrays ----


def _argument(xp: Any, i: int, x: Any) -> Any:
    """An argument of the step as an array of the model's backend."""
    if isinstance(x, Tensor) and x.record is None:
        x = x.value
    if backends.backend_of(x) is None:
        raise TypeError(
            f"a compiled step takes arrays.\n  got:      {type(x).__name__} as argument {i}\n"
            "What is not an array would be compiled in: make it one, or give it to the loss by functools.partial."
        )
    return x if xp.owns(x) else xp.asarray(x)


def _check_array(name: str, possession: Any) -> None:
    if type(possession._value) in _NUMBERS:
        raise TypeError(
            f"compiled_step: {name!r} is no array.\n  got:      {possession!r}\n"
            "  expected: arrays in all Parameters and States: a compiled number would no longer be a weak one\n"
            "Give it an array of shape () and of the model's dtype."
        )
