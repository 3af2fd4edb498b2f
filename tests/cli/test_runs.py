"""Runs by the command line: kept, gone on with, repeated, refused, evaluated; every mistake is one sentence."""

import errno
import json
import os
import re
import signal
import tomllib

import numpy as np
import pytest

from support import backends as backends_here
from zkynet import io
from zkynet.cli import main
from zkynet.train import On
from zkynet.train.tasks import run as running

SHORT = ["--batch-size", "120", "--epochs"]


def said(capsys, *arguments):
    """Exit status, stdout and stderr of a command."""
    capsys.readouterr()
    status = main([str(each) for each in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def train(capsys, *arguments):
    status, out, err = said(capsys, "train", "digits", *arguments)
    assert (status, err) == (0, ""), err
    return out


def weights(folder):
    return {name: array.tobytes() for name, array in io.load_safetensors(folder / "model.safetensors").items()}


def figures(folder):
    """The log without times."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()[1:]]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


@pytest.fixture(scope="module", autouse=True)
def without_matplotlib():
    """It draws curves.png, tested elsewhere, and takes longer than these runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zkynet.train.curves.png", lambda *args: None)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert main(["train", "digits", *SHORT, "3", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def interrupt_at(monkeypatch):
    """A function that lets every run from now on get a signal in the middle of its step ``step``."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    keepers = running._keepers

    def at(step, number=signal.SIGINT):
        def send(run):
            if run.step == step - 1:
                signal.raise_signal(number)

        monkeypatch.setattr(running, "_keepers", lambda *args: [*keepers(*args), On(step_start=send)])

    yield at
    monkeypatch.setattr(running, "_keepers", keepers)
    signal.signal(signal.SIGINT, before)


# ---- what a run says and keeps ----


def test_a_run_says_where_it_is_kept(tmp_path, capsys):
    out = train(capsys, *SHORT, 1, "--out", tmp_path / "run").splitlines()
    assert out[-2].startswith(f"saved in {tmp_path / 'run'}: checkpoints/, config.toml, ")
    assert re.fullmatch(r"test accuracy 0\.\d{4}", out[-1])


def test_numbered_files_are_named_once(tmp_path, capsys):
    for name in ("step-01.png", "step-12.png", "notes.txt", "b7.txt"):
        (tmp_path / name).touch()
    out = train(capsys, *SHORT, 1, "--out", tmp_path).splitlines()
    assert out[-2] == (
        f"saved in {tmp_path}: b7.txt, checkpoints/, config.toml, curves.svg, log.jsonl, model.safetensors, notes.txt, "
        "step-*.png (2)"
    )


def test_quiet_leaves_the_last_line_only(tmp_path, capsys):
    out = train(capsys, *SHORT, 1, "--quiet", "--out", tmp_path / "run")
    assert re.fullmatch(r"test accuracy 0\.\d{4}\n", out)


def test_fcn_is_another_word_for_mlp(capsys):
    assert train(capsys, *SHORT, 1, "--model", "fcn", "--quiet") == train(capsys, *SHORT, 1, "--quiet")


def test_event_files_for_tensorboard(tmp_path, capsys):
    train(capsys, *SHORT, 1, "--tensorboard", "--out", tmp_path)
    assert [each for each in (tmp_path / "events").iterdir() if "tfevents" in each.name]


def test_the_settings_of_a_run_repeat_it(finished, tmp_path, capsys):
    train(capsys, "--config", finished / "config.toml", "--out", tmp_path / "again")
    assert weights(tmp_path / "again") == weights(finished)
    assert (tmp_path / "again" / "config.toml").read_bytes() == (finished / "config.toml").read_bytes()
    train(capsys, "--config", finished / "config.toml", "--seed", 5, "--out", tmp_path / "other")
    assert tomllib.loads((tmp_path / "other" / "config.toml").read_text())["seed"] == 5
    assert weights(tmp_path / "other") != weights(finished)


def test_only_the_newest_checkpoints_are_kept(tmp_path, capsys):
    train(capsys, *SHORT, 2, "--checkpoint-every", 5, "--keep", 2, "--out", tmp_path)
    names = sorted(path.name for path in (tmp_path / "checkpoints").glob("*.json"))
    assert len(names) == 2 and names[-1] == "step-00000024.json"


# ---- interrupted, and gone on with ----


@pytest.mark.parametrize("step", [1, 12, 13, 30, 36])
def test_an_interrupted_run_goes_on_bit_by_bit(finished, tmp_path, capsys, interrupt_at, step):
    interrupt_at(step)
    status, _, err = said(capsys, "train", "digits", *SHORT, 3, "--out", tmp_path)
    assert status == 130 and f"to go on: zkynet train digits --resume {tmp_path}\n" in err
    interrupt_at(0)
    train(capsys, "--resume", tmp_path)
    assert weights(tmp_path) == weights(finished) and figures(tmp_path) == figures(finished)


def test_sigterm_too(tmp_path, capsys, interrupt_at):
    interrupt_at(5, signal.SIGTERM)
    status, _, err = said(capsys, "train", "digits", *SHORT, 3, "--out", tmp_path)
    assert status == 143 and "interrupted; saved what there is so far" in err


def test_an_interrupt_of_a_run_that_is_not_kept(capsys, interrupt_at):
    interrupt_at(5)
    status, _, err = said(capsys, "train", "digits", *SHORT, 3)
    assert status == 130 and err == "\nzkynet: interrupted; nothing was to be kept (--out DIR keeps a run)\n"


def test_a_folder_with_a_blank_is_quoted_in_the_command(tmp_path, capsys, interrupt_at):
    interrupt_at(5)
    _, _, err = said(capsys, "train", "digits", *SHORT, 3, "--out", tmp_path / "my run")
    assert err.endswith(f"--resume '{tmp_path / 'my run'}'\n")


def test_an_unfinished_run_is_not_replaced_by_accident(tmp_path, capsys, interrupt_at):
    interrupt_at(20)
    assert said(capsys, "train", "digits", *SHORT, 3, "--out", tmp_path)[0] == 130
    interrupt_at(0)
    before = weights(tmp_path)
    status, out, err = said(capsys, "train", "digits", *SHORT, 3, "--out", tmp_path)
    assert status == 1 and out == "" and "holds an unfinished run" in err and "--overwrite replaces it" in err
    assert weights(tmp_path) == before
    train(capsys, *SHORT, 1, "--overwrite", "--out", tmp_path)
    train(capsys, *SHORT, 1, "--seed", 3, "--out", tmp_path)  # a finished one is


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(finished, tmp_path, capsys):
    (tmp_path / "config.toml").write_bytes((finished / "config.toml").read_bytes())
    train(capsys, "--resume", tmp_path)
    assert weights(tmp_path) == weights(finished)


def test_a_run_becomes_longer(finished, tmp_path, capsys):
    train(capsys, *SHORT, 2, "--out", tmp_path)
    assert "is finished: --epochs N" in train(capsys, "--resume", tmp_path)
    train(capsys, "--resume", tmp_path, "--epochs", 3)
    assert weights(tmp_path) == weights(finished) and figures(tmp_path) == figures(finished)


def test_a_run_whose_rate_falls_to_its_end_does_not(tmp_path, capsys):
    train(capsys, "--model", "transformer", "--batch-size", 360, "--epochs", 1, "--out", tmp_path)
    assert f"the run in {tmp_path} is finished\n" in train(capsys, "--resume", tmp_path)
    status, _, err = said(capsys, "train", "digits", "--resume", tmp_path, "--epochs", 2)
    assert status == 1 and "cannot go on to 2 epochs instead of 1: its learning rate falls" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--lr", "0.1"], "has other settings: lr is 0.002 there, not 0.1; leave them out to go on"),
        (["--epochs", "2"], "epochs is 3 there, not 2"),
        (["--seed", "1", "--model", "cnn"], 'model is "mlp" there, not "cnn"; seed is 0 there, not 1'),
    ],
)
def test_a_run_does_not_go_on_with_other_settings(finished, capsys, arguments, words):
    before = weights(finished)
    status, out, err = said(capsys, "train", "digits", "--resume", finished, *arguments)
    assert status == 1 and out == "" and words in err and err.count("\n") == 1
    assert weights(finished) == before


def test_settings_that_change_no_number_may_change(finished, capsys):
    assert "test accuracy" in train(capsys, "--resume", finished, "--keep", "5", "--checkpoint-every", "7", "--quiet")


def test_a_task_does_not_go_on_with_the_run_of_another(finished, capsys):
    status, _, err = said(capsys, "train", "mnist", "--data", finished, "--resume", finished)
    assert status == 1 and "holds settings of the task digits, not of mnist" in err


# ---- what goes wrong ----


def test_a_run_that_diverges_says_so(capsys):
    status, out, err = said(capsys, "train", "digits", "--lr", "1e30", *SHORT, "3")
    assert status == 1 and "the training has diverged; a smaller --lr may help" in err and err.count("\n") == 1


def test_a_file_where_the_folder_should_be(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        status, _, err = said(capsys, "train", "digits", "--out", out)
        assert status == 1 and f"cannot make the folder {out}: " in err and err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_stays(finished, tmp_path, capsys, monkeypatch):
    fsync, full = os.fsync, []

    def refuse(handle):
        if len(list((tmp_path / "checkpoints").glob("*.json"))) >= 2 or full:
            full.append(handle)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "checkpoints"))
        return fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    status, _, err = said(capsys, "train", "digits", *SHORT, 3, "--out", tmp_path)
    assert full and status == 1 and "No space left on device" in err and err.count("\n") == 1
    assert f"to go on: zkynet train digits --resume {tmp_path}" in err
    monkeypatch.setattr(os, "fsync", fsync)
    train(capsys, "--resume", tmp_path)
    assert weights(tmp_path) == weights(finished)


@pytest.mark.parametrize("damage, words", [(b"", "backend is not set there"), (b"x" * 100, "is no TOML file")])
def test_a_damaged_settings_file(tmp_path, capsys, damage, words):
    (tmp_path / "config.toml").write_bytes(damage)
    status, _, err = said(capsys, "train", "digits", "--resume", tmp_path)
    assert status == 1 and words in err and err.count("\n") == 1


# ---- predict, evaluate and summary ----


@pytest.mark.parametrize("place", [0, 1, 2])
def test_options_of_predict_may_stand_anywhere(finished, tmp_path, capsys, place):
    words = [finished, tmp_path / "a.png"]
    words[place:place] = ["--backend", "numpy"]
    _, _, err = said(capsys, "predict", *words)
    assert f"{tmp_path / 'a.png'}: No such file" in err
    assert said(capsys, "predict", *words, "--sise", "3") == (
        2,
        "",
        "zkynet predict: error: unrecognized arguments: --sise; see zkynet predict --help\n",
    )


@pytest.mark.parametrize(
    "arguments, words", [([], "expected IMAGE: zkynet predict"), (["x.png", "--size", "3"], "--size is for runs of")]
)
def test_predict_without_a_picture_or_with_what_other_tasks_take(finished, capsys, arguments, words):
    status, out, err = said(capsys, "predict", finished, *arguments)
    assert status in (1, 2) and out == "" and words in err and err.count("\n") == 1


def test_evaluate(finished, capsys):
    status, out, err = said(capsys, "evaluate", finished)
    assert status == 0 and err == ""
    found = dict(line.rsplit("  ", 1) for line in out.split("\n\n")[0].splitlines())
    assert {name.strip() for name in found} == {"samples", "loss", "accuracy", "f1 macro"}
    last = figures(finished)[-1]
    figured = json.loads(said(capsys, "evaluate", finished, "--json")[1])
    assert figured["accuracy"] == last["accuracy"] and figured["loss"] == pytest.approx(last["validation_loss"], 1e-5)
    rows = [[0 if cell == "." else int(cell) for cell in row.split()[1:]] for row in out.splitlines()[-10:]]
    assert np.trace(rows) / 359 == pytest.approx(last["accuracy"]) and np.sum(rows) == 359


def test_a_run_in_double_precision_stays_that(tmp_path, capsys):
    train(capsys, *SHORT, 2, "--dtype", "float64", "--out", tmp_path)
    found = json.loads(said(capsys, "evaluate", tmp_path, "--json")[1])
    assert found["loss"] == pytest.approx(figures(tmp_path)[-1]["validation_loss"], rel=1e-12)
    assert {each.dtype.name for each in io.load_safetensors(tmp_path / "model.safetensors").values()} == {"float64"}


def test_a_run_in_half_precision_keeps_its_weights_in_single(tmp_path, capsys, interrupt_at):
    half = ["--dtype", "float16", "--batch-size", "120", "--epochs", 2, "--quiet"]
    train(capsys, *half, "--out", tmp_path / "whole")
    interrupt_at(14)
    assert said(capsys, "train", "digits", *half, "--out", tmp_path / "run")[0] == 130
    interrupt_at(0)
    train(capsys, "--resume", tmp_path / "run")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")
    train(capsys, *half[2:], "--out", tmp_path / "single")
    ours, single = (io.load_safetensors(tmp_path / name / "model.safetensors") for name in ("run", "single"))
    for name, array in ours.items():
        assert array.dtype == "float32" and not np.array_equal(array, single[name])
        assert np.allclose(array, single[name], atol=0.02)
    assert json.loads(said(capsys, "evaluate", tmp_path / "run", "--json")[1])["accuracy"] > 0.7


def test_a_compiled_run_goes_on_bit_by_bit(finished, tmp_path, capsys, interrupt_at):
    train(capsys, *SHORT, 3, "--compile", "--out", tmp_path / "whole")
    for ours, eager in zip(figures(tmp_path / "whole"), figures(finished), strict=True):
        assert ours["loss"] == pytest.approx(eager["loss"], rel=1e-5)
    interrupt_at(17)
    assert said(capsys, "train", "digits", *SHORT, 3, "--compile", "--out", tmp_path / "run")[0] == 130
    interrupt_at(0)
    status, _, err = said(capsys, "train", "digits", "--resume", tmp_path / "run", "--lanes")
    assert status == 1 and "lanes is false there, not true" in err
    train(capsys, "--resume", tmp_path / "run")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")


def test_numpy_has_no_bfloat16(capsys):
    status, _, err = said(capsys, "train", "digits", "--dtype", "bfloat16")
    assert status == 1 and "the backend numpy has no bfloat16" in err and err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_numbers_on_jax(tmp_path, capsys, dtype):
    backends_here.get("jax")
    narrow = ["--dtype", dtype, "--backend", "jax", "--batch-size", "120", "--epochs", 2]
    train(capsys, *narrow, "--out", tmp_path)
    found = json.loads(said(capsys, "evaluate", tmp_path, "--json")[1])
    assert found["accuracy"] == pytest.approx(figures(tmp_path)[-1]["accuracy"], abs=0.01) and found["accuracy"] > 0.7


def test_evaluate_on_other_data_is_refused_where_there_is_none(finished, capsys):
    status, _, err = said(capsys, "evaluate", finished, "--data", "x.csv")
    assert status == 1 and "leave --data out" in err


def test_summary_of_a_run_and_of_a_task(finished, capsys):
    _, of_run, _ = said(capsys, "summary", finished)
    status, of_task, _ = said(capsys, "summary", "digits")
    assert status == 0 and of_run.startswith(of_task) and "17,226" in of_task
    assert "trained:       3 epochs of the task digits" in of_run
    assert "Conv2d" in said(capsys, "summary", "digits", "--model", "cnn")[1]


def test_a_run_that_has_nothing_to_generate(finished, capsys):
    assert said(capsys, "generate", finished) == (
        1,
        "",
        "zkynet: error: a run of the task digits has nothing to generate\n",
    )
