"""Nodes: what stands where in the graph, its names, and values that stay what they were in the call."""

import copy

import numpy as np
import pytest

import zkynet as zk
from graph.simple import Simple, module
from zkynet.errors import MutationError
from zkynet.framework import cg, op


def named(result):
    """The nodes of a graph by name."""
    return {node.name: node for node in result.nodes}


class TestTheSimpleGraph:
    model = Simple()
    result = model(3.0).back()
    w, x, add, power, product = result.nodes

    def test_kinds_and_order(self):
        assert [type(n) for n in self.result.nodes] == [cg.InputNode] * 2 + [cg.OperatorNode] * 3
        assert [n.name for n in self.result.nodes[2:]] == ["add_1", "pow_1", "multiply_1"]
        assert [n.value for n in self.result.nodes] == [1.0, 3.0, 4.0, 9.0, 36.0]
        assert [n.gvalue for n in self.result.nodes] == [9.0, 33.0, 9.0, 4.0, 1.0]
        assert self.result.root == self.product

    def test_children_and_parents(self):
        assert self.product.children == [self.add, self.power] and self.product.parents == []
        assert self.add.children == [self.x, self.w] and self.power.children == [self.x]
        assert self.x.children == [] and self.x.parents == [self.add, self.power]
        assert self.w.parents == [self.add]

    def test_refs(self):
        assert self.w.ref is self.model.w and self.x.ref is self.model.input("x")
        assert self.add.ref is self.add.operator and isinstance(self.add.operator, cg.Operator)
        assert self.product.operator.functional_name == "multiply"

    def test_ids(self):
        assert len({n.id for n in self.result.nodes}) == 5
        assert {n.call_id for n in self.result.nodes} == {self.result.call_id}
        assert all(n.id.startswith(f"{self.result.call_id}:") for n in self.result.nodes)
        assert not {n.id for n in self.result.nodes} & {n.id for n in self.model(3.0).nodes}

    def test_inputs_are_the_input_nodes(self):
        assert self.result.inputs == [self.w, self.x]
        assert self.result.node_of(self.model.w) == self.w == self.result.node_of(self.w)

    def test_every_node_knows_its_graph_and_its_frame(self):
        for node in self.result.nodes:
            assert node.graph is self.result and node.frame.module is self.model and node.frame.outer is None

    def test_the_gradient_of_a_node_is_its_gvalue(self):
        assert [self.result.grad(n) for n in self.result.nodes] == [9.0, 33.0, 9.0, 4.0, 1.0]


def test_names_of_inputs_are_theirs():
    model = Simple()
    result = model(3.0)
    assert [n.name for n in result.inputs] == [model.w.name, model.input("x").name]
    assert model.w.functional_name == Simple().w.functional_name == "parameter.w"
    assert model.input("x").functional_name == Simple().input("x").functional_name == "variable.x"
    assert model.w.name != Simple().w.name and model.input("x").name != Simple().input("x").name
    assert model.name != Simple().name and model.functional_name == Simple().functional_name == "simple"
    assert model.w.short_name == "w" and model.input("x").short_name == "x" and model.input("x") is model.input("x")


def test_names_of_operators_are_unique_in_a_graph_and_the_same_in_each_call():
    model = module(lambda x: op.exp(x + 1.0) + op.exp(x + 2.0), "x")
    names = [[n.name for n in model(1.0).nodes if n.children] for _ in range(2)]
    assert names[0] == names[1] == ["add_1", "exp_1", "add_2", "exp_2", "add_3"]


def test_the_graph_is_flat_and_modules_never_appear():
    inner = Simple()
    outer = module(lambda x: inner(inner(x)), "x")
    result = outer(3.0)
    assert not any(isinstance(n.ref, cg.Module) for n in result.nodes)
    assert len(result.nodes) == 2 + 6
    frames = [n.frame for n in result.nodes if n.children]
    assert {f.module for f in frames} == {inner} and len({f.number for f in frames}) == 2
    assert {f.outer.module for f in frames} == {outer}


def test_modules_inside_give_tensors_of_the_same_call():
    seen = []
    inner = Simple()
    outer = module(lambda x: seen.append(inner(x)) or seen[0] * 1.0, "x")
    result = outer(3.0)
    assert type(seen[0]) is zk.Tensor
    assert {n.call_id for n in result.nodes} == {result.call_id}


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_of_a_graph_shows_the_same_call(how):
    model = Simple()
    result = model(np.array([3.0, 4.0]))
    other, node = how(result), how(result.root)
    assert other is not result and other.root == result.root == node and node.value is not None
    np.testing.assert_array_equal(other.back().grad(model.input("x")), np.diag([33.0, 56.0]))
    assert not result.has_gradients


