"""``zkynet check``: what it prints, and its exit status."""

import json
import os
import subprocess
import sys

import pytest

from support import backends as backends_here
from zkynet.cli import main


@pytest.fixture(autouse=True)
def strict():
    backends_here.get("array_api_strict")


CASES = """
import numpy as np
import zkynet as zk
from zkynet import nn, op

net = nn.Linear(np.ones((3, 2)))
net.example_inputs = (np.arange(3.0),)
loose = nn.Linear(np.ones((3, 2)))
wrong_inputs = nn.Linear(np.ones((3, 2)))
wrong_inputs.example_inputs = np.ones(3)

class Off(zk.Operator):
    def forward(self, xp, x):
        return xp.exp(x) * (1.0 if xp.is_host else 1.001)

    def vjp_x(self, xp, g, y):
        return g * y

def off():
    return (lambda x: op.sum(Off()(x))), np.arange(3.0)

def raises():
    return (lambda x: op.reshape(x, (7,))), np.arange(3.0)

def nothing():
    return 3
"""


def run(folder, *arguments):
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "zkynet",
        "check",
        *arguments,
        "--backends",
        "numpy,array_api_strict",
    ]
    environment = {k: v for k, v in os.environ.items() if k != "ZKYNET_BACKEND"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cases.py").write_text(CASES)
    return tmp_path


def test_check_says_that_all_is_well(folder):
    done = run(folder, "cases:net", "--json", "r.json")
    assert (done.returncode, done.stderr) == (0, "") and "2 steps" in done.stdout and "agree" in done.stdout
    report = json.loads((folder / "r.json").read_text())
    assert report["ok"] and report["rows"][1]["name"] == "matmul"


def test_check_names_what_diverges(folder):
    done = run(folder, "cases:off")
    assert done.returncode == 1 and done.stderr == ""
    assert "operator: cases.Off()" in done.stdout and "cases.py:20" in done.stdout


def test_check_of_every_operation(folder):
    done = run(folder)
    assert done.returncode == 0 and done.stdout.count("\n") == 1, done.stdout + done.stderr
    assert " operations x 2 backends (numpy, array_api_strict): all agree" in done.stdout


MISTAKES = [
    (["cases"], "expected MODULE:NAME"),
    (["no_such_module:x"], "there is no module 'no_such_module'"),
    (["cases:missing"], "has no 'missing'"),
    (["cases:loose"], "example_inputs"),
    (["cases:wrong_inputs"], "must be a tuple"),
    (["cases:nothing"], "must return (model_or_function, argument, ...)"),
    (["cases:net", "--rtol", "0"], "--rtol: expected a number above 0"),
    (["cases:net", "--json", "none/r.json"], "cannot write"),
    (["cases:net", "--backends", "numpy"], "at least two"),
    (["cases:net", "--backends", "numpy,nonsense"], "there is no backend 'nonsense'"),
]


@pytest.mark.parametrize(("arguments", "says"), MISTAKES)
def test_mistakes_end_with_2(arguments, says, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "cases", raising=False)
    usual = [] if "--backends" in arguments else ["--backends", "numpy,array_api_strict"]
    assert main(["check", *arguments, *usual]) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1
    sys.modules.pop("cases", None)


def test_what_the_subject_raises_ends_with_2(folder):
    done = run(folder, "cases:raises")
    assert done.returncode == 2 and "Traceback" in done.stderr and "in crosscheck of <lambda>, on numpy" in done.stderr
