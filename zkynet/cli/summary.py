"""``zkynet summary``: the layers of a model, of a run or of a task."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from zkynet.cli.parsing import Parser, add_options, fail, given
from zkynet.cli.saved import opened, told
from zkynet.train.tasks import TASKS, find

HELP = """\
Prints a table of the layers of a model with their output shapes, parameters and multiply-adds: of the run in the folder
DIR, or of what a task would train, with the task's options.
"""
EXAMPLES = f"""\
examples:
  zkynet summary run                           the model that a run has trained
  zkynet summary digits --model cnn            the one that `zkynet train digits --model cnn` would train

tasks: {", ".join(TASKS)}"""


def fill(parser: Parser, words: Sequence[str]) -> None:
    """Add what ``summary`` takes to its parser."""
    parser.description, parser.epilog = HELP, EXAMPLES
    parser.add_argument("target", metavar="DIR|TASK", help="the folder of a run, or the name of a task")
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="options of the task")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    if args.target not in TASKS or os.path.isdir(args.target):
        if args.options:
            fail(f"a run has no options: {' '.join(args.options)}", 2)
        _of_run(args)
    else:
        _of_task(args)


def _of_run(args: argparse.Namespace) -> None:
    from zkynet.visual import summary

    with opened(argparse.Namespace(folder=args.target, backend=None)) as (task, saved):
        summary(saved.model, *task.example(saved.description))
        trained = saved.description.get("trained") or {}
        if "epochs" in trained:
            print(f"trained:       {trained['epochs']} epochs of the task {task.name}")


def _of_task(args: argparse.Namespace) -> None:
    from zkynet import backends
    from zkynet.train.tasks.config import merged, options_of
    from zkynet.visual import summary

    task = find(args.target)
    parser = Parser(prog=f"zkynet summary {task.name}")
    add_options(parser, options_of(task))
    chosen = given(parser.parse_args(args.options), options_of(task))
    with told():
        config = merged(task, chosen)
        with backends.use_backend(config["backend"]):
            plan = task.prepare(config)
            summary(plan.model, *task.example(plan.description))
