"""The example of a backend of one's own runs, is short, and counts what can be counted by hand."""

import copy
import importlib.util
import re

import numpy as np
import pytest

import zkynet as zk
from zkynet import backends, op


@pytest.fixture
def example(checkout, monkeypatch):
    """The module examples/own_backend.py; the registry is put back afterwards."""
    pytest.importorskip("array_api_strict", reason="the example counts the products of array_api_strict")
    for name in ("_loaders", "_loaded", "_instances", "_settings", "BACKEND_BY_TYPE"):
        monkeypatch.setattr(backends, name, copy.copy(getattr(backends, name)))
    spec = importlib.util.spec_from_file_location("own_backend", checkout / "examples" / "own_backend.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_counts_what_a_network_multiplies(example, capsys):
    first, second = 8 * 64 * 32, 8 * 32 * 10
    # The gradient takes one product a weight, and one for the hidden layer; the images need none.
    assert example.main() == (first + second, 2 * first + 3 * second)
    assert capsys.readouterr().out == "forward: 18944 multiplications; with the gradient: 40448\n"


def test_its_arrays_are_its_own(example):
    backends.register("counting", example.Counting)
    xp = backends.get("counting")
    x = xp.asarray(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert backends.backend_of(x) is xp is backends.get("counting") and backends.available()["counting"] is None
    found = zk.grad(lambda x: op.sum(x @ x))(x)
    ones = np.ones((2, 2))
    truth = ones @ xp.to_numpy(x).T + xp.to_numpy(x).T @ ones
    np.testing.assert_allclose(xp.to_numpy(found), truth)
    assert xp.multiplications == 3 * 8


def test_the_example_is_short(checkout):
    assert len((checkout / "examples" / "own_backend.py").read_text().splitlines()) < 60


def test_the_page_shows_the_example_as_it_is(checkout):
    """docs/backends.md quotes the class: what it shows is what runs."""
    page, source = ((checkout / part).read_text() for part in ("docs/backends.md", "examples/own_backend.py"))
    start = source.index("class Counting")
    assert source[start : source.index("def loss_fn")].strip() in page


def test_the_code_on_the_page_runs(example, checkout):
    first, second, _ = re.findall(r"```python\n(.*?)```", (checkout / "docs" / "backends.md").read_text(), re.DOTALL)
    space: dict = {}
    for block in (first, second):
        exec(compile(block, "docs/backends.md", "exec"), space)  # our own page
    assert space["model"](space["x"]).value.shape == (2, 3)
    x = backends.get("mine").asarray([1.0, 2.0])
    assert backends.get("mine").to_numpy(zk.grad(lambda x: op.sum(x * x))(x)).tolist() == [2, 4]
