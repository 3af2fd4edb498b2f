"""The four composites of examples/composites.py: values, gradients, shared leaves, independent calls."""

import importlib.util

import pytest

import zkynet as zk
from zkynet.framework import cg


@pytest.fixture(scope="module")
def example(checkout):
    spec = importlib.util.spec_from_file_location("composites", checkout / "examples" / "composites.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def f(x, w):
    return (x + w) * x**2


def by_x(x, w):
    return 3 * x**2 + 2 * w * x


WEIGHTS = {"first": 1.0, "second": 0.5, "inner": -0.25, "outer": 2.0}
INPUTS = {"a": 1.0, "b": -2.0, "c": 1.5}


def closed_form(weights, inputs):
    """g = f(a) + f(b) / f(f(c)), and its partial derivatives by the seven numbers that it is made of."""
    a, b, c = inputs.values()
    first, second, inner, outer = weights.values()
    y = f(c, inner)
    below = f(y, outer)
    through = -f(b, second) / below**2  # dg / d(f(f(c)))
    slopes = {
        "a": by_x(a, first),
        "b": by_x(b, second) / below,
        "c": through * by_x(y, outer) * by_x(c, inner),
        "first": a**2,
        "second": b**2 / below,
        "inner": through * by_x(y, outer) * c**2,
        "outer": through * y**2,
    }
    return f(a, first) + f(b, second) / below, slopes


def set_weights(composite, weights):
    for part, w in zip(composite.parts, weights.values(), strict=True):
        part.w.value = w


@pytest.mark.parametrize("weights", [WEIGHTS, dict.fromkeys(WEIGHTS, 0.75)], ids=["different", "equal"])
@pytest.mark.parametrize("inputs", [INPUTS, dict.fromkeys(INPUTS, 1.5)], ids=["different", "equal"])
def test_nothing_shared(example, weights, inputs):
    model = example.nothing_shared()
    set_weights(model, weights)
    value, slopes = closed_form(weights, inputs)
    result = model(*inputs.values()).back()
    assert result.value == pytest.approx(value, rel=1e-14)
    for part, name in zip(model.parts, weights, strict=True):
        assert result.grad(part.param("w")) == pytest.approx(slopes[name], rel=1e-13)
    for name in inputs:
        assert result.grad(model.input(name)) == pytest.approx(slopes[name], rel=1e-13)
    assert shape_of_graph(result) == (7, 14)


def test_weights_shared(example):
    model = example.weights_shared()
    set_weights(model, dict.fromkeys(WEIGHTS, 0.75))
    value, slopes = closed_form(dict.fromkeys(WEIGHTS, 0.75), INPUTS)
    result = model(*INPUTS.values()).back()
    assert result.value == pytest.approx(value, rel=1e-14)
    (w,) = model.parameters()
    assert result.grad(w) == pytest.approx(sum(slopes[name] for name in WEIGHTS), rel=1e-13)
    for name in INPUTS:
        assert result.grad(model.input(name)) == pytest.approx(slopes[name], rel=1e-13)
    assert shape_of_graph(result) == (4, 14)


def test_inputs_shared(example):
    model = example.inputs_shared()
    set_weights(model.composite, WEIGHTS)
    value, slopes = closed_form(WEIGHTS, dict.fromkeys(INPUTS, 1.5))
    result = model(1.5).back()
    assert result.value == pytest.approx(value, rel=1e-14)
    for part, name in zip(model.composite.parts, WEIGHTS, strict=True):
        assert result.grad(part.param("w")) == pytest.approx(slopes[name], rel=1e-13)
    assert result.grad(model.input("x")) == pytest.approx(sum(slopes[name] for name in INPUTS), rel=1e-13)
    assert shape_of_graph(result) == (5, 14)


def test_weights_and_inputs_shared(example):
    model = example.weights_and_inputs_shared()
    set_weights(model.composite, dict.fromkeys(WEIGHTS, 0.75))
    value, slopes = closed_form(dict.fromkeys(WEIGHTS, 0.75), dict.fromkeys(INPUTS, 1.5))
    result = model(1.5).back()
    assert result.value == pytest.approx(value, rel=1e-14)
    assert result.grad(model.param("w")) == pytest.approx(sum(slopes[name] for name in WEIGHTS), rel=1e-13)
    assert result.grad(model.input("x")) == pytest.approx(sum(slopes[name] for name in INPUTS), rel=1e-13)
    assert shape_of_graph(result) == (2, 14)


def shape_of_graph(result):
    """How many leaves and how many operators; every leaf stands there once."""
    leaves = [n for n in result.nodes if isinstance(n, cg.InputNode)]
    assert len({n.ref for n in leaves}) == len(leaves), "a shared leaf stands there once"
    assert all(isinstance(n, cg.OperatorNode) for n in result.nodes if n not in leaves)
    return len(leaves), len(result.nodes) - len(leaves)


def test_a_shared_leaf_has_a_parent_for_each_use(example):
    shared = example.weights_and_inputs_shared()
    result = shared(1.0)
    weight, given = result.node_of(shared.param("w")), result.node_of(shared.input("x"))
    assert len(weight.parents) == 4 and len(given.parents) == 6
    apart = example.nothing_shared()
    result = apart(1.0, 1.0, 1.0)
    assert [len(result.node_of(w).parents) for w in apart.parameters()] == [1, 1, 1, 1]
    assert [len(result.node_of(apart.input(name)).parents) for name in "abc"] == [2, 2, 2]


def test_the_frames_tell_which_part_an_operator_belongs_to(example):
    for model in (example.nothing_shared(), example.weights_shared()):
        result = model(1.0, 1.0, 1.0)
        frames = [n.frame for n in result.nodes if isinstance(n, cg.OperatorNode)]
        assert sorted(frames.count(f) for f in set(frames)) == [2, 3, 3, 3, 3]
        assert {f.module for f in set(frames)} == {model, *model.parts}


def test_calls_are_independent(example):
    model = example.weights_shared()
    first = model(*INPUTS.values()).back()
    before = [n.gvalue for n in first.nodes], [n.value for n in first.nodes]
    (w,) = model.parameters()
    w.value = 5.0
    second = model(2.0, 2.0, 2.0).back()
    assert ([n.gvalue for n in first.nodes], [n.value for n in first.nodes]) == before
    assert not set(first.nodes) & set(second.nodes) and first.root != second.root
    assert first.call_id != second.call_id
    with pytest.raises(ValueError):
        second.grad(first.nodes[0])
    value, slopes = closed_form(dict.fromkeys(WEIGHTS, 5.0), dict.fromkeys(INPUTS, 2.0))
    assert second.value == pytest.approx(value) and second.grad(model.input("a")) == pytest.approx(slopes["a"])


def test_the_graph_agrees_with_the_transforms(example):
    for make in example.MODELS.values():
        model = make()
        given = [1.5] if isinstance(model, example.OneInput) else list(INPUTS.values())
        result = model(*given).back()
        by_model = zk.grad(lambda m, *x: m(*x))(model, *given)
        assert by_model == {name: result.grad(w) for name, w in model.named_parameters().items()}
        by_inputs = zk.grad(model, argnums=tuple(range(len(given))))(*given)
        assert by_inputs == tuple(result.grad(v) for v in model._inputs().values())


def test_what_the_script_prints(example, capsys):
    example.main()
    text = capsys.readouterr().out
    assert text.count("g = 2.1667") == 4 and text.count("4.3056") == 4 and text.count("0.8056") == 4
    assert "7 leaves, 14 operators" in text and "2 leaves, 14 operators" in text