def test_what_the_output_was_not_computed_from_is_no_node_of_it():
    model = module(lambda x, y: op.exp(y) and x * 2.0, "x", "y")
    result = model(1.0, 1.0)
    assert [n.ref for n in result.inputs] == [model.input("x"), model.input("y")]
    assert [n.name for n in result.nodes][1:] == ["constant", "multiply_1"]
    assert result.node_of(model.input("y")).parents == []


class TestConstants:
    def test_two_equal_numbers_are_two_nodes(self):
        result = module(lambda x: x * 2.0 + 2.0, "x")(1.0)
        constants = [n for n in result.nodes if n.ref is None and not n.children]
        assert [n.value for n in constants] == [2.0, 2.0] and constants[0] != constants[1]
        assert result.back().root.children[1].gvalue is None

    def test_one_array_is_one_node(self):
        c = np.array([1.0, 2.0])
        result = module(lambda x: x * c + c, "x")(1.0)
        assert [n.value.tolist() for n in result.nodes if n.name == "constant"] == [[1.0, 2.0]]

    def test_it_keeps_the_values_that_it_had(self):
        c = np.array([1.0, 2.0])

        def fn(x):
            y = x * c
            c[0] = 7.0
            return y + x * c

        model = module(fn, "x")
        result = model(1.0)
        c[:] = 100.0
        assert [n.value.tolist() for n in result.nodes if n.name == "constant"] == [[1.0, 2.0], [7.0, 2.0]]
        np.testing.assert_array_equal(result.back().grad(model.input("x")), [8.0, 4.0])

    def test_a_large_one_that_has_changed_is_an_error(self):
        c = np.ones(200_000)
        result = module(lambda x: op.sum(c + x), "x")(1.0)
        constant = next(n for n in result.nodes if n.name == "constant")
        assert constant.value[0] == 1.0
        c[7] = 2.0
        with pytest.raises(MutationError, match="changed"):
            _ = constant.value

    def test_steps_and_back_refuse_a_large_one_that_a_rule_reads(self):
        c = np.ones(200_000)
        result = module(lambda x: op.sum(c * x), "x")(1.0)
        assert len(result.steps()) == 3
        c[7] = 2.0
        for ask in (result.back, result.steps().__len__):
            with pytest.raises(MutationError, match="changed"):
                ask()

    def test_constants_of_the_model(self):
        class Scaled(zk.Module):
            def __init__(self):
                self.c = zk.Constant("c", np.array([2.0]))

            def call(self, x):
                return x * self.c + self.c

        model = Scaled()
        result = model(3.0).back()
        nodes = [n for n in result.nodes if n.ref is model.c]
        assert len(nodes) == 1 and len(nodes[0].parents) == 2 and nodes[0].gvalue is None
        with pytest.raises(TypeError, match="constants have none"):
            result.grad(model.c)

    def test_a_state_shows_each_of_its_values(self):
        class Counting(zk.Module):
            def __init__(self):
                self.runs = zk.State("runs", np.zeros(1))

            def call(self, x):
                y = x + self.runs
                self.runs.value = self.runs.value + 1.0
                return y * (x + self.runs) * (x + self.runs)

        model = Counting()
        result = model(1.0)
        assert [n.value.tolist() for n in result.nodes if n.ref is model.runs] == [[0.0], [1.0]]
        np.testing.assert_array_equal(result.value, [4.0])
        for node in result.nodes:
            if node.name.startswith("add"):
                np.testing.assert_array_equal(node.value, sum(child.value for child in node.children))
        np.testing.assert_array_equal(model(1.0).value, [18.0])
        np.testing.assert_array_equal(result.value, [4.0])


