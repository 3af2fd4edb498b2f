"""The callbacks that tell: progress, logs, statistics, timing, curves; and that they survive an interruption."""

import csv
import io
import json
import math
import os
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from support.killed import KilledError, killed_at
from zkynet import nn, optim
from zkynet.data import Batches
from zkynet.framework import op
from zkynet.train import On, Trainer
from zkynet.train.callbacks import CsvLog, JsonLog, LiveCurves, Progress, Statistics, Timing, live_curves, progress
from zkynet.train.callbacks.logs import LineFile, plain
from zkynet.train.callbacks.statistics import statistics_of

TIMES = ("seconds", "training_seconds", "steps_per_second", "samples_per_second")


def square(model, x, y):
    return op.mean(op.square(model(x) - y))


def data(n=24):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(n, 3))
    return x, x @ np.array([[1.0], [-2.0], [0.5]])


def trainer(*callbacks, **settings):
    return Trainer(nn.Linear(3, 1, 0, dtype="float64"), square, optim.Adam(0.05), callbacks=callbacks, **settings)


def fit(run, epochs=3, **settings):
    return run.fit(Batches(data(), 8), validation=data(6), epochs=epochs, **settings)


def a_run(**figures):
    """What a callback sees of a run, without one."""
    return SimpleNamespace(
        folder=None, step=0, epoch=1, epochs=12, batch=0, batches=45, loss=1.25, samples=8, stopped=None,
        compiled=False, learning_rate=0.5, figures={"epoch": 1, **figures}, history=[],
    )  # fmt: skip


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def without_times(lines):
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


class Terminal(io.StringIO):
    def isatty(self):
        return True


# ---- progress ----


def test_piped_output_gets_a_line_per_epoch(capsys):
    history = fit(trainer(Progress()), epochs=10)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10 and "\r" not in "".join(lines)
    last = history[-1]
    assert lines[-1] == (
        f"epoch 10/10  loss {last['loss']:.4f}  validation loss {last['validation_loss']:.4f}  {last['seconds']:.2f} s"
    )
    assert lines[0].startswith("epoch  1/10  loss ")


def test_quiet_says_nothing_even_in_a_terminal():
    terminal = Terminal()
    fit(trainer(Progress(quiet=True, file=terminal)))
    assert terminal.getvalue() == ""


