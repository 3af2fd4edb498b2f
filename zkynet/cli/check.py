"""``zkynet check``: does a model, a function, or every operation give the same on several array libraries?"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

from zkynet.cli.parsing import Parser, positive_number, sentence

HELP = """\
Runs one thing on several array libraries and compares, operator by operator, values and gradients; names the first
operator that diverges. Without MODULE:NAME: every operation of zkynet, one or two samples each.

NAME in the module (the current directory is searched first) is one of
  a model or function with an attribute example_inputs, a tuple of its arguments;
  a function without arguments that returns (model_or_function, argument, ...).

Exit status: 0, they agree; 1, they differ; 2, it could not be checked.
"""
EXAMPLES = """\
examples:
  zkynet check                                    every operation, on all libraries that are here
  zkynet check --backends numpy,jax               on these two
  zkynet check my_models:net --backends numpy,jax a model, with net.example_inputs = (x,)
  zkynet check my_models:case --json report.json  def case(): return loss_fn, model, x, y
"""


class SubjectError(Exception):
    """What was named cannot be checked."""


def fill(parser: Parser, words: Any) -> None:
    """Add what ``check`` takes to its parser."""
    parser.description = HELP
    parser.epilog = EXAMPLES
    parser.add_argument("subject", nargs="?", metavar="MODULE:NAME", help="what to check (default: every operation)")
    parser.add_argument(
        "--backends", type=_names, metavar="NAME,NAME", help="at least two (default: all that can be used here)"
    )
    parser.add_argument(
        "--rtol", type=positive_number, metavar="X", help="relative to the largest entry (default: by dtype)"
    )
    parser.add_argument("--atol", type=positive_number, metavar="X", help="absolute tolerance (default: of rounding)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row to FILE")
    parser.add_argument("--all", action="store_true", help="print the steps that agree, too")
    parser.set_defaults(run=run)


def _names(text: str) -> list[str]:
    found = [name.strip() for name in text.split(",") if name.strip()]
    if len(set(found)) < 2:
        raise argparse.ArgumentTypeError(f"expected at least two names, such as numpy,jax, got {text!r}")
    return found


def run(args: argparse.Namespace) -> None:
    """Print what differs and a summary; exit with 1 where something does, with 2 where nothing could be checked."""
    from zkynet.backends.errors import BackendError

    try:
        result = _checked(args)
    except (SubjectError, BackendError) as error:
        sys.exit(_fail(sentence(error)))
    except Exception:  # the subject's own: everything that Python says about it
        traceback.print_exc()
        sys.exit(2)
    if args.subject is None:
        print(result)
    elif args.all or not result.ok:
        print(result.table(only_bad=not args.all))
    else:
        print(result.summary())
    if args.json is not None:
        try:
            args.json.write_text(json.dumps(result.as_dict(), indent=1, default=str) + "\n", encoding="utf-8")
        except OSError as error:
            sys.exit(_fail(f"cannot write {args.json}: {error.strerror}"))
    if not result.ok:
        sys.exit(result.exit_code)


def _checked(args: argparse.Namespace) -> Any:
    settings = {"backends": args.backends, "rtol": args.rtol, "atol": args.atol}
    if args.subject is None:
        from zkynet.testing.samples import crosscheck_operations

        return crosscheck_operations(**settings)
    from zkynet.testing import crosscheck

    subject, inputs = find(args.subject)
    return crosscheck(subject, *inputs, **settings)


def find(text: str) -> tuple[Callable, tuple]:
    """The function or model that ``MODULE:NAME`` says, and its arguments; SubjectError where there is none."""
    module_name, _, name = text.partition(":")
    if not module_name or not name:
        raise SubjectError(f"expected MODULE:NAME, such as my_models:net, got {text!r}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise SubjectError(f"there is no module {module_name!r} here or installed") from None
    try:
        found = reduce(getattr, name.split("."), module)
    except AttributeError:
        raise SubjectError(f"the module {module_name} has no {name!r}") from None
    return _with_inputs(found, text)


def _with_inputs(found: Any, text: str) -> tuple[Callable, tuple]:
    inputs = getattr(found, "example_inputs", None)
    if inputs is not None:
        if not isinstance(inputs, (tuple, list)):
            raise SubjectError(
                f"{text}.example_inputs must be a tuple of its arguments, got {type(inputs).__name__}; "
                "for one argument write (x,)"
            )
        return found, tuple(inputs)
    ways = "give it an attribute example_inputs = (x, ...), or name a function that returns (it, x, ...)"
    if not inspect.isfunction(found) or _needs_arguments(found):
        raise SubjectError(f"it is not known what to call {text} with; {ways}")
    made = found()
    if not isinstance(made, (tuple, list)) or not made or not callable(made[0]):
        raise SubjectError(
            f"{text}() must return (model_or_function, argument, ...), got {type(made).__name__}; {ways}"
        )
    return made[0], tuple(made[1:])


def _needs_arguments(function: Callable) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _fail(message: str) -> int:
    print(f"zkynet check: error: {message}", file=sys.stderr)
    return 2
