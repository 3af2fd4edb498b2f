"""``zkynet train``: train a model, watch it, see how well it does."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from zkynet.cli.parsing import Parser, positive_number, whole_number

DIGITS_HELP = """\
Trains a network on the 1,797 handwritten digits of the UCI set, which ship with zkynet: fcn is the feed-forward network
64-128-64-10, cnn has three convolutions, transformer reads the 8 rows of a digit as a sequence. A fixed fifth of the
digits is kept out of training to test the network after every epoch; the last line is the result. Ctrl-C ends a run
early; with --out, what there is by then is saved.
"""
DIGITS_EXAMPLES = """\
examples:
  zkynet train digits                          a few seconds, NumPy alone
  zkynet train digits --backend jax            the same run on JAX
  zkynet train digits --seed 3 --epochs 40     other first weights, and longer
  zkynet train digits --model cnn --out run    the better network, kept in the folder run
  zkynet predict run three.png                 what it says to a picture
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
        "--model", choices=("fcn", "cnn", "transformer"), default="fcn", help="the network (default: fcn)"
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
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="save here: the weights, the log, and the curves of loss and accuracy (default: nothing is saved)",
    )
    parser.set_defaults(run=run_digits)


def run_digits(args: argparse.Namespace) -> None:
    """Train on the digits and print the progress; the last line is ``test accuracy 0.9777``."""
    from zkynet.backends import default_backend, get

    backend = default_backend() if args.backend is None else get(args.backend)
    folder = None if args.out is None else _run_folder(args.out)
    with Interrupt(defer=folder is not None) as interrupt:
        try:
            run = _train(args, backend, folder, interrupt)
        except KeyboardInterrupt:
            if folder is None or not folder.written:
                raise
            print(f"\nzkynet: interrupted; saved what there is so far {_where(folder)}", file=sys.stderr)
            sys.exit(130)
        except OSError as error:
            if folder is None or isinstance(error, BrokenPipeError):  # the reader of the output has gone
                raise
            sys.exit(_fail(f"cannot write to {error.filename or folder.path}: {error.strerror}"))
    if folder is not None:
        print(f"saved {_where(folder)}")
    print(f"test accuracy {run.accuracy:.4f}")


def _train(args: argparse.Namespace, backend: Any, folder: Any, interrupt: Interrupt) -> Any:
    from zkynet.train import digits

    progress = Progress(args.epochs)
    print(
        f"digits: {_name(digits.MODELS[args.model])} on {backend.name}, {args.optimizer}, seed {args.seed}", flush=True
    )
    show = sys.stdout.isatty()

    def batch(*seen: Any) -> None:
        if show:
            progress.batch(*seen)
        interrupt.check()

    return digits.train_digits(
        model=args.model,
        backend=backend,
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        seed=args.seed,
        optimizer=args.optimizer,
        out=folder,
        on_batch=batch if show or folder is not None else None,
        on_epoch=progress.epoch,
    )


def _name(model: dict[str, Any]) -> str:
    settings = model["settings"]
    if model["name"] == "fcn":
        return f"network {'-'.join(map(str, settings['sizes']))}"
    if model["name"] == "transformer":
        return f"transformer of {settings['layers']} layers, {settings['size']} features, {settings['heads']} heads"
    channels = "-".join(str(outputs) for outputs, *_ in settings["convolutions"])
    return f"convolutional network {channels}-{settings['hidden']}-{settings['classes']}"


def _run_folder(path: Path) -> Any:
    from zkynet.train.record import RunFolder

    try:
        return RunFolder(path)
    except OSError as error:
        sys.exit(_fail(f"cannot make the folder {path}: {error.strerror}"))


def _where(folder: Any) -> str:
    return f"in {folder.path}: {', '.join(sorted(folder.written))}"


def _fail(message: str) -> int:
    print(f"zkynet: error: {message}", file=sys.stderr)
    return 1


class Interrupt:
    """While ``defer``, holds the first Ctrl-C back until ``check`` is called, so that it falls between two batches.

    Then no update is left half done in what is saved. A second Ctrl-C comes at once.
    """

    def __init__(self, defer: bool):
        here = threading.current_thread() is threading.main_thread()  # no other thread can set a handler
        # Where interrupts are ignored or handled by somebody else, that stays.
        self.defer = defer and here and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        self.came = False

    def __enter__(self) -> Interrupt:
        if self.defer:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *exc: Any) -> None:
        if self.defer:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, *_: Any) -> None:
        self.came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def check(self) -> None:
        """Raise the KeyboardInterrupt that was held back."""
        if self.came:
            raise KeyboardInterrupt


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
