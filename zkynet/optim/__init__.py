"""Optimizers: how parameters follow their gradients. One source for every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkynet.backends import lazy
from zkynet.optim.accumulate import Accumulate
from zkynet.optim.adagrad import Adadelta, Adagrad
from zkynet.optim.adam import Adam, AdamW, NAdam
from zkynet.optim.average import EMA
from zkynet.optim.clipping import clip_by_norm, clip_by_value, global_norm
from zkynet.optim.files import load_state, save_state
from zkynet.optim.lbfgs import LBFGS
from zkynet.optim.lion import Lion
from zkynet.optim.muon import Muon
from zkynet.optim.optimizer import Optimizer
from zkynet.optim.rmsprop import RMSprop
from zkynet.optim.sgd import SGD

if TYPE_CHECKING:
    from zkynet.optim import schedules

__all__ = [
    "EMA",
    "LBFGS",
    "SGD",
    "Accumulate",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RMSprop",
    "clip_by_norm",
    "clip_by_value",
    "global_norm",
    "load_state",
    "save_state",
    "schedules",
]

__getattr__, __dir__ = lazy.exports(__name__, {".": "schedules"})[:2]  # most runs have a plain number for a rate
