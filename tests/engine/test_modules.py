"""Modules and Parameters as arguments of transforms; names, copies, pickles, representations."""

import collections
import copy
import dataclasses
import pickle

import numpy as np
import pytest

import zkynet as zk
from support.engine import equal
from zkynet import backends
from zkynet.errors import CotangentError, NotDifferentiableError, ShapeError
from zkynet.framework import op

X = np.ones((1, 2))


class Layer(zk.Module):
    def __init__(self, n, m, w=None):
        self.w = zk.Parameter("w", np.arange(1.0, n * m + 1).reshape(n, m)) if w is None else w
        self.b = zk.Parameter("b", np.zeros(m))

    def call(self, x):
        return x @ self.w + self.b


class Net(zk.Module):
    def __init__(self):
        self.layers = [Layer(2, 2), Layer(2, 1)]
        self.more = {"gain": zk.Parameter("gain", 2.0)}
        self.constant = zk.Constant("c", np.ones(1))
        self.runs = zk.State("runs", np.zeros(1))

    def call(self, x):
        for layer in self.layers:
            x = layer(x)
        self.runs.value = self.runs.value + 1.0
        return op.sum(x * self.constant * self.more["gain"])


NAMES = ["layers.0.w", "layers.0.b", "layers.1.w", "layers.1.b", "more.gain"]


def loss(net, x=X):
    return net(x)


def test_the_gradient_of_a_module_is_keyed_by_parameter_name():
    net = Net()
    found = zk.grad(loss)(net)
    assert list(found) == NAMES == list(net.named_parameters())
    np.testing.assert_array_equal(found["layers.1.w"], [[8.0], [12.0]])
    np.testing.assert_array_equal(found["layers.0.w"], [[2.0, 4.0], [2.0, 4.0]])
    assert found["more.gain"] == 16.0
    assert all(np.shape(found[k]) == p.shape for k, p in net.named_parameters().items())


def test_every_transform_takes_modules():
    net = Net()
    gradient = zk.grad(loss)(net)
    ones = {k: np.ones(p.shape) if p.shape else 1.0 for k, p in net.named_parameters().items()}
    along = sum(np.sum(g) for g in gradient.values())
    assert equal(zk.value_and_grad(loss)(net)[1], gradient)
    assert equal(zk.vjp(loss, net)[1](1.0)[0], gradient)
    np.testing.assert_allclose(zk.jvp(loss, (net,), (ones,))[1], along)
    assert equal(zk.jacobian(loss)(net), gradient)
    assert equal(zk.jacobian(loss, mode="fwd")(net), gradient)
    hessian = zk.hessian(loss)(net)
    assert list(hessian) == NAMES and list(hessian["more.gain"]) == NAMES
    np.testing.assert_array_equal(hessian["more.gain"]["layers.1.w"], [[4.0], [6.0]])
    product = zk.hvp(loss, (net,), (ones,))[0]
    np.testing.assert_allclose(
        product["layers.1.b"], sum(np.sum(hessian["layers.1.b"][k]) for k in NAMES), err_msg="a row of the Hessian"
    )


def test_modules_in_containers_and_beside_other_arguments():
    net = Net()
    plain = zk.grad(loss)(net)
    found = zk.grad(lambda t: t["net"](X) * t["k"])({"net": net, "k": 1.0})
    assert equal(found["net"], plain) and found["k"] == 32.0
    found = zk.grad(lambda t: t[0](X) * t[1])((net, 1.0))
    assert isinstance(found, tuple) and equal(found[0], plain)
    by_net, by_x = zk.grad(lambda net, x: net(x), argnums=(0, 1))(net, X)
    assert equal(by_net, plain)
    np.testing.assert_array_equal(by_x, [[10.0, 22.0]])


def test_a_shared_parameter_is_there_once():
    class Tied(zk.Module):
        def __init__(self):
            self.first = Layer(2, 2)
            self.again = self.first
            self.second = Layer(2, 2, w=self.first.w)

        def call(self, x):
            return op.sum(self.second(self.first(x)))

    tied = Tied()
    assert list(tied.named_parameters()) == ["first.w", "first.b", "second.b"]
    found = zk.grad(loss)(tied)
    untied_a, untied_b = zk.grad(lambda a, b: op.sum(b(a(X))), argnums=(0, 1))(Layer(2, 2), Layer(2, 2))
    np.testing.assert_array_equal(found["first.w"], untied_a["w"] + untied_b["w"])


def test_two_arguments_share_a_parameter():
    w = zk.Parameter("w", np.eye(2))
    a, b = Layer(2, 2, w), Layer(2, 2, w)
    f = lambda a, b: op.sum(b(a(X)))  # noqa: E731
    whole = np.full((2, 2), 2.0)
    for by_a, by_b in (zk.grad(f, argnums=(0, 1))(a, b), zk.grad(lambda t: f(*t))((a, b)), zk.vjp(f, a, b)[1](1.0)):
        np.testing.assert_array_equal(by_a["w"], whole)
        np.testing.assert_array_equal(by_b["w"], whole)
    for mode in ("fwd", "rev"):
        by_a, by_b = zk.jacobian(f, argnums=(0, 1), mode=mode)(a, b)
        np.testing.assert_array_equal(by_a["w"], whole)
        np.testing.assert_array_equal(by_b["w"], whole)
    tangent = {"w": np.ones((2, 2)), "b": np.ones(2)}
    with pytest.raises(CotangentError, match="twice"):
        zk.jvp(f, (a, b), (tangent, tangent))


