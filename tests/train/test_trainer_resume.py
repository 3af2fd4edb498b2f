"""Checkpoints of a Trainer: a run that is resumed is, to the bit, the one that was never interrupted."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import zkynet as zk
from support.killed import KilledError, killed_at
from zkynet import io, nn, optim
from zkynet.backends.errors import CheckpointError, WeightsMismatchError
from zkynet.data import Batches
from zkynet.framework import op
from zkynet.train import Callback, DynamicLossScale, On, Trainer
from zkynet.train.run_state import SaveError
from zkynet.train.trainer import CHECKPOINTS

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 6), dtype=np.float32)
LABELS = RNG.integers(0, 3, 50)
TRAIN, VALIDATION = (X[:40], LABELS[:40]), (X[40:], LABELS[40:])
STEPS = 18  # of three epochs

OPTIMIZERS = {
    "adam": lambda: optim.Adam(1e-2),
    "sgd": lambda: optim.SGD(optim.schedules.WarmUp(optim.schedules.Cosine(0.1, STEPS), 4), momentum=0.9),
    "accumulate": lambda: optim.Accumulate(optim.AdamW(1e-2), every=4),
}


def net(seed=3):
    """Dropout, batch statistics, a matrix that is not in C order, and one generator for all that is drawn."""
    g = zk.Generator(seed)
    model = nn.Sequential(nn.Linear(6, 8, g), nn.BatchNorm(8), op.tanh, nn.Dropout(0.3, g), nn.Linear(8, 3, g))
    weight = model.layers[0].weight
    weight.value = np.asfortranarray(weight.value)
    return model


def loss(model, x, labels):
    """With noise while the model is validated, too."""
    noise = model.layers[3].generator.normal(x.shape, "float32")
    return op.softmax_cross_entropy(model(x + 0.1 * noise), labels)


def noisy(batch, generator):
    return batch[0] + 0.1 * generator.standard_normal(batch[0].shape, dtype=np.float32), batch[1]


def batches(**settings):
    return Batches(TRAIN, **{"batch_size": 7, "seed": 5, "transform": noisy, "prefetch": 1} | settings)


def right(outputs, targets):
    return float((np.argmax(outputs, axis=-1) == targets).mean())


class Losses(Callback):
    """The loss of every step, kept in checkpoints; and an array."""

    def __init__(self):
        self.losses, self.newest = [], np.zeros(())

    def on_step_end(self, run):
        self.losses.append(run.loss)
        self.newest = np.array(run.loss)

    def state_dict(self):
        return {"losses": list(self.losses)}

    def load_state_dict(self, state):
        self.losses = list(state["losses"])

    def arrays(self):
        return {"newest": self.newest}

    def load_arrays(self, arrays):
        self.newest = arrays["newest"]


def trainer(optimizer="adam", folder=None, callbacks=(), seed=3, **settings):
    log = Losses()
    return Trainer(
        net(seed), loss, OPTIMIZERS[optimizer](), metrics={"right": right}, folder=folder, callbacks=[log, *callbacks],
        **settings,
    )  # fmt: skip


def fitted(run, data=None, **settings):
    run.fit(batches() if data is None else data, VALIDATION, **{"epochs": 3} | settings)
    return run


def end_of(run):
    """All that a run has come to, but for its times."""
    owned = run.model.named_possessions((zk.Parameter, zk.State))
    arrays = {path: np.array(each.value).tobytes() for path, each in owned.items()}
    history = [{name: x for name, x in each.items() if name != "seconds"} for each in run.history]
    return arrays, history, run.callbacks[0].losses, float(run.callbacks[0].newest), run.step, run.epoch


def interrupted(step, optimizer="adam", folder=None, data=None, **settings):
    with pytest.raises(KilledError):
        fitted(trainer(optimizer, folder, [killed_at(step)], **settings), data)


# ---- the same bits ----


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resuming_after_any_step_gives_the_bits_of_the_whole_run(optimizer, tmp_path):
    whole = end_of(fitted(trainer(optimizer)))
    assert len(whole[2]) == STEPS
    for step in range(1, STEPS + 1):
        folder = tmp_path / str(step)
        interrupted(step, optimizer, folder, checkpoint_every=2)
        again = trainer(optimizer, folder, seed=99)  # weights and streams are those of the checkpoint
        fitted(again, resume=bool(again.saved)) if again.saved else fitted(again := trainer(optimizer))
        assert end_of(again) == whole, step


@pytest.mark.parametrize("data", ["batches", "list"])
def test_one_run_may_be_interrupted_many_times(data, tmp_path):
    source = batches if data == "batches" else lambda: list(Batches(TRAIN, 7))
    whole = end_of(fitted(trainer(), source()))
    interrupted(3, folder=tmp_path, data=source(), checkpoint_every=1)
    for step in (4, 6, 7, 12, 13):
        with pytest.raises(KilledError):
            fitted(trainer("adam", tmp_path, [killed_at(step)], checkpoint_every=1), source(), resume=True)
    assert end_of(fitted(trainer(folder=tmp_path), source(), resume=True)) == whole


def test_stop_in_the_middle_is_resumed_there(tmp_path):
    whole = end_of(fitted(trainer()))
    stop = On(step_end=lambda run: run.stop("enough") if run.step == 9 else None)
    early = fitted(trainer("adam", tmp_path, [stop]))
    assert early.saved[-1].name == "step-00000009.json"  # in the middle of an epoch
    assert end_of(fitted(trainer(folder=tmp_path), resume=True)) == whole


def test_an_epoch_that_was_ended_early_leaves_its_batches_to_the_next(tmp_path):
    stop = On(step_end=lambda run: run.stop("enough", finish_epoch=True) if run.step == 2 else None)
    fitted(trainer("adam", tmp_path, [stop]))
    seen = []
    rest = trainer("adam", tmp_path, [On(step_start=lambda run: seen.append((run.epoch, run.batch)))])
    fitted(rest, epochs=2, resume=True)
    assert seen == [(2, 2), (2, 3), (2, 4), (2, 5)] and len(rest.history) == 2


def test_more_epochs_after_the_last(tmp_path):
    fitted(trainer(folder=tmp_path), epochs=2)
    done = fitted(trainer(folder=tmp_path), epochs=2, resume=True)  # nothing is left to do
    assert done.step == 12 and len(done.history) == 2 and len(done.saved) == 2
    assert end_of(fitted(trainer(folder=tmp_path), resume=True)) == end_of(fitted(trainer()))


def test_modes_frozen_parameters_and_the_loss_scale_are_restored(tmp_path):
    def settings():
        return {"loss_scale": DynamicLossScale(2.0**10, interval=5)}

    def switch(run):
        if run.epoch == 2:
            run.model.freeze("layers.4")
            run.model.layers[1].eval()

    whole = fitted(trainer(callbacks=[On(epoch_start=switch)], **settings()))
    interrupted_run = trainer("adam", tmp_path, [On(epoch_start=switch), killed_at(9)], **settings())
    interrupted_run.checkpoint_every = 2
    with pytest.raises(KilledError):
        fitted(interrupted_run)
    again = fitted(trainer("adam", tmp_path, **settings()), resume=True)
    assert end_of(again) == end_of(whole)
    assert again.loss_scale.state_dict() == whole.loss_scale.state_dict() and whole.loss_scale.value > 2.0**10


def test_a_run_whose_losses_are_not_finite_is_saved_and_resumed(tmp_path):
    def nan_at_3(run):
        if run.step == 3:
            run.model.layers[4].bias.value = np.full(3, np.nan, np.float32)

    with pytest.raises(KilledError):
        fitted(trainer("sgd", tmp_path, [On(step_end=nan_at_3), killed_at(6)], checkpoint_every=1))
    again = fitted(trainer("sgd", tmp_path), resume=True)
    assert np.isnan(again.history[0]["loss"]) and np.isnan(again.callbacks[0].losses[3:]).all()


# ---- load and save by hand ----


def test_load_gives_model_history_and_callbacks_and_fit_goes_on_from_there(tmp_path):
    whole = fitted(trainer(folder=tmp_path, keep=2))
    assert [path.name for path in whole.saved] == ["step-00000012.json", "step-00000018.json"]
    for path in (tmp_path, tmp_path / CHECKPOINTS, whole.saved[-1]):
        other = trainer()
        other.load(path)
        assert end_of(other) == end_of(whole) and other.figures == whole.figures
    other.load(whole.saved[0])
    assert len(other.history) == 2 and end_of(fitted(other, resume=True)) == end_of(whole)
    assert end_of(fitted(trainer(), resume=whole.saved[0])) == end_of(whole)
    assert whole.save() == whole.saved[-1] and len(whole.saved) == 2  # saved already
    with pytest.raises(ValueError, match="there is no folder"):
        trainer().save()


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    whole = fitted(trainer(folder=tmp_path))
    newest = whole.saved[-1].with_suffix(".safetensors")
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="damaged"):
        again = fitted(trainer(folder=tmp_path), resume=True)
    assert end_of(again) == end_of(whole)


def test_callbacks_may_come_and_go(tmp_path):
    interrupted(9, folder=tmp_path, checkpoint_every=2)
    new = Losses()
    again = trainer("adam", tmp_path, [new])
    again.callbacks[0].losses.append("kept by no checkpoint")
    fitted(again, resume=True)
    assert len(again.callbacks[0].losses) == STEPS and len(new.losses) == STEPS - 8
    without = Trainer(net(), loss, OPTIMIZERS["adam"](), metrics={"right": right})
    assert len(without.fit(batches(), VALIDATION, epochs=3, resume=again.saved[-1])) == 3


def test_arrays_keep_their_order_in_memory(tmp_path):
    """It decides in what order a matrix product adds up."""

    def turned():
        run = trainer(folder=tmp_path)
        run.model.kernel = zk.State("kernel", np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1))
        return run

    def strides(run):
        owned = run.model.named_possessions((zk.Parameter, zk.State))
        return {path: each.value.strides for path, each in owned.items() if hasattr(each.value, "strides")}

    whole, other = fitted(turned(), epochs=1), turned()
    assert strides(whole)["kernel"] == (8, 96, 32)
    other.model.kernel.value = np.zeros((4, 2, 3))
    other.model.layers[0].weight.value = np.zeros((6, 8), np.float32)
    other.load(tmp_path)
    assert strides(other) == strides(whole) and end_of(other) == end_of(whole)


# ---- what cannot be resumed ----


def test_a_new_run_does_not_replace_the_checkpoints_of_another(tmp_path):
    fitted(trainer(folder=tmp_path), epochs=1)
    before = sorted(path.name for path in (tmp_path / CHECKPOINTS).iterdir())
    with pytest.raises(ValueError, match="holds checkpoints of a run.*\n.*resume=True"):
        fitted(trainer(folder=tmp_path))
    assert sorted(path.name for path in (tmp_path / CHECKPOINTS).iterdir()) == before


def test_nothing_to_resume_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        fitted(trainer(folder=tmp_path), resume=True)
    with pytest.raises(ValueError, match="there is no folder"):
        fitted(trainer(), resume=True)
    with pytest.raises(CheckpointError):
        fitted(trainer(), resume=tmp_path / "step-00000003.json")


def test_another_model_optimizer_or_batches_are_an_error(tmp_path):
    interrupted(9, folder=tmp_path, checkpoint_every=2)
    other = Trainer(nn.Linear(6, 3, 0), loss, optim.Adam(1e-2), folder=tmp_path)
    with pytest.raises(WeightsMismatchError):
        fitted(other, resume=True)
    with pytest.raises(ValueError, match="no state of SGD"):
        fitted(trainer("sgd", tmp_path), resume=True)
    with pytest.raises(ValueError, match="batch_size 7\n.*batch_size 8"):
        fitted(trainer(folder=tmp_path), batches(batch_size=8), resume=True)
    io.save_checkpoint(tmp_path / "mine", {}, {"my": "state"}, step=1)
    with pytest.raises(CheckpointError, match="no Trainer of this version wrote it"):
        trainer().load(tmp_path / "mine")


class Stateless:
    """Batches in an order that nobody can ask for."""

    def __iter__(self):
        return iter(Batches(TRAIN, 7))


def test_batches_without_a_state_are_saved_and_refused_with_what_is_missing(tmp_path):
    interrupted(9, folder=tmp_path, data=Stateless(), checkpoint_every=2)
    with pytest.raises(
        ValueError, match="epoch 2, after 2 batches\n.*Stateless has no __len__, state_dict, load_state"
    ):
        fitted(trainer(folder=tmp_path), Stateless(), resume=True)
    with pytest.raises(ValueError, match="begun on no Batches"):
        fitted(trainer(folder=tmp_path), resume=True)


# ---- a disk that refuses ----


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO], ids=lambda n: errno.errorcode[n]
)
def test_a_checkpoint_that_cannot_be_written_is_told_and_harms_no_other(number, tmp_path, monkeypatch):
    ends = []

    def refuse(handle):
        raise OSError(number, os.strerror(number))

    at = On(step_end=lambda run: run.step == 8 and monkeypatch.setattr(os, "fsync", refuse), run_end=ends.append)
    run = trainer("adam", tmp_path, [at], checkpoint_every=2)
    with pytest.raises(SaveError) as caught:
        fitted(run)
    monkeypatch.undo()
    error = caught.value
    assert isinstance(error, OSError) and (error.errno, error.strerror) == (number, os.strerror(number))
    assert str(error).startswith(f"cannot save a checkpoint to {tmp_path}") and "\n" not in str(error)
    assert f"{os.strerror(number)}; the ones before it are untouched" in str(error)
    assert ends == [run] and run.stopped.startswith("SaveError: cannot save")
    assert [path.name for path in run.saved] == [f"step-0000000{i}.json" for i in (2, 4, 6)]
    assert end_of(fitted(trainer(folder=tmp_path), resume=True)) == end_of(fitted(trainer()))


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / CHECKPOINTS).write_text("mine")
    with pytest.raises(OSError, match="cannot save a checkpoint to|checkpoints"):
        fitted(trainer(folder=tmp_path), epochs=1)


# ---- kill -9 ----


@pytest.mark.slow
def test_kill_9_at_50_moments_and_resume_gives_the_same_bits(tmp_path):
    script = Path(__file__).with_name("killed_runs.py")
    if not hasattr(os, "fork"):
        pytest.skip("the script forks, which this system cannot: it has no os.fork")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "50"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["kills"] == 50 and result["different"] == 0 and result["lost"] == 0
    assert result["resumed"] >= 25  # the others were killed before their first checkpoint
