"""What the commands share that use a trained model: reading the run, and telling what is wrong with it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zkynet.backends.errors import BackendError
from zkynet.cli.parsing import Parser, fail, reason, sentence

FOLDER_HELP = "the folder of a run, where zkynet train ... --out DIR kept it"
BACKEND_HELP = "the array library: numpy, jax or cupy (default: $ZKYNET_BACKEND, else numpy)"


def add_run(parser: Parser) -> None:
    """Add DIR and --backend."""
    parser.add_argument("folder", metavar="DIR", help=FOLDER_HELP)
    parser.add_argument("--backend", metavar="NAME", help=BACKEND_HELP)


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[tuple[Any, Any]]:
    """The task and the Saved of the run in ``args.folder``, with its backend as the default of the block.

    What goes wrong in the block with files, settings and optional libraries is told in one sentence; exit status 1.
    """
    from zkynet import backends
    from zkynet.train.tasks.run import load_run

    with told(), backends.use_backend(args.backend or backends.default_backend()):
        yield load_run(args.folder)


@contextmanager
def told() -> Iterator[None]:
    """A block whose errors about files, settings and optional libraries are told in one sentence; exit status 1."""
    try:
        yield
    except (BackendError, BrokenPipeError):
        raise
    except OSError as error:
        fail(reason(error))
    except (ImportError, ValueError) as error:
        fail(sentence(error))


def able(task: Any, name: str) -> Any:
    """The function of the task that a command needs; the end of the program where it has none."""
    function = getattr(task, name)
    if function is None:
        fail(f"a run of the task {task.name} has nothing to {name}")
    return function
