"""Blocks in which NumPy's floating-point errors are ignored, and the user's own settings around them."""

import warnings

import numpy as np
import pytest

import zkynet as zk
from zkynet.backends import quiet


@pytest.fixture(params=["NumPy's variable", "np.errstate"])
def ways(request, monkeypatch):
    """``quiet`` and ``quietly``, as they are and as they would be where NumPy keeps its state elsewhere."""
    if request.param == "np.errstate":
        monkeypatch.setattr(quiet, "_variable", None)
        return quiet._with_errstate, quiet.quietly
    assert quiet._variable is not None, "this NumPy keeps its state elsewhere: every gradient takes longer"
    return quiet.quiet, quiet.quietly


def divide():
    assert set(np.geterr().values()) == {"ignore"}
    return np.float64(1) / np.zeros(1)


@pytest.mark.parametrize("setting", ["warn", "raise", "ignore"])
def test_inside_nothing_is_told_and_outside_all_is_as_it_was(ways, setting):
    block, decorated = ways
    with np.errstate(all=setting):
        with block(), block():
            divide()
        assert set(np.geterr().values()) == {setting}
        assert decorated(divide)() == np.inf
        assert set(np.geterr().values()) == {setting}


def test_an_exception_leaves_nothing_behind(ways):
    block, decorated = ways
    before = np.geterr()
    for run in (decorated(lambda: 1 / 0), lambda: _in(block)):
        with pytest.raises(ZeroDivisionError):
            run()
        assert np.geterr() == before


def _in(block):
    with block():
        raise ZeroDivisionError


def test_a_user_may_set_his_own_inside(ways):
    block, _ = ways
    with block(), np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        np.float64(1) / np.zeros(1)


def test_a_gradient_through_infinity_says_nothing_and_the_forward_pass_as_set():
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        assert zk.grad(lambda x: x**0.5)(np.float64(0)) == np.inf
        with pytest.raises(FloatingPointError):
            zk.grad(lambda x: zk.op.log(x))(np.float64(0))
