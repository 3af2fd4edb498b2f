"""What a module remembers of the walk through it: any change is seen, nothing is kept alive, and it is used."""

import copy
import dataclasses
import gc
import pickle
import weakref
from collections import OrderedDict, deque

import numpy as np
import pytest

import zkynet as zk
from zkynet.framework import op


def parameter(name="w", value=1.0):
    return zk.Parameter(name, np.full(2, value))


class Leaf(zk.Module):
    def __init__(self):
        self.size = 2
        self.w, self.b = parameter("w"), parameter("b")

    def call(self, x):
        return op.sum(op.multiply(x, self.w) + self.b)


class OtherLeaf(Leaf):
    shift = parameter("shift")


@dataclasses.dataclass
class Pair:
    first: zk.Module
    second: zk.Module


class Tree(zk.Module):
    """A module with everything that can hold others."""

    def __init__(self):
        self.note, self.nothing, self.seen = "a", None, {1, 2}
        self.head = Leaf()
        self.layers = [Leaf(), [Leaf()]]
        self.fixed = (Leaf(), Leaf())
        self.named = {"a": Leaf(), "b": {"c": parameter("c")}}
        self.pair = Pair(Leaf(), self.head)
        self.same = self.head.w
        del self.seen  # a set would have to be looked through every time

    def call(self, x):
        return self.head(x)


def plain(tree):
    tree.number = 3


def replaced_parameter(tree):
    tree.head.w = parameter("w")


def replaced_leaf(tree):
    tree.layers[1][0] = Leaf()


def replaced_in_tuple(tree):
    tree.fixed = (tree.fixed[0], Leaf())


def appended(tree):
    tree.layers.append(Leaf())


def removed(tree):
    del tree.layers[0]


def deleted(tree):
    del tree.head.b


def turned(tree):
    tree.layers.reverse()


def of_no_type_that_mattered(tree):
    tree.nothing = parameter("late")


def in_place_of_a_number(tree):
    tree.head.size = parameter("late")


def inside_a_dict(tree):
    tree.named["b"]["d"] = parameter("d")


def another_order(tree):
    tree.named["a"] = tree.named.pop("a")


def another_name(tree):
    tree.named["z"] = tree.named.pop("b")


def no_longer_shared(tree):
    tree.pair.second = Leaf()


def shared_now(tree):
    tree.pair.first = tree.head


def a_parameter_no_longer_shared(tree):
    tree.same = parameter("same")


def a_container_in_place_of_a_leaf(tree):
    tree.head = [tree.head]


def another_class(tree):
    tree.head.__class__ = OtherLeaf


def a_set(tree):
    tree.head.seen = {1, 2}


def a_deque(tree):
    tree.layers = deque(tree.layers)


def an_ordered_dict(tree):
    tree.named = OrderedDict(tree.named)


def a_circle(tree):
    tree.head.tree = tree


def owned_under_its_own_name(tree):
    tree.head._params = {"late": parameter("late")}


CHANGES = [
    plain,
    replaced_parameter,
    replaced_leaf,
    replaced_in_tuple,
    appended,
    removed,
    deleted,
    turned,
    of_no_type_that_mattered,
    in_place_of_a_number,
    inside_a_dict,
    another_order,
    another_name,
    no_longer_shared,
    shared_now,
    a_parameter_no_longer_shared,
    a_container_in_place_of_a_leaf,
    another_class,
    a_set,
    a_deque,
    an_ordered_dict,
    a_circle,
    owned_under_its_own_name,
]


def check(module):
    """The module tells what a walk finds: twice, as it remembers the second time."""
    expected = module._walked(zk.Parameter)
    for _ in range(2):
        found = module.named_parameters()
        assert list(found) == list(expected)
        assert all(found[path] is each for path, each in expected.items())


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_change_is_seen(change):
    tree = Tree()
    check(tree)
    before = tree.named_parameters()
    change(tree)
    check(tree)
    same = list(before.items()) == list(tree.named_parameters().items())
    assert same == (change in (plain, a_set, a_deque, an_ordered_dict, a_circle))


