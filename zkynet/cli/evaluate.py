"""``zkynet evaluate``: how good a trained model is on data that it has not seen."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from zkynet.cli.parsing import Parser
from zkynet.cli.saved import able, add_run, opened

HELP = """\
Tests the trained model in the folder DIR on the data that was kept out of its training, or on other data of the same
form, and prints its loss and what its task measures: for classes the accuracy, the F1 score (its mean over the classes)
and the confusion matrix.
"""
EXAMPLES = """\
examples:
  zkynet evaluate run                          on the held-out part of the data of the run
  zkynet evaluate prices --data more.csv       on another file
  zkynet evaluate run --json                   the figures for a program"""


def fill(parser: Parser, words: Sequence[str]) -> None:
    """Add what ``evaluate`` takes to its parser."""
    parser.description, parser.epilog = HELP, EXAMPLES
    add_run(parser)
    parser.add_argument("--data", metavar="PATH", help="a file or folder of the form that the task was trained on")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, and nothing else")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the figures, then what the task adds as text."""
    with opened(args) as (task, saved):
        figures, text = able(task, "evaluate")(saved, args.data)
        if args.json:
            import json
            import math

            finite = {name: None if not math.isfinite(value) else value for name, value in figures.items()}
            print(json.dumps(finite))
            return
        from zkynet.train.callbacks.progress import figure

        width = max(map(len, figures))
        for name, value in figures.items():
            print(f"{name.replace('_', ' '):<{width}}  {figure(value)}")
        if text:
            print(f"\n{text}")
