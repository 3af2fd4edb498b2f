"""How a Module is given its inputs: declared or read off the signature, by position or name, in containers."""

import collections
import copy
import pickle
import warnings

import numpy as np
import pytest

import zkynet as zk
from graph.simple import STYLES, Declared, Simple, gradients_of, module
from zkynet.framework import cg, op


def scaled(x, y, w):
    """A function that pickle finds by its name."""
    return x * w + y


class TestNumberOfInputs:
    @pytest.mark.parametrize("style", STYLES)
    def test_too_few(self, style):
        with pytest.raises(TypeError, match="(?s)too few inputs.*missing: +x"):
            style()()

    def test_too_few_names_those_that_are_missing(self):
        model = module(lambda x, y, z: x, "x", "y", "z")
        with pytest.raises(TypeError, match="(?s)missing: +y, z\n.*expected: x, y, z"):
            model(1.0)

    @pytest.mark.parametrize("style", STYLES)
    def test_too_many_are_left_out_with_a_warning_that_names_them(self, style):
        with pytest.warns(UserWarning, match=r"takes 1 inputs and was given 3; left out: 7.0, shape \(2,\)") as told:
            result = style()(3, 7.0, np.ones(2))
        assert result.value == 36.0 and len(result.inputs) == 2
        assert told[0].filename == __file__

    def test_too_many_and_too_few_inside_another_call_too(self):
        inner = Simple()
        with pytest.raises(TypeError, match="too few"):
            module(lambda x: inner(), "x")(1.0)
        with pytest.warns(UserWarning, match="left out: 5.0"):
            assert module(lambda x: inner(x, 5.0), "x")(3.0).value == 36.0

    def test_in_a_transform_too(self):
        with pytest.raises(TypeError, match="too few"):
            zk.grad(lambda x: Simple()())(1.0)
        with pytest.warns(UserWarning, match="left out: 5.0"):
            assert zk.grad(lambda x: Simple()(x, 5.0))(3.0) == 33.0

    def test_an_input_with_a_default(self):
        class Power(zk.Module):
            def call(self, x, scale=2.0):
                return x * scale

        model = Power()
        result = model(3.0).back()
        assert result.value == 6.0 and result.grad(model.input("x")) == 2.0
        with pytest.raises(ValueError, match="its inputs are: x$"):
            result.grad(model.input("scale"))
        result = model(3.0, 5.0).back()
        assert result.value == 15.0 and result.grad(model.input("scale")) == 3.0

    def test_any_number(self):
        class Total(zk.Module):
            def call(self, first, *more):
                return sum(more, first)

        model = Total()
        result = model(1.0, 2.0, 3.0).back()
        assert result.value == 6.0 and result.grad(model.input("first")) == 1.0
        with pytest.raises(KeyError, match="its inputs are: first"):
            model.input("more")


class TestByName:
    def test_an_input_by_keyword_is_an_input(self):
        model = module(lambda x, y: x * y, "x", "y")

        class Product(zk.Module):
            def call(self, x, y):
                return x * y

        model = Product()
        for result in (model(2.0, y=3.0), model(y=3.0, x=2.0)):
            assert gradients_of(result, model) == {"x": 3.0, "y": 2.0}

    def test_settings_stay_what_they_are(self):
        seen = []

        class Configured(zk.Module):
            def call(self, x, *, power, name="plain", sizes=(1, 2), inner=None):
                seen.append((power, name, sizes, inner))
                return x**power

        inner = Simple()
        assert Configured()(3.0, power=2, name="y", sizes=[3], inner=inner).value == 9.0
        assert seen == [(2, "y", [3], inner)] and type(seen[0][0]) is int
        with pytest.raises(TypeError):
            Configured()(3.0)

    def test_unknown_names_are_an_error(self):
        with pytest.raises(TypeError, match="unexpected keyword"):
            Simple()(3.0, z=1.0)
        with pytest.raises(TypeError, match="multiple values"):
            Simple()(3.0, x=1.0)

    def test_asking_for_what_is_not_there(self):
        model = Simple()
        with pytest.raises(KeyError, match="its inputs are: x"):
            model.input("y")
        with pytest.raises(KeyError, match="by path they are: w"):
            model.param("v")

    def test_two_parameters_of_one_short_name(self):
        class Pair(zk.Module):
            def __init__(self):
                self.a, self.b = Simple(), Simple()

        pair = Pair()
        assert pair.param("a.w") is pair.a.w
        with pytest.raises(KeyError, match="several parameters 'w'; by path they are: a.w, b.w"):
            pair.param("w")


