"""Checkpoints: what goes in comes out, the newest whole one wins, and what fails leaves the older one."""

import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import zkynet as zk
from zkynet import io
from zkynet.io import checkpoint

STATE = {
    "numbers": [0, -1, 2**53, 2**53 + 1, -(2**64), 3**5000, 0.1, -0.0, 5e-324, 1e308],
    "special": [math.inf, -math.inf],
    "text": ["", "é 中 \U0001f600", "\ud800", '"\n'],
    "plain": [None, True, False, [], {}, [[1], {"a": {}}]],
    "$int": "not a mark",
    "marks": [{"$int": "0x1"}, {"$float": "nan"}, {"$map": {"$map": 1}}, {"$map": {"a": 1}}, {"$int": 2**60}],
}


def names(folder):
    return sorted(os.listdir(folder))


def save(folder, *steps, keep=3):
    for step in steps:
        io.save_checkpoint(folder, {"w": np.full(3, step, "f4")}, {"step": step}, step=step, keep=keep)


def loaded_step(path):
    arrays, state = io.load_checkpoint(path)
    assert np.array_equal(arrays["w"], np.full(3, state["step"], "f4"))
    return state["step"]


# ---- what goes in comes out ----


def test_the_state_comes_back(tmp_path):
    io.save_checkpoint(tmp_path, {}, STATE, step=0)
    arrays, state = io.load_checkpoint(tmp_path)
    assert arrays == {} and state == STATE and list(state) == list(STATE)
    assert [type(x) for x in state["numbers"]] == [type(x) for x in STATE["numbers"]]
    assert math.copysign(1, state["numbers"][7]) == -1


@pytest.mark.parametrize("state", [None, True, 3, 2**80, "text", [], [[]], {}, math.inf, np.float64(2.5)])
def test_any_value_is_a_state(tmp_path, state):
    io.save_checkpoint(tmp_path, {}, state, step=1)
    found = io.load_checkpoint(tmp_path)[1]
    assert found == state and type(found) is (float if isinstance(state, float) else type(state))


def test_nan_is_nan(tmp_path):
    io.save_checkpoint(tmp_path, {}, {"loss": [math.nan, np.float64("nan")]}, step=1)
    assert all(math.isnan(x) for x in io.load_checkpoint(tmp_path)[1]["loss"])


def test_other_readers_of_json_understand_the_state(tmp_path):
    path = io.save_checkpoint(tmp_path, {}, {"loss": [math.nan, 2**64], "epoch": 3}, step=12)
    record = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert record["state"] == {"loss": [{"$float": "nan"}, {"$int": "0x10000000000000000"}], "epoch": 3}
    assert (record["format"], record["step"]) == (1, 12)
    assert record["arrays"]["file"] == "step-00000012.safetensors"


def test_arrays_come_back_bit_for_bit(tmp_path, backend):
    arrays = {"a/b": np.array([np.nan, -0.0, 5e-324]), "n": np.array(2**63 + 1, "u8"), "none": np.zeros((0, 3), "f2")}
    given = {"device": backend.asarray(np.arange(6, dtype="f4").reshape(2, 3)), "p": zk.Parameter("p", np.ones(2))}
    io.save_checkpoint(tmp_path, arrays | given, None, step=7)
    found, _ = io.load_checkpoint(tmp_path)
    assert all(found[k].tobytes() == x.tobytes() and found[k].dtype == x.dtype for k, x in arrays.items())
    assert np.array_equal(found["device"], np.arange(6).reshape(2, 3)) and np.array_equal(found["p"], [1, 1])
    assert all(x.flags.writeable and x.dtype.isnative for x in found.values())


@pytest.mark.parametrize(
    "state, words",
    [
        ({"a": [1, (2, 3)]}, r"state\['a'\]\[1\] is no JSON value.\n.*tuple\n.*\nMake it a list"),
        ({"a": {"b": np.float32(1)}}, r"state\['a'\]\['b'\] is no JSON value.\n.*float32\n.*\n.*\.item\(\)"),
        ({"w": np.ones(2)}, r"state\['w'\] is no JSON value.\n.*ndarray\n.*\nArrays go into `arrays`"),
        ([b"bytes"], r"state\[0\] is no JSON value.\n.*bytes"),
        (object(), r"state is no JSON value.\n.*object"),
        ({"a": {3: 4}}, r"a key of state\['a'\] is no string.\n  got:      3"),
    ],
)
def test_what_is_no_json_is_refused(tmp_path, state, words):
    with pytest.raises(TypeError, match=words):
        io.save_checkpoint(tmp_path / "run", {}, state, step=1)
    assert not (tmp_path / "run").exists()


