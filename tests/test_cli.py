"""The command line: what it prints, its exit status, and one sentence for every mistake."""

import json
import os
import re
import subprocess
import sys

import pytest

import zkynet
from support import backends as backends_here
from zkynet.cli import main, train


def run(*arguments, cwd, **env):
    """Run ``python -m zkynet`` in a process of its own, away from the checkout."""
    command = [sys.executable, "-W", "error", "-m", "zkynet", *arguments]
    environment = {k: v for k, v in os.environ.items() if k != "ZKYNET_BACKEND"} | env
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


EPOCH = r"epoch \d/2  train loss \d\.\d{4}  test accuracy 0\.\d{4}  \d+\.\d\d s"


def test_train_digits_ends_with_the_test_accuracy(tmp_path):
    done = run("train", "digits", "--epochs", "2", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    first, *epochs, last = done.stdout.splitlines()
    assert "64-128-64-10 on numpy, adam" in first and len(epochs) == 2
    assert all(re.fullmatch(EPOCH, line) for line in epochs)
    assert re.fullmatch(r"test accuracy 0\.9\d{3}", last)
    assert last.split()[-1] == re.search(r"accuracy (\S+)", epochs[-1]).group(1)


@pytest.mark.slow
def test_train_digits_on_jax(tmp_path):
    backends_here.get("jax")
    done = run("train", "digits", "--epochs", "2", "--backend", "jax", "--batch-size", "64", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "on jax" in done.stdout and re.fullmatch(r"test accuracy 0\.\d{4}", done.stdout.splitlines()[-1])


def test_training_on_numpy_loads_no_other_library(tmp_path):
    code = (
        "import json, sys, zkynet.cli; zkynet.cli.main(['train', 'digits', '--epochs', '1']);"
        "print(json.dumps([n for n in ('jax', 'torch', 'scipy', 'matplotlib', 'sklearn', 'tqdm') if n in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_settings_reach_the_run(capsys, monkeypatch):
    seen = {}

    class Run:
        accuracy = 0.975

    def fake(**settings):
        seen.update(settings)
        return Run()

    monkeypatch.setattr("zkynet.train.digits.train_digits", fake)
    options = ["--backend", "numpy", "--epochs", "7", "--batch-size", "8", "--lr", "0.5", "--seed", "9"]
    assert main(["train", "digits", *options, "--optimizer", "sgd"]) == 0
    assert {k: seen[k] for k in ("epochs", "batch_size", "lr", "seed", "optimizer")} == {
        "epochs": 7,
        "batch_size": 8,
        "lr": 0.5,
        "seed": 9,
        "optimizer": "sgd",
    }
    assert seen["backend"].name == "numpy" and capsys.readouterr().out.splitlines()[-1] == "test accuracy 0.9750"


MISTAKES = [
    ([], 2, "required: COMMAND"),
    (["train"], 2, "required: SUBJECT"),
    (["fly"], 2, "'fly'"),
    (["train", "cats"], 2, "'cats'"),
    (["train", "digits", "--epochs", "-3"], 2, "--epochs: expected a whole number of at least 1, got '-3'"),
    (["train", "digits", "--epochs", "many"], 2, "got 'many'"),
    (["train", "digits", "--batch-size", "0"], 2, "--batch-size: expected a whole number of at least 1"),
    (["train", "digits", "--lr", "0"], 2, "--lr: expected a number above 0"),
    (["train", "digits", "--lr", "nan"], 2, "--lr: expected a number above 0"),
    (["train", "digits", "--seed", "-1"], 2, "--seed: expected a whole number of at least 0"),
    (["train", "digits", "--seed", str(2**64)], 2, "at most"),
    (["train", "digits", "--optimizer", "newton"], 2, "'newton'"),
    (["train", "digits", "--model", "rnn"], 2, "'rnn'"),
    (["train", "digits", "--out", os.devnull], 1, "cannot make the folder"),
    (["predict", "folder"], 2, "required: IMAGE"),
    (["train", "digits", "--epo", "3"], 2, "--epo"),
    (["train", "digits", "--backend", "abacus"], 1, "there is no backend 'abacus'; known: "),
]


@pytest.mark.parametrize(
    "arguments, status, words", MISTAKES, ids=lambda x: " ".join(x) if isinstance(x, list) else None
)
def test_a_mistake_is_one_sentence_on_stderr(arguments, status, words, capsys):
    assert main(arguments) == status
    said = capsys.readouterr()
    assert said.out == "" and words in said.err and said.err.count("\n") == 1
    assert re.match(r"zkynet( train| predict)?( digits)?: error: ", said.err)


def test_a_missing_library_is_one_sentence(tmp_path):
    (tmp_path / "jax.py").write_text("raise ModuleNotFoundError(\"No module named 'jax'\")\n")
    done = run("train", "digits", "--backend", "jax", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert "No module named 'jax'" in done.stderr and "pip install zkynet[jax]" in done.stderr


def test_the_environment_chooses_the_backend(tmp_path):
    done = run("train", "digits", "--epochs", "1", cwd=tmp_path, ZKYNET_BACKEND="abacus")
    assert done.returncode == 1 and "ZKYNET_BACKEND=abacus" in done.stderr and done.stderr.count("\n") == 1
    done = run("train", "digits", "--epochs", "1", "--backend", "numpy", cwd=tmp_path, ZKYNET_BACKEND="abacus")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], ["train", "To begin: zkynet train digits"]),
        (["train"], ["digits"]),
        (
            ["train", "digits"],
            ["--backend", "--epochs", "--batch-size", "--lr", "--seed", "--optimizer", "--model", "--out", "examples:"],
        ),
        (["predict"], ["DIR", "IMAGE", "pillow", "examples:"]),
    ],
)
def test_help(arguments, words, capsys):
    assert main([*arguments, "--help"]) == 0
    said = capsys.readouterr()
    assert said.err == "" and said.out.startswith("usage: zkynet") and all(word in said.out for word in words)


