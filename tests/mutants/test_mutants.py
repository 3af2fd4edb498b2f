"""The checks are checked: each of many wrong rules has to be noticed, and the right one has to pass the same check."""

import pytest
from mutants import curves, declarations, edit, entrywise, fft, linalg, nn, shaped, special
from mutants.mutant import Mutant, planted

from zkynet.errors import ZkynetError
from zkynet.framework.operations.elementwise import Sqrt

FILES = (entrywise, shaped, curves, linalg, fft, special, nn, declarations)
MUTANTS = (*[mutant for file in FILES for mutant in file.MUTANTS], *edit.read_all())
CHECKS = {mutant.check: mutant.name for mutant in reversed(MUTANTS)}  # each check once, under its first mutant's name

# Wrong rules that no check notices, and why.
SURVIVORS: dict[str, str] = {
    "softmax: sums over a second leading axis": (
        "no transform hands a rule more than one leading axis: a Jacobian of Jacobians batches the operators that the "
        "rule is made of, not the rule again"
    ),
}

# What a wrong rule may end in: an error, or a warning of NumPy for it alone. A NameError would be a mistake in the
# mutant itself.
NOTICED = (ZkynetError, AssertionError, ArithmeticError, ValueError, IndexError, RuntimeWarning)


@pytest.mark.parametrize("check", [pytest.param(check, id=name) for check, name in CHECKS.items()])
def test_the_right_rules_pass(check):
    check()


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_the_wrong_rule_is_noticed(mutant):
    with planted(mutant):
        if mutant.name in SURVIVORS:
            mutant.check()
        else:
            with pytest.raises(NOTICED):
                mutant.check()


def test_there_are_enough_of_them_and_at_least_99_percent_are_caught(record_property, capsys):
    names = [mutant.name for mutant in MUTANTS]
    assert set(SURVIVORS) <= set(names)
    assert all(SURVIVORS.values())
    caught = len(names) - len(SURVIVORS)
    with capsys.disabled():
        print(f" {caught} of {len(names)} mutants are caught: {caught / len(names):.2%} ", end="")
    record_property("mutants", len(names))
    record_property("caught", caught)
    assert len(set(names)) == len(names) >= 300
    assert caught / len(names) >= 0.99


def test_planting_leaves_nothing_behind():
    mutant = next(m for m in MUTANTS if isinstance(m, Mutant) and m.target is Sqrt)
    rule = Sqrt.vjp_x
    with planted(mutant):
        assert Sqrt.plan.vjp[0].method is Sqrt.vjp_x is mutant.replacement
    assert Sqrt.plan.vjp[0].method is Sqrt.vjp_x is rule


def test_planting_an_inherited_rule_leaves_nothing_behind():
    mutant = next(m for m in MUTANTS if m.name == "max: ties not counted")
    with planted(mutant):
        pass
    assert mutant.method not in vars(mutant.target)
    mutant.check()


def test_an_edit_leaves_nothing_behind():
    mutant = next(m for m in MUTANTS if m.name == "std: the correction left out")
    function = edit.function_at(mutant.where)
    code = function.__code__
    with planted(mutant):
        assert function.__code__ is not code
    assert function.__code__ is code


def test_an_edit_of_what_is_not_there_is_an_error():
    mutant = next(m for m in MUTANTS if m.name == "std: the correction left out")._replace(old="nowhere to be found")
    with pytest.raises(edit.StaleMutantError, match="write the mutant anew"), planted(mutant):
        pass
    with pytest.raises(edit.StaleMutantError, match="no function"), planted(mutant._replace(where="stats:nowhere")):
        pass
