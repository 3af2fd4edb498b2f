"""A ModuleGraph: values and gradients against closed forms, and the errors for what cannot be asked."""

import numpy as np
import pytest

import zkynet as zk
from graph.simple import STYLES, Simple, gradients_of, module
from zkynet.errors import CotangentError, NotDifferentiableError, NotInGraphError, TrackedValueError, ZkynetError
from zkynet.framework import cg, op


@pytest.mark.parametrize("model", [style() for style in STYLES], ids=["attributes", "declared"])
class TestBothStyles:
    def test_numbers(self, model):
        result = model(3)
        assert isinstance(result, cg.ModuleGraph)
        assert result.value == 36 and result.back().grad(model.param("w")) == 9
        assert result.grad(model.input("x")) == 33
        assert [type(g) for g in gradients_of(result, model).values()] == [float, float]

    def test_a_vector(self, model):
        result = model(np.array([3.0, 4.0, 5.0]))
        np.testing.assert_array_equal(result.value, [36.0, 80.0, 150.0])
        found = gradients_of(result, model)
        np.testing.assert_array_equal(found["x"], np.diag([33.0, 56.0, 85.0]))
        np.testing.assert_array_equal(found["w"], [9.0, 16.0, 25.0])

    def test_a_cotangent(self, model):
        result = model(np.array([3.0, 4.0, 5.0])).back(np.array([1.0, 10.0, 100.0]))
        np.testing.assert_array_equal(result.grad(model.input("x")), [33.0, 560.0, 8500.0])
        assert result.grad(model.param("w")) == 2669.0


def test_a_weight_of_one_entry():
    model = Simple(np.array([1.0]))
    found = gradients_of(model(np.array([3.0, 4.0, 5.0])), model)
    np.testing.assert_array_equal(found["x"], np.diag([33.0, 56.0, 85.0]))
    np.testing.assert_array_equal(found["w"], [[9.0], [16.0], [25.0]])


def test_no_gradient_before_back():
    model = Simple()
    result = model(3.0)
    assert not result.has_gradients
    for ask in (lambda: result.grad(model.w), lambda: result.root.gvalue, lambda: result.grad(result.nodes[0])):
        with pytest.raises(ZkynetError, match="Call back"):
            ask()
    result.back()
    assert result.has_gradients


def test_back_is_idempotent_and_gives_the_graph():
    model = Simple()
    result = model(np.array([3.0, 4.0]))
    assert result.back() is result
    first = result.grad(model.input("x"))
    for _ in range(3):
        assert result.back() is result
    np.testing.assert_array_equal(result.grad(model.input("x")), first)


def test_another_cotangent_replaces():
    model = Simple()
    result = model(np.array([3.0, 4.0]))
    np.testing.assert_array_equal(result.back([1.0, 0.0]).grad(model.input("x")), [33.0, 0.0])
    np.testing.assert_array_equal(result.back([0.0, 2.0]).grad(model.input("x")), [0.0, 112.0])
    np.testing.assert_array_equal(result.back().grad(model.input("x")), np.diag([33.0, 56.0]))
    np.testing.assert_array_equal(result.back([1.0, 1.0]).grad(model.input("x")), [33.0, 56.0])
    assert result.grad(model.w) == 25.0


def test_a_refused_cotangent_leaves_the_gradients_as_they_were():
    model = Simple()
    result = model(np.array([3.0, 4.0])).back()
    for wrong in (np.ones(3), 1.0, np.ones((1, 2)), np.ones(2) * 1j):
        with pytest.raises(CotangentError):
            result.back(wrong)
    np.testing.assert_array_equal(result.grad(model.input("x")), np.diag([33.0, 56.0]))


def test_the_cotangent_of_a_wrong_shape_says_both():
    with pytest.raises(CotangentError, match=r"(?s)got: +\(3,\).*expected: +\(2,\)"):
        Simple()(np.array([3.0, 4.0])).back(np.ones(3))


def test_a_cotangent_is_read_once():
    model, g = Simple(), np.array([1.0, 1.0])
    result = model(np.array([3.0, 4.0])).back(g)
    g[:] = 7.0
    np.testing.assert_array_equal(result.grad(model.input("x")), [33.0, 56.0])
    np.testing.assert_array_equal(g, [7.0, 7.0])


def test_a_graph_as_a_cotangent():
    model = Simple()
    result = model(np.array([3.0, 4.0])).back(model(np.array([0.0, 1.0])))
    np.testing.assert_array_equal(result.grad(model.input("x")), [0.0, 112.0])