def test_a_terminal_without_tqdm_sees_a_line_that_moves(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    terminal, run = Terminal(), a_run(loss=0.25, accuracy=0.9, seconds=1.5)
    each = Progress(file=terminal, interval=0, names={"loss": "train loss", "accuracy": "test accuracy"})
    each.on_run_start(run)
    for run.batch, run.loss in ((5, 1.23456), (45, 0.5)):
        each.on_step_end(run)
    each.on_epoch_end(run)
    first, second = "epoch 1/12  batch 5/45  loss 1.2346", "epoch 1/12  batch 45/45  loss 0.5000"
    line = "epoch  1/12  train loss 0.2500  test accuracy 0.9000  1.50 s\n"
    assert terminal.getvalue() == f"{first}\r{second}\r{' ' * len(second)}\r{line}"
    run.batches = None
    each.on_step_end(run)
    assert terminal.getvalue().endswith("batch 45  loss 0.5000")


def test_so_many_epochs_that_they_are_a_limit_are_not_told():
    run = a_run(loss=0.25, seconds=1.5)
    run.epochs = 1000
    assert progress.epoch_line(run, {}, None) == "epoch 1  loss 0.2500  1.50 s"


def test_the_line_does_not_move_more_often_than_it_may(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    terminal, run = Terminal(), a_run()
    each = Progress(file=terminal, interval=1000)
    each.on_run_start(run)
    each._moving.last = progress.time.monotonic()
    each.on_step_end(run)
    assert terminal.getvalue() == ""


def test_a_terminal_with_tqdm_sees_its_bar():
    pytest.importorskip("tqdm", reason="tqdm is optional")
    terminal = Terminal()
    fit(trainer(Progress(file=terminal, interval=0)), epochs=2)
    text = terminal.getvalue()
    assert "epoch 2/2: 100%" in text and "3/3" in text and "loss " in text
    shown = [line.split("\r")[-1] for line in text.split("\n")]  # the bars are gone when the lines come
    assert [line.split("  ")[0] for line in shown] == ["epoch 1/2", "epoch 2/2", ""]
    terminal, run = Terminal(), a_run()
    each, run.batch = Progress(file=terminal, interval=0), 31  # resumed in the middle of an epoch
    each.on_run_start(run)
    each.on_step_end(run)
    each.on_run_end(run)
    assert " 31/45" in terminal.getvalue()


def test_figures_are_shown_as_asked_for_and_small_numbers_keep_their_digits():
    run = a_run(loss=3.25e-7, correct=np.int64(17), f1=np.float32(0.5), note="x", table=[1, 2], steps_per_second=9.0)
    line = progress.epoch_line(run, {}, None)
    assert line == "epoch  1/12  loss 3.250e-07  correct 17  f1 0.5000"
    assert progress.epoch_line(run, {"f1": "F1"}, ["f1", "note", "missing"]) == "epoch  1/12  F1 0.5000  note x"


def test_a_run_that_was_stopped_says_why(capsys):
    fit(trainer(Progress(), On(epoch_end=lambda run: run.stop("enough"))))
    assert capsys.readouterr().out.splitlines()[-1] == "stopped in epoch 1: enough"
    with pytest.raises(KilledError):
        fit(trainer(Progress(), killed_at(2)))
    assert capsys.readouterr().out == ""


# ---- JSON lines ----


def test_the_log_has_the_settings_the_steps_and_the_epochs(tmp_path):
    history = fit(trainer(JsonLog(every=2, settings={"seed": 3, "path": None}), folder=tmp_path))
    first, *lines = lines_of(tmp_path / "log.jsonl")
    assert first == {"seed": 3, "path": None}
    assert [line for line in lines if "step" not in line] == history
    steps = [line for line in lines if "step" in line]
    assert [(line["epoch"], line["step"]) for line in steps] == [(1, 2), (2, 4), (2, 6), (3, 8)]
    assert all(line["learning_rate"] == 0.05 and line["loss"] > 0 for line in steps)
    assert lines.index(history[0]) == 1  # in the order in which they came


def test_a_step_is_logged_with_its_own_learning_rate(tmp_path):
    run = trainer(JsonLog(tmp_path / "one", every=1), JsonLog(tmp_path / "two", every=2))
    run.optimizer.lr = lambda step: 1 / (step + 1)
    fit(run, epochs=1)
    for name, expected in (("one", [1, 1 / 2, 1 / 3]), ("two", [1 / 2])):
        assert [line["learning_rate"] for line in lines_of(tmp_path / name)[:-1]] == expected


def test_a_line_is_there_as_soon_as_it_is_written(tmp_path):
    path, seen = tmp_path / "new" / "log.jsonl", []
    fit(trainer(JsonLog(path), On(epoch_start=lambda run: seen.append(len(lines_of(path))))))
    assert seen == [0, 1, 2]


def test_numbers_that_are_not_finite_are_null():
    value = {"a": math.nan, "b": [np.float32("inf"), 1.5], "c": np.array([[1, 2], [3, 4]]), 7: (True, None, "x")}
    assert plain(value) == {"a": None, "b": [None, 1.5], "c": [[1, 2], [3, 4]], "7": [True, None, "x"]}
    assert type(plain(np.float64(2.0))) is float
    with pytest.raises(TypeError, match="holds numbers, text"):
        plain({"z": 1j})


def test_a_run_that_was_stopped_says_so_at_the_end_of_its_log(tmp_path):
    fit(trainer(JsonLog(), On(epoch_end=lambda run: run.stop("enough")), folder=tmp_path))
    assert lines_of(tmp_path / "log.jsonl")[-1] == {"stopped": "enough", "epoch": 1, "step": 3}


def test_a_new_run_begins_its_log_anew(tmp_path):
    log, table, there = tmp_path / "log", tmp_path / "table", []
    for _ in range(2):
        look = On(epoch_start=lambda run: there.append((log.stat().st_size > 0, table.exists())))
        fit(trainer(JsonLog(log), CsvLog(table), look), epochs=2)
        assert len(lines_of(log)) == 2 and len(table.read_text().splitlines()) == 3
    assert there == [(False, False), (True, True)] * 2


@pytest.mark.parametrize("callback", [JsonLog(), CsvLog(), LiveCurves("file")])
def test_a_log_needs_a_place(callback):
    with pytest.raises(ValueError, match=r"has nowhere to write"):
        fit(trainer(callback))


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_every_is_a_number_of_steps(every):
    for kind in (JsonLog, Statistics):
        with pytest.raises(ValueError, match="every is no number of steps"):
            kind(every=every)


# ---- a file of lines ----


def written(path, *lines, resumed=False, state=None):
    file = LineFile()
    file.load_state_dict(state or {})
    file.open(path, resumed)
    for line in lines:
        file.write(line)
    state = file.state_dict()
    file.close()
    return state


def test_what_came_after_the_checkpoint_is_cut_off(tmp_path):
    path = tmp_path / "lines"
    state = written(path, b"one\n", b"two\n")
    assert state == {"file": "lines", "bytes": 8}
    with open(path, "ab") as file:
        file.write(b"three\nhal")  # a process that was killed in the middle
    assert written(path, b"3\n", resumed=True, state=state) == {"file": "lines", "bytes": 10}
    assert path.read_bytes() == b"one\ntwo\n3\n"


def test_what_a_checkpoint_counts_is_on_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("zkynet.train.callbacks.logs.os.fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    written(tmp_path / "lines", b"one\n", b"two\n")
    assert synced == [8]


def test_a_file_that_lost_lines_is_an_error_and_another_path_the_way_out(tmp_path):
    path = tmp_path / "lines"
    state = written(path, b"one\n")
    for damage in (lambda: path.write_bytes(b"o"), path.unlink):
        damage()
        with pytest.raises(ValueError, match="lost lines since the checkpoint"):
            written(path, resumed=True, state=state)
    assert written(tmp_path / "others", b"two\n", resumed=True, state=state)["bytes"] == 4


def test_without_a_state_nothing_is_cut_off(tmp_path):
    path = tmp_path / "lines"
    written(path, b"one\n")
    written(path, b"two\n", b"thr", resumed=True)
    written(path, b"four\n", resumed=True)
    assert path.read_bytes() == b"one\ntwo\nthr\nfour\n"
    with pytest.raises(ValueError, match="no file is open"):
        LineFile().write(b"x\n")


# ---- CSV ----


def table_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_has_all_digits_of_every_figure(tmp_path):
    history = fit(trainer(CsvLog(), folder=tmp_path))
    rows = table_of(tmp_path / "log.csv")
    assert [{name: float(text) for name, text in row.items()} for row in rows] == history


def epochs_into(log, *figures):
    run = a_run()
    log.on_run_start(run)
    for run.epoch, each in enumerate(figures, start=1):
        run.figures = {"epoch": run.epoch, **each}
        log.on_epoch_end(run)


def test_figures_that_come_later_get_columns_and_nothing_is_lost(tmp_path):
    path = tmp_path / "log.csv"
    figures = ({"loss": 1.5}, {"loss": math.nan, 'a "b",\nc': [1, None]}, {"f1": np.float32(0.5), "note": "x, y"})
    epochs_into(CsvLog(path), *figures)
    assert path.read_text().splitlines()[0].startswith("epoch,loss,")
    assert table_of(path) == [
        {"epoch": "1", "loss": "1.5", 'a "b",\nc': "", "f1": "", "note": ""},
        {"epoch": "2", "loss": "nan", 'a "b",\nc': "[1, null]", "f1": "", "note": ""},
        {"epoch": "3", "loss": "", 'a "b",\nc': "", "f1": "0.5", "note": "x, y"},
    ]


def test_a_resumed_table_is_that_of_the_checkpoint_even_where_columns_came_later(tmp_path):
    path, log = tmp_path / "log.csv", CsvLog(tmp_path / "log.csv")
    epochs_into(log, {"loss": 1.5})
    before, state = path.read_bytes(), json.loads(json.dumps(log.state_dict()))
    epochs_into_more = a_run()
    epochs_into_more.epoch, epochs_into_more.figures = 2, {"epoch": 2, "loss": 1.0, "new": 3}
    log.on_epoch_end(epochs_into_more)
    after = path.read_bytes()
    path.write_bytes(after + b"3,0.")  # a process that was killed in the middle of a line
    again, run = CsvLog(path), a_run()
    run.step = 3
    again.load_state_dict(state)
    again.on_run_start(run)
    assert path.read_bytes() == before
    again.on_epoch_end(epochs_into_more)
    assert path.read_bytes() == after
    path.write_text("epoch,loss\n")
    with pytest.raises(ValueError, match="not the table that the checkpoint speaks of"):
        again.on_run_start(run)


# ---- interrupted and resumed ----


@pytest.mark.parametrize("step", [1, 3, 5, 7, 11])
def test_logs_of_a_resumed_run_are_those_of_one_that_was_never_interrupted(step, tmp_path):
    def begin(folder, *more):
        return trainer(
            JsonLog(every=1), CsvLog(), Statistics(every=2), Timing(), *more, folder=folder, checkpoint_every=2
        )

    fit(begin(tmp_path / "whole"), epochs=4)
    with pytest.raises(KilledError):
        fit(begin(tmp_path / "parts", killed_at(step)), epochs=4)
    resumed = begin(tmp_path / "parts", On(step_end=lambda run: None))
    fit(resumed, epochs=4, resume=bool(resumed.saved))
    for name in ("log.jsonl", "statistics.jsonl"):
        whole, parts = (without_times(lines_of(tmp_path / folder / name)) for folder in ("whole", "parts"))
        assert parts == whole and len(whole) > 4
    whole, parts = (without_times(table_of(tmp_path / folder / "log.csv")) for folder in ("whole", "parts"))
    assert parts == whole and len(whole) == 4


# ---- statistics ----


def test_statistics_of_an_array():
    assert statistics_of(np.array([3.0, -4.0, 0.0, 0.0], np.float32)) == {
        "norm": 5.0, "mean": -0.25, "std": pytest.approx(math.sqrt(25 / 4 - 1 / 16)), "zeros": 0.5,
    }  # fmt: skip
    assert statistics_of(np.array([3 + 4j])) == {"norm": 5.0, "mean": 3.5, "std": 0.5, "zeros": 0.0}
    assert statistics_of(2.0) == {"norm": 2.0, "mean": 2.0, "std": 0.0, "zeros": 0.0}
    assert statistics_of(np.full(4, 1e300))["norm"] == pytest.approx(2e300)
    assert statistics_of(np.zeros(3)) == {"norm": 0.0, "mean": 0.0, "std": 0.0, "zeros": 1.0}
    assert math.isnan(statistics_of(np.array([1.0, math.nan]))["norm"])
    assert statistics_of(np.zeros((0, 2)))["zeros"] == 0.0 and math.isnan(statistics_of(np.zeros(0))["mean"])


def test_statistics_look_at_what_the_optimizer_gets_and_leaves(tmp_path):
    seen = []
    watch = On(step_end=lambda run: seen.append({name: np.array(g) for name, g in run.gradients.items()}))
    each = Statistics(every=2)
    run = trainer(watch, each, folder=tmp_path, change=lambda grads: {name: 2 * g for name, g in grads.items()})
    history = fit(run, epochs=2)
    lines = lines_of(tmp_path / "statistics.jsonl")
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 2), (2, 4), (2, 6)]
    for name, g in seen[3].items():
        assert lines[1]["gradients"][name] == statistics_of(g)
    for name, parameter in run.model.trainable_parameters().items():
        assert each.newest["weights"][name] == lines[2]["weights"][name] == statistics_of(parameter.value)
    norm = math.sqrt(sum(np.sum(g**2) for g in seen[5].values()))
    assert history[1]["gradient_norm"] == pytest.approx(norm) and history[1]["weight_norm"] > 0


def test_statistics_need_no_file(tmp_path):
    each = Statistics(every=1)
    history = fit(trainer(each), epochs=1)
    assert each.newest["step"] == 3 and history[0]["weight_norm"] > 0


def test_a_compiled_step_shows_its_weights_alone_and_a_word_says_so():
    each = Statistics(every=1)
    with pytest.warns(UserWarning, match="keeps its gradients to itself"):
        fit(trainer(each, compiled=True), epochs=1)
    assert "gradients" not in each.newest and set(each.newest["weights"]) == {"weight", "bias"}
    fit(trainer(Statistics(every=1, gradients=False), compiled=True), epochs=1)  # a warning would be an error here


# ---- timing ----


def test_timing_adds_what_the_training_alone_took(monkeypatch):
    clock = iter([0.0, 10.0, 12.0, 14.0, 100.0, 101.0])
    monkeypatch.setattr("zkynet.train.callbacks.timing.time.perf_counter", lambda: next(clock))
    run, timing = a_run(), Timing()
    timing.on_run_start(run)
    timing.on_epoch_start(run)
    timing.on_step_end(run)
    timing.on_step_end(run)
    state = timing.state_dict()
    timing.on_epoch_end(run)
    assert run.figures == {"epoch": 1, "training_seconds": 4.0, "steps_per_second": 0.5, "samples_per_second": 4.0}
    again, run.step = Timing(), 2  # a resumed run: the time in between does not count
    again.load_state_dict(json.loads(json.dumps(state)))
    again.on_run_start(run)
    again.on_step_end(run)
    again.on_epoch_end(run)
    assert run.figures["training_seconds"] == 5.0 and run.figures["steps_per_second"] == 3 / 5


def test_timing_is_in_every_log_wherever_it_stands_in_the_list(tmp_path):
    history = fit(trainer(JsonLog(tmp_path / "log"), Timing()))
    assert lines_of(tmp_path / "log") == history and all(each["steps_per_second"] > 0 for each in history)


# ---- live curves ----


def test_the_curves_are_a_file_written_anew_after_each_epoch(tmp_path):
    seen = []
    path = tmp_path / "curves.svg"
    later = On(epoch_start=lambda run: seen.append(path.read_bytes() if path.exists() else b""))
    fit(trainer(LiveCurves("file"), later, folder=tmp_path))
    assert seen[0] == b"" and seen[1] != seen[2]
    text = "".join(ElementTree.parse(path).getroot().itertext())
    assert "loss" in text and "validation loss" in text


def test_a_notebook_gets_one_picture_that_changes(tmp_path, monkeypatch):
    shown = []
    handle = SimpleNamespace(update=lambda picture: shown.append(("updated", picture)))

    def display(picture, display_id):
        shown.append(("new", picture))
        return handle

    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(SVG=lambda text: text, display=display))
    fit(trainer(LiveCurves(path=tmp_path / "also.svg")))
    assert [kind for kind, _ in shown] == ["new", "updated", "updated"]
    assert shown[2][1] == (tmp_path / "also.svg").read_text()
    shell.kernel = None  # a terminal's IPython
    assert not live_curves.in_notebook()


def test_a_window_shows_the_curves_until_it_is_closed(monkeypatch):
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is optional")
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    counts = []

    def look(run):
        figure = plt.figure("zkynet")
        counts.append([len(line.get_xdata()) for axes in figure.axes for line in axes.lines])
        if run.epoch == 2:
            plt.close(figure)

    class Look(On):
        order = 2

    fit(trainer(LiveCurves("window"), Look(epoch_end=look)), epochs=2)
    curves = LiveCurves("window")
    fit(trainer(curves, On(epoch_start=lambda run: plt.close("all"))), epochs=2)
    assert counts == [[1, 1], [2, 2]] and not curves._surface.figure.axes


def test_where_to_draw_is_found_and_checked(monkeypatch, tmp_path):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not live_curves.can_open_windows()
    fit(trainer(LiveCurves(), folder=tmp_path), epochs=1)
    assert (tmp_path / "curves.svg").exists()
    with pytest.raises(ValueError, match="no such place to draw"):
        LiveCurves("moon")
