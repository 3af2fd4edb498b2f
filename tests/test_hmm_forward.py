"""The example of a hidden Markov model: exact to 1e-10 where the plain product is 0, and its gradient a probability."""

import importlib.util
import math
from fractions import Fraction

import numpy as np
import pytest

import zkynet as zk
from zkynet import op

STEPS = 1500


@pytest.fixture(scope="module")
def example(checkout):
    spec = importlib.util.spec_from_file_location("hmm_forward", checkout / "examples" / "hmm_forward.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exactly(start, change, shown):
    """All sums of the forward pass and of the backward pass, in whole numbers: probabilities times powers of 2."""
    scale = 1 << 60

    def whole(x):
        return [[int(Fraction(float(p)) * scale) for p in row] for row in np.atleast_2d(x)]

    (start,), change, shown = whole(start), whole(change), whole(shown)
    forward = [[a * s for a, s in zip(start, shown[0])]]
    for row in shown[1:]:
        alpha = forward[-1]
        forward.append([sum(alpha[i] * change[i][j] for i in (0, 1)) * row[j] for j in (0, 1)])
    beta = [1, 1]
    share = [[0.0, 0.0]] * len(shown)
    for t in reversed(range(len(shown))):
        joint = [a * b for a, b in zip(forward[t], beta)]
        share[t] = [j / sum(joint) for j in joint]  # of whole numbers: rounded once
        beta = [sum(change[i][j] * shown[t][j] * beta[j] for j in (0, 1)) for i in (0, 1)]
    return math.log(sum(forward[-1])) - 2 * len(shown) * math.log(scale), np.array(share)


def test_the_forward_algorithm_is_exact_where_the_plain_product_underflows(example, capsys):
    shown = example.SHOW.T[example.tossed(STEPS)[0]]
    assert example.plain_likelihood(example.START, example.CHANGE, shown) == 0
    value, gradients = example.main(STEPS)
    truth, share = exactly(example.START, example.CHANGE, shown)
    assert truth < -800
    np.testing.assert_allclose(value, truth, rtol=1e-10, atol=0)
    np.testing.assert_allclose(gradients, share, rtol=1e-10, atol=0)
    assert "plain product: 0.0" in capsys.readouterr().out


def test_the_product_of_all_steps_at_once(example, backend):
    """The same by a tree of log-space matrix products: no loop over the steps."""
    seen = example.tossed(16)[0]
    log_shown = np.log(example.SHOW.T[seen])
    steps = np.log(example.CHANGE) + log_shown[1:, None, :]
    first = np.log(example.START) + log_shown[0]
    scanned = op.associative_scan(op.logmatmulexp, backend.asarray(steps))
    total = op.logsumexp(op.logmatmulexp(backend.asarray(first[None]), scanned[-1]))
    truth = math.log(example.plain_likelihood(example.START, example.CHANGE, example.SHOW.T[seen]))
    np.testing.assert_allclose(backend.to_numpy(total.value), truth, rtol=1e-13)


def test_steps_that_cannot_happen(example):
    """A forbidden change has the logarithm -inf; the value and the gradients of the others stay finite."""
    log_change = np.log(np.array([[0.5, 0.5], [1e-320, 1.0]]))
    log_change[1, 0] = -np.inf
    log_shown = np.log(example.SHOW.T[np.zeros(5, int)])
    value, gradients = zk.value_and_grad(example.log_likelihood, (1, 2))(np.log(example.START), log_change, log_shown)
    assert np.isfinite(value) and all(np.isfinite(g).all() for g in gradients)
    assert gradients[0][1, 0] == 0
    np.testing.assert_allclose(gradients[1].sum(axis=1), 1, rtol=1e-12)