def test_a_state_without_end_is_refused(tmp_path):
    state = []
    state.append(state)
    with pytest.raises(TypeError, match="nested deeper than 100"):
        io.save_checkpoint(tmp_path, {}, state, step=1)
    deep = {}
    for _ in range(99):
        deep = {"$map": deep}  # the costliest level
    io.save_checkpoint(tmp_path, {}, deep, step=1)
    assert io.load_checkpoint(tmp_path)[1] == deep


@pytest.mark.parametrize(
    "settings, error, words",
    [
        ({"step": -1}, ValueError, "step is too small.\n  got:      -1"),
        ({"step": 1.0}, TypeError, "step is not an integer"),
        ({"step": 10**15}, ValueError, "step is too large"),
        ({"step": 1, "keep": 0}, ValueError, "keep is too small"),
    ],
)
def test_settings_are_checked(tmp_path, settings, error, words):
    with pytest.raises(error, match=words):
        io.save_checkpoint(tmp_path, {}, None, **settings)


# ---- which ones stay ----


def test_the_last_ones_stay(tmp_path):
    folder = tmp_path / "run" / "checkpoints"  # made where it is missing
    save(folder, 1, 20, 300, 4000)
    assert [path.name for path in io.list_checkpoints(folder)] == [f"step-{n:08d}.json" for n in (20, 300, 4000)]
    assert len(names(folder)) == 6 and loaded_step(folder) == 4000
    assert loaded_step(io.list_checkpoints(folder)[0]) == 20
    save(folder, 4001, keep=1)
    assert names(folder) == ["step-00004001.json", "step-00004001.safetensors"]


def test_steps_are_ordered_as_numbers(tmp_path):
    save(tmp_path, 99_999_999, 100_000_000, keep=2)
    assert loaded_step(tmp_path) == 100_000_000


def test_a_step_may_be_saved_again(tmp_path):
    save(tmp_path, 5)
    for value in range(3):
        io.save_checkpoint(tmp_path, {"w": np.array(value)}, value, step=5)
        arrays, state = io.load_checkpoint(tmp_path)
        assert arrays["w"] == state == value and len(names(tmp_path)) == 2


def test_a_step_that_is_saved_again_is_whole_at_every_moment(tmp_path, monkeypatch):
    save(tmp_path, 5)
    replace, seen = os.replace, []

    def look(*paths):
        seen.append(io.load_checkpoint(tmp_path)[1])
        replace(*paths)
        seen.append(io.load_checkpoint(tmp_path)[1])

    monkeypatch.setattr(os, "replace", look)
    io.save_checkpoint(tmp_path, {"w": np.zeros(1)}, "new", step=5)
    assert seen == [{"step": 5}] * 3 + ["new"]


def test_a_run_that_went_back_leaves_later_steps_behind(tmp_path):
    save(tmp_path, 10, 20, 30)
    save(tmp_path, 15)
    assert [loaded_step(path) for path in io.list_checkpoints(tmp_path)] == [10, 15]


def test_what_killed_runs_left_over_is_removed(tmp_path):
    save(tmp_path, 10)
    (tmp_path / ".step-00000020.safetensors.0123456789ab.part").write_bytes(b"half")
    (tmp_path / ".step-00000020.json.0123456789ab.part").write_bytes(b"half")
    (tmp_path / "step-00000020.safetensors").write_bytes(b"without its JSON")
    others = ["model.safetensors", ".x.part", "step-1.safetensors", "step-00000020.safetensors.bak"]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    assert loaded_step(tmp_path) == 10
    save(tmp_path, 20)
    own = [f"step-000000{n}.{end}" for n in (10, 20) for end in ("json", "safetensors")]
    assert names(tmp_path) == sorted(own + others) and loaded_step(tmp_path) == 20


# ---- damage ----


def damage(path, how):
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(content[:-1])
    elif how == "longer":
        path.write_bytes(content + b" ")
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


