"""The tables of goals: each peer computes the same, a ratio is judged, and what grows too fast is called a kink."""

import json
import subprocess
import sys

import numpy as np
import pytest

from support import backends as backends_here
from zkynet.bench import child, goals, growth, machine, tables, tasks
from zkynet.bench.tables import Row, Table
from zkynet.bench.tasks import Task
from zkynet.bench.workloads import TOLERANCE, ProcessError
from zkynet.cli import main

SMALL = {
    "scalar": Task("scalar"),
    "chain": Task("chain"),
    "mlp": tasks.mlp((5, 4, 3), batch=2),
    "mlp by SGD": tasks.mlp((5, 4, 3), batch=2, optimizer="sgd"),
    "cnn": Task("cnn", {"batch": 2, "pixels": 8, "classes": 3}, "adam"),
    "conv": Task("conv", {"batch": 1, "channels": 2, "pixels": 4}),
    "lstm": Task("lstm", {"batch": 2, "times": 3, "inputs": 2, "hidden": 3}),
    "transformer": Task(
        "transformer", {"batch": 1, "times": 4, "size": 8, "heads": 2, "hidden": 6, "causal": True}, "adam"
    ),
    "adam": Task("adam", {"arrays": 2, "shape": [3, 2]}, "adam"),
    "hvp": Task("hvp"),
}
ON_JAX = [name for name, task in SMALL.items() if task.optimizer and name != "adam"]
TWO = Table("two", {"zkynet": "ours", "torch": "theirs"}, {"E/torch": ("zkynet", "torch")}, [])


def same(peer, task):
    theirs, ours = child.rehearse(peer, task), child.rehearse("zkynet", task)
    assert len(theirs) == len(ours)
    for a, b in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE * np.abs(b).max())


# ---- what the peers compute ----


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch warns of what it does itself
@pytest.mark.parametrize("name", SMALL)
def test_torch_computes_what_zkynet_does(name):
    pytest.importorskip("torch", reason="torch is the peer")
    same("torch", SMALL[name])


