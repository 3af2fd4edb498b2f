"""WandB: what it tells wandb, by a stand-in; and the real wandb, offline and where there is no network, on its own."""

import importlib.util
import json
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from zkynet import models, optim
from zkynet.train.callbacks.wandb import PATIENCE, WandB

ENVIRONMENT = ("WANDB_MODE", "WANDB_DIR", "WANDB_API_KEY", "WANDB_PROJECT")


class FakeRun:
    """What wandb.init gives, as far as it is used."""

    def __init__(self, arguments):
        self.arguments, self.rows, self.summary, self.finished = arguments, [], {}, 0
        self.id = arguments.get("id", "fresh")

    def log(self, figures, step):
        self.rows.append((step, dict(figures)))

    def finish(self):
        self.finished += 1


class FakeError(Exception):
    """What wandb raises where there is no server."""


class FakeSettings(SimpleNamespace):
    """wandb.Settings of a version that knows two of the three limits."""

    model_fields = {"init_timeout": None, "finish_timeout": None}


@pytest.fixture
def wandb(monkeypatch):
    """A module ``wandb`` that notes what it is told; ``down``: whether its server cannot be reached."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    module = ModuleType("wandb")
    module.runs, module.down, module.Settings = [], False, FakeSettings

    def init(**arguments):
        if module.down and arguments["mode"] != "offline":
            raise FakeError("no such host")
        module.runs.append(FakeRun(arguments))
        return module.runs[-1]

    module.init, module.teardown = init, lambda: None
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def a_run(folder=None, **changes):
    """What the callback reads of a Trainer."""
    optimizer = optim.AdamW(optim.schedules.Cosine(0.1, steps=10), weight_decay=0.5)
    attributes = {"folder": folder, "model": models.fcn([3, 2], seed=0), "optimizer": optimizer, "step": 0}
    values = {"epochs": 2, "batches": 3, "compiled": False, "loss": 0.0, "figures": {}, "stopped": None}
    return SimpleNamespace(**{**attributes, **values, **changes})


def train(callback, run, steps):
    for _ in range(steps):
        run.learning_rate = 1 - run.step / 100
        callback.on_step_start(run)
        run.step += 1
        run.loss, run.learning_rate = 1 / run.step, 1 - run.step / 100
        callback.on_step_end(run)
        if run.step % 3 == 0:
            run.figures = {"epoch": run.step // 3, "loss": 0.25, "accuracy": np.float32(0.5), "matrix": [[1]]}
            callback.on_epoch_end(run)


def test_it_logs_the_figures_of_steps_and_epochs(wandb):
    callback, run = WandB("digits", every=2, tags=["one"]), a_run()
    callback.on_run_start(run)
    train(callback, run, 6)
    callback.on_run_end(run)
    (logged,) = wandb.runs
    assert logged.rows == [
        (2, {"step/loss": 1 / 2, "step/learning_rate": 0.99}),
        (3, {"epoch/loss": 0.25, "epoch/accuracy": 0.5}),
        (4, {"step/loss": 1 / 4, "step/learning_rate": 0.97}),
        (6, {"step/loss": 1 / 6, "step/learning_rate": 0.95}),
        (6, {"epoch/loss": 0.25, "epoch/accuracy": 0.5}),
    ]
    assert logged.finished == 1 and logged.summary == {}
    told = logged.arguments
    assert (told["project"], told["mode"], told["tags"]) == ("digits", "offline", ["one"])
    assert not {"id", "resume", "dir", "name"} & set(told)


def test_it_says_what_the_run_is_set_to(wandb):
    callback = WandB(config={"note": "x", "epochs": 9})
    callback.on_run_start(a_run())
    config = wandb.runs[0].arguments["config"]
    assert json.loads(json.dumps(config)) == config
    assert (config["parameters"], config["batches"], config["note"], config["epochs"]) == (8, 3, "x", 9)
    assert "Linear(3, 2)" in config["model"]
    optimizer = config["optimizer"]
    assert (optimizer["name"], optimizer["weight_decay"], optimizer["betas"]) == ("AdamW", 0.5, [0.9, 0.999])
    assert "Cosine" in optimizer["lr"]


def test_without_steps_there_are_epochs(wandb):
    callback, run = WandB(every=None), a_run()
    callback.on_run_start(run)
    train(callback, run, 3)
    assert [step for step, _ in wandb.runs[0].rows] == [3]


def test_a_run_that_was_stopped_says_why(wandb):
    callback, run = WandB(), a_run()
    callback.on_run_start(run)
    run.stopped = "no improvement in 5 epochs"
    callback.on_run_end(run)
    callback.on_run_end(run)
    assert wandb.runs[0].summary == {"stopped": "no improvement in 5 epochs"} and wandb.runs[0].finished == 1


def test_a_resumed_run_has_the_same_id_and_a_new_one_another(wandb):
    callback, run = WandB(), a_run()
    callback.on_run_start(run)
    wandb.runs[0].id = callback._id = "first"
    state = json.loads(json.dumps(callback.state_dict()))
    second = WandB()
    second.load_state_dict(state)
    second.on_run_start(a_run(step=4))
    assert (wandb.runs[1].arguments["id"], wandb.runs[1].arguments["resume"]) == ("first", "allow")
    second.on_run_start(a_run())
    assert "id" not in wandb.runs[2].arguments


def test_the_mode_is_the_argument_or_the_environment_or_offline(wandb, monkeypatch):
    assert WandB().mode == "offline"
    monkeypatch.setenv("WANDB_MODE", "online")
    assert WandB().mode == "online"
    assert WandB(mode="disabled").mode == "disabled"
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    assert WandB().mode == "offline"
    with pytest.raises(ValueError, match="'nowhere'"):
        WandB(mode="nowhere")


def test_the_folder_is_the_argument_or_the_environment_or_the_runs(wandb, monkeypatch, tmp_path):
    WandB().on_run_start(a_run(tmp_path / "run"))
    assert wandb.runs[-1].arguments["dir"] == str(tmp_path / "run") and (tmp_path / "run").is_dir()
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    WandB().on_run_start(a_run(tmp_path / "run"))
    assert "dir" not in wandb.runs[-1].arguments
    WandB(folder=tmp_path / "own").on_run_start(a_run(tmp_path / "run"))
    assert wandb.runs[-1].arguments["dir"] == str(tmp_path / "own")


def test_online_waits_only_so_long_and_goes_on_offline_without_a_server(wandb):
    callback = WandB(mode="online")
    callback.on_run_start(a_run())
    told = wandb.runs[-1].arguments
    assert told["mode"] == "online"
    assert vars(told["settings"]) == {name: PATIENCE[name] for name in FakeSettings.model_fields}
    wandb.down = True
    with pytest.warns(UserWarning, match="goes on offline.*no such host"):
        callback.on_run_start(a_run())
    assert wandb.runs[-1].arguments["mode"] == "offline"


def test_settings_of_the_user_stay(wandb):
    WandB(mode="online", settings="mine").on_run_start(a_run())
    assert wandb.runs[-1].arguments["settings"] == "mine"


def test_without_wandb_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match="pip install wandb") as caught:
        WandB("digits")
    assert "TensorBoard" in str(caught.value)


# ---- the real one ----

SCRIPT = """
import json, pathlib, sys
import numpy as np
import wandb
from zkynet import data, models, op, optim, train
from zkynet.train.callbacks import WandB