class TestValuesStay:
    def test_entries_assigned_in_the_call(self):
        def fn(x):
            y = x * 2.0
            z = y + 1.0
            y[0] = 100.0
            return y * z

        model = module(fn, "x")
        result = model(np.array([1.0, 2.0]))
        nodes = named(result)
        np.testing.assert_array_equal(nodes["multiply_1"].value, [2.0, 4.0])
        np.testing.assert_array_equal(nodes["add_1"].value, [3.0, 5.0])
        np.testing.assert_array_equal(result.value, [300.0, 20.0])
        np.testing.assert_array_equal(result.back().grad(model.input("x")), [[200.0, 0.0], [0.0, 18.0]])
        assert nodes["multiply_1"] in nodes["add_1"].children

    def test_entries_of_the_input_assigned_in_the_call(self):
        def fn(x):
            y = x * x
            x[1] = 0.0
            return y + x

        model, given = module(fn, "x"), np.array([1.0, 2.0])
        result = model(given)
        np.testing.assert_array_equal(given, [1.0, 2.0])
        np.testing.assert_array_equal(result.node_of(model.input("x")).value, [1.0, 2.0])
        np.testing.assert_array_equal(result.value, [2.0, 4.0])
        np.testing.assert_array_equal(result.back().grad(model.input("x")), [[3.0, 0.0], [0.0, 4.0]])

    @pytest.mark.parametrize("n", [2, 200_000])
    @pytest.mark.parametrize("dtype", [np.float64, np.int64])
    def test_the_callers_array_changed_after_the_call(self, dtype, n):
        model, x = module(lambda x, w: x[:2] * x[:2] * w, "x", w=2.0), np.arange(1, n + 1, dtype=dtype)
        result = model(x)
        x[:] = 100
        np.testing.assert_array_equal(result.node_of(model.input("x")).value[:2], [1, 2])
        np.testing.assert_array_equal(result.nodes[2].value, [1, 2])
        np.testing.assert_array_equal(result.value, [2.0, 8.0])
        np.testing.assert_array_equal(result.back(np.ones(2)).grad(model.param("w")), 5.0)
        if dtype is np.float64:
            np.testing.assert_array_equal(np.trim_zeros(result.grad(model.input("x"))), [4.0, 8.0])

    def test_a_read_only_array_is_not_copied(self):
        x = np.arange(3.0).copy()
        x.flags.writeable = False
        model = module(lambda x: x * 2.0, "x")
        assert model(x).node_of(model.input("x")).value is x

    def test_a_parameter_assigned_after_the_call(self):
        model = Simple(np.array([1.0]))
        result = model(3.0)
        model.w.value = np.array([5.0])
        assert result.node_of(model.w).value == 1.0
        np.testing.assert_array_equal(result.back().grad(model.w), [[9.0]])
        np.testing.assert_array_equal(result.grad(model.input("x")), [33.0])
        assert model(3.0).value == 72.0

    def test_an_optimizer_does_not_reach_the_graph(self):
        model = Simple(np.array([1.0]))
        result = model(3.0).back()
        zk.optim.SGD(lr=0.5).update(model, {"w": np.array([2.0])})
        assert model.w.value == 0.0 and result.node_of(model.w).value == 1.0
        result.back(np.ones(1))
        assert result.grad(model.input("x")) == 33.0


class TestOperatorsOfManyKinds:
    def test_two_outputs(self):
        def fn(a):
            values, vectors = op.linalg.eigh(a)
            return op.sum(values * values) + op.sum(vectors[:, 0] ** 4)

        model, a = module(fn, "a"), np.array([[2.0, 1.0], [1.0, 5.0]])
        result = model(a).back()
        outputs = [n for n in result.nodes if n.name.startswith("eigh")]
        assert [n.value.shape for n in outputs] == [(2,), (2, 2)] and outputs[0] != outputs[1]
        assert all(n.children == [result.node_of(model.input("a"))] for n in outputs)
        np.testing.assert_allclose(result.grad(model.input("a")), zk.grad(fn)(a), rtol=1e-12)
        assert [n.gvalue.shape for n in outputs] == [(2,), (2, 2)]

    def test_one_of_two_outputs(self):
        model = module(lambda a: op.linalg.eigh(a)[0], "a")
        a = np.diag([1.0, 2.0])
        result = model(a).back()
        np.testing.assert_allclose(result.grad(model.input("a")), zk.jacobian(model)(a), atol=1e-14)

    def test_masks_are_silent(self):
        model = module(lambda x: op.sum(op.where(x > 0, op.sqrt(op.maximum(x, 0.0)), 0.0) + op.relu(x)), "x")
        result = model(np.array([-1.0, 0.0, 4.0])).back()
        found = result.grad(model.input("x"))
        np.testing.assert_array_equal(found, [0.0, 0.0, 1.25])
        (condition,) = [n for n in result.nodes if getattr(n.value, "dtype", None) == np.dtype(bool)]
        assert not condition.tracked and condition.gvalue is None
        assert condition.children[0] == result.node_of(model.input("x"))

    def test_random_numbers_are_nodes(self):
        generator = cg.Generator(0)
        model = module(lambda x: op.dropout(x, 0.5, generator), "x")
        result = model(np.ones(100)).back()
        kept = result.value / 1.0
        np.testing.assert_array_equal(result.grad(model.input("x")), np.diag(kept))
        assert set(np.unique(kept)) == {0.0, 2.0}
        assert (model(np.ones(100)).value != result.value).any()

    def test_stop_gradient_and_no_grad(self):
        def fn(x):
            with zk.no_grad():
                a = x * 2.0
            return x * op.stop_gradient(x) + a

        model = module(fn, "x")
        result = model(3.0).back()
        assert result.value == 15.0 and result.grad(model.input("x")) == 3.0
        nodes = named(result)
        assert not nodes["multiply_1"].tracked and nodes["multiply_1"].gvalue is None
        assert nodes["multiply_1"].children[0].ref is model.input("x")

    def test_comparisons_show_what_they_compare(self):
        result = module(lambda x: x < 2.0, "x")(1.0)
        assert result.value is True and result.root.children[0].ref is result.module.input("x")


