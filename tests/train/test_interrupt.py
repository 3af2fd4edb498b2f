"""Ctrl-C and SIGTERM: held back to the end of the step, saved, told, and gone on from with the same bits."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn, optim
from zkynet.data import Batches
from zkynet.framework import op
from zkynet.train import Deferred, Interrupted, On, Trainer

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6), dtype=np.float32)
LABELS = RNG.integers(0, 3, 40)
SIGNALS = {"ctrl-c": (signal.SIGINT, 130, "Ctrl-C"), "sigterm": (signal.SIGTERM, 143, "SIGTERM")}

both = pytest.mark.parametrize(("number", "code", "name"), SIGNALS.values(), ids=SIGNALS)


def send(number=signal.SIGINT):
    signal.raise_signal(number)


def handlers():
    return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)


@pytest.fixture(autouse=True)
def _usual_handlers():
    """As a program has them, whatever runs the tests; and afterwards they are what they were."""
    before = handlers()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    assert handlers() == (signal.default_int_handler, signal.SIG_DFL)
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        signal.signal(number, handler)


# ---- the block ----


@both
def test_a_signal_is_noted_and_nothing_else_happens(number, code, name):
    with Deferred() as signals:
        signals.check()
        send(number)
        assert signals.came == number
        with pytest.raises(Interrupted, match=f"{name}; nothing was saved") as caught:
            signals.check()
    assert isinstance(caught.value, KeyboardInterrupt)
    assert (caught.value.exit_code, caught.value.path) == (code, None)


def test_the_second_one_comes_at_once():
    with Deferred() as signals:
        send()
        with pytest.raises(KeyboardInterrupt) as caught:
            send()
    assert signals.came == signal.SIGINT and not isinstance(caught.value, Interrupted)


def test_handlers_of_others_are_left_alone():
    seen = []
    mine = lambda *_: seen.append("mine")  # noqa: E731
    signal.signal(signal.SIGINT, mine)
    with Deferred() as signals:
        send()
        signal.signal(signal.SIGTERM, mine)
        send(signal.SIGTERM)
    assert seen == ["mine", "mine"] and not signals.came and handlers() == (mine, mine)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Deferred() as signals:
        send()
    assert not signals.came
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_without_it_and_in_other_threads_nothing_is_held_back():
    with Deferred(enabled=False), pytest.raises(KeyboardInterrupt):
        send()
    seen = []

    def work():
        with Deferred() as signals:
            seen.append((signals.came, handlers()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(0, (signal.default_int_handler, signal.SIG_DFL))]


def test_blocks_may_stand_in_each_other():
    with Deferred() as outer:
        with Deferred() as inner:  # the outer one has the signals already
            send()
        assert outer.came == signal.SIGINT and not inner.came


# ---- a run ----


def loss(model, x, labels):
    return op.softmax_cross_entropy(model(x), labels)


def trainer(folder=None, *callbacks, model_loss=loss, **settings):
    g = zk.Generator(3)
    model = nn.Sequential(nn.Linear(6, 8, g), nn.Dropout(0.3, g), nn.Linear(8, 3, g))
    return Trainer(model, model_loss, optim.Adam(1e-2), callbacks=callbacks, folder=folder, **settings)


def fitted(run, **settings):
    run.fit(Batches((X, LABELS), 7, seed=5), (X[:9], LABELS[:9]), **{"epochs": 3} | settings)
    return run


def end_of(run):
    owned = run.model.named_possessions((zk.Parameter, zk.State))
    history = [{name: x for name, x in each.items() if name != "seconds"} for each in run.history]
    return {path: np.array(each.value).tobytes() for path, each in owned.items()}, history, run.step


@both
@pytest.mark.parametrize("hook", ["epoch_start", "step_start", "gradients", "step_end", "epoch_end", "run_start"])
def test_a_signal_ends_the_run_after_the_step_saved(number, code, name, hook, tmp_path):
    ends = []
    at = 0 if hook == "run_start" else 6 if hook in ("epoch_start", "epoch_end") else 8

    def strike(run):
        if run.step == at and not run._signals.came:
            send(number)

    run = trainer(tmp_path, On(**{hook: strike}, run_end=lambda run: ends.append(run.stopped)))
    with pytest.raises(Interrupted) as caught:
        fitted(run)
    steps = {"run_start": 1, "epoch_start": 7, "step_start": 9, "gradients": 9, "step_end": 8, "epoch_end": 6}[hook]
    assert run.step == steps and caught.value.exit_code == code
    assert caught.value.path == run.saved[-1] == tmp_path / "checkpoints" / f"step-{steps:08d}.json"
    assert ends == [f"{name}; saved in {caught.value.path}"]
    assert end_of(fitted(trainer(tmp_path), resume=True)) == end_of(fitted(trainer()))


def test_a_signal_in_the_last_step_of_an_epoch_leaves_its_end_to_the_resumed_run(tmp_path):
    run = trainer(tmp_path, On(step_end=lambda run: send() if run.step == 6 else None))
    with pytest.raises(Interrupted) as caught:
        fitted(run)
    assert run.history == [] and caught.value.path.name == "step-00000006.json"
    again = fitted(trainer(tmp_path), resume=True)
    assert [path.name for path in again.saved] == ["step-00000006.json", "step-00000012.json", "step-00000018.json"]
    assert end_of(again) == end_of(fitted(trainer()))


def test_a_signal_in_the_validation_leaves_it_to_the_resumed_run(tmp_path):
    strikes = []

    def drawing(model, x, labels):
        """The loss on noisy inputs, in the validation too: what it has drawn there is taken back."""
        if not model.training and len(strikes) == 1:
            strikes.append(send())
        x = x + 0.1 * model.layers[1].generator.normal(x.shape, "float32")
        return op.softmax_cross_entropy(model(x), labels)

    def validated(run, **settings):
        run.fit(Batches((X, LABELS), 7, seed=5), Batches((X[:9], LABELS[:9]), 3), epochs=3, **settings)
        return run

    whole = validated(trainer(model_loss=drawing))
    strikes.append(None)
    run = trainer(tmp_path, model_loss=drawing, checkpoint_every=100)
    with pytest.raises(Interrupted) as caught:
        validated(run)
    assert run.step == 6 and run.history == [] and caught.value.path.name == "step-00000006.json"
    seen = []
    at = On(step_start=lambda run: seen.append(run.step), epoch_end=lambda run: seen.append("end"))
    again = validated(trainer(tmp_path, at, model_loss=drawing), resume=True)
    assert seen[:2] == ["end", 6] and end_of(again) == end_of(whole)


def test_without_a_folder_nothing_is_saved():
    run = trainer(None, On(step_end=lambda run: send() if run.step == 2 else None))
    with pytest.raises(Interrupted, match="nothing was saved") as caught:
        fitted(run)
    assert run.step == 2 and caught.value.path is None and run.stopped == "Ctrl-C; nothing was saved"


def test_a_signal_after_the_last_step_is_not_swallowed(tmp_path):
    run = trainer(tmp_path, On(run_end=lambda run: send()))
    with pytest.raises(Interrupted) as caught:
        fitted(run)
    assert len(run.history) == 3 and caught.value.path == run.saved[-1]


def test_the_second_ctrl_c_ends_a_step_that_takes_too_long():
    ends = []

    def stuck(model, x, labels):
        send()
        send()

    run = trainer(None, On(run_end=lambda run: ends.append(run.stopped)), model_loss=stuck)
    with pytest.raises(KeyboardInterrupt) as caught:
        fitted(run)
    assert not isinstance(caught.value, Interrupted) and ends == ["KeyboardInterrupt: "] and run.step == 0


PROGRAM = """
import itertools
import sys
import numpy as np
from zkynet import nn, optim
from zkynet.framework import op
from zkynet.train import Interrupted, On, Trainer

x = np.zeros((4, 2), np.float32)
told = On(step_end=lambda run: print("step", flush=True) if run.step == 1 else None)
run = Trainer(nn.Linear(2, 1, 0), lambda m, x: op.mean(m(x)), optim.SGD(0.1), callbacks=[told], folder=sys.argv[1])
try:
    run.fit(itertools.repeat(x))
except Interrupted as end:
    print(end)
    sys.exit(end.exit_code)
"""


@pytest.mark.skipif(os.name != "posix", reason="other systems have no signals that a process can be sent")
@both
def test_a_program_ends_with_a_usable_code(number, code, name, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout.readline() == "step\n"
        program.send_signal(number)
        said, complaints = program.communicate(timeout=60)
    assert program.returncode == code and complaints == ""
    saved = Path(said.strip().removeprefix(f"{name}; saved in "))
    assert saved.parent == tmp_path / "checkpoints" and saved.is_file()
