"""The engine: records, operators, sweeps and transforms. Nothing here knows a layer, a file format or a screen."""

from . import computation_graph as cg
from . import operations as op
from . import tensor_methods as tensor_methods  # binds the operators to Tensor

__all__ = ["cg", "op"]
