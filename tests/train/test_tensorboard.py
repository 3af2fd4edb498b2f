"""TensorBoard: what a run leaves in its event files, and that one which was killed shows every step once."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from support.boards import accumulated
from zkynet import models, optim
from zkynet.io.events import BUCKETS, record
from zkynet.train.callbacks.tensorboard import TensorBoard


def a_run(folder, **changes):
    """What the callback reads of a Trainer."""
    model = models.fcn([3, 4, 2], seed=0)
    attributes = {"folder": folder, "model": model, "optimizer": optim.SGD(0.1), "step": 0, "batch": 0, "batches": 4}
    values = {"loss": 0.0, "learning_rate": 0.5, "gradients": None, "figures": {}, "stopped": None, "history": []}
    return SimpleNamespace(**{**attributes, **values, **changes})


def train(callback, run, steps):
    """So many steps of a made-up run: the loss is 1 / step, the learning rate 1 - step / 100."""
    for _ in range(steps):
        callback.on_step_start(run)
        run.step, run.batch = run.step + 1, run.batch + 1
        run.loss, run.learning_rate = 1 / run.step, 1 - run.step / 100
        run.gradients = {name: p.value * run.step for name, p in run.model.named_parameters().items()}
        callback.on_step_end(run)
        run.gradients = None
        if run.batch == run.batches:
            run.figures = {"epoch": run.step // 4, "loss": run.step / 4, "accuracy": np.float32(0.5), "best": "yes"}
            callback.on_epoch_end(run)
            run.batch = 0


def everything(folder):
    """All that tensorboard reads in a folder, times aside."""
    found = accumulated(folder)
    tags = found.Tags()
    return {
        "scalars": {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in tags["scalars"]},
        "histograms": {tag: [(e.step, e.histogram_value) for e in found.Histograms(tag)] for tag in tags["histograms"]},
        "images": {tag: [(e.step, e.encoded_image_string) for e in found.Images(tag)] for tag in tags["images"]},
        "tensors": {tag: [(e.step, str(e.tensor_proto)) for e in found.Tensors(tag)] for tag in tags["tensors"]},
    }


def options():
    return {"histograms": 3, "images": lambda run: {"pixels": np.full((2, 3), run.step / 100)}}


def test_it_writes_the_figures_of_steps_and_epochs(tmp_path):
    callback, run = TensorBoard(every=2, histograms=True), a_run(tmp_path)
    callback.on_run_start(run)
    train(callback, run, 8)
    callback.on_run_end(run)
    found = everything(tmp_path / "events")
    assert found["scalars"] == {
        "step/loss": [(i, float(np.float32(1 / i))) for i in (2, 4, 6, 8)],
        "step/learning_rate": [(i, float(np.float32(1 - (i - 1) / 100))) for i in (2, 4, 6, 8)],  # before the update
        "epoch/loss": [(4, 1.0), (8, 2.0)],
        "epoch/accuracy": [(4, 0.5), (8, 0.5)],
    }
    names = list(run.model.named_parameters())
    assert set(found["histograms"]) == {f"{kind}/{name}" for kind in ("weights", "gradients") for name in names}
    weight = run.model.named_parameters()[names[0]].value
    for step, histogram in found["histograms"][f"gradients/{names[0]}"]:
        np.testing.assert_array_equal(histogram.bucket, np.histogram((weight * step).astype(np.float64), BUCKETS)[0])
        assert histogram.max == np.max(weight * step)
    assert [step for step, _ in found["histograms"][f"weights/{names[0]}"]] == [4, 8]
    assert "Linear(3, 4)" in found["tensors"]["model"][0][1] and "SGD" in found["tensors"]["optimizer"][0][1]


def test_without_steps_there_are_epochs(tmp_path):
    callback, run = TensorBoard(tmp_path / "here", every=None), a_run(None)
    callback.on_run_start(run)
    train(callback, run, 4)
    callback.on_run_end(run)
    assert set(everything(tmp_path / "here")["scalars"]) == {"epoch/loss", "epoch/accuracy"}


def test_a_folder_is_needed():
    with pytest.raises(ValueError, match="TensorBoard has nowhere to write"):
        TensorBoard().on_run_start(a_run(None))


@pytest.mark.parametrize("argument", [{"every": 0}, {"every": 1.5}, {"histograms": -1}, {"histograms": 2.5}])
def test_arguments_are_checked(argument):
    with pytest.raises(ValueError, match="TensorBoard"):
        TensorBoard("events", **argument)


def test_a_new_run_hides_the_older_one_and_leaves_its_file(tmp_path):
    for steps in (8, 4):
        callback, run = TensorBoard(tmp_path), a_run(None)
        callback.on_run_start(run)
        train(callback, run, steps)
        callback.on_run_end(run)
    assert [step for step, _ in everything(tmp_path)["scalars"]["step/loss"]] == [1, 2, 3, 4]
    assert len(list(tmp_path.iterdir())) == 2


def resumed(folder, state, step):
    """The callback and the run that go on from a checkpoint at ``step``."""
    now = {"step": step, "batch": step % 4, "learning_rate": 1 - step / 100 if step else 0.5}
    callback, run = TensorBoard(**options()), a_run(folder, **now)
    callback.load_state_dict(state)
    callback.on_run_start(run)
    return callback, run


def uninterrupted(folder, steps):
    callback, run = TensorBoard(**options()), a_run(folder)
    callback.on_run_start(run)
    train(callback, run, steps)
    callback.on_run_end(run)
    return everything(folder / "events")


def test_a_run_that_was_killed_again_and_again_shows_every_step_once(tmp_path):
    expected = uninterrupted(tmp_path / "whole", 20)
    folder = tmp_path / "run"
    callback, run = TensorBoard(**options()), a_run(folder)
    callback.on_run_start(run)
    train(callback, run, 2)
    step, draw, live = 2, np.random.default_rng(3), None
    while step < 20:
        saved = callback.state_dict()
        train(callback, run, int(draw.integers(1, 8)))  # steps that no checkpoint knows of
        callback.writer.flush()
        live = accumulated(folder / "events") if live is None else live  # one who was there all the time
        live.Reload()
        with open(callback.writer.path, "ab") as file:
            file.write(record(b"half of this")[: int(draw.integers(0, 20))])
        callback.writer.close()  # the process is gone
        callback, run = resumed(folder, saved, step)
        more = min(int(draw.integers(1, 6)), 20 - step)
        train(callback, run, more)
        step += more
    callback.on_run_end(run)
    assert everything(folder / "events") == expected
    live.Reload()
    shown = [(each.step, each.value) for each in live.Scalars("step/loss")]
    assert shown == expected["scalars"]["step/loss"]


def test_files_of_an_attempt_that_never_came_to_a_checkpoint_are_removed(tmp_path):
    expected = uninterrupted(tmp_path / "whole", 8)
    folder = tmp_path / "run"
    (folder / "events").mkdir(parents=True)
    other = folder / "events" / "events.out.tfevents.0000000001.somebody"
    other.write_bytes(record(b"\x1a\x0dbrain.Event:2"))
    callback, run = TensorBoard(**options()), a_run(folder)
    callback.on_run_start(run)
    train(callback, run, 5)
    saved = callback.state_dict()
    for _ in range(3):
        callback.writer.close()
        callback, run = resumed(folder, saved, 5)
        train(callback, run, 2)
    callback.writer.close()
    callback, run = resumed(folder, saved, 5)
    train(callback, run, 3)
    callback.on_run_end(run)
    assert len(list((folder / "events").iterdir())) == 3 and other.exists()
    assert everything(folder / "events") == expected


@pytest.mark.parametrize("how", ["shortened", "gone"])
def test_a_file_that_was_lost_or_shortened_is_told(tmp_path, how):
    callback, run = TensorBoard(**options()), a_run(tmp_path)
    callback.on_run_start(run)
    train(callback, run, 6)
    saved, path = callback.state_dict(), callback.writer.path
    callback.writer.close()
    if how == "gone":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size - 3)  # a part of the last event is left: the histograms of step 6
    with pytest.warns(UserWarning, match="has lost its last events"):
        callback, run = resumed(tmp_path, saved, 6)
    train(callback, run, 2)
    callback.on_run_end(run)
    shown = [step for step, _ in everything(tmp_path / "events")["scalars"]["step/loss"]]
    assert shown == ([7, 8] if how == "gone" else [1, 2, 3, 4, 5, 6, 7, 8])


def test_files_stay_in_order_when_the_clock_is_set_back(tmp_path, monkeypatch):
    now = [2e9]
    monkeypatch.setattr("zkynet.train.callbacks.tensorboard.time", SimpleNamespace(time=lambda: now[0]))
    callback, run = TensorBoard(**options()), a_run(tmp_path)
    callback.on_run_start(run)
    train(callback, run, 2)
    for step in (2, 4, 6):
        now[0] -= 1e8
        saved = callback.state_dict()
        callback.writer.close()
        callback, run = resumed(tmp_path, saved, step)
        train(callback, run, 2)
    callback.on_run_end(run)
    names = [name for name, _ in callback.state_dict()["files"]]
    assert len(names) == 4 and names == sorted(names)
    assert [step for step, _ in everything(tmp_path / "events")["scalars"]["step/loss"]] == list(range(1, 9))


def test_a_second_fit_goes_on_behind_the_first(tmp_path):
    callback, run = TensorBoard(tmp_path), a_run(None)
    for _ in range(2):
        callback.on_run_start(run)
        train(callback, run, 4)
        callback.on_run_end(run)
    assert [step for step, _ in everything(tmp_path)["scalars"]["step/loss"]] == list(range(1, 9))


# ---- with a Trainer ----

SCRIPT = """
import os, signal, sys
import numpy as np
from zkynet import data, models, op, optim, train
from zkynet.train.callbacks import TensorBoard