def test_gradients_are_the_callers_own():
    model = Simple()
    result = model(np.array([3.0, 4.0])).back()
    for ask in (lambda: result.grad(model.input("x")), lambda: result.root.gvalue, lambda: result.nodes[2].gvalue):
        before = ask().copy()
        ask()[...] = -1.0
        np.testing.assert_array_equal(ask(), before)


def test_what_the_output_does_not_depend_on_has_a_gradient_of_zeros():
    class Unused(zk.Module):
        def __init__(self):
            self.w, self.v = zk.Parameter("w", np.ones((2, 2))), zk.Parameter("v", 1.0)

        def call(self, x, y, z):
            y * self.v  # computed, and not used
            return x * 2.0

    model = Unused()
    result = model(np.ones(3), np.ones((4, 1)), 5.0)
    found = gradients_of(result, model)
    shapes = {"x": (3, 3), "y": (3, 4, 1), "z": (3,), "w": (3, 2, 2), "v": (3,)}
    assert {name: g.shape for name, g in found.items()} == shapes
    assert all(not np.any(found[name]) for name in "yzwv")
    found = gradients_of(result, model, np.ones(3))
    assert {name: np.shape(g) for name, g in found.items()} == {n: s[1:] for n, s in shapes.items()}
    assert found["z"] == 0.0 and type(found["z"]) is float


def test_an_output_that_depends_on_nothing():
    model = module(lambda x, w: np.array([1.0, 2.0]), "x", w=1.0)
    result = model(np.ones(3))
    found = gradients_of(result, model)
    assert found["x"].shape == (2, 3) and found["w"].shape == (2,)
    assert not found["x"].any() and not found["w"].any()
    assert gradients_of(result, model, np.ones(2))["x"].shape == (3,)


def test_a_parameter_or_an_input_as_the_output():
    class Itself(zk.Module):
        def __init__(self):
            self.w = zk.Parameter("w", np.array([1.0, 2.0]))

        def call(self, x):
            return {"w": self.w, "x": x}

    model = Itself()
    result = model(3.0)
    np.testing.assert_array_equal(result["w"].back().grad(model.w), np.eye(2))
    np.testing.assert_array_equal(result["w"].grad(model.input("x")), np.zeros(2))
    assert result["w"].root.ref is model.w
    assert result["x"].back().grad(model.input("x")) == 1.0
    np.testing.assert_array_equal(result["x"].grad(model.w), np.zeros(2))


def test_the_same_value_twice_in_one_operator():
    model = module(op.mult, "a", "b")
    square = module(lambda x: op.mult(x, x), "x")
    assert square(3.0).back().grad(square.input("x")) == 6.0
    children = square(3.0).root.children
    assert len(children) == 2 and children[0] == children[1]
    found = gradients_of(model(3.0, 3.0), model)
    assert found == {"a": 3.0, "b": 3.0}
    both = module(lambda x, w: op.mult(x, x) + op.mult(w, w) * x, "x", w=np.array([2.0]))
    found = gradients_of(both(3.0), both)
    np.testing.assert_array_equal(found["x"], [10.0])
    np.testing.assert_array_equal(found["w"], [[12.0]])


class Tied(zk.Module):
    def __init__(self, first, second):
        self.first, self.second = first, second

    def call(self, x):
        return self.second(self.first(x)) + self.first(x)


def test_shared_weights_accumulate_and_submodules_are_asked_for_theirs():
    simple = Simple()
    tied, loose = Tied(simple, simple), Tied(Simple(), Simple())
    shared, apart = tied(3.0).back(), loose(3.0).back()
    assert shared.value == apart.value == 36.0 + 37.0 * 36.0**2
    # With y = f(3) = 36: f'(y) = 3 y**2 + 2 y, the weight of the outer one y**2.
    slope = 3 * 36.0**2 + 2 * 36.0
    assert apart.grad(loose.first.param("w")) == slope * 9.0 + 9.0
    assert apart.grad(loose.second.param("w")) == 36.0**2
    assert shared.grad(simple.param("w")) == slope * 9.0 + 9.0 + 36.0**2
    assert shared.grad(tied.param("first.w")) == shared.grad(simple.w)
    assert shared.grad(tied.input("x")) == apart.grad(loose.input("x")) == slope * 33.0 + 33.0