mode, folder = sys.argv[1:]
x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(12, 2)
loss = lambda model, x, y: op.mean(op.square(model(x) - y))


def trainer(mode):
    if mode == "offline":
        board = WandB("zkynet-tests")
    else:
        board = WandB("zkynet-tests", mode=mode, settings=wandb.Settings(init_timeout=1, login_timeout=1))
    return train.Trainer(models.fcn([2, 1], seed=0), loss, optim.SGD(0.1), folder=folder, callbacks=[board])


histories = [trainer("offline").fit(data.Batches((x, x[:, :1]), 4, seed=0), epochs=1)]
histories.append(trainer(mode).fit(data.Batches((x, x[:, :1]), 4, seed=0), epochs=2, resume=True))
wandb.teardown()  # its own process writes the files, and may be behind until it ends

from wandb.proto.wandb_internal_pb2 import Record


def records(path):
    # The log format of LevelDB: blocks of 32 kB; checksum, size and kind of a piece; pieces of a record.
    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            yield Record.FromString(whole)
            whole = b""


def number(item):
    return item.key or "/".join(item.nested_key), json.loads(item.value_json)


runs, files = [], pathlib.Path(folder, "wandb").glob("offline-run-*/*.wandb")
for path in sorted(files, key=lambda path: path.stat().st_mtime_ns):
    rows, ids, config = [], set(), {}
    for record in records(path):
        if record.HasField("history"):
            rows.append(dict(map(number, record.history.item)))
        if record.HasField("run"):
            ids.add(record.run.run_id)
            config.update({item.key: json.loads(item.value_json) for item in record.run.config.update})
    runs.append({"rows": rows, "ids": sorted(ids), "config": config})
print("\\n" + json.dumps({"runs": runs, "histories": histories}))
"""


def really(tmp_path, mode, **environment):
    """Train with the real wandb in a process of its own, in an empty home: what its files hold, and what was said."""
    if importlib.util.find_spec("wandb") is None:
        pytest.skip("wandb is not installed")
    script, folder = tmp_path / "script.py", tmp_path / "run"
    script.write_text(SCRIPT)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    own = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), **environment}
    command = [sys.executable, str(script), mode, str(folder)]
    done = subprocess.run(
        command, cwd=tmp_path, env={**kept, **own}, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done


@pytest.mark.slow
def test_the_real_wandb_offline(tmp_path):
    found, done = really(tmp_path, "offline")
    assert "Warning" not in done.stderr
    first, second = found["runs"]
    steps = [[row["_step"] for row in each["rows"] if "step/loss" in row] for each in (first, second)]
    assert steps == [[1, 2, 3], [4, 5, 6]]
    assert first["ids"] == second["ids"] and len(first["ids"]) == 1
    for each, history in zip((first, second), found["histories"], strict=True):
        (epoch,) = [row["epoch/loss"] for row in each["rows"] if "epoch/loss" in row]
        assert epoch == pytest.approx(history[-1]["loss"], rel=1e-6)
        assert each["config"]["optimizer"]["name"] == "SGD" and each["config"]["parameters"] == 3


@pytest.mark.slow
def test_the_real_wandb_where_its_server_cannot_be_reached(tmp_path):
    nobody = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40}  # the port of nothing at all
    found, done = really(tmp_path, "online", **nobody)
    assert "goes on offline" in done.stderr
    first, second = found["runs"]
    assert [len(each["rows"]) for each in (first, second)] == [3, 3]
    assert first["ids"] == second["ids"]