@pytest.mark.parametrize("first", CHANGES, ids=lambda change: change.__name__)
def test_a_change_behind_a_change_is_seen(first):
    for second in (replaced_parameter, deleted, replaced_in_tuple, inside_a_dict):
        tree = Tree()
        check(tree)
        first(tree)
        check(tree)
        try:
            second(tree)
        except (AttributeError, KeyError):
            continue  # what it changes is gone
        check(tree)


def test_an_object_at_the_place_of_a_freed_one_is_another():
    tree = Tree()
    for _ in range(50):  # memory that becomes free is soon used again
        check(tree)
        del tree.head.w
        tree.head.w = parameter()
        tree.layers.pop()
        tree.layers.append([Leaf()])
    check(tree)


def test_the_class_of_the_module_itself_and_what_it_owns(monkeypatch):
    leaf = Leaf()
    check(leaf)
    leaf.__class__ = OtherLeaf
    check(leaf)
    assert "shift" in leaf.named_parameters()
    monkeypatch.setattr(OtherLeaf, "shift", parameter("shift"))
    check(leaf)
    monkeypatch.setattr(Leaf, "_params", {"late": parameter("late")}, raising=False)
    other = Leaf()
    check(other)
    Leaf._params["later"] = parameter("later")
    check(other)
    assert "later" in other.named_parameters()


def test_keys_that_are_equal_and_have_other_paths():
    tree = Tree()
    tree.named[1] = Leaf()
    check(tree)
    tree.named[True] = tree.named.pop(1)
    assert "named.True.w" in tree.named_parameters()


def test_a_set_that_comes_to_hold_a_module_is_refused():
    tree = Tree()
    tree.seen = {1}
    check(tree)
    tree.seen.add(Leaf())
    with pytest.raises(TypeError, match="in a set"):
        tree.named_parameters()


def test_two_things_on_one_path_are_refused_every_time():
    tree = Tree()
    check(tree)
    tree.named = {"a.b": parameter(), "a": {"b": parameter()}}
    for _ in range(2):
        with pytest.raises(ValueError, match="two things"):
            tree.named_parameters()


def test_a_walk_is_made_once(monkeypatch):
    tree, walks = Tree(), []
    walked = zk.Module._walked
    monkeypatch.setattr(zk.Module, "_walked", lambda self, kind: walks.append(self) or walked(self, kind))
    for _ in range(3):
        zk.grad(lambda tree: tree(np.ones(2)))(tree)
    assert walks == [tree]


def test_what_is_given_is_the_callers():
    tree = Tree()
    check(tree)
    tree.named_parameters().clear()
    check(tree)


def test_freezing_is_seen():
    tree = Tree()
    everything = tree.trainable_parameters()
    tree.freeze("head")
    assert [*tree.trainable_parameters()] == [path for path in everything if not path.startswith("head")]
    tree.unfreeze()
    assert [*tree.trainable_parameters()] == [*everything]


def test_nothing_is_kept_alive():
    tree = Tree()
    check(tree)
    gc.disable()
    try:
        gone = weakref.ref(tree.fixed[1].w), weakref.ref(tree.fixed[1])
        tree.fixed = ()
        assert [each() for each in gone] == [None, None]
        gone = weakref.ref(tree), weakref.ref(tree.layers[0].w)
        del tree
        assert [each() for each in gone] == [None, None]
    finally:
        gc.enable()


def test_copies_have_their_own():
    tree = Tree()
    check(tree)
    for other in (copy.deepcopy(tree), pickle.loads(pickle.dumps(tree))):
        check(other)
        assert not set(map(id, other.named_parameters().values())) & set(map(id, tree.named_parameters().values()))


class WithTwo(Leaf):
    def call(self, x, y):
        return super().call(x) + y


def test_a_class_has_the_inputs_of_its_own_call():
    one, two = Leaf(), WithTwo()
    for _ in range(2):
        one(np.ones(2))
        two(np.ones(2), 1.0)
        with pytest.warns(UserWarning, match="takes 1 inputs"):
            one(np.ones(2), 1.0)
        with pytest.raises(TypeError, match="too few inputs"):
            two(np.ones(2))


class Equal(Leaf):
    def __eq__(self, other):
        raise AssertionError("modules are told apart by identity")

    __hash__ = None


def test_modules_with_an_eq_of_their_own():
    a, b = Equal(), Equal()
    check(a)
    check(b)
    a.w = parameter()
    check(a)