Pair = collections.namedtuple("Pair", ["left", "right"])


class TestContainers:
    def test_a_dict_of_arrays(self):
        model = module(lambda d: d["a"] * op.sum(d["b"]) + d["c"][0], "d")
        given = {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0]), "c": (5.0, 6.0)}
        result = model(given).back()
        np.testing.assert_array_equal(result.value, [12.0, 19.0])
        found = result.grad(model.input("d"))
        assert list(found) == ["a", "b", "c"] and type(found["c"]) is tuple
        np.testing.assert_array_equal(found["a"], 7.0 * np.eye(2))
        np.testing.assert_array_equal(found["b"], [[1.0, 1.0], [2.0, 2.0]])
        np.testing.assert_array_equal(found["c"][0], [1.0, 1.0])
        np.testing.assert_array_equal(found["c"][1], [0.0, 0.0])
        name = model.input("d").name
        assert [n.path for n in result.inputs] == ["['a']", "['b']", "['c'][0]", "['c'][1]"]
        assert result.inputs[2].name == f"{name}['c'][0]"

    def test_tuples_lists_and_named_tuples(self):
        model = module(lambda p: p[0] * p[1], "p")
        for kind in (tuple, list, Pair._make):
            found = model(kind([2.0, 3.0])).back().grad(model.input("p"))
            assert found == kind([3.0, 2.0]) and type(found) is type(kind([0, 0]))

    def test_what_is_no_array_in_a_container_has_no_gradient(self):
        model = module(lambda d: d["b"] * 2.0 if d["flag"] else d["a"], "d")
        found = model({"flag": True, "a": 1.0, "name": "x", "none": None, "b": 3.0}).back().grad(model.input("d"))
        assert found == {"flag": None, "a": 0.0, "name": None, "none": None, "b": 2.0}

    def test_integers_in_a_container_are_a_type_error(self):
        model = module(lambda d: d["a"] * d["n"], "d")
        result = model({"a": 2.0, "n": np.array([3])}).back()
        with pytest.raises(TypeError, match="no gradient"):
            result.grad(model.input("d"))
        np.testing.assert_array_equal(result.grad(result.inputs[0]), [3.0])

    def test_settings_of_inputs_by_name_may_be_containers(self):
        class Weighted(zk.Module):
            def call(self, x, scales):
                return x * scales["a"]

        model = Weighted()
        assert model(2.0, scales={"a": 5.0}).back().grad(model.input("scales")) == {"a": 2.0}

    def test_the_caller_keeps_his_container(self):
        given = {"a": np.array([1.0])}
        model = module(lambda d: d.update(b=1.0) or d["a"], "d")
        model(given)
        assert list(given) == ["a"] and type(given["a"]) is np.ndarray

    def test_outputs(self):
        model = module(lambda x, w: {"a": x * w, "b": (x + w, [x]), "n": None, "s": "text"}, "x", w=2.0)
        result = model(3.0)
        assert list(result) == ["a", "b", "n", "s"] and result["n"] is None and result["s"] == "text"
        graphs = [result["a"], result["b"][0], result["b"][1][0]]
        assert all(isinstance(g, cg.ModuleGraph) for g in graphs)
        assert len({g.call_id for g in graphs}) == 1
        assert [g.value for g in graphs] == [6.0, 5.0, 3.0]
        assert [gradients_of(g, model) for g in graphs] == [
            {"x": 2.0, "w": 3.0},
            {"x": 1.0, "w": 1.0},
            {"x": 1.0, "w": 0.0},
        ]
        assert not model(3.0)["b"][0].has_gradients, "each has gradients of its own"
        shared = set(graphs[0].nodes) & set(graphs[1].nodes)
        assert {n.ref for n in shared} == {model.input("x"), model.param("w")}
        names = [n.name for g in graphs for n in g.nodes]
        assert names.count("multiply_1") == names.count("add_1") == 1

    def test_the_same_tensor_as_two_outputs(self):
        first, second = module(lambda x: (x, x), "x")(3.0)
        assert first.root == second.root and first != second