class TestInPlaceOfATensor:
    model = Simple()
    x = np.array([3.0, 4.0])
    y = np.array([36.0, 80.0])

    @pytest.mark.parametrize("part", ["graph", "node"])
    def test_wherever_a_tensor_is(self, part):
        result = self.model(self.x)
        r = result if part == "graph" else result.root
        y, v = self.y, np.array([1.0, 2.0])
        pairs = [
            (op.mean(op.square(r - v)), np.mean((y - v) ** 2)),
            (r + v, y + v),
            (v + r, y + v),
            (2.0 - r, 2.0 - y),
            (r / v, y / v),
            (1.0 / r, 1.0 / y),
            (r**2, y**2),
            (-r, -y),
            (abs(r), y),
            (r @ v, y @ v),
            (v @ r, y @ v),
            (r[0], y[0]),
            (r.sum(), y.sum()),
            (r.reshape(2, 1).T, y[None]),
            (np.exp(r / 100.0), np.exp(y / 100.0)),
            (np.multiply(v, r), v * y),
            (np.sinh(r / 100.0), np.sinh(y / 100.0)),
            (np.arctan2(1.0, r), np.arctan2(1.0, y)),
            (np.mean(r), np.mean(y)),
            (np.concatenate([r, v]), np.concatenate([y, v])),
            (np.float64(2.0) * r, 2.0 * y),
            (op.stack([r, r]), np.stack([y, y])),
            (op.concat([r, v]), np.concatenate([y, v])),
            (op.where(r > 40.0, r, 0.0), [0.0, 80.0]),
            (self.model(r), (y + 1) * y**2),
        ]
        for found, expected in pairs:
            np.testing.assert_allclose(found.value, expected)
            assert cg.gradients(op.sum(found * 1.0), [self.model.w])[0] != 0.0, "it stands on the graph"
        assert len(r) == 2 and r.shape == (2,) and r.ndim == 1 and r.dtype == np.float64 and r.size == 2
        assert [t.item() for t in r] == [36.0, 80.0]

    def test_functions_of_numpy_that_zkynet_does_not_know_are_errors(self):
        result = self.model(self.x)
        for ask in (np.spacing, np.trim_zeros, np.add.reduce, lambda r: np.setdiff1d(r, r)):
            for x in (result, result.root):
                with pytest.raises(TypeError, match="does not know tracked Tensors"):
                    ask(x)
        assert np.add.reduce(module(lambda x: x * 2, "x")(np.array([1, 2]))) == 6

    def test_comparisons_with_order_are_elementwise(self):
        assert (self.model(self.x) > 40.0).value.tolist() == [False, True]

    def test_one_module_on_the_result_of_another(self):
        first, second = Simple(), Simple()
        inner = first(3.0)
        outer = second(inner)
        assert outer.value == 37.0 * 36.0**2 and outer.call_id != inner.call_id
        assert outer.back().grad(second.input("x")) == 3 * 36.0**2 + 2 * 36.0
        with pytest.raises(ValueError):
            outer.grad(first.w)
        assert len(outer.nodes) == 5
        slope = 3 * 36.0**2 + 2 * 36.0
        by_first, by_second, by_x = zk.gradients(outer, [first.w, second.w, first.input("x")])
        assert (by_first, by_second, by_x) == (9.0 * slope, 36.0**2, 33.0 * slope)

    def test_a_graph_that_the_code_reads_from_outside_is_a_leaf(self):
        before = Simple()(3.0)
        model = module(lambda x: before * x, "x")
        result = model(2.0).back()
        assert result.grad(model.input("x")) == 36.0 and len(result.nodes) == 3
        leaf = next(n for n in result.nodes if n.value == 36.0)
        assert isinstance(leaf, cg.InputNode) and leaf.ref is None and result.grad(leaf) == 2.0
        returned = module(lambda x: before, "x")(1.0)
        assert returned.call_id != before.call_id and returned.value == 36.0
        assert returned.back().grad(returned.module.input("x")) == 0.0
