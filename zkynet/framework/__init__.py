"""The engine: records, operators, sweeps and transforms. Nothing here knows a layer, a file format or a screen."""

from typing import Any

from . import computation_graph as cg
from . import op as op
from . import tensor_methods as tensor_methods  # binds the operators to Tensor
from .operator import SPELLINGS, Operator

__all__ = ["cg", "op"]

# What follows loads ``spellings``, and with it the transforms and Modules, where a program uses it.


def _spell(cls: type[Operator]) -> None:
    if "_op_impl" in vars(cls) or "call" in vars(cls):
        from .spellings import spelled

        spelled(cls)


def _gradfn(self: Operator, inpt: Any) -> Any:
    """The derivative with respect to one input, as a Module of the same inputs: see ``cg.gradfn``."""
    return cg.gradfn(self, inpt)


SPELLINGS.append(_spell)
Operator.gradfn = _gradfn  # type: ignore[attr-defined]
