"""Schedules: their curves, those of PyTorch, and how optimizers follow them."""

import math
import pickle

import numpy as np
import pytest

import zkynet as zk
from zkynet.optim import SGD, Adam, rates
from zkynet.optim.schedules import (
    Chain,
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    OneCycle,
    Plateau,
    Polynomial,
    Product,
    Step,
    WarmUp,
)


class Point(zk.Module):
    def __init__(self, value=1.0):
        self.p = zk.Parameter("p", np.array([value]))


def curve(schedule, steps):
    return [schedule(step) for step in range(steps)]


# ---- the curves, by hand ----


def test_the_curves_at_points_that_can_be_told_by_hand():
    assert curve(Constant(0.5), 3) == [0.5, 0.5, 0.5]
    assert curve(Step(1.0, every=2, factor=0.5), 5) == [1, 1, 0.5, 0.5, 0.25]
    assert curve(MultiStep(1.0, (1, 3), 0.5), 5) == [1, 0.5, 0.5, 0.25, 0.25]
    assert curve(Exponential(1.0, 0.5), 4) == [1, 0.5, 0.25, 0.125]
    assert curve(Polynomial(1.0, 4), 6) == [1, 0.75, 0.5, 0.25, 0, 0]
    assert curve(Polynomial(1.0, 4, power=2, end=0.5), 3) == [1, 0.5 + 0.5 * 0.5625, 0.5 + 0.5 * 0.25]
    assert np.allclose(curve(Cosine(1.0, 4), 6), [1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125), 0, 0])
    assert np.isclose(Cosine(1.0, 4, end=0.2)(99), 0.2)
    assert curve(WarmUp(1.0, 4), 6) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert curve(WarmUp(Step(1.0, 2, 0.5), 2, start=0.5), 4) == [0.75, 1, 0.5, 0.5]
    assert curve(Chain([WarmUp(1.0, 2), Step(1.0, 2, 0.1), 0.7], [2, 5]), 7) == [0.5, 1, 1, 1, 0.1, 0.7, 0.7]
    assert curve(Product(Exponential(1.0, 0.5), Step(1.0, 2, 0.1), 2.0), 4) == pytest.approx([2, 1, 0.05, 0.025])


def test_one_cycle_begins_rises_and_ends_where_it_says():
    found = curve(OneCycle(1.0, 12, rise=0.5, start_factor=10.0, end_factor=100.0), 14)
    assert found[0] == pytest.approx(0.1) and found[11:] == pytest.approx([0.001] * 3)
    assert found[5] == 1 and found[:6] == sorted(found[:6]) and found[5:12] == sorted(found[5:12], reverse=True)
    assert curve(OneCycle(1.0, 1), 2) == pytest.approx([1 / 25 / 1e4] * 2)


# ---- PyTorch's ----

LR = 0.3


def torch_curve(make, steps):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; the curves are tested by hand above")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler, found = make(torch.optim.lr_scheduler, optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def _cycle(s, o, rise, start, end):
    return s.OneCycleLR(o, LR, 30, pct_start=rise, div_factor=start, final_div_factor=end)


PAIRS = {
    "constant": (Constant(LR), lambda s, o: s.ConstantLR(o, factor=1.0)),
    "step": (Step(LR, 7, 0.3), lambda s, o: s.StepLR(o, 7, 0.3)),
    "multi-step": (MultiStep(LR, [3, 10, 11], 0.5), lambda s, o: s.MultiStepLR(o, [3, 10, 11], 0.5)),
    "exponential": (Exponential(LR, 0.9), lambda s, o: s.ExponentialLR(o, 0.9)),
    "polynomial": (Polynomial(LR, 20, power=1.5), lambda s, o: s.PolynomialLR(o, 20, power=1.5)),
    "cosine": (Cosine(LR, 29, end=0.01), lambda s, o: s.CosineAnnealingLR(o, 29, eta_min=0.01)),
    "warm-up": (WarmUp(LR, 8, 0.2), lambda s, o: s.LinearLR(o, start_factor=0.3, total_iters=7)),
    "one cycle": (OneCycle(LR, 30), lambda s, o: s.OneCycleLR(o, LR, 30)),
    "late cycle": (OneCycle(LR, 30, 0.8, 5.0, 50.0), lambda s, o: _cycle(s, o, 0.8, 5.0, 50.0)),
    "chain": (
        Chain([WarmUp(LR, 5), Exponential(LR, 0.9)], [6]),
        lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.2, total_iters=4), s.ExponentialLR(o, 0.9)], [6]),
    ),
    "product": (
        Product(Exponential(LR, 0.95), Step(1.0, 4, 0.5)),
        lambda s, o: s.ChainedScheduler([s.ExponentialLR(o, 0.95), s.StepLR(o, 4, 0.5)]),
    ),
}


@pytest.mark.slow  # importing torch
@pytest.mark.filterwarnings("ignore")  # of PyTorch's schedulers, about their own arguments
@pytest.mark.parametrize("name", PAIRS)
def test_curves_are_those_of_torch(name):
    schedule, theirs = PAIRS[name]
    assert np.allclose(curve(schedule, 30), torch_curve(theirs, 30), rtol=1e-12)


