"""Functions that an equation defines: roots, fixed points, minima, integrals, differential equations.

How they are found leaves no trace: derivatives of every order come from the equation itself (``theorem``), or from the
steps that were accepted (``ode``, ``quadrature``). What the caller's function reads from outside, Parameters of a
Module too, gets its gradient as the arguments do.
"""

from .linear import conjugate_gradient, linear_operator_solve
from .ode import odeint, solve_ivp
from .quadrature import fixed_quad, quad
from .roots import fixed_point, minimize, root

__all__ = [
    "conjugate_gradient",
    "fixed_point",
    "fixed_quad",
    "linear_operator_solve",
    "minimize",
    "odeint",
    "quad",
    "root",
    "solve_ivp",
]
