"""Weight decay, put around any rule: as the gradient of a penalty, or decoupled from the gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

Rule = Callable[..., tuple]

# Cached, so that a rule with decay is the same function in every step: compiled programs are found by it.


@cache
def penalized(rule: Rule) -> Rule:
    """``rule`` on g + decay p, the gradient of the loss with decay / 2 |p|^2 added; ``decay`` is its last number."""

    def with_penalty(xp: Any, p: Any, g: Any, *rest: Any) -> tuple:
        *numbers, decay = rest
        return rule(xp, p, g + decay * p, *numbers)

    return with_penalty


@cache
def shrunk(rule: Rule) -> Rule:
    """``rule`` behind p <- keep p; ``keep`` = 1 - lr decay is its last number.

    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    def with_shrinking(xp: Any, p: Any, g: Any, *rest: Any) -> tuple:
        *numbers, keep = rest
        p *= keep
        return rule(xp, p, g, *numbers)

    return with_shrinking
