"""The checks are checked: each of many wrong rules has to be noticed, and the right one has to pass the same check."""

import pytest
from mutants import curves, entrywise, fft, linalg, nn, shaped, special
from mutants.mutant import planted

from zkynet.errors import ZkynetError
from zkynet.framework.operations.elementwise import Sqrt

MUTANTS = (
    entrywise.MUTANTS + shaped.MUTANTS + curves.MUTANTS + linalg.MUTANTS + fft.MUTANTS + special.MUTANTS + nn.MUTANTS
)

# Wrong rules that no check notices, and why.
SURVIVORS = {
    "softmax: sums over a second leading axis": (
        "no transform hands a rule more than one leading axis: a Jacobian of Jacobians batches the operators that the "
        "rule is made of, not the rule again"
    ),
}

by_name = pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])


@by_name
def test_the_right_rule_passes(mutant):
    mutant.check()


@by_name
def test_the_wrong_rule_is_noticed(mutant):
    with planted(mutant):
        if mutant.name in SURVIVORS:
            mutant.check()
        else:
            with pytest.raises((ZkynetError, AssertionError)):
                mutant.check()


def test_there_are_enough_of_them_and_at_most_one_in_sixty_survives():
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 60
    assert set(SURVIVORS) <= set(names)
    assert all(SURVIVORS.values())
    assert 60 * len(SURVIVORS) <= len(names)


def test_planting_leaves_nothing_behind():
    mutant = next(m for m in MUTANTS if m.target is Sqrt)
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