@pytest.mark.parametrize("how", ["missing", "empty", "cut", "longer", "bit"])
@pytest.mark.parametrize("end", [".json", ".safetensors"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, end, how):
    save(tmp_path, 10, 20)
    newest = io.list_checkpoints(tmp_path)[-1]
    damage(newest.with_suffix(end), how)
    with pytest.raises(io.CheckpointError, match="step-00000020"):
        io.load_checkpoint(newest)
    if (end, how) == (".json", "missing"):  # that is a checkpoint which was never finished
        assert loaded_step(tmp_path) == 10
    else:
        with pytest.warns(UserWarning, match="step-00000020.json is damaged"):
            assert loaded_step(tmp_path) == 10


def test_no_checkpoint_is_an_error(tmp_path):
    assert io.list_checkpoints(tmp_path) == io.list_checkpoints(tmp_path / "none") == []
    for path, words in [
        (tmp_path, "holds no checkpoint"),
        (tmp_path / "none", "there is no such checkpoint"),
        (tmp_path / "step-00000001.json", "there is no such checkpoint"),
    ]:
        with pytest.raises(io.CheckpointError, match=words):
            io.load_checkpoint(path)
    save(tmp_path, 1, 2)
    with pytest.raises(io.CheckpointError, match="is no checkpoint: those are folders, or files like"):
        io.load_checkpoint(tmp_path / "step-00000001.safetensors")
    for path in io.list_checkpoints(tmp_path):
        damage(path, "bit")
    with pytest.raises(io.CheckpointError, match="no checkpoint that is whole:\n.*00000002.*\n.*00000001"):
        io.load_checkpoint(tmp_path)


def test_files_of_two_checkpoints_do_not_mix(tmp_path):
    save(tmp_path, 10, 20)
    older, newer = io.list_checkpoints(tmp_path)
    os.replace(older.with_suffix(".safetensors"), newer.with_suffix(".safetensors"))
    with pytest.raises(io.CheckpointError, match="the checksum of step-00000020.safetensors does not fit"):
        io.load_checkpoint(newer)
    os.replace(older, newer)
    with pytest.raises(io.CheckpointError, match="another step than its name says"):
        io.load_checkpoint(newer)


def sealed(path, text):
    path.write_bytes(text[:-1] + checkpoint._seal(text[:-1]))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda r: r.update(format=2), "another format than 1"),
        (lambda r: r.pop("format"), "KeyError"),
        (lambda r: r.update(step=11), "another step"),
        (lambda r: r["arrays"].update(file="../step-00000010.safetensors"), "another step"),
        (lambda r: r["arrays"].update(file="/etc/passwd"), "another step"),
        (lambda r: r["arrays"].update(file=3), "TypeError"),
        (lambda r: r["arrays"].update(size=3.0), "does not say what its arrays are"),
        (lambda r: r["arrays"].update(size=3), "has .* bytes, not 3"),
        (lambda r: r["arrays"].update(sha256="00"), "checksum of step-00000010.safetensors does not fit"),
        (lambda r: r.update(arrays=[1]), "TypeError"),
        (lambda r: r.update(state={"$float": "1e5"}), "KeyError"),
        (lambda r: r.update(state={"$float": []}), "TypeError"),
        (lambda r: r.update(state={"$int": 3}), "TypeError"),
        (lambda r: r.update(state={"$int": "x"}), "ValueError"),
        (lambda r: r.update(state={"$map": []}), "AttributeError"),
    ],
)
def test_a_wrong_record_is_refused_even_with_its_checksum(tmp_path, change, words):
    save(tmp_path, 10)
    (path,) = io.list_checkpoints(tmp_path)
    record = json.loads(path.read_text())
    del record["sha256"]
    change(record)
    sealed(path, json.dumps(record).encode())
    with pytest.raises(io.CheckpointError, match=words) as caught:
        io.load_checkpoint(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", [b"[]", b"{", b"[" * 100_000, b'{"a":1,"a":2}', b"NaN ", b'"\xff"', b"{}"])
def test_what_is_no_record_is_refused_even_with_its_checksum(tmp_path, text):
    path = tmp_path / "step-00000001.json"
    sealed(path, text)
    with pytest.raises(io.CheckpointError, match="is damaged"):
        io.load_checkpoint(path)


# ---- what fails leaves the older one ----


def refuse(number):
    def failing(*_):
        raise OSError(number, os.strerror(number))

    return failing


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_full_disk_at_every_step(tmp_path, monkeypatch, call, at):
    """The ``at``-th call fails: of the arrays' file, of the JSON's, or of the one after it."""
    save(tmp_path, 10, 20)
    before, real, calls = names(tmp_path), getattr(os, call), []

    def failing(*args):
        calls.append(args)
        return refuse(28)() if len(calls) == at else real(*args)

    # The folder's own fsync may fail: not every system has it. So calls on files are counted alone.
    monkeypatch.setattr("zkynet.io.atomic.sync_folder", lambda folder: None)
    monkeypatch.setattr(os, call, failing)
    if call == "replace" and at == 3:  # it is called twice
        save(tmp_path, 30)
        return
    with pytest.raises(OSError, match=r"No space left on device: '.*step-00000030\.(json|safetensors)'$") as caught:
        save(tmp_path, 30)
    assert caught.value.errno == 28 and names(tmp_path) == before and loaded_step(tmp_path) == 20


@pytest.mark.parametrize("step", [20, 30, 15], ids=["same step", "new step", "earlier step"])
def test_an_array_that_cannot_be_saved_changes_nothing(tmp_path, step):
    save(tmp_path, 10, 20)
    before = names(tmp_path)
    with pytest.raises(TypeError, match="'w' has a dtype"):
        io.save_checkpoint(tmp_path, {"v": np.ones(5), "w": np.array(["a"])}, None, step=step)
    assert names(tmp_path) == before and loaded_step(tmp_path) == 20


def test_an_interrupt_when_all_is_done_keeps_the_new_one(tmp_path, monkeypatch):
    save(tmp_path, 10)
    real = os.replace

    def interrupted(source, target):
        real(source, target)
        if str(target).endswith(".json"):
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 20)
    assert loaded_step(tmp_path) == 20


LIMITED = """
import resource, signal, sys
import numpy as np
from zkynet import io
folder, limit = sys.argv[1], int(sys.argv[2])
io.save_checkpoint(folder, {"w": np.full(3, 10, "f4")}, {"step": 10}, step=10)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    io.save_checkpoint(folder, {"w": np.ones(100_000)}, {"text": "x" * 100_000}, step=20)
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("limit, end", [(1, "safetensors"), (500_000, "safetensors"), (801_000, "json")])
def test_a_file_that_the_system_cuts_off(tmp_path, limit, end):
    """The system itself refuses to write on, in the middle of the file: as a full disk does, without filling one."""
    if end == "json":  # the arrays take 800 kB and pass, then the state is longer than that
        program = LIMITED.replace('"x" * 100_000', '"x" * 900_000')
    else:
        program = LIMITED
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path, str(limit)], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == "" and done.stdout.count("\n") == 1
    assert f"File too large: '{tmp_path / 'step-00000020'}.{end}'" in done.stdout
    assert names(tmp_path) == ["step-00000010.json", "step-00000010.safetensors"] and loaded_step(tmp_path) == 10


@pytest.mark.parametrize("end", ["safetensors", "json"])
def test_a_device_that_is_full(tmp_path, monkeypatch, end):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    save(tmp_path, 10)
    before = names(tmp_path)

    def full(path, mode):
        return open("/dev/full", "wb") if f".{end}." in str(path) else open(path, mode)

    monkeypatch.setattr("zkynet.io.atomic.open", full, raising=False)
    with pytest.raises(OSError, match=rf"No space left on device: '.*step-00000020\.{end}'$"):
        save(tmp_path, 20)
    assert names(tmp_path) == before and loaded_step(tmp_path) == 10


@pytest.mark.parametrize("call", ["open", "mkdir", "listdir"])
def test_a_missing_permission(tmp_path, monkeypatch, call):
    """Simulated, because the tests may run as root, who is refused nothing."""
    save(tmp_path, 10)
    before = names(tmp_path)
    folder = tmp_path / "new" if call == "mkdir" else tmp_path

    def refused(path, *_, **__):
        raise PermissionError(13, "Permission denied", os.fspath(path))

    with monkeypatch.context() as patch:
        where = "builtins.open" if call == "open" else f"os.{call}"
        patch.setattr(where, refused)
        with pytest.raises(PermissionError) as caught:
            save(folder, 20)
    named = {"open": tmp_path / "step-00000020.safetensors"}.get(call, folder)
    assert str(caught.value) == f"[Errno 13] Permission denied: '{named}'"
    assert names(tmp_path) == before and loaded_step(tmp_path) == 10


def test_the_folder_is_a_file(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(FileExistsError, match="x'$"):
        save(tmp_path / "x", 1)


def test_what_cannot_be_removed_does_not_stop_the_run(tmp_path, monkeypatch):
    save(tmp_path, 10)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse(13))
        save(tmp_path, 20, keep=1)
    assert loaded_step(tmp_path) == 20 and len(io.list_checkpoints(tmp_path)) == 2
    save(tmp_path, 30, keep=1)
    assert len(names(tmp_path)) == 2


def test_nothing_is_unpickled():
    """No file of zkynet.io mentions what could run a file's content."""
    folder = os.path.dirname(io.__file__)
    for name in os.listdir(folder):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                words = set(re.findall(r"\w+", file.read()))
            assert not words & {"pickle", "marshal", "shelve", "dill", "eval", "exec", "allow_pickle"}, name
