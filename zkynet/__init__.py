"""zkynet: automatic differentiation and a small deep-learning library, on NumPy, JAX or CuPy.

``zk.grad``, ``zk.jacobian`` and their kin differentiate functions written with ``zkynet.framework.op``;
``zk.use_backend`` chooses the array library.
"""

import importlib

from zkynet import errors as errors
from zkynet.backends import available, use_backend
from zkynet.framework import cg as cg
from zkynet.framework import op as op
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


def _repr_svg_(graph):
    """A notebook shows the graph of a call as a drawing."""
    return importlib.import_module("zkynet.visual").plot_cg(graph).svg


cg.ModuleGraph._repr_svg_ = _repr_svg_  # type: ignore[attr-defined]  # here, because the framework knows no screen

# Loaded when first asked for.
_LAZY = frozenset(("data", "implicit", "io", "models", "nn", "numpy", "optim", "stats", "testing", "train", "visual"))
_IMPLICIT = frozenset(
    ("fixed_point", "fixed_quad", "linear_operator_solve", "minimize", "odeint", "quad", "root", "solve_ivp")
)
_GRAPH_MODE = frozenset(("compile", "export_numpy"))


def __getattr__(name: str):
    if name in _LAZY:
        return importlib.import_module(f"zkynet.{name}")
    if name in _IMPLICIT:
        return getattr(importlib.import_module("zkynet.implicit"), name)
    if name in _GRAPH_MODE:
        return getattr(importlib.import_module("zkynet.framework.graph_mode"), name)
    if name == "summary":
        return importlib.import_module("zkynet.visual").summary
    raise AttributeError(f"module 'zkynet' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_LAZY, *_IMPLICIT, *_GRAPH_MODE, "summary"})
