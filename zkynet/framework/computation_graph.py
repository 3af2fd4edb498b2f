"""``cg``: the face of the framework's files."""

from .anomaly import detect_anomaly
from .custom import checkpoint, custom_jvp, custom_vjp, no_grad
from .function import Constant, Function, Input, Parameter, State, Variable
from .gradients import gradient_graph, gradients
from .graph import InputNode, ModuleGraph, Node, OperatorNode
from .jacobians import hessian, jacobian
from .module import Module
from .operations import stop_gradient
from .operations.random import Generator
from .operator import Elementwise, Operator
from .record import Record, Tensor
from .spellings import gradfn as gradfn
from .transforms import grad, hvp, jvp, value_and_grad, vjp

__all__ = [
    "Constant",
    "Elementwise",
    "Function",
    "Generator",
    "Input",
    "InputNode",
    "Module",
    "ModuleGraph",
    "Node",
    "Operator",
    "OperatorNode",
    "Parameter",
    "Record",
    "State",
    "Tensor",
    "Variable",
    "checkpoint",
    "custom_jvp",
    "custom_vjp",
    "detect_anomaly",
    "grad",
    "gradient_graph",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "no_grad",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]