class TestDeclared:
    def test_variables_by_name(self):
        model = Declared()
        assert model.input("x").short_name == "x" and model.param("w").value == 1.0

    def test_bare_module_with_inputs_and_params(self):
        class Line(cg.Module):
            def call(self, x, t):
                return self.param("k") * x + self.param("d") * t

        model = Line(
            inputs=(cg.Variable("x"), cg.Variable("t")), params=(cg.Parameter("k", 2.0), cg.Parameter("d", 1.0))
        )
        assert gradients_of(model(3, 4), model) == {"x": 2.0, "t": 1.0, "k": 3.0, "d": 4.0}

    def test_a_variable_that_several_modules_share_is_one_input(self):
        x = cg.Variable("x")
        first, second = (cg.Module.build("F", lambda x: x * x, [x]) for _ in range(2))
        assert first.input("x") is second.input("x") is x
        assert first(3.0).back().grad(x) == second(3.0).back().grad(x) == 6.0

    def test_two_of_one_name_are_an_error(self):
        with pytest.raises(ValueError, match="two of the Variables have the name 'x'"):
            cg.Module(inputs=(cg.Variable("x"), cg.Variable("x")))
        with pytest.raises(TypeError, match="expected a Variable"):
            cg.Module(inputs=(cg.Parameter("w", 1.0),))

    def test_submodules_are_plain_attributes(self):
        class Outer(cg.Module):
            def __init__(self):
                super().__init__(inputs=(cg.Variable("x"),))
                self.inner = Declared()

            def call(self, x):
                return self.inner(x)

        model = Outer()
        result = model(3).back()
        assert result.grad(model.inner.param("w")) == result.grad(model.param("inner.w")) == 9.0
        with pytest.raises(ValueError):
            result.grad(model.inner.input("x"))  # what it was given is no leaf of the flat graph


class TestBuild:
    def test_inputs_then_params(self):
        model = cg.Module.build("Scaled", scaled, [cg.Variable("x"), "y"], [cg.Parameter("w", 2.0)])
        assert model(3.0, 1.0).value == 7.0 and type(model).__name__ == "Scaled"
        assert gradients_of(model(3.0, 1.0), model) == {"x": 2.0, "y": 1.0, "w": 3.0}
        assert model.functional_name == "scaled" and model.name.startswith("scaled_")
        assert list(model.named_parameters()) == ["w"]

    def test_without_params(self):
        assert cg.Module.build("Square", lambda x: x * x, ["x"])(3).value == 9.0

    def test_a_copy_has_params_of_its_own(self):
        model = cg.Module.build("Scaled", scaled, ["x", "y"], [cg.Parameter("w", 2.0)])
        for make in (copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))):
            model(3.0, 1.0)
            other = make(model)
            other.param("w").value = 5.0
            assert other(3.0, 1.0).value == 16.0 and model(3.0, 1.0).value == 7.0
            assert gradients_of(other(3.0, 1.0), other) == {"x": 5.0, "y": 1.0, "w": 3.0}
            assert other.functional_name == "scaled" and other.name != model.name

    def test_a_parameter_of_several_modules_is_one(self):
        w = cg.Parameter("w", 2.0)
        first, second = (cg.Module.build("S", scaled, ["x", "y"], [w]) for _ in range(2))
        both = module(lambda x: second(first(x, 1.0), 1.0), "x")
        both.parts = [first, second]
        result = both(3.0).back()
        assert result.value == 15.0 and result.grad(w) == 7.0 + 2.0 * 3.0


@pytest.mark.parametrize("style", STYLES)
class TestCopies:
    def test_copies_after_a_call_are_other_models(self, style):
        model = style(2.0)
        result = model(3.0).back()
        model.input("x"), model.w.name if style is Simple else None
        for make in (copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))):
            other = make(model)
            assert other.param("w") is not model.param("w") and other.input("x") is not model.input("x")
            assert other.param("w").name != model.param("w").name and other.name != model.name
            assert other.input("x").name != model.input("x").name
            other.param("w").value = 1.0
            assert other(3.0).back().grad(other.input("x")) == 33.0 and model(3.0).value == 45.0
            with pytest.raises(ValueError):
                result.grad(other.param("w"))
            with pytest.raises(ValueError):
                result.grad(other.input("x"))


def test_no_warnings_in_an_ordinary_call():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Simple()(np.array([3.0, 4.0])).back()