@pytest.mark.slow  # importing torch
@pytest.mark.parametrize("best", ["min", "max"])
@pytest.mark.parametrize("cooldown", [0, 2])
def test_plateau_is_that_of_torch(best, cooldown):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; plateau is tested by hand below")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, best, factor=0.5, patience=2, threshold=0.01, cooldown=cooldown, min_lr=0.02
    )
    mine = Plateau(LR, 0.5, patience=2, best=best, threshold=0.01, cooldown=cooldown, least=0.02)
    for i in range(60):
        value = 1 + math.sin(i * i) / (1 + 0.3 * i)
        theirs.step(value)
        mine.watch(value)
        assert mine(i) == pytest.approx(optimizer.param_groups[0]["lr"]), i


# ---- plateau ----


def test_plateau_cuts_when_nothing_gets_better():
    plateau = Plateau(1.0, factor=0.5, patience=1, least=0.2)
    assert [plateau.watch(v) for v in (3, 2, 2, 2)] == [False, False, False, True]
    assert plateau(123) == 0.5
    assert [plateau.watch(v) for v in (1, 1, 1, 1, 1, 1)] == [False, False, True, False, True, False]
    assert plateau(0) == 0.2


def test_plateau_remembers_through_an_optimizer():
    def make():
        plateau = Plateau(1.0, factor=0.5, patience=0)
        return SGD(WarmUp(plateau, 1), groups={"p": {"weight_decay": 0.1}}), plateau

    (optimizer, plateau), (resumed, other) = make(), make()
    for value in (1, 1, 1):
        plateau.watch(value)
    optimizer.update(Point(), {"p": np.ones(1)})
    resumed.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    assert other.state == plateau.state and resumed.lr == 0.25
    with pytest.raises(ValueError, match="no state of SGD"):
        resumed.load_state_dict(SGD(1.0).state_dict())
    with pytest.raises(ValueError, match="no state of Plateau"):
        plateau.load_state_dict({"lr": 1.0})


def test_plateau_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match="not finite"):
        Plateau(1.0).watch(float("nan"))


# ---- optimizers ----


def test_an_optimizer_asks_before_every_update():
    model, optimizer = Point(10.0), SGD(Step(1.0, every=2, factor=0.5))
    rates = []
    for _ in range(4):
        rates.append(optimizer.lr)
        optimizer.update(model, {"p": np.ones(1)})
    assert rates == [1, 1, 0.5, 0.5] and model.p.value == 10 - 3
    assert optimizer.schedule == Step(1.0, every=2, factor=0.5)
    optimizer.lr = 0.25
    assert optimizer.lr == 0.25 and optimizer.schedule is None


def test_any_function_of_the_step_is_a_schedule():
    optimizer = Adam(lambda step: 1 / (1 + step))
    optimizer.update(Point(), {"p": np.ones(1)})
    assert optimizer.lr == 0.5


def test_a_rate_of_zero_is_allowed_in_a_schedule():
    model = Point()
    SGD(Polynomial(0.0, 3)).update(model, {"p": np.ones(1)})
    assert model.p.value == 1


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf"), None, "0.1"])
def test_a_schedule_that_gives_no_rate_is_refused(rate):
    model = Point()
    with pytest.raises(ValueError, match="gave no learning rate after 0 updates"):
        SGD(lambda step: rate).update(model, {"p": np.ones(1)})
    assert model.p.value == 1


def test_a_step_without_a_number_is_refused():
    with pytest.raises(TypeError, match="compiled_step"):
        rates.check_rate(Constant(0.1), np.array(3.0))


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Constant(-1), "Constant: lr"),
        (lambda: Step(1.0, 0), "Step: every"),
        (lambda: Step(1.0, 2.5), "Step: every"),
        (lambda: MultiStep(1.0, [0]), "MultiStep: milestones"),
        (lambda: Exponential(1.0, -0.5), "Exponential: factor"),
        (lambda: Polynomial(1.0, 4, power=-1), "Polynomial: power"),
        (lambda: Cosine(1.0, 4, end=-1), "Cosine: end"),
        (lambda: WarmUp(1.0, 0), "WarmUp: steps"),
        (lambda: WarmUp(-1.0, 3), "WarmUp: lr"),
        (lambda: OneCycle(1.0, 4, rise=2), "OneCycle: rise"),
        (lambda: Plateau(1.0, factor=1.0), "Plateau: factor"),
        (lambda: Plateau(1.0, best="least"), "Plateau: best"),
        (lambda: Chain([1.0, 2.0], [3, 5]), "Chain: milestones"),
        (lambda: Chain([1.0, 2.0, 3.0], [5, 3]), "Chain: milestones"),
        (lambda: Product(), "Product: no factors"),
    ],
)
def test_settings_out_of_range(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_schedules_are_values():
    assert Cosine(1.0, 5) == Cosine(1.0, 5) != Cosine(1.0, 6)
    assert repr(WarmUp(Cosine(0.1, 5), 3)) == "WarmUp(lr=Cosine(lr=0.1, steps=5, end=0.0), steps=3, start=0.0)"
    assert repr(SGD(Cosine(0.1, 5))) == "SGD(lr=Cosine(lr=0.1, steps=5, end=0.0))"
    for each in (Product(Cosine(1.0, 5), 2.0), Chain([1.0, 2.0], [3]), Plateau(1.0)):
        assert curve(pickle.loads(pickle.dumps(each)), 6) == curve(each, 6)
