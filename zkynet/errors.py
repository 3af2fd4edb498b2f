"""The exceptions of zkynet, as they are drawn in ``zkynet.backends.errors``."""

from zkynet.backends.errors import *  # noqa: F403
from zkynet.backends.errors import __all__ as __all__
