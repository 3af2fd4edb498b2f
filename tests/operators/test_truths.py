"""The recorded truths about gradients at awkward points, all of them, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support import truths
from support.numeric import inner
from support.points import host

G = truths.load()
pytestmark = pytest.mark.skipif(G is None, reason=f"the recorded truths are not beside this checkout: {truths.path()}")
CASES = {case["id"]: case for case in G.TRUTHS} if G else {}

REFUSED = {"la_slogdet_sing": np.linalg.LinAlgError}  # "inf, NaN or LinAlgError, but never a finite number"
CURVED = [name for name in CASES if "hess" in CASES[name]]


def test_every_name_is_here():
    assert [name for name in G.NAMES if not truths.available(name)] == []
    assert len(CASES) == len(G.TRUTHS) == 233  # no two of one name, and none left out


def prepared(name, backend):
    """The function of a case, its inputs to differentiate, and its cotangent."""
    case = CASES[name]
    given = {k: backend.asarray(v) for k, v in G.inputs(case).items()}

    def f(*wanted):
        values = {**given, **dict(zip(case["wrt"], wanted))}
        return eval(case["expr"], {"xp": truths.xp, "nn": truths.nn, **lifted(values)})

    return f, [given[k] for k in case["wrt"]], backend.asarray(G.arr(case["cotangent"]))


def lifted(values):
    """Operands that are not differentiated as Tensors too: expressions use their methods."""
    return {k: v if isinstance(v, zk.Tensor) else zk.op.asarray(v) for k, v in values.items()}


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("name", CASES)
def test_truth(name, backend):
    case = CASES[name]
    f, x, g = prepared(name, backend)
    if name in REFUSED:
        with backend.errstate():
            assert not G.check(case, host([f(*x)])[0], {k: np.nan * G.inputs(case)[k] for k in case["wrt"]})
            with pytest.raises(REFUSED[name]):
                zk.vjp(f, *x)[1](g)
        return
    with backend.errstate():
        value, pull = zk.vjp(f, *x)
        gradients = pull(g)
        problems = G.check(case, *host([value]), dict(zip(case["wrt"], host(gradients))))
        assert not problems, case.get("why", "")
        rng = np.random.default_rng(0)
        v = [np.asarray(rng.normal(size=a.shape)).astype(a.dtype) for a in host(x)]
        tangent = host([zk.jvp(f, x, [backend.asarray(a) for a in v])[1]])
    finite = all(np.isfinite(a).all() for a in [*tangent, *host(gradients), *host([g])])
    if finite:  # forward mode agrees with reverse mode
        np.testing.assert_allclose(inner(host([g]), tangent), inner(host(gradients), v), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", CURVED)
def test_second_derivatives(name, backend):
    """The Hessian of <cotangent, f>."""
    case = CASES[name]
    f, x, g = prepared(name, backend)
    n = len(x)
    hessian = zk.jacobian(lambda *at: zk.vjp(f, *at)[1](g), tuple(range(n)))(*x)
    for i, a in enumerate(case["wrt"]):
        for j, b in enumerate(case["wrt"]):
            if (a, b) in case["hess"]:
                problems = G._bad(f"{name} {a}{b}", *host([hessian[i][j]]), case["hess"][a, b], None, 1e-8, 1e-10)
                assert not problems