def test_a_parameter_by_itself():
    p = zk.Parameter("p", np.array([2.0, 3.0]))
    np.testing.assert_array_equal(zk.grad(lambda p: op.sum(p * p))(p), [4.0, 6.0])
    np.testing.assert_array_equal(zk.grad(lambda _: op.sum(p * p))(p), [4.0, 6.0])
    found = zk.grad(lambda t: op.sum(t[0] * t[1]))([p, 2.0])
    np.testing.assert_array_equal(found[0], [2.0, 2.0])
    assert found[1] == 5.0


def test_a_module_is_read_from_the_closure_and_given_as_an_argument():
    layer = Layer(2, 2)
    found = zk.grad(lambda m: op.sum(layer(X)) + op.sum(m(X)))(layer)
    np.testing.assert_array_equal(found["b"], [2.0, 2.0])


def test_a_module_read_from_the_closure_alone_is_constant():
    layer = Layer(2, 2)
    assert zk.grad(lambda s: op.sum(layer(X)) * s)(2.0) == 10.0


def test_inner_and_outer_gradients_of_one_module():
    layer = Layer(2, 2)

    def outer(m):
        inner = zk.grad(lambda n: op.sum(n(X)) ** 2)(m)  # 2 s for every entry, with s the sum of all
        return op.sum(inner["w"])  # 8 s

    np.testing.assert_array_equal(zk.grad(outer)(layer)["w"], np.full((2, 2), 8.0))
    by_closure = zk.grad(lambda m: op.sum(zk.grad(lambda n: op.sum(layer(X)) ** 2)(m)["w"]))(layer)
    np.testing.assert_array_equal(by_closure["w"], np.full((2, 2), 8.0))


def test_the_inner_gradient_by_input_is_differentiated_by_parameters():
    layer = Layer(2, 2)
    found = zk.grad(lambda m: op.sum(zk.grad(lambda x: op.sum(m(x)))(X)))(layer)
    np.testing.assert_array_equal(found["w"], np.ones((2, 2)))
    np.testing.assert_array_equal(found["b"], np.zeros(2))


def test_tangents_of_a_module_go_by_name():
    layer = Layer(2, 2)
    f = lambda m: op.sum(m(X))  # noqa: E731
    expected = zk.jvp(f, (layer,), ({"w": np.ones((2, 2)), "b": np.zeros(2)},))[1]
    assert zk.jvp(f, (layer,), ({"b": np.zeros(2), "w": np.ones((2, 2))},))[1] == expected == 4.0
    for wrong in ({"w": np.ones((2, 2))}, {"w": np.ones((2, 2)), "c": np.zeros(2)}, [np.ones((2, 2)), np.zeros(2)]):
        with pytest.raises(CotangentError):
            zk.jvp(f, (layer,), (wrong,))


# ---- where parameters are found ----


@dataclasses.dataclass
class Holder:
    p: object
    label: str = ""


def holding(make):
    class Holding(zk.Module):
        def __init__(self):
            make(self, zk.Parameter("p", 3.0))

        def call(self, x):
            return next(iter(self.named_parameters().values())) * x

    return Holding()