def test_the_defaults_in_the_help_are_those_of_the_code(capsys):
    import inspect

    from zkynet.train.digits import LEARNING_RATES, train_digits

    main(["train", "digits", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    defaults = {name: p.default for name, p in inspect.signature(train_digits).parameters.items()}
    for option in ("epochs", "batch_size", "seed"):
        said = re.search(rf"--{option.replace('_', '-')} N [^-]*?\(default: (\d+)\)", text.partition("options:")[2])
        assert int(said.group(1)) == defaults[option]
    assert f"(default: {LEARNING_RATES['adam']:g} for adam, {LEARNING_RATES['sgd']:g} for sgd)" in text


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"zkynet {zkynet.__version__}\n"


def test_an_interrupt_says_so(capsys, monkeypatch):
    def interrupted(**settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("zkynet.train.digits.train_digits", interrupted)
    assert main(["train", "digits"]) == 130
    said = capsys.readouterr()
    assert said.err == "\nzkynet: interrupted\n"


def test_a_reader_that_leaves_is_no_error(tmp_path):
    command = [sys.executable, "-m", "zkynet", "train", "digits", "--epochs", "3"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("digits")
        process.stdout.close()
        assert process.stderr.read() == "" and process.wait(timeout=300) == 1


def test_a_terminal_sees_a_line_that_moves(capsys):
    progress = train.Progress(epochs=12)
    progress.interval = 0
    progress.batch(3, 5, 45, 1.23456)
    progress.batch(3, 45, 45, 0.5)
    progress.epoch(train_epoch(number=3))
    progress.epoch(train_epoch(number=12))
    out = capsys.readouterr().out
    assert out.startswith("epoch 3/12  batch 5/45  loss 1.2346\repoch 3/12  batch 45/45  loss 0.5000")
    assert out.endswith(
        "\repoch  3/12  train loss 0.2500  test accuracy 0.9000  1.50 s\n"
        "epoch 12/12  train loss 0.2500  test accuracy 0.9000  1.50 s\n"
    )


def train_epoch(number):
    from zkynet.train.digits import Epoch

    return Epoch(number, loss=0.25, accuracy=0.9, seconds=1.5)
