"""The README's code runs, and gives what its comments say."""

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


ORDER = {
    "look": 0,
    "train": 1,
    "crosscheck": 2,
    "network": 3,
    "trainer": 4,
    "gradients": 5,
    "compile": 6,
    "operator": 7,
}


def run(until):
    """The names that stand after all the code up to the block ``until``."""
    space: dict = {}
    for name, index in ORDER.items():
        exec(compile(BLOCKS[index].replace('train("numpy"), train("jax")', ""), f"README, {name}", "exec"), space)
        if name == until:
            return space
    raise KeyError(until)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_block_has_a_test():
    assert len(BLOCKS) == len(ORDER)


def test_looking_inside(tmp_path, capsys):
    space = run("look")
    model, result = space["model"], space["result"]
    assert result.value == 36
    assert (result.grad(model.w), result.grad(model.input("x"))) == (9, 33)
    assert "multiply" in capsys.readouterr().out
    assert (tmp_path / "simple.svg").read_text().startswith("<svg")


def test_the_picture_in_the_docs_is_what_plot_cg_draws():
    space = run("look")
    drawn = space["plot_cg"](space["result"], title="f(x, w) = (x + w) x²").svg
    assert (README.parent / "docs/images/simple.svg").read_text(encoding="utf-8") == drawn


def test_the_network_learns(capsys):
    space = run("network")
    assert "layers.0: Conv2d" in capsys.readouterr().out
    net, images, labels = space["net"], space["images"], space["labels"]
    right = np.argmax(net(images.reshape(-1, 1, 8, 8)).value, axis=-1) == labels
    assert not net.training and space["optimizer"].state["step"] == 57 and np.mean(right) > 0.85


def test_the_loop_in_one_line():
    history = run("trainer")["history"]
    assert [set(line) for line in history] == [{"epoch", "loss", "validation_loss", "accuracy", "seconds"}] * 2
    assert history[1]["loss"] < history[0]["loss"] and history[-1]["accuracy"] > 0.85


def test_training_gives_the_same_on_both_backends(require_jax):
    space = run("train")
    losses = [space["train"](name) for name in ("numpy", "jax")]
    assert losses[0] < 2.3
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_crosscheck(capsys):
    check = run("crosscheck")["check"]
    assert check.ok
    assert check.exit_code == 0
    assert "multiply" in capsys.readouterr().out


def test_gradients():
    space = run("gradients")
    zk, f, op = space["zk"], space["f"], space["op"]
    assert zk.value_and_grad(f, argnums=(0, 1))(3.0, 1.0) == (36.0, (33.0, 9.0))
    np.testing.assert_array_equal(zk.jacobian(f)(np.array([3.0, 4.0, 5.0]), 1.0), np.diag([33.0, 56.0, 85.0]))
    np.testing.assert_array_equal(zk.hessian(lambda x: op.sum(x**3))(np.arange(3.0)), np.diag([0.0, 6.0, 12.0]))


def test_a_compiled_step(tmp_path, capsys):
    space = run("compile")
    assert space["step"].eager_because is None and space["step"](space["x"], space["y"]) > 0
    assert "np.add" in capsys.readouterr().out and (tmp_path / "step.npz").exists()


def test_operator_of_ones_own():
    space = run("operator")
    with pytest.raises(space["zk"].errors.GradientCheckError):
        space["zk"].testing.check_grads(
            type("Wrong", (space["Cube"],), {"vjp_x": lambda self, xp, g, x: 2 * g * x * x})(), (np.array([1.0]),)
        )


@pytest.fixture
def require_jax():
    from support import backends

    return backends.get("jax")
