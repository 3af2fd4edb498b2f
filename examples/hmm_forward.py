"""The forward algorithm of a hidden Markov model, in log space: exact where the plain product underflows.

    python examples/hmm_forward.py

Two coins, one fair and one loaded, are exchanged from time to time; what is seen is heads or tails. The probability of
a sequence is a product of matrices, one a step. It leaves double precision after about a thousand steps; its logarithm
does not, and neither do the gradients: those in the emissions are the probabilities of each coin at each step.
"""

import numpy as np

import zkynet as zk
from zkynet import op

START = np.array([0.5, 0.5])
CHANGE = np.array([[0.95, 0.05], [0.10, 0.90]])
SHOW = np.array([[0.5, 0.5], [0.9, 0.1]])  # of each coin: heads, tails


def log_likelihood(log_start, log_change, log_seen):
    """The logarithm of a sequence's probability; ``log_seen`` is (steps, states): that of what was seen, by state."""
    alpha = log_start + log_seen[0]
    for step in range(1, log_seen.shape[0]):
        alpha = op.logmatmulexp(alpha[None, :], log_change)[0] + log_seen[step]
    return op.logsumexp(alpha)


def plain_likelihood(start, change, seen):
    """The same without logarithms."""
    alpha = start * seen[0]
    for row in seen[1:]:
        alpha = (alpha @ change) * row
    return alpha.sum()


def tossed(steps, seed=0):
    """Heads (0) and tails (1), and the coins (0 fair, 1 loaded) that gave them."""
    rng = np.random.default_rng(seed)
    coins, seen, coin = [], [], 0
    for _ in range(steps):
        coins.append(coin)
        seen.append(int(rng.random() >= SHOW[coin, 0]))
        coin = int(rng.random() >= CHANGE[coin, 0])
    return np.array(seen), np.array(coins)


def main(steps=1500):
    """Print both likelihoods, and how often the likelier coin is the right one."""
    seen, coins = tossed(steps)
    shown = SHOW.T[seen]
    plain = plain_likelihood(START, CHANGE, shown)
    value, gradients = zk.value_and_grad(log_likelihood, 2)(np.log(START), np.log(CHANGE), np.log(shown))
    right = np.mean((gradients[:, 1] > 0.5) == coins)
    print(f"{steps} tosses. The plain product: {plain}; its logarithm: {float(value):.6f}")
    print(f"The gradient says which coin it was: right in {100 * right:.0f} of 100 tosses.")
    return value, gradients


if __name__ == "__main__":
    main()
