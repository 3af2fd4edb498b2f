"""Callbacks: what a run tells, keeps and decides while it goes on.

Each is given to a Trainer in a list; its docstring says what it does and what it keeps. One of your own is a subclass
of ``zkynet.train.Callback``, or plain functions: ``zkynet.train.On(epoch_end=lambda run: print(run.figures))``.
"""

from typing import TYPE_CHECKING

from zkynet.backends import lazy

if TYPE_CHECKING:
    from zkynet.train.callbacks.live_curves import LiveCurves as LiveCurves
    from zkynet.train.callbacks.logs import CsvLog as CsvLog
    from zkynet.train.callbacks.logs import JsonLog as JsonLog
    from zkynet.train.callbacks.nan_guard import NaNGuard as NaNGuard
    from zkynet.train.callbacks.plateau import ReduceOnPlateau as ReduceOnPlateau
    from zkynet.train.callbacks.progress import Progress as Progress
    from zkynet.train.callbacks.statistics import Statistics as Statistics
    from zkynet.train.callbacks.stopping import EarlyStopping as EarlyStopping
    from zkynet.train.callbacks.stopping import KeepBest as KeepBest
    from zkynet.train.callbacks.tensorboard import TensorBoard as TensorBoard
    from zkynet.train.callbacks.timing import Timing as Timing
    from zkynet.train.callbacks.wandb import WandB as WandB

# The file of each is loaded when it is asked for: a command that logs need not wait for those that draw.
__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        ".live_curves": "LiveCurves",
        ".logs": "CsvLog, JsonLog",
        ".nan_guard": "NaNGuard",
        ".plateau": "ReduceOnPlateau",
        ".progress": "Progress",
        ".statistics": "Statistics",
        ".stopping": "EarlyStopping, KeepBest",
        ".tensorboard": "TensorBoard",
        ".timing": "Timing",
        ".wandb": "WandB",
    },
)
