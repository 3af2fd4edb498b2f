"""step.source() and zk.export_numpy: the plan as text, and as a program in a process without zkynet."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn, op, optim

RUN = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in (*sys.stdlib_module_names, "numpy", "step"):
            raise ImportError(f"{name} was imported")

sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv[1])
import numpy as np
import step

state, given = step.load(), np.load(sys.argv[1] + "/given.npz")
losses = [step.step(state, *given.values()) for _ in range(3)]
arrays = {name: x for name, x in state.items() if isinstance(x, np.ndarray)}
np.savez(sys.argv[1] + "/found.npz", losses=losses, **arrays)
"""


def run(folder, *arguments):
    np.savez(folder / "given.npz", *arguments)
    done = subprocess.run(
        [sys.executable, "-I", "-c", RUN, str(folder)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / "found.npz")


def training(dropout=0.25):
    model = nn.Sequential(
        nn.Linear(4, 6, 0, dtype="float64"),
        nn.BatchNorm(6, dtype="float64"),
        nn.ReLU(),
        nn.Dropout(dropout, 3),
        nn.Linear(6, 3, 1, dtype="float64"),
    )
    optimizer = optim.AdamW(1e-2)

    def step(x, labels):
        def loss_of(model):
            return op.mean(op.softmax_cross_entropy(model(x), labels))

        loss, grads = zk.value_and_grad(loss_of)(model)
        optimizer.update(model, grads)
        return loss

    return model, optimizer, step


def test_a_training_step_goes_on_without_zkynet(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4)), rng.integers(0, 3, 8)
    model, optimizer, step = training()
    compiled = zk.compile(step)
    for _ in range(3):
        compiled(x, y)
    zk.export_numpy(compiled, tmp_path / "step.py", x, y)
    found = run(tmp_path, x, y)
    losses = [step(x, y) for _ in range(3)]  # in eager mode, from where the file begins
    np.testing.assert_allclose(found["losses"], losses, rtol=1e-9)  # dropout draws the same numbers, too
    for name, each in model.named_parameters().items():
        np.testing.assert_allclose(found[name.replace(".", "_")], each.value, rtol=1e-7, err_msg=name)
    assert optimizer.state["step"] == 6
    text = (tmp_path / "step.py").read_text()
    assert "import zkynet" not in text and "layers_0_weight" in text


def test_an_argument_that_is_not_read_is_one_all_the_same(tmp_path):
    compiled = zk.compile(lambda x, unused, y: op.sum(x * y))
    x, y = np.arange(3.0), np.ones(3)
    compiled(x, np.zeros(2), y)
    zk.export_numpy(compiled, tmp_path / "step.py")
    assert run(tmp_path, x, np.zeros(2), y)["losses"].tolist() == [3.0] * 3


def test_forward_alone(tmp_path):
    model = nn.Sequential(nn.Linear(4, 6, 0, dtype="float64"), nn.Tanh(), nn.Linear(6, 2, 1, dtype="float64"))
    compiled = zk.compile(lambda x, y: op.sum(model(x) * y))
    x, y = np.random.default_rng(0).normal(size=(5, 4)), np.ones((5, 2))
    expected = compiled(x, y).value
    zk.export_numpy(compiled, tmp_path / "step.py")
    np.testing.assert_allclose(run(tmp_path, x, y)["losses"], [expected] * 3, rtol=1e-12)


def test_the_source_is_straight_line_python():
    _, _, step = training()
    compiled = zk.compile(step)
    x, y = np.ones((8, 4)), np.zeros(8, int)
    with pytest.raises(ValueError, match="nothing is recorded"):
        compiled.source(x, y)
    compiled(x, y)
    text = compiled.source()
    assert text == compiled.source(x, y)
    compile(text, "plan", "exec")
    for part in (
        "def run(inputs):",
        "np.matmul(",
        "layers_0_weight",
        "labels",
        "xp.update_in_blocks",
        "test_compile",
        "Linear.vjp_weight",
    ):
        assert part in text, part


def test_what_is_no_straight_line_is_refused(tmp_path):
    compiled = zk.compile(lambda x: x if op.sum(x) > 0 else -x)
    compiled(np.ones(2))
    zk.export_numpy(compiled, tmp_path / "one.py")
    compiled(-np.ones(2))
    with pytest.raises(ValueError, match=r"several ways(.|\n)*fork: bool"):
        zk.export_numpy(compiled, tmp_path / "two.py")
    with pytest.raises(ValueError, match="nothing is recorded"):
        zk.export_numpy(zk.compile(lambda x: x), tmp_path / "three.py", np.ones(2))
