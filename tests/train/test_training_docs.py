"""The code of docs/training.md runs, and says what is beside it."""

import re
import signal

import numpy as np
import pytest

import zkynet.train
import zkynet.train.callbacks

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def guide(checkout):
    return (checkout / "docs" / "training.md").read_text(encoding="utf-8")


def _run_blocks(guide):
    space: dict = {}
    for number, block in enumerate(BLOCK.findall(guide)):
        exec(compile(block, f"docs/training.md, block {number}", "exec"), space)
    return space


def test_the_guide_runs(guide, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it
    try:
        space = _run_blocks(guide)
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr().out
    losses = [each["loss"] for each in space["history"]]
    for epoch, loss in enumerate(losses, start=1):  # of the loop in ten lines, which prints
        assert f"epoch {epoch}: loss {loss:.4f}\n" in said
    assert space["total"] / space["samples"] == losses[-1]
    ten, one = space["model"].named_parameters(), space["again"].model.named_parameters()
    assert all(np.array_equal(ten[path].value, one[path].value) for path in one)
    assert "no progress in 2 epochs" in said
    assert "['step-00000020.json', 'step-00000040.json']" in said
    assert "Ctrl-C; saved in second" in said and space["code"] == 130
    assert all(len(space[name].history) == 1 for name in ("clipped", "compiled", "narrow"))


def test_the_guide_names_everything(guide):
    named = set(re.findall(r"\w+", guide))
    unnamed = {*zkynet.train.__all__, *zkynet.train.callbacks.__all__} - named
    # Said elsewhere: in docs/optimizers.md the kinds of precision, beside compiled_step what it returns.
    assert unnamed == {"CompiledStep", "LossScale", "MixedPrecision", "Precision"}
