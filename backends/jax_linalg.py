"""Linear algebra that JAX does better than the portable way.

Not expm: that of JAX 0.10 halves too seldom and loses half of the digits of large matrices.
"""

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np


def solve_triangular(a, b, *, lower=False, unit_diagonal=False):
    """The x with a @ x = b for matrices b, with leading axes that broadcast."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (jnp.broadcast_to(x, lead + x.shape[-2:]) for x in (a, b))
    with jax.default_matmul_precision("highest"):
        return jax.scipy.linalg.solve_triangular(a, b, lower=lower, unit_diagonal=unit_diagonal)


def lu(x):
    """(p, low, up) with x = p @ low @ up, all of x's dtype."""
    with jax.default_matmul_precision("highest"):
        packed, _, order = jax.lax.linalg.lu(x)
    one = jnp.eye(x.shape[-1], dtype=x.dtype)
    rows = jnp.arange(x.shape[-1])
    p = (rows[:, None] == order[..., None, :]).astype(x.dtype)
    return p, jnp.tril(packed, -1) + one, jnp.triu(packed)
