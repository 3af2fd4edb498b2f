"""compile: a function that is recorded when it is first called, and replayed as a program from then on."""

from __future__ import annotations

import contextvars
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial, update_wrapper
from types import MethodType
from typing import Any

from zkynet import backends
from zkynet.backends.numpy import give_back_memory

from ..function import TAPE
from ..record import CONTEXT, HOST, Context, Tensor, entered, tensor_of
from .arguments import Call, argument_names, identities, with_stand_ins, without_numbers
from .branches import Leaf, Tree, UnexpectedError
from .explain import explained
from .guards import Surroundings
from .inputs import MovedError
from .passes import PASSES
from .recorder import recorder_of
from .replay import Replay, Settings
from .results import Cleaner, own, result_of
from .sources import Argument, Captured, Possessed
from .tape import Lent, NotRecordableError, OtherBackendError, Tape

MAX_PATHS = 32  # recorded for one function; beyond that it runs eagerly
SWITCHES = frozenset((*PASSES, "buffers", "chains", "numbers", "lanes", "kernels", "graph"))  # what ``off`` may name
MAX_TRIES = 3  # recordings in a row that may each have a reason of their own to be made again


class Variant:
    """One way in which a compiled function has been recorded: for one kind of call in one state of Python."""

    def __init__(self, surroundings: Any, title: str):
        self.surroundings, self.title = surroundings, title
        self.tree = Tree()
        self.replay: Replay | None = None
        self.shared: list[tuple[int, Any]] = []  # arguments that the function reads elsewhere, too: at these places
        self.met: dict[int, tuple[Any, bytes]] = {}  # arrays from nowhere that recordings met, with their numbers
        self.made: list[bytes] | None = None  # what was in those of the last one
        self.left = False  # the last recording left arrays where a replay would not
        self.tries = 0
        self.replays, self.seconds = 0, 0.0

    def took(self, seconds: float) -> None:
        """Note one replay more."""
        self.replays += 1
        self.seconds += seconds