class TestNoPartOfTheModel:
    model = Simple()

    @pytest.mark.parametrize(
        "foreign",
        [
            Simple().w,
            Simple().input("x"),
            zk.Variable("x"),
            zk.Constant("c", 1.0),
            zk.State("s", 1.0),
            3.0,
            "x",
            None,
            np.ones(2),
            model,
            Simple()(3.0).root,
            model(3.0).nodes[0],
            model(3.0),
        ],
        ids=lambda x: type(x).__name__,
    )
    def test_it_is_an_error(self, foreign):
        result = self.model(3.0).back()
        with pytest.raises(NotInGraphError):
            result.grad(foreign)

    def test_the_error_is_a_value_error_that_names_the_inputs(self):
        result = self.model(3.0).back()
        with pytest.raises(ValueError, match="its inputs are: x"):
            result.grad(zk.Variable("y"))
        with pytest.raises(ValueError, match=r"module.param\(name\)"):
            result.grad(Simple().w)

    def test_a_node_of_another_call_names_both_calls(self):
        first, second = self.model(3.0).back(), self.model(3.0).back()
        with pytest.raises(NotInGraphError, match=f"call {first.call_id}; .* call {second.call_id}"):
            second.grad(first.root)

    def test_a_parameter_that_the_code_reads_without_owning_it(self):
        free = zk.Parameter("free", 2.0)
        model = module(lambda x: x * free, "x")
        result = model(3.0).back()
        assert result.value == 6.0 and result.grad(model.input("x")) == 2.0
        with pytest.raises(TypeError, match="no gradient with respect to free"):
            result.grad(free)


class TestIntegers:
    ints = np.array([3, 4, 5])

    def test_they_go_forward_as_they_are(self):
        model = Simple(1)
        result = model(self.ints)
        assert all(np.asarray(node.value).dtype == np.int64 for node in result.nodes)
        np.testing.assert_array_equal(result.value, [36, 80, 150])
        np.testing.assert_array_equal(result.node_of(model.input("x")).value, self.ints)

    def test_a_parameter_that_is_a_python_integer(self):
        model = Simple(1)
        assert gradients_of(model(3), model) == {"x": 33.0, "w": 9.0}

    def test_the_gradient_is_a_type_error_that_names_the_input(self):
        model = Simple()
        result = model(self.ints).back()
        np.testing.assert_array_equal(result.grad(model.w), [9.0, 16.0, 25.0])
        with pytest.raises(TypeError, match=rf"(?s){model.input('x').name}.*shape \(3,\), int64.*astype"):
            result.grad(model.input("x"))
        with pytest.raises(NotDifferentiableError):
            result.grad(result.node_of(model.input("x")))

    def test_an_integer_output_has_none(self):
        model = module(lambda x: x * 2, "x")
        for cotangent in (None, np.ones(3)):
            with pytest.raises(TypeError, match="int64"):
                model(self.ints).back(cotangent)

    def test_a_truth_value_as_output_has_none(self):
        model = module(lambda x: x > 3.5, "x")
        result = model(np.array([3.0, 4.0]))
        assert list(result.value) == [False, True]
        for cotangent in (None, np.ones(2)):
            with pytest.raises(TypeError, match="bool"):
                result.back(cotangent)

    def test_booleans_and_flags(self):
        model = module(lambda x, flag: x if flag else -x, "x", "flag")
        assert model(2.0, True).value == 2.0 and model(2.0, False).value == -2.0


class TestDtypes:
    def test_float32_stays_float32(self):
        model = Simple(np.ones(1, np.float32))
        for x in (3, 3.0, np.float32(3.0), np.array([3.0], np.float32)):
            result = model(x)
            found = gradients_of(result, model)
            assert result.value.dtype == np.float32 == found["w"].dtype
            assert [n.value.dtype for n in result.nodes if hasattr(n.value, "dtype")].count(np.float64) == 0
            np.testing.assert_array_equal(np.ravel(found["w"]), [9.0])
            np.testing.assert_array_equal(np.ravel(found["x"]), [33.0])

    def test_a_double_cotangent_of_a_single_output(self):
        model = Simple(np.ones(1, np.float32))
        found = gradients_of(model(np.array([3.0], np.float32)), model, np.ones(1))
        assert found["x"].dtype == found["w"].dtype == np.float32

    def test_python_numbers_stay_python_numbers(self):
        result = Simple()(3)
        assert all(type(node.value) is float for node in result.nodes)
        result.back()
        assert all(type(node.gvalue) is float for node in result.nodes)

    def test_a_float32_input_beside_a_number(self):
        model = Simple(2.0)
        result = model(np.array([1.0, 2.0], np.float32))
        found = gradients_of(result, model)
        assert result.value.dtype == found["x"].dtype == np.float32 and found["w"].shape == (2,)
        np.testing.assert_array_equal(found["w"], [1.0, 4.0])

    def test_numpy_scalars(self):
        result = Simple()(np.float64(3.0))
        assert result.value == 36.0 and result.back().grad(result.module.input("x")) == 33.0


