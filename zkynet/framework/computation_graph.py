"""``cg``: the face of the framework's files, each loaded when one of its names is first asked for."""

from typing import TYPE_CHECKING

from zkynet.backends import lazy

if TYPE_CHECKING:
    from .anomaly import detect_anomaly
    from .custom import checkpoint, custom_jvp, custom_vjp, no_grad
    from .function import Constant, Function, Input, Parameter, State, Variable
    from .gradients import gradient_graph, gradients
    from .graph import InputNode, ModuleGraph, Node, OperatorNode
    from .jacobians import hessian, jacobian
    from .module import Module
    from .operations.control import stop_gradient
    from .operations.random import Generator
    from .operator import Elementwise, Operator
    from .record import Record, Tensor
    from .spellings import gradfn as gradfn
    from .transforms import grad, hvp, jvp, value_and_grad, vjp

__getattr__, __dir__ = lazy.exports(
    __name__,
    {
        ".anomaly": "detect_anomaly",
        ".custom": "checkpoint, custom_jvp, custom_vjp, no_grad",
        ".function": "Constant, Function, Input, Parameter, State, Variable",
        ".gradients": "gradient_graph, gradients",
        ".graph": "InputNode, ModuleGraph, Node, OperatorNode",
        ".jacobians": "hessian, jacobian",
        ".module": "Module",
        ".operations.control": "stop_gradient",
        ".operations.random": "Generator",
        ".operator": "Elementwise, Operator",
        ".record": "Record, Tensor",
        ".spellings": "gradfn",
        ".transforms": "grad, hvp, jvp, value_and_grad, vjp",
    },
)[:2]

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
