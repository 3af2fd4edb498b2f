"""``cg``: the face of the framework's files."""

from .function import Constant, Function, Input, Parameter, State, Variable
from .module import Module
from .operator import Elementwise, Operator
from .operations.random import Generator
from .record import Record, Tensor
from .jacobians import hessian, jacobian
from .transforms import grad, hvp, jvp, value_and_grad, vjp

__all__ = [
    "Constant",
    "Elementwise",
    "Function",
    "Generator",
    "Input",
    "Module",
    "Operator",
    "Parameter",
    "Record",
    "State",
    "Tensor",
    "Variable",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "value_and_grad",
    "vjp",
]
