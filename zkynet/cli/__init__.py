"""The command line: ``zkynet COMMAND ...``. Nothing is imported before a command needs it."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from zkynet.backends.errors import BackendError
from zkynet.cli.parsing import Parser, sentence

# Each is a module here with fill(parser, words), which adds the arguments and sets `run`, a function of what was
# parsed. Only the one that is called for is imported: a run of a second should not begin with the others.
COMMANDS = {
    "train": "train a model",
    "predict": "what a trained model says to a picture or a table",
    "evaluate": "how good a trained model is on data that it has not seen",
    "generate": "let a trained model write or draw",
    "summary": "the layers of a model, with shapes, parameters and memory",
    "check": "compare array libraries, operator by operator",
    "bench": "compare speed with other libraries",
    "info": "what zkynet finds on this machine",
}


def build_parser(words: Sequence[str]) -> Parser:
    """Return the parser of the whole command line, filled in for the command that is among ``words``."""
    from zkynet import __version__

    parser = Parser(
        prog="zkynet",
        description="zkynet: automatic differentiation and a small deep-learning library, on NumPy, JAX or CuPy.",
        epilog="`zkynet COMMAND --help` explains a command. To begin: zkynet train digits",
    )
    parser.add_argument("--version", action="version", version=f"zkynet {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        command.set_defaults(parser=command)
        if name in words:
            importlib.import_module(f"zkynet.cli.{name}").fill(command, words)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv``, ``sys.argv[1:]`` by default, and return the exit status.

    0: done; 2: a mistake in the command; 1: what was asked for is not possible here; 130, 143: interrupted by Ctrl-C,
    by SIGTERM. Mistakes are said in one sentence on stderr.
    """
    if argv is None:
        return _program()
    return _run(lambda: _parsed(argv))


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """What the command line says; the end of the program, by the parser of the command, where it has words too many."""
    parser = build_parser(words)
    args, unknown = parser.parse_known_args(words)
    if hasattr(args, "inputs"):  # argparse takes none for them where options stand between DIR and the first
        args.inputs += [word for word in unknown if not word.startswith("-")]
        unknown = [word for word in unknown if word.startswith("-")]
    if unknown:
        getattr(args, "parser", parser).error(f"unrecognized arguments: {' '.join(unknown)}")
    return args


def _program() -> int:
    """``main`` where the process is ours, and ends with it: then no time goes into looking for garbage.

    What is imported stays, so the collector need not go through it, neither meanwhile nor at the end, where Python
    would do so several times: a fifth of the time of a short run.
    """
    gc.disable()

    def parsed() -> argparse.Namespace:
        args = _parsed(sys.argv[1:])
        gc.freeze()
        gc.enable()
        return args

    try:
        return _run(parsed)
    finally:
        gc.freeze()


def _run(parsed: Callable[[], argparse.Namespace]) -> int:
    try:
        args = parsed()
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
