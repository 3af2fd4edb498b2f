"""One lane or two: tried in turn, decided by time, reported, saved and loaded."""

import threading

import pytest

from zkynet.framework.graph_mode import lane_choice
from zkynet.framework.graph_mode.lane_choice import ROUNDS, RUNS, SETTLE, Choice, lanes_possible

CALLS = 2 * (RUNS + 1) * ROUNDS  # where each is longer than SETTLE


class Clock:
    """A time that goes by when it is told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def decided(one, two, slow=0.0, calls=CALLS, **settings):
    """A Choice behind ``calls`` calls, and which ways ran; ``slow`` is added behind each change of the way."""
    clock, ways = Clock(), []

    def way(lanes, seconds):
        def run():
            clock.now += seconds + (slow if ways[-1:] != [lanes] else 0.0)
            ways.append(lanes)
            return lanes

        return run

    choice = Choice(clock=clock, **settings)
    for _ in range(calls):
        choice.run(way(1, one), way(2, two))
    return choice, ways


@pytest.mark.parametrize(("one", "two", "lanes"), [(1.0, 0.5, 2), (1.0, 1.5, 1), (1.0, 0.99, 1), (1.0, 0.9, 2)])
def test_the_faster_way_is_kept_unless_it_is_hardly_faster(one, two, lanes):
    choice, ways = decided(one, two)
    assert choice.lanes == lanes
    assert ways == ([1] * (RUNS + 1) + [2] * (RUNS + 1)) * ROUNDS
    assert choice.run(lambda: 1, lambda: 2) == lanes


def test_the_first_run_behind_a_change_is_not_timed():
    assert decided(1.0, 0.5, slow=100.0)[0].lanes == 2


def test_short_runs_of_two_lanes_are_timed_when_the_threads_of_one_sleep():
    step, one = SETTLE / 8, 1 + RUNS
    assert f"not decided, {RUNS} of" in decided(step, step, calls=one + 8)[0].report()
    assert f"not decided, {RUNS + 1} of" in decided(step, step, calls=one + 10)[0].report()
    choice, ways = decided(step, SETTLE / 15.5, calls=200)
    assert choice.lanes == 2
    assert ways[: one + 16 + RUNS + one] == [1] * one + [2] * (16 + RUNS) + [1] * one


def test_one_slow_run_does_not_decide():
    clock, calls = Clock(), []

    def two():
        calls.append(2)
        clock.now += 100.0 if len(calls) == 3 else 0.5  # the second that is timed

    def one():
        clock.now += 1.0

    choice = Choice(clock=clock)
    for _ in range(CALLS):
        choice.run(one, two)
    assert choice.lanes == 2


def test_it_returns_what_runs_and_says_what_it_found():
    choice = Choice(clock=Clock())
    assert "not decided, 0 of" in choice.report()
    assert choice.run(lambda: "one", lambda: "two") == "one"
    assert "not decided" in repr(choice)
    report = decided(1e-3, 5e-4, calls=1000)[0].report()
    assert report == "two lanes: measured: 1000 us in one lane, 500 us in two"
    assert decided(0.1, 0.2)[0].report() == "one lane: measured: 100.0 ms in one lane, 200.0 ms in two"


@pytest.mark.parametrize("settings", [{"deterministic": True}, {"possible": False}])
def test_where_it_is_fixed_nothing_is_measured(settings):
    choice, ways = decided(1.0, 0.5, **settings)
    assert choice.lanes == 1 and set(ways) == {1}
    assert "one lane: " in choice.report()


def test_an_error_is_no_measurement():
    choice = Choice(clock=Clock())

    def wrong():
        raise ArithmeticError

    for _ in range(3):
        with pytest.raises(ArithmeticError):
            choice.run(wrong, wrong)
    assert "0 of" in choice.report()


def test_a_saved_choice_is_the_same_again():
    found = decided(1.0, 0.5)[0]
    again = Choice(clock=Clock())
    again.load_state_dict(found.state_dict())
    assert again.lanes == 2 and again.report() == found.report()


def test_two_lanes_that_are_loaded_run_where_they_could_not_be_chosen():
    """Their results differ from those of one lane by rounding: a resumed run goes on with them."""
    again = Choice(possible=False)
    again.load_state_dict(decided(1.0, 0.5)[0].state_dict())
    assert again.run(lambda: 1, lambda: 2) == 2


def test_what_was_not_decided_is_measured():
    again = Choice(clock=Clock())
    again.load_state_dict(Choice(clock=Clock()).state_dict())
    assert again.lanes is None


def test_deterministic_stays_one_lane_whatever_is_loaded():
    again = Choice(deterministic=True)
    again.load_state_dict(decided(1.0, 0.5)[0].state_dict())
    assert again.lanes == 1 and again.report() == "one lane: deterministic"


def test_a_choice_loaded_while_it_is_measured_counts():
    choice = Choice(clock=Clock())
    choice.run(lambda: 1, lambda: 2)
    choice.load_state_dict({"lanes": 1, "why": "loaded"})
    for _ in range(CALLS):
        assert choice.run(lambda: 1, lambda: 2) == 1


@pytest.mark.parametrize("state", [{"lanes": 3}, {"lanes": "two"}])
def test_a_state_of_something_else_is_refused(state):
    with pytest.raises(ValueError, match="expected 1, 2 or None"):
        Choice().load_state_dict(state)


def test_a_call_beside_one_that_is_measured_is_not():
    """What runs beside it would be timed with it."""
    choice, ways, inside, leave = Choice(clock=Clock()), [], threading.Event(), threading.Event()

    def waits():
        inside.set()
        assert leave.wait(10)
        ways.append("waited")

    thread = threading.Thread(target=lambda: choice.run(waits, waits))
    thread.start()
    assert inside.wait(10)
    assert choice.run(lambda: 1, lambda: 2) == 1
    assert choice._way == 0  # it is not known to have run
    leave.set()
    thread.join()
    assert choice._way == 1 and ways == ["waited"]


@pytest.mark.parametrize(("cores", "blas", "possible"), [(2, 2, True), (1, 2, False), (2, 1, False), (4, None, False)])
def test_where_two_lanes_are_possible(monkeypatch, cores, blas, possible):
    monkeypatch.setattr(lane_choice, "processors", lambda: cores)
    monkeypatch.setattr(lane_choice, "blas_threads", lambda: blas)
    assert lanes_possible() is possible