class Compiled:
    """What ``zk.compile`` returns: called like the function that it was made of."""

    def __init__(self, function: Callable[..., Any], max_paths: int, off: frozenset[str], deterministic: bool):
        self.function, self.max_paths = function, max_paths
        self.settings = Settings(off, deterministic, {})
        self.eager_because: str | None = None
        self.retraces: list[str] = []
        self._variants: dict[Any, list[Variant]] = {}
        self._lock = threading.RLock()
        self._changes = 0  # recordings in a row that changed what they depend on
        if hasattr(function, "__name__"):
            update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        context = CONTEXT.get()
        inside = context is not _OUTSIDE and _is_inside(context)
        if inside or self.eager_because is not None or TAPE.get() is not None:
            return self.function(*args, **kwargs)
        call = Call(args, kwargs)
        variant = self._known(call)
        if variant is not None and (replay := variant.replay) is not None:
            start = time.perf_counter()
            try:
                leaf, outputs = replay.compute(call.arrays)
            except UnexpectedError as error:
                self.retraces.append(str(error))
            except MovedError as error:
                self.retraces.append(str(error))
                variant.tree, variant.replay = Tree(), None
            except MemoryError:  # an update may have begun: the one step that writes in place, and the last
                raise
            except Exception as error:  # nothing has changed yet; the function tells where, or deals with it
                self.retraces.append(f"a replay raised {type(error).__name__}: {error}")
                return self.function(*args, **kwargs)
            else:
                result = replay.leave(leaf, outputs)
                variant.took(time.perf_counter() - start)
                return result
        try:
            return self._record(variant, call, args, kwargs)
        finally:
            give_back_memory()  # a recording holds what eager mode holds; its replays take less

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> tuple:
        """A copy, or what is loaded, has recorded nothing yet."""
        return Compiled, (self.function, self.max_paths, self.settings.off, self.settings.deterministic)

    def explain(self, *args: Any, **kwargs: Any) -> str:
        """Return what has been recorded, in words: plans, guards, why it was recorded again, time and memory.

        With arguments of a call, a replay on them is run step by step and timed; it changes nothing.
        """
        return explained(self, args, kwargs)

    def state_dict(self) -> dict[str, Any]:
        """Return what was measured and chosen, a plain tree: save it with a checkpoint to resume to the bit."""
        replays = [v.replay for known in self._variants.values() for v in known if v.replay is not None]
        ways = {ready.title: ready.ways for replay in replays for ready in replay.all() if ready.ways is not None}
        return {"lanes": {**self.settings.lanes, **{title: each.choice.state_dict() for title, each in ways.items()}}}

    def load_state_dict(self, tree: dict[str, Any]) -> None:
        """Take what ``state_dict`` gave, for what is recorded from here on."""
        self.settings.lanes.update(tree["lanes"])

    def source(self, *args: Any, **kwargs: Any) -> str:
        """Return the plan for such a call as straight-line Python; on backends other than NumPy as it is recorded.

        Without arguments, that of the only kind of call. Where values decide, one text for each stretch in between.
        ValueError where nothing is recorded for such a call.
        """
        return "\n\n".join([ready.source for ready in self._variant(args, kwargs).replay.all()])

    def known_replay(self, args: tuple, kwargs: dict[str, Any]) -> Replay:
        """What replays such a call; ValueError where nothing does."""
        return self._variant(args, kwargs).replay

    def _variant(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The variant that such a call replays; without arguments the only one."""
        variants = [v for known in self._variants.values() for v in known if v.replay is not None]
        if args or kwargs or len(variants) != 1:
            variants = [v for v in (self._known(Call(args, kwargs)),) if v is not None and v.replay is not None]
        if not variants:
            raise ValueError("nothing is recorded for such a call: call the function with these arguments first")
        return variants[0]

    def walk(self, run: Callable[[Any, list[Any]], Any], args: tuple, kwargs: dict[str, Any]) -> None:
        """``run(program, arrays)`` for the programs of a call with these arguments; ValueError where none is known."""
        self._variant(args, kwargs).replay.walk(run, Call(args, kwargs).arrays)

    def __zkynet_guard__(self) -> tuple:
        """What another compiled function depends on, where it calls this one."""
        return (self.function,)

    def __repr__(self) -> str:
        return f"<compiled {self.name}: {sum(map(len, self._variants.values()))} kinds of call>"

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def _known(self, call: Call) -> Variant | None:
        """The variant that was recorded for such a call, in a state of Python that is the present one."""
        found = self._variants.get(call.key)
        if not found:
            return None
        for variant in found:
            shares = not variant.shared or all([place.read() is call.arrays[i] for i, place in variant.shared])
            if shares and variant.surroundings.changed() is None:
                return variant
        self.retraces.append(
            found[-1].surroundings.changed() or "an argument is no longer the array that is read elsewhere"
        )
        return None

    def _record(self, variant: Variant | None, call: Call, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Run eagerly, and write down what happens."""
        with self._lock:
            if variant is None:
                variant = Variant(Surroundings(self.function, call.leaves), call.title)
                moving = variant.surroundings.changed()
                if moving is not None:
                    return self._eagerly(moving, args, kwargs)
            try:
                result = self._recorded(variant, call, args, kwargs)
            except NotRecordableError as error:
                return self._eagerly(str(error), args, kwargs)
            except Exception as error:  # the user's own, or one that comes of recording: eager mode tells
                return self._eagerly(f"{type(error).__name__}: {error}", args, kwargs)
            if variant.tries > MAX_TRIES:
                self._give_up("an array that another library makes inside is another one in every call")
                return result
            known = self._variants.setdefault(call.key, [])
            if variant not in known:
                known.append(variant)
            changes = variant.surroundings.changed()
            if variant.left:
                changes = changes or "it leaves arrays in containers, or in other places than they stood in"
            self._changes = 0 if changes is None else self._changes + 1
            if self._changes > MAX_TRIES:
                self._give_up(f"it changes what it reads itself, in every call ({changes})")
            elif sum([v.tree.paths for vs in self._variants.values() for v in vs]) > self.max_paths:
                self._give_up(f"more than {self.max_paths} different paths were recorded{self._advice()}")
            return result

    def _recorded(self, variant: Variant, call: Call, args: tuple, kwargs: dict[str, Any]) -> Any:
        """One recording, on the backend that the arrays belong to: known for certain when the run meets them."""
        homes = [backends.backend_of(x) for x in call.arrays]
        inner = backends.common_backend([home for home in homes if home is not None] or [backends.default_backend()])
        try:
            return Recording(self, variant, call, inner).run(args, kwargs)
        except OtherBackendError as found:
            if inner is not found.home and not inner.is_host:
                raise
            return Recording(self, variant, call, found.home).run(args, kwargs)

    def _eagerly(self, reason: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        result = self.function(*args, **kwargs)
        self._give_up(reason)  # only where the function itself runs
        return result

    def _advice(self) -> str:
        """What to do where most of the calls differ in nothing but Python numbers; otherwise nothing."""
        if max(Counter(map(without_numbers, self._variants)).values()) <= self.max_paths / 2:
            return ""
        return (
            "\n  most of them differ in Python numbers among the arguments: each number is a recording of its own"
            "\n  give a number that varies as an array without axes, np.asarray(number, x.dtype): it is an input then"
        )

    def _give_up(self, reason: str) -> None:
        self.eager_because = reason
        self._variants.clear()
        warnings.warn(f"zk.compile: {self.name} runs eagerly from now on.\n  because: {reason}", stacklevel=4)


class Recording:
    """One run of the function on recorded arrays."""

    def __init__(self, compiled: Compiled, variant: Variant, call: Call, inner: Any):
        self.compiled, self.variant, self.call = compiled, variant, call
        self.recorder = recorder_of(inner)
        if not variant.tree.paths:
            variant.tree = Tree()
        self.tape = Tape(inner, self.recorder, variant.tree, variant.surroundings.places(), variant.met)

    def run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The function's result; the variant has one more path then."""
        tape, variant = self.tape, self.variant
        if self.call.odd is not None:
            raise NotRecordableError(f"among its arguments is {self.call.odd}")
        names = argument_names(self.compiled.function, args, kwargs)
        stand_ins = {
            id(x): tape.argument(Argument(i, names.get(id(x), f"argument_{i}")), x)
            for i, x in enumerate(self.call.arrays)
        }
        places = variant.surroundings.places()
        variant.shared = [(i, places[id(x)]) for i, x in enumerate(self.call.arrays) if id(x) in places]
        args, kwargs = with_stand_ins((args, kwargs), stand_ins)
        given = identities((args, kwargs))
        context = Context(recording=CONTEXT.get().recording, bindings=Lent(tape), draws=tape, session=False)
        token = TAPE.set(tape)
        try:
            lent = variant.surroundings.lent(lambda array: tape.incoming(array))
            with entered(context), _default(self.recorder), lent, HOST.errstate():
                returned = self.compiled.function(*args, **kwargs)
        finally:
            TAPE.reset(token)
            for undo in reversed(tape.undo):
                undo()
        if tape.refusal is not None:
            raise tape.refusal
        if identities((args, kwargs)) != given:
            raise NotRecordableError("it writes into a list, a dict, a dataclass or a Tensor among its arguments")
        return self._finish(returned)

    def _finish(self, returned: Any) -> Any:
        tape, variant = self.tape, self.variant
        rebuild, results = result_of(returned, tape, variant.surroundings.knows)
        moved = False
        for place in variant.surroundings.left(self._is_ours):
            left = place.read()
            array = left._value if type(left) is Tensor else left
            original = tape.original(array)
            if original is None:
                tape.write(Captured(place, type(left) is Tensor), array)
            else:  # it is another name for that very array from now on, which no replay would see to
                place.write(tensor_of(original) if type(left) is Tensor else original)
                moved = True
        sinks = [(sink, recorded.value) for sink, (recorded,) in tape.writes.items()]
        effects: list[Any] = [*tape.effects, *[_Advance(g, n) for g, n in tape.draws.values()]]
        leaf = Leaf([x.value for x in results], rebuild, sinks, effects)
        for source in variant.tree.inputs:
            if isinstance(source, Possessed):
                source.name = tape.names.get(id(source.possession), source.name)
        if self._confirmed():
            variant.tree.add(tape.items, tape.constants, leaf)
        if variant.tree.paths:
            variant.replay = Replay(variant.tree, tape.inner, self.compiled.settings)
        made = partial(own, tape.inner)
        result = rebuild([made(x.array) for x in results])
        # From here on nothing can fail: what the run leaves behind is put in place.
        for sink, (recorded,) in tape.writes.items():
            sink.put(made(recorded.array))
        for effect in effects:
            effect()
        self._clean(made, moved)
        return result

    def _clean(self, made: Callable[[Any], Any], moved: bool) -> None:
        """Containers, and new objects, that the function left where it reads: arrays in place of recorded ones.

        Where there are such, or where it has ``moved`` arrays from place to place, nothing is replayed.
        """
        tape, surroundings = self.tape, self.variant.surroundings

        def array(recorded: Any) -> Any:
            original = tape.original(recorded)
            return made(recorded.array) if original is None else original

        cleaner = Cleaner(tape.recorder.array_type, array, surroundings.knows)
        for place in surroundings.left(lambda x: True):
            old = place.read()
            new = old if place.key == "__dict__" else cleaner.clean(old)
            if new is not old:
                place.write(new)
        self.variant.left = moved or cleaner.found
        if self.variant.left:
            self.variant.tree, self.variant.replay = Tree(), None

    def _is_ours(self, x: Any) -> bool:
        """Whether ``x`` is an array of this recording, or a Tensor of one."""
        return getattr(x._value if type(x) is Tensor else x, "tape", None) is self.tape

    def _confirmed(self) -> bool:
        """Whether the arrays that other libraries made inside are known to be the same in every run.

        A first recording only notes them. Those that are the same objects in the next one live somewhere, and are read
        anew; the others are constants once two recordings in a row have made the same.
        """
        tape, variant = self.tape, self.variant
        made = [tape.inner.to_numpy(tape.constants[value]).tobytes() for value in tape.foreign]
        if not made or made == variant.made:
            return True
        variant.met.update({id(x): (x, numbers) for x, numbers in zip(tape.foreign.values(), made, strict=True)})
        variant.made = made
        variant.tries += 1
        return False


class _Advance:
    """Move a generator on by what a run has drawn."""

    def __init__(self, generator: Any, count: int):
        self.generator, self.count = generator, count

    def __call__(self) -> None:
        self.generator._value += self.count


_OUTSIDE = contextvars.Context().run(CONTEXT.get)  # where no code has entered anything


def _is_inside(context: Context) -> bool:
    """Whether the running code is part of something that has to see its operators, one by one."""
    return bool(
        context.depth
        or context.session
        or context.bindings  # a Module in mixed precision, say
        or context.watchers
        or context.draws is not None
    )


def _default(recorder: Any) -> Any:
    """Creation functions make recorded arrays, where their backend is the default one."""
    return backends.standing_in(recorder) if backends.default_backend() is recorder.inner else nullcontext()


def compile(  # noqa: A001  (the field's name for it)
    function: Callable[..., Any] | None = None,
    *,
    deterministic: bool = False,
    max_paths: int = MAX_PATHS,
    off: Iterable[str] = (),
) -> Any:
    """Return a function that does what ``function`` does, recorded when first called and replayed from then on.

    ``function`` is a function, a Module, or a whole training step ::

        @zk.compile
        def step(x, labels):
            loss, grads = zk.value_and_grad(loss_of)(model, x, labels)
            optimizer.update(model, grads)
            return loss

    The results are those of eager mode; what changes between the calls counts as it does there. Arrays among the
    arguments, captured arrays, Parameters, States, generators and the numbers of an optimizer are read in every
    replay; all other Python values are guarded, and so is every decision that a value takes (``if loss < best``): what
    has not been met before is recorded in its turn. What only Python does, printing say, happens while recording.
    docs/graph_mode.md tells all.

    On NumPy a step may run in two lanes, halves of the batch on two threads, where that is measured to be faster in the
    first replays; this changes results by rounding alone. ``deterministic`` keeps to one. After ``max_paths``
    recordings the function runs eagerly, and so it does where it cannot be recorded; a warning says so, once, with the
    reason. ``off`` names passes and tricks to leave out: of ``zkynet.framework.graph_mode.compiled.SWITCHES``.

    TypeError for what is no function, ValueError for an unknown name in ``off``.
    """
    if function is None:
        return lambda f: compile(f, deterministic=deterministic, max_paths=max_paths, off=off)
    if not callable(function):
        raise TypeError(f"zk.compile takes a function or a Module.\n  got: {function!r}")
    unknown = frozenset(off) - SWITCHES
    if unknown:
        raise ValueError(
            f"zk.compile: off names what there is not.\n  got:      {', '.join(sorted(unknown))}\n"
            f"  expected: some of {', '.join(sorted(SWITCHES))}"
        )
    return Compiled(function, max_paths, frozenset(off), deterministic)
