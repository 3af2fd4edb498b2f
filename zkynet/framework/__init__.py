"""The engine: records, operators, sweeps and transforms. Nothing here knows a layer, a file format or a screen."""

from . import operations as op
from . import tensor_methods as _tensor_methods  # binds the operators to Tensor
from . import computation_graph as cg

__all__ = ["cg", "op"]
