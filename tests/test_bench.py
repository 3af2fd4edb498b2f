"""``zkynet bench``: what it says and writes; peers are compared before they are timed. No test asserts a time."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from support import backends as backends_here
from zkynet.bench import jacobians, machine, operations, race, workloads
from zkynet.cli import main


def bench(*arguments, cwd, **env):
    """Run ``zkynet bench`` in a process of its own, away from the checkout."""
    command = [sys.executable, "-W", "error", "-m", "zkynet", "bench", *arguments]
    environment = {k: v for k, v in os.environ.items() if k != machine.CORETYPE} | env
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def test_ratios_are_those_of_the_rounds():
    ratio = race.ratio([1.0, 3.0, 2.0], [2.0, 2.0, 4.0])
    assert ratio == (0.5, 0.5, 1.5, 0.5)


def test_a_race_takes_turns():
    turns = []
    makers = {name: lambda name=name: lambda: turns.append(name) or len(turns) for name in "ab"}
    workload = workloads.Workload("turns", "", makers, process=True)
    times = race.race(workload, ["a", "b"], rounds=3)
    assert turns == ["a", "b"] * 4  # once to warm up
    assert [len(each) for each in times.values()] == [3, 3]


def test_a_workload_can_read_its_own_time():
    workload = workloads.Workload("own", "", {"zkynet": lambda: lambda: "0.25"}, process=True, seconds=float)
    assert race.race(workload, ["zkynet"], rounds=2) == {"zkynet": [0.25, 0.25]}


def test_different_results_are_not_timed(monkeypatch):
    makers = {"zkynet": lambda: lambda: 1.0, "right": lambda: lambda: 1.00001, "wrong": lambda: lambda: 1.01}
    workload = workloads.Workload("values", "", makers)
    monkeypatch.setitem(workloads.WORKLOADS, "values", workload)
    workloads.compare(workload, "right")
    with pytest.raises(workloads.DifferentResultsError, match="wrong computes"):
        workloads.compare(workload, "wrong")


@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_zkynet_stands_first_in_every_workload(name):
    assert next(iter(workloads.WORKLOADS[name].makers)) == "zkynet"


def test_numpy_by_hand_computes_what_zkynet_does():
    workloads.compare(workloads.WORKLOADS["mlp-32"], "numpy by hand")


@pytest.mark.parametrize("name", jacobians.TITLES)
def test_jacobians_by_hand_are_those_of_zkynet(name):
    workloads.compare(workloads.WORKLOADS[name], "numpy by hand")


def test_a_jacobian_is_timed_in_a_process_of_its_own():
    assert race.race(workloads.WORKLOADS["hvp"], ["zkynet"], rounds=1)["zkynet"][0] > 0


def test_one_wrong_entry_of_a_matrix_is_not_overlooked():
    makers = {
        "zkynet": lambda: lambda: [100.0, 0.0],
        "close": lambda: lambda: [100.0, 1e-3],
        "off": lambda: lambda: [100.0, 1.0],
    }
    workload = workloads.Workload("matrix", "", makers, whole=True)
    workloads.compare(workload, "close")
    with pytest.raises(workloads.DifferentResultsError):
        workloads.compare(workload, "off")


@pytest.mark.parametrize("workload", workloads.TABLES["operations"][: len(operations.ROWS)], ids=lambda each: each.name)
def test_operations_compute_what_autograd_does(workload):
    if workloads.missing("autograd"):
        assert all(np.isfinite(workload.results("zkynet")))
    else:
        workloads.compare(workload, "autograd")


def test_the_table_of_operations(monkeypatch, capsys):
    monkeypatch.setattr(workloads, "missing", lambda *_: None)
    monkeypatch.setattr(machine, "versions", ", ".join)  # the peers need not be here
    makers = {name: lambda: lambda: 1.0 for name in ("zkynet", "autograd")}
    monkeypatch.setitem(workloads.TABLES, "operations", [workloads.Workload("sin, 10", "", makers, process=True)])
    assert not main(["bench", "--rounds", "2", "--only", "operations", "--keep-coretype"])
    said = capsys.readouterr().out
    assert "sin, 10" in said and "slower than 1.5 times autograd" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jit-32", "jit-cnn"])
@pytest.mark.parametrize("peer", ["jax.jit", "jax.jit one-hot"])
def test_jax_by_hand_computes_what_a_compiled_step_does(name, peer):
    backends_here.get("jax")
    workloads.compare(workloads.WORKLOADS[name], peer)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jit-32", "jit-cnn"])
def test_a_compiled_step_is_timed_in_a_process_of_its_own(name):
    backends_here.get("jax")
    assert race.race(workloads.WORKLOADS[name], ["zkynet"], rounds=1)["zkynet"][0] > 0


def test_zkynet_too_can_need_a_library(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert workloads.missing("zkynet", workloads.WORKLOADS["jit-32"]) == "jax is not installed"
    assert workloads.missing("zkynet", workloads.WORKLOADS["mlp-32"]) is None


def test_a_library_that_is_not_installed_is_missing(monkeypatch):
    monkeypatch.setitem(workloads.LIBRARIES, "torch", "no_such_library")
    assert workloads.missing("torch") == "no_such_library is not installed"
    assert workloads.missing("zkynet") is workloads.missing("numpy by hand") is None


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--only", "chains"], "there is no workload 'chains', only chain, scalar"),
        (["--rounds", "0"], "a whole number of at least 1"),
        (["--json", "no/such/folder.json"], "cannot write a file"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, said, capsys):
    assert main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.slow
def test_the_preset_kernel_is_left_out(tmp_path):
    done = bench("--rounds", "2", "--only", "scalar", "--json", "r.json", cwd=tmp_path, OPENBLAS_CORETYPE="Haswell")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("OPENBLAS_CORETYPE=Haswell is set: measured without it")
    assert "OPENBLAS_CORETYPE unset" in done.stdout and "scalar: value and gradient" in done.stdout
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["openblas_coretype"] is None
    assert list(report["workloads"]) == ["scalar"]
    assert len(report["workloads"]["scalar"]["zkynet"]["seconds"]) == 2


@pytest.mark.slow
def test_the_preset_kernel_can_be_kept(tmp_path):
    done = bench("--rounds", "1", "--only", "scalar", "--keep-coretype", cwd=tmp_path, OPENBLAS_CORETYPE="Haswell")
    assert done.returncode == 0, done.stderr
    assert "OPENBLAS_CORETYPE = Haswell" in done.stdout