PLACES = {
    "attribute": (lambda m, p: setattr(m, "p", p), "p"),
    "private attribute": (lambda m, p: setattr(m, "_p", p), "_p"),
    "tuple": (lambda m, p: setattr(m, "t", (1, (p,))), "t.1.0"),
    "dict": (lambda m, p: setattr(m, "d", {"x": {1: p}}), "d.x.1"),
    "deque": (lambda m, p: setattr(m, "q", collections.deque([p])), "q.0"),
    "dataclass": (lambda m, p: setattr(m, "h", Holder(p)), "h.p"),
    "class": (lambda m, p: setattr(type(m), "shared", p), "shared"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_parameter_is_found_wherever_it_is_kept(place):
    make, path = PLACES[place]
    module = holding(make)
    assert list(module.named_parameters()) == [path]
    assert zk.grad(lambda m: m(2.0))(module) == {path: 2.0}


def test_slots_are_looked_into():
    class Slotted(zk.Module):
        __slots__ = ("w", "unset")

        def __init__(self):
            self.w = zk.Parameter("w", 3.0)

    assert list(Slotted().named_parameters()) == ["w"]


def test_parameters_in_a_set_have_no_names():
    with pytest.raises(TypeError, match="list"):
        zk.grad(lambda m: 1.0)(holding(lambda m, p: setattr(m, "s", {p})))


def test_two_parameters_do_not_share_a_path():
    def make(m, p):
        m.d = {"a.b": p, "a": {"b": zk.Parameter("q", 1.0)}}

    with pytest.raises(ValueError, match="d.a.b"):
        holding(make).named_parameters()


def test_a_module_that_contains_itself():
    def make(m, p):
        m.p, m.me, m.others = p, m, {"me": m}

    module = holding(make)
    assert zk.grad(lambda m: m(2.0))(module) == {"p": 2.0}
    assert "..." in repr(module)


def test_a_module_without_parameters():
    assert zk.grad(lambda m: 2.0)(zk.Module()) == {}


# ---- possessions ----


def test_states_and_constants_are_not_differentiated():
    net = Net()
    zk.grad(loss)(net)
    assert net.runs.value == 1.0
    with pytest.raises(NotDifferentiableError):
        zk.Parameter("p", np.array([1, 2]))
    with pytest.raises(AttributeError, match="State or a Parameter"):
        net.constant.value = np.ones(1)


def test_an_assignment_is_checked():
    p = zk.Parameter("p", np.ones(2))
    for wrong in (np.ones(3), np.ones(2, np.float32), 1.0):
        with pytest.raises((ShapeError, TypeError)):
            p.value = wrong
    p.value = [3, 4]
    np.testing.assert_array_equal(p.value, [3.0, 4.0])
    p.value = op.sin(np.zeros(2))
    np.testing.assert_array_equal(p.value, [0.0, 0.0])
    number = zk.Parameter("n", 2.0)
    number.value = 3.0
    with pytest.raises(TypeError):
        number.value = np.ones(1)


def test_a_float32_model_stays_float32():
    layer = Layer(2, 2, zk.Parameter("w", np.ones((2, 2), np.float32)))
    layer.b = zk.Parameter("b", np.ones(2, np.float32))
    x = X.astype(np.float32)
    value, found = zk.value_and_grad(lambda m: op.mean(m(x * 2) * 0.5 + 1) ** 2)(layer)
    assert value.dtype == np.float32
    assert {g.dtype for g in found.values()} == {np.dtype(np.float32)}


# ---- copies, pickles, names, representations ----


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_copies_are_apart_and_differentiate_alike(duplicate):
    net = Net()
    again = duplicate(net)
    assert equal(zk.grad(loss)(again), zk.grad(loss)(net))
    again.layers[0].w.value = np.zeros((2, 2))
    assert net.layers[0].w.value.any()
    names = [f.name for f in (net, again, *net.parameters(), *again.parameters())]
    assert len(set(names)) == len(names), "a copy is another one"
    net.layers[0].b = net.layers[1].b = zk.Parameter("b", np.zeros(1))
    assert len(net.parameters()) == len(duplicate(net).parameters()) == 4


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_a_copied_generator_goes_on_where_it_was(duplicate):
    generator = zk.Generator(3)
    generator.uniform((2,))
    again = duplicate(generator)
    np.testing.assert_array_equal(again.uniform((3,)).value, generator.uniform((3,)).value)
    assert again.value == generator.value == 2


def test_names_are_unique_and_roles_are_not():
    a, b = Layer(2, 2), Layer(2, 2)
    assert a.name != b.name and a.functional_name == b.functional_name == "layer"
    assert a.w.name != b.w.name and a.w.functional_name == b.w.functional_name == "parameter.w"
    assert a.name == a.name and a.w.name == a.w.name


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (zk.Parameter("w", np.ones((2, 3))), "Parameter('w', shape=(2, 3), dtype=float64)"),
        (zk.Parameter("k", 2.0), "Parameter('k', 2.0)"),
        (zk.Variable("x"), "Variable('x')"),
        (zk.Constant("c", np.ones(1000)), "Constant('c', shape=(1000,), dtype=float64)"),
        (holding(lambda m, p: setattr(m, "p", p)), "Holding(p=Parameter('p', 3.0))"),
        (op.ones(2), "Tensor(array([1., 1.]))"),
        (op.sin(0.0), "Tensor(0.0)"),
        (zk.custom_vjp(abs), "<custom_vjp abs, without a rule>"),
    ],
)
def test_representations(thing, text):
    assert repr(thing) == text


def test_everything_has_a_short_representation():
    def f(x):
        things = [x, x.record, zk.framework.cg.Elementwise(), op.reshape(x, (1, 3)).record.operator]
        assert all(0 < len(repr(t)) < 100 for t in things)
        return op.sum(x)

    zk.grad(f)(np.ones(3))
    assert len(repr(op.zeros((1000, 1000)))) < 500
    assert len(repr(zk.Generator(0))) < 100
    assert len(repr(Net())) < 500


def test_a_possession_of_another_is_copied_where_it_is(backend):
    first = zk.Parameter("w", backend.asarray(np.arange(3.0, dtype=np.float32)))
    for kind in (zk.Parameter, zk.State, zk.Constant):
        second = kind("v", first)
        assert backends.backend_of(second.value) is backend and second.value.dtype == first.value.dtype
    assert zk.Parameter("n", zk.Parameter("m", 0.5)).value == 0.5
