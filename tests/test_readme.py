"""The README's code runs, and gives what its comments say."""

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def run(index, namespace):
    exec(compile(BLOCKS[index], f"README block {index}", "exec"), namespace)  # our own README


def test_there_are_three_blocks():
    assert len(BLOCKS) == 3


def test_gradients():
    space: dict = {}
    run(0, space)
    zk, f, op = space["zk"], space["f"], space["op"]
    assert zk.value_and_grad(f, argnums=(0, 1))(3.0, 1.0) == (36.0, (33.0, 9.0))
    np.testing.assert_array_equal(zk.jacobian(f)(np.array([3.0, 4.0, 5.0]), 1.0), np.diag([33.0, 56.0, 85.0]))
    np.testing.assert_array_equal(zk.hessian(lambda x: op.sum(x**3))(np.arange(3.0)), np.diag([0.0, 6.0, 12.0]))


def test_training_gives_the_same_on_both_backends(require_jax):
    space: dict = {}
    run(0, space)
    run(1, space)
    losses = [space["train"](name) for name in ("numpy", "jax")]
    assert losses[0] < 2.3
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_operator_of_ones_own():
    space: dict = {}
    run(0, space)
    run(2, space)
    with pytest.raises(space["zk"].errors.GradientCheckError):
        space["zk"].testing.check_grads(
            type("Wrong", (space["Cube"],), {"vjp_x": lambda self, xp, g, x: 2 * g * x * x})(), (np.array([1.0]),)
        )


@pytest.fixture
def require_jax():
    from support import backends

    return backends.get("jax")