@pytest.mark.parametrize("name", SMALL)
def test_graph_mode_computes_what_eager_mode_does(name):
    same("zkynet graph", SMALL[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_jax_by_hand_computes_what_zkynet_does(name):
    backends_here.get("jax")
    same("jax", SMALL[name])


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["zkynet on jax", "zkynet graph on jax"])
@pytest.mark.parametrize("name", ON_JAX)
def test_zkynet_on_jax_computes_what_it_does_on_numpy(name, peer):
    backends_here.get("jax")
    same(peer, SMALL[name])


def test_steps_change_what_is_compared():
    losses = child.rehearse("zkynet", SMALL["mlp"])
    assert len(losses) == child.COMPARED and len({float(loss) for loss in losses}) == child.COMPARED


# ---- rows ----


def start_by(seconds, **results):
    """A row's start: each peer writes its results and takes its seconds."""

    def start(peer, stack, folder):
        if peer in results:
            np.savez(folder / f"{peer}.npz", np.asarray(results[peer], dtype=np.float64))
        return lambda: seconds[peer]

    return start


@pytest.fixture
def all_here(monkeypatch):
    monkeypatch.setattr(tables, "missing", lambda peer: None)


def test_a_row_is_judged_by_the_median_of_its_rounds(all_here):
    times = {"zkynet": [1.0, 2.0, 6.0, 3.0, 4.0], "torch": [2.0] * 5}
    turns = {peer: iter(each) for peer, each in times.items()}
    row = Row("row", "a row", lambda peer, *_: lambda: next(turns[peer]), {"E/torch": 1.2})
    found = tables.measure(TWO, row, rounds=5)
    assert found.values == times and not found.failures
    assert found.verdicts["E/torch"] == ((1.5, 1.0, 2.0), 1.2, False)
    assert "E/torch    1.50 (1.00 to 2.00)   goal 1.20: missed" in tables.text(TWO, found)
    assert "| a row | 3 s | 2 s | **1.50** (1.00 to 2.00; goal 1.20) |" in tables.markdown(TWO, [found])
    assert tables.summary([found]) == "goals met: 0 of 1; missed: row E/torch"


def test_a_goal_is_met_where_it_is_reached(all_here):
    row = Row("row", "a row", start_by({"zkynet": 1.0, "torch": 2.0}), {"E/torch": 0.5})
    found = tables.measure(TWO, row, rounds=1)
    assert found.verdicts["E/torch"] == ((0.5, 0.5, 0.5), 0.5, True)
    assert tables.summary([found]) == "goals met: 1 of 1; missed: none"


@pytest.mark.parametrize("theirs", [[1.0, 2.1], [1.0, np.nan], [[1.0, 2.0]], 1.0])
def test_a_peer_that_computes_something_else_is_not_timed(all_here, theirs):
    start = start_by({"zkynet": 1.0, "torch": 2.0}, zkynet=[1.0, 2.0], torch=theirs)
    found = tables.measure(TWO, Row("row", "a row", start), rounds=1)
    assert list(found.values) == ["zkynet"] and not found.verdicts
    assert len(found.failures) == 1 and "row: torch: it computes" in found.failures[0]


def test_a_peer_that_computes_the_same_is_timed(all_here):
    start = start_by({"zkynet": 1.0, "torch": 2.0}, zkynet=[1.0, 2.0], torch=[1.0, 2.0001])
    assert list(tables.measure(TWO, Row("row", "a row", start), rounds=1).values) == ["zkynet", "torch"]


def test_processes_are_compared(all_here):
    """Two real processes, of which one is given another task."""
    other = {"zkynet": SMALL["mlp"], "zkynet graph": SMALL["mlp by SGD"]}
    table = Table("two", dict.fromkeys(other, "a peer"), {}, [])
    found = tables.measure(table, Row("row", "a row", lambda peer, *rest: tables.by_task(other[peer])(peer, *rest)), 1)
    assert list(found.values) == ["zkynet"] and "row: zkynet graph: it computes" in found.failures[0]


def test_a_process_that_fails_is_a_failure_of_its_row(all_here):
    row = Row("row", "a row", tables.by_task(Task("no such family")))
    found = tables.measure(TWO._replace(peers={"zkynet": "ours"}), row, rounds=1)
    assert not found.values and "KeyError" in found.failures[0]


def test_a_process_that_ends_in_its_turn_is_a_failure_too(all_here):
    def fails():
        raise ProcessError("it was killed")

    found = tables.measure(TWO, Row("row", "a row", lambda *_: fails), rounds=1)
    assert not found.values and found.failures == ["row: it was killed"]


def test_goals_where_products_are_as_fast_as_everybodys():
    row = Row("row", "", start_by({}), {"E/torch": 0.5, "R/jax": 1.0})
    assert tables.goals_of(row, equal=False) == row.goals
    assert tables.goals_of(row, equal=True) == {"E/torch": 0.5}
    assert tables.goals_of(row._replace(equal={"R/torch": 0.7}), equal=True) == {"R/torch": 0.7}


def test_numbers_have_units():
    assert [tables.shown(x, "s") for x in (2.5, 0.0999, 3.21e-4, 5e-8)] == ["2.5 s", "99.9 ms", "321 us", "0.05 us"]
    assert [tables.shown(x, "B") for x in (3.4e6, 2048, 12)] == ["3.4 MB", "2.05 kB", "0.012 kB"]


@pytest.mark.parametrize("table, row", goals.ROWS.values(), ids=goals.ROWS)
def test_every_goal_is_of_a_column(table, row):
    assert set(row.goals) | set(row.equal or {}) <= set(table.ratios)
    assert {peer for pair in table.ratios.values() for peer in pair} <= {None, *table.peers}
    assert set(row.peers) <= set(table.peers) and set(table.peers) <= set(child.MAKERS)


# ---- memory ----


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone tells the peak of resident memory")
def test_growth_of_memory_is_what_the_steps_need():
    """What was needed and given back before is not counted, what a step needs in passing is."""
    program = """
import numpy as np
from zkynet.bench.child import growth
np.ones(25_000_000)
print(growth(lambda: np.ones(5_000_000).sum(), 3))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    if "could not be reset" in done.stderr:
        assert int(done.stdout) >= 40_000_000
    else:
        assert 39_000_000 <= int(done.stdout) <= 60_000_000


# ---- growth ----


def test_a_kink_is_a_growth_beyond_the_work_and_the_peers():
    medians = {
        1: {"zkynet": 1.0, "zkynet graph": 0.1, "torch": 5.0, "jax": 1.0},
        2: {"zkynet": 2.0, "zkynet graph": 0.2, "torch": 5.0, "jax": 1.0},  # a constant comes to be work
        4: {"zkynet": 8.0, "zkynet graph": 0.8, "torch": 10.0, "jax": 4.0},  # as with jax
        8: {"zkynet": 24.0, "zkynet graph": 1.6, "torch": 20.0, "jax": 8.0},
    }
    found = [(each["peer"], each["before"]) for each in growth.growths(medians, power=1) if each["kink"]]
    assert found == [("zkynet", 4)]
    assert not [each for each in growth.growths(medians, power=2) if each["kink"]]


def test_nothing_is_a_kink_without_peers():
    assert growth.growths({1: {"zkynet": 1.0}, 2: {"zkynet": 9.0}}, power=1) == []


def test_a_sweep_leaves_a_plot_and_its_numbers(tmp_path, all_here, capsys, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib draws the plot")
    times = dict.fromkeys(growth.PEERS, 1.0) | {"torch": 2.0}
    monkeypatch.setattr(growth, "by_task", lambda task: start_by(times))
    monkeypatch.setattr(growth, "SWEEPS", {"depth": growth.SWEEPS["depth"]})
    assert not main(["bench", "--rounds", "1", "--only", "growth", "--keep-coretype", "--out", str(tmp_path)])
    assert (tmp_path / "growth-depth.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads((tmp_path / "growth-depth.json").read_text())
    assert report["points"]["100"]["values"]["torch"] == [2.0] and report["processor"]
    assert "most beside the peers: zkynet, 1 to 2, 1.00 times (1.00)" in capsys.readouterr().out


@pytest.mark.parametrize("sweep", growth.SWEEPS.values(), ids=growth.SWEEPS)
def test_sweeps_go_from_end_to_end(sweep):
    sizes = list(sweep.tasks)
    assert (sizes[0], sizes[-1]) in {(1, 100), (1, 4096), (16, 4096), (16, 2048)} and sizes == sorted(sizes)


# ---- the command ----


def test_one_row_from_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tables, "missing", lambda peer: None if peer == "zkynet" else "not wanted here")
    out = tmp_path / "r.json"
    command = ["bench", "--rounds", "2", "--only", "w1-scalar", "--keep-coretype", "--markdown", "--json", str(out)]
    assert not main(command)
    said = capsys.readouterr().out
    assert "w1-scalar: (x + w) x²" in said and "without torch: not wanted here" in said
    assert "goals met: 0 of 0; missed: none" in said and "\n| (x + w) x², value and gradient | " in said
    row = json.loads(out.read_text())["workloads"]["w1-scalar"]["w1-scalar"]
    assert len(row["values"]["zkynet"]) == 2 and row["absent"]["jax"] == "not wanted here"


def test_a_failure_ends_the_command_with_an_error(all_here, monkeypatch, capsys):
    start = start_by({"zkynet": 1.0, "torch": 2.0}, zkynet=1.0, torch=3.0)
    table = TWO._replace(rows=[Row("row", "a row", start)])
    monkeypatch.setitem(goals.TABLES, "goals", table)
    assert main(["bench", "--rounds", "1", "--keep-coretype"]) == 1
    captured = capsys.readouterr()
    assert "failed: row: torch: it computes" in captured.out and "row: torch: it computes" in captured.err


def test_a_narrow_kernel_is_warned_of(all_here, monkeypatch, capsys):
    monkeypatch.setattr(machine, "preset_kernel", lambda facts: "the kernel is too narrow")
    row = Row("row", "a row", start_by({"zkynet": 1.0, "torch": 2.0}), {"E/torch": 0.4}, {"E/torch": 0.6})
    monkeypatch.setitem(goals.TABLES, "goals", TWO._replace(rows=[row]))
    assert not main(["bench", "--rounds", "1", "--keep-coretype"])
    said = capsys.readouterr().out
    assert "warning: the kernel is too narrow" in said and "goal 0.60: met" in said


@pytest.mark.slow
def test_another_kernel_is_used_by_a_process_of_its_own(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "zkynet", "bench", "--rounds", "1", "--only", "w8-files"]
    command += ["--coretype", "Haswell", "--json", "r.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "OPENBLAS_CORETYPE = Haswell" in done.stdout and "w8-files: files of the package" in done.stdout
    assert json.loads((tmp_path / "r.json").read_text())["openblas_coretype"] == "Haswell"
