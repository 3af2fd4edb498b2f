"""The command line: ``zkynet COMMAND ...``. Nothing is imported before a command needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from zkynet.backends.errors import BackendError
from zkynet.cli import bench, check, info, predict, train
from zkynet.cli.parsing import Parser, sentence

# Each module has add(subparsers), which sets `run`, a function of the parsed arguments.
COMMANDS = (train, predict, check, bench, info)


def build_parser() -> Parser:
    """Return the parser of the whole command line."""
    from zkynet import __version__

    parser = Parser(
        prog="zkynet",
        description="zkynet: automatic differentiation and a small deep-learning library, on NumPy, JAX or CuPy.",
        epilog="`zkynet COMMAND --help` explains a command. To begin: zkynet train digits",
    )
    parser.add_argument("--version", action="version", version=f"zkynet {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv``, ``sys.argv[1:]`` by default, and return the exit status.

    0: done; 2: a mistake in the command; 1: what was asked for is not possible here; 130: interrupted. Mistakes are
    said in one sentence on stderr.
    """
    try:
        args = build_parser().parse_args(argv)
        args.run(args)
        sys.stdout.flush()
    except SystemExit as stop:  # argparse: --help, --version and mistakes
        return stop.code if isinstance(stop.code, int) else 0
    except BackendError as error:
        print(f"zkynet: error: {sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nzkynet: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has gone, `zkynet ... | head`: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0
