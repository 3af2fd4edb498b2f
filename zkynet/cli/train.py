"""``zkynet train``: train a model, watch it, see how well it does."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from zkynet.cli.parsing import Parser, positive_number, whole_number

DIGITS_HELP = """\
Trains a feed-forward network (64-128-64-10) on the 1,797 handwritten digits of the UCI set, which ship with zkynet.
A fixed fifth of them is kept out of training to test the network after every epoch; the last line is the result.
"""
DIGITS_EXAMPLES = """\
examples:
  zkynet train digits                          a few seconds, NumPy alone
  zkynet train digits --backend jax            the same run on JAX
  zkynet train digits --seed 3 --epochs 40     other first weights, and longer
"""


def add(commands: Any) -> None:
    """Add ``train`` and what can be trained to the command line."""
    train = commands.add_parser("train", help="train a model", description="Train a model on a data set.")
    subjects = train.add_subparsers(dest="subject", metavar="SUBJECT", title="subjects", required=True)
    _add_digits(subjects)


def _add_digits(subjects: Any) -> None:
    parser: Parser = subjects.add_parser(
        "digits", help="handwritten digits, 8 x 8 pixels", description=DIGITS_HELP, epilog=DIGITS_EXAMPLES
    )
    parser.add_argument(
        "--backend", metavar="NAME", help="the array library: numpy or jax (default: $ZKYNET_BACKEND, else numpy)"
    )
    parser.add_argument(
        "--epochs", type=whole_number(1), default=20, metavar="N", help="passes over the training digits (default: 20)"
    )
    parser.add_argument(
        "--batch-size", type=whole_number(1), default=32, metavar="N", help="digits per step (default: 32)"
    )
    parser.add_argument(
        "--optimizer", choices=("adam", "sgd"), default="adam", help="adam (default), or sgd with momentum"
    )
    parser.add_argument(
        "--lr", type=positive_number, metavar="X", help="learning rate (default: 0.002 for adam, 0.05 for sgd)"
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**64 - 1),
        default=0,
        metavar="N",
        help="decides the first weights and the order of the digits (default: 0); one seed, one result",
    )
    parser.set_defaults(run=run_digits)


def run_digits(args: argparse.Namespace) -> None:
    """Train on the digits and print the progress; the last line is ``test accuracy 0.9777``."""
    from zkynet.backends import default_backend, get
    from zkynet.train.digits import SIZES, train_digits

    backend = default_backend() if args.backend is None else get(args.backend)
    progress = Progress(args.epochs)
    layers = "-".join(map(str, SIZES))
    print(f"digits: network {layers} on {backend.name}, {args.optimizer}, seed {args.seed}", flush=True)
    run = train_digits(
        backend=backend,
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        seed=args.seed,
        optimizer=args.optimizer,
        on_batch=progress.batch if sys.stdout.isatty() else None,
        on_epoch=progress.epoch,
    )
    print(f"test accuracy {run.accuracy:.4f}")


class Progress:
    """Prints a line per epoch and, in a terminal, one that moves while an epoch runs."""

    interval = 0.1  # seconds between two looks of the moving line

    def __init__(self, epochs: int):
        self.epochs = epochs
        self.shown = 0.0
        self.width = 0

    def batch(self, epoch: int, done: int, of: int, loss: float) -> None:
        """Show how far the epoch is."""
        now = time.monotonic()
        if now - self.shown >= self.interval:
            self.shown = now
            self._show(f"epoch {epoch}/{self.epochs}  batch {done}/{of}  loss {loss:.4f}", end="")

    def epoch(self, epoch: Any) -> None:
        """Leave the line of a finished epoch."""
        number = f"{epoch.number:{len(str(self.epochs))}}/{self.epochs}"
        figures = f"train loss {epoch.loss:.4f}  test accuracy {epoch.accuracy:.4f}  {epoch.seconds:.2f} s"
        self._show(f"epoch {number}  {figures}", end="\n")

    def _show(self, line: str, end: str) -> None:
        back = "\r" if self.width else ""
        print(back + line.ljust(self.width) + end, end="", flush=True)
        self.width = len(line) if end == "" else 0
