"""zkynet: automatic differentiation and a small deep-learning library, on NumPy, JAX or CuPy.

``zk.grad``, ``zk.jacobian`` and their kin differentiate functions written with ``zkynet.framework.op``;
``zk.use_backend`` chooses the array library.
"""

from typing import TYPE_CHECKING

from zkynet.backends import available, lazy, use_backend
from zkynet.framework import cg as cg
from zkynet.framework import op as op

if TYPE_CHECKING:
    from zkynet import errors as errors
    from zkynet.framework.computation_graph import (
        Constant,
        Generator,
        Module,
        Operator,
        Parameter,
        State,
        Tensor,
        Variable,
        checkpoint,
        custom_jvp,
        custom_vjp,
        detect_anomaly,
        grad,
        gradient_graph,
        gradients,
        hessian,
        hvp,
        jacobian,
        jvp,
        no_grad,
        stop_gradient,
        value_and_grad,
        vjp,
    )

__version__ = "0.1.0.dev0"

__all__ = [
    "Constant",
    "Generator",
    "Module",
    "Operator",
    "Parameter",
    "State",
    "Tensor",
    "Variable",
    "available",
    "cg",
    "checkpoint",
    "custom_jvp",
    "custom_vjp",
    "detect_anomaly",
    "errors",
    "grad",
    "gradient_graph",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "no_grad",
    "op",
    "stop_gradient",
    "use_backend",
    "value_and_grad",
    "vjp",
]

# Loaded when first asked for.
__getattr__, __dir__ = lazy.exports(
    __name__,
    {
        ".": "data, errors, implicit, io, models, nn, numpy, optim, stats, testing, train, visual",
        ".framework.computation_graph": (
            "Constant, Generator, Module, Operator, Parameter, State, Tensor, Variable, checkpoint, custom_jvp, "
            "custom_vjp, detect_anomaly, grad, gradient_graph, gradients, hessian, hvp, jacobian, jvp, no_grad, "
            "stop_gradient, value_and_grad, vjp"
        ),
        ".framework.graph_mode": "compile, export_numpy",
        ".implicit": ("fixed_point, fixed_quad, linear_operator_solve, minimize, odeint, quad, root, solve_ivp"),
        ".visual": "summary",
    },
)[:2]
