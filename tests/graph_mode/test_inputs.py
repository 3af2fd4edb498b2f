"""What a stretch takes: in its order, as it is now, and refused where it has another shape or dtype."""

import numpy as np
import pytest

from support import backends as backends_here
from zkynet import optim
from zkynet.framework.computation_graph import Module, Parameter
from zkynet.framework.graph_mode.inputs import Inputs, MovedError
from zkynet.framework.graph_mode.program import Value, compiles
from zkynet.framework.graph_mode.sources import Argument, Captured, Number, Possessed, Slot


class Held:
    """A place that a test writes to."""

    def __init__(self, array):
        self.array = array

    def read(self):
        return self.array


def stretch(xp, *sources, arrays):
    """The Inputs of arrays from these sources."""
    moves = not xp.is_host and not compiles(xp)
    arrays = [xp.asarray(array) if moves else array for array in arrays]
    values = [Value(i, tuple(array.shape), array.dtype) for i, array in enumerate(arrays)]
    return values, Inputs(list(zip(values, sources, strict=True)), xp, moves)


@pytest.fixture(params=["numpy", "jax", "array_api_strict"])
def xp(request):
    return backends_here.get(request.param)


def test_all_kinds_stand_in_their_order(xp):
    one, two, three = (xp.asarray(np.full(3, number, np.float32)) for number in (1, 2, 3))
    parameter, numbers = Parameter("p", two), [0.5, 0.25]
    sources = [
        Number("a", 1, lambda: numbers, tuple, "n1"),
        Captured(Held(three)),
        None,
        Argument(1, "x"),
        Possessed(parameter),
        Number("b", 0, lambda: [0.125], tuple, "m0"),
        Argument(0, "y"),
        Number("a", 0, lambda: numbers, tuple, "n0"),
    ]
    number = np.float64(0)
    values, inputs = stretch(xp, *sources, arrays=[number, three, one, one, two, number, two, number])
    for _ in range(2):
        found = inputs.read({values[2]: one}, [two, one])
        assert [float(np.asarray(xp.to_numpy(x)).reshape(-1)[0]) for x in found] == [0.25, 3, 1, 1, 2, 0.125, 2, 0.5]
    numbers[0] = 0.75
    assert float(inputs.read({values[2]: one}, [two, one])[-1]) == 0.75


@pytest.mark.parametrize("shape, dtype", [((4,), "float32"), ((3,), "float64"), ((3, 1), "float32")])
def test_what_has_moved_is_refused_every_time(xp, shape, dtype):
    place = Held(xp.asarray(np.ones(3, np.float32)))
    _, inputs = stretch(
        xp, Captured(place), Number("a", 0, lambda: [1.0], tuple, "n"), arrays=[place.array, np.float64()]
    )
    before = place.array
    inputs.read({}, [])
    place.array = xp.asarray(np.ones(shape, dtype))
    for _ in range(2):
        with pytest.raises(MovedError, match="captured"):
            inputs.read({}, [])
    place.array = before
    assert (xp.to_numpy(inputs.read({}, [])[0]) == 1).all()


def test_a_number_that_became_an_array_is_refused():
    numbers = [1.0]
    _, inputs = stretch(backends_here.get("numpy"), Number("a", 0, lambda: numbers, tuple, "n"), arrays=[np.float64()])
    inputs.read({}, [])
    numbers[0] = np.ones(2)
    with pytest.raises(MovedError, match="number n"):
        inputs.read({}, [])


def test_arrays_of_the_host_stand_beside_those_of_a_device():
    xp = backends_here.get("jax")
    place = Held(np.ones(3, np.float32))
    _, inputs = stretch(xp, Captured(place), arrays=[place.array])
    assert inputs.read({}, [])[0] is place.array
    place.array = xp.asarray(place.array)
    assert inputs.read({}, [])[0] is place.array
    place.array = np.ones(4, np.float32)
    with pytest.raises(MovedError):
        inputs.read({}, [])


def test_slots_begin_where_the_state_was_emptied():
    class Model(Module):
        def __init__(self):
            self.w = Parameter("w", np.ones(3))

    model, optimizer = Model(), optim.Adam(0.1)

    def begin():
        return optimizer._begun(model, {"w": [model.w.value]})

    begin()
    slot = optimizer.slots[0]
    source = Slot(optimizer, slot, "w", begin)
    array = optimizer.state[slot]["w"]
    _, inputs = stretch(backends_here.get("numpy"), source, arrays=[array])
    assert inputs.read({}, [])[0] is array
    optimizer.state.update({slot: {} for slot in optimizer.slots})
    assert inputs.read({}, [])[0] is optimizer.state[slot]["w"] is not array