folder, end = sys.argv[1], int(sys.argv[2])  # end: the step in which the process is killed


def killed(run):
    if run.step == end:
        os.kill(os.getpid(), signal.SIGKILL)


x = np.linspace(-1, 1, 60, dtype=np.float32).reshape(30, 2)
loss = lambda model, x, y: op.mean(op.square(model(x) - y))
optimizer = optim.Adam(optim.schedules.Cosine(0.1, steps=15))
boards = [TensorBoard(histograms=2), train.On(step_end=killed)]
model = models.fcn([2, 3, 1], seed=0)
trainer = train.Trainer(model, loss, optimizer, folder=folder, checkpoint_every=2, callbacks=boards)
trainer.fit(data.Batches((x, x[:, :1]), 6, seed=0), epochs=3, resume=bool(trainer.saved))
"""


def test_a_run_that_was_really_killed_shows_what_the_uninterrupted_one_shows(tmp_path):
    def started(folder, end):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / folder), str(end)]
        return subprocess.run(command, timeout=120, capture_output=True, text=True, check=False)

    for end in (7, 11):
        assert started("killed", end).returncode == -signal.SIGKILL
    for folder in ("killed", "whole"):
        assert started(folder, 0).returncode == 0
    whole, killed = (everything(tmp_path / folder / "events") for folder in ("whole", "killed"))
    for each in (whole, killed):
        assert [step for step, _ in each["scalars"].pop("epoch/seconds")] == [5, 10, 15]
    assert [step for step, _ in whole["scalars"]["step/loss"]] == list(range(1, 16))
    assert [step for step, _ in whole["scalars"]["epoch/loss"]] == [5, 10, 15]
    assert killed == whole


def test_importing_it_loads_numpy_alone():
    code = (
        "import sys, zkynet.train.callbacks.tensorboard\n"
        "assert not {'tensorboard', 'wandb', 'google', 'PIL', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