class TestComplex:
    model = module(lambda z, k: z * z * k, "z", "k")

    def test_a_complex_output_needs_a_cotangent(self):
        result = self.model(1 + 2j, 2.0)
        with pytest.raises(NotDifferentiableError, match="holomorphic"):
            result.back()
        for g in (1.0, 1j, 2 - 3j):
            expected = zk.vjp(lambda z, k: z * z * k, 1 + 2j, 2.0)[1](g)
            found = gradients_of(result, self.model, g)
            assert (found["z"], found["k"]) == expected
            assert type(found["z"]) is complex and type(found["k"]) is float

    def test_a_real_loss_of_complex_numbers(self):
        loss = module(lambda z: op.sum(op.real(z * op.conj(z))), "z")
        z = np.array([1 + 2j, 3 - 1j])
        np.testing.assert_array_equal(loss(z).back().grad(loss.input("z")), 2 * z)  # dL/dRe + i dL/dIm


class TestNotANumber:
    result = Simple()(np.array([3.0, 4.0]))

    @pytest.mark.parametrize("exit_", [float, int, complex, np.asarray, np.array, lambda x: [0, 1][x]])
    def test_it_does_not_turn_into_one_by_itself(self, exit_):
        for x in (Simple()(3.0), Simple()(3.0).root, Simple()(3.0).nodes[0]):
            with pytest.raises(TrackedValueError, match=r"\.value"):
                exit_(x)

    def test_the_exits(self):
        result = Simple()(3.0)
        assert result.value == 36.0 and result.item() == 36.0 and op.stop_gradient(result).value == 36.0
        assert bool(result) and not bool(Simple()(0.0))
        np.testing.assert_array_equal(self.result.value, [36.0, 80.0])

    def test_an_untracked_one_may(self):
        assert float(module(lambda x: op.stop_gradient(x), "x")(2.0)) == 2.0

    def test_values_are_read_only(self):
        for node in self.result.nodes:
            if node.value is not None and hasattr(node.value, "shape"):
                with pytest.raises(ValueError, match="read-only"):
                    node.value[...] = 1.0
        with pytest.raises(ValueError, match="read-only"):
            self.result.value[0] = 1.0

    def test_no_entries_to_assign_to(self):
        with pytest.raises((TypeError, AttributeError)):
            self.result[0] = 1.0


class TestEquality:
    model = Simple()

    def test_two_results_and_their_roots_are_never_equal(self):
        first, second = self.model(3.0), self.model(3.0)
        assert first.call_id != second.call_id
        assert (first == second, first != second, first == first) == (False, True, True)
        assert (first.root == second.root, first.root != second.root) == (False, True)
        assert len({first, second}) == 2 and len({first.root, second.root}) == 2
        assert [a == b for a, b in zip(first.nodes, second.nodes, strict=True)] == [False] * 5

    def test_nodes_are_equal_where_they_show_the_same(self):
        result = self.model(3.0)
        assert result.root == result.root and result.root is not result.root
        assert result.root == result.nodes[-1] and hash(result.root) == hash(result.nodes[-1])
        assert (result.root != result.nodes[-1]) is False
        assert len(set(result.nodes + result.nodes)) == 5 and result.nodes.index(result.root) == 4

    def test_with_anything_else_it_is_identity(self):
        result = self.model(3.0)
        for other in (36.0, None, "x", object()):
            assert (result == other) is False and (result != other) is True
            assert (result.root == other) is False and (result.root != other) is True


def test_representations_are_short_and_say_what_it_is():
    result = Simple()(np.ones((2, 2)))
    assert repr(result) == f"ModuleGraph(Simple, call {result.call_id}, shape (2, 2), float64)"
    assert repr(result.root) == "OperatorNode(multiply_1, shape (2, 2), float64)"
    number = Simple()(3.0)
    assert repr(number) == f"ModuleGraph(Simple, call {number.call_id}, 36.0)"
    assert repr(number.inputs[0]).startswith("InputNode(w_") and repr(number.inputs[0]).endswith(", 1.0)")
    big = op.ones((500, 500))
    assert all(len(repr(node)) < 80 for node in Simple()(big).nodes)
