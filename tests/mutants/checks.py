"""The checks that have to notice a mutant: rows of the case table, tests of the suite, differences, singular points.

All run on NumPy. A check runs until something raises.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _pytest.outcomes import Failed, Skipped
from operators import test_operators, test_special_points

from support.battery import BATTERY
from support.cases import BY_NAME
from support.points import assert_close, host, op_function, points
from zkynet import backends
from zkynet.framework import op
from zkynet.testing import check_grads

Check = Callable[[], None]
HOST = backends.get("numpy")


@functools.cache
def named(text: str) -> Check:
    """The check that a text names: "row NAMES", "suite FILE TESTS PARAMETER=VALUE" or "call NAME", or some with " + ".

    "call" is a function of ``own_checks``.
    """
    checks = [_named(*part.split()) for part in text.split(" + ")]
    return checks[0] if len(checks) == 1 else functools.partial(_one_after_the_other, checks)


def _one_after_the_other(checks):
    for check in checks:
        check()


def _named(kind, *words):
    if kind == "row":
        return row(*words)
    if kind == "suite":
        only = dict(word.split("=") for word in words if "=" in word)
        return suite(*[word for word in words if "=" not in word], **only)
    if kind == "call":
        return getattr(importlib.import_module("mutants.own_checks"), *words)
    raise ValueError(f"a check begins with row, suite or call; got {kind!r}")


def grads(f: Callable, *args, **settings) -> Check:
    """check_grads of ``f`` at ``args``."""
    return functools.partial(check_grads, f, args, **settings)


def point(name: str) -> Check:
    """A point of the battery."""
    return BATTERY[name].check


@functools.cache
def row(*names: str) -> Check:
    """All that the tests of operators ask of these rows of the case table."""
    return functools.partial(_check_rows, names)


def _check_rows(names):
    for name in names:
        for sample in points(name):
            _check_values(sample)
        for special in BY_NAME[name].specials:
            test_special_points.test_special_point(BY_NAME[name], special, HOST)
        if BY_NAME[name].differentiable:
            for check in _derivatives(name):
                check()


def _check_values(sample):
    y = sample.row.call(op, sample.sample.operands, sample.sample.settings)
    y, truth = list(y) if isinstance(y, tuple) else [y], sample.truth()
    assert_close(y, truth, 1e-12, sample.sample)
    assert [a.dtype for a in host(y)] == [b.dtype for b in truth], sample.sample


def _derivatives(name) -> Iterator[Check]:
    """The checks of a row's derivatives, the quickest first."""
    kinds = (False, True) if BY_NAME[name].complex else (False,)
    found = [(kind, sample) for kind in kinds for sample in test_operators.few(name, HOST, is_complex=kind)]
    for _, sample in found:
        yield functools.partial(test_operators.check_first, sample, HOST)
    for _, sample in found:
        yield functools.partial(test_operators.check_second, sample, HOST)
    for is_complex, sample in found:
        if not is_complex:
            yield functools.partial(_check_batched, sample)


def _check_batched(sample):
    f, x = op_function(sample), sample.inputs
    for sweep, ones in ((test_operators.pull, sample.g), (test_operators.push, sample.v)):
        test_operators.check_batched(HOST, sweep, f, x, ones, (3,), sample.sample)


# ---- tests of the suite ----


def suite(module: str, *names: str, **only: Any) -> Check:
    """Tests of a file of this suite, by default all in it; ``only``: those with such a parameter.

    Slow tests are left out, and those that need a fixture other than a backend. Skipped where every call is.
    """
    return _suite(module, names, tuple(only.items()))


@functools.cache
def _suite(module, names, only):
    return functools.partial(_run_tests, module, names, dict(only))


def _run_tests(module, names, only):
    file = importlib.import_module(module)
    tests = names or [name for name, f in vars(file).items() if name.startswith("test_") and inspect.isfunction(f)]
    skipped, ran = None, 0
    for name in tests:
        for arguments in _calls(getattr(file, name)):
            if any(arguments.get(key) != value for key, value in only.items()):
                continue
            try:
                with pytest.MonkeyPatch.context() as patch:
                    given = {k: patch if v is pytest.MonkeyPatch else v for k, v in arguments.items()}
                    getattr(file, name)(**given)
            except Skipped as reason:
                skipped = reason
            except Failed as failure:  # nothing was raised where it should be: no Exception, for pytest's own sake
                raise AssertionError(str(failure)) from None
            else:
                ran += 1
    if not ran:
        raise skipped or LookupError(f"{module}: no test of {names or 'it'} runs without more fixtures")


def _calls(test) -> Iterator[dict[str, Any]]:
    """The arguments of each call of a test; none where it is slow, or needs what is not here."""
    marks = getattr(test, "pytestmark", [])
    if any(mark.name == "slow" for mark in marks):
        return
    axes = [_axis(mark) for mark in marks if mark.name == "parametrize"]
    for choice in itertools.product(*axes):
        given = {name: value for part in choice for name, value in part.items()}
        missing = set(inspect.signature(test).parameters) - set(given)
        if missing <= set(FIXTURES):
            yield {**given, **{name: FIXTURES[name]() for name in missing}}


def _scipy_stats():
    return pytest.importorskip("scipy.stats", reason="values are compared with SciPy's")


FIXTURES: dict[str, Callable[[], Any]] = {
    "backend": lambda: HOST,
    "backend_name": lambda: "numpy",
    "monkeypatch": lambda: pytest.MonkeyPatch,
    "scipy_stats": _scipy_stats,
}


def _axis(mark) -> list[dict[str, Any]]:
    """What one ``parametrize`` gives: a dict of arguments for each of its values."""
    names = mark.args[0] if isinstance(mark.args[0], (list, tuple)) else [n.strip() for n in mark.args[0].split(",")]
    found = []
    for value in mark.args[1]:
        if isinstance(value, type(pytest.param())):
            if value.marks:  # slow, or known to fail
                continue
            values = value.values
        else:
            values = value if len(names) > 1 else (value,)
        found.append(dict(zip(names, values, strict=True)))
    return found
