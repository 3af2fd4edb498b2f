"""``zkynet predict``: what a trained model says to pictures, rows of a table, or whatever its task takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from zkynet.cli.parsing import Parser, fail, whole_number
from zkynet.cli.saved import able, add_run, opened

HELP = """\
Asks the trained model in the folder DIR. What INPUT is, its task says: for digits and mnist pictures of one digit each,
dark on light or light on dark, of any size (reading pictures needs Pillow: pip install pillow); for a table a CSV file
with its columns.
"""
EXAMPLES = """\
examples:
  zkynet train digits --model cnn --out run    trains a model and keeps it in the folder run
  zkynet predict run three.png                 the digit, and the three most probable ones
  zkynet predict run *.png                     the same for many pictures
  zkynet predict prices new.csv --out out.csv  a table with the predicted column
  zkynet predict flower --size 1024            the picture that was learnt, drawn large"""


def fill(parser: Parser, words: Sequence[str]) -> None:
    """Add what ``predict`` takes to its parser."""
    parser.description, parser.epilog = HELP, EXAMPLES
    add_run(parser)
    parser.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="a picture, a table: what the task takes (image takes none)"
    )
    parser.add_argument(
        "--size",
        type=whole_number(1, 8192),
        metavar="N",
        help="of the task image: draw what was learnt with so many pixels along the longer side (default: 1024)",
    )
    parser.add_argument("--out", metavar="FILE", help="write it there, where the task makes a file (default: print it)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print what the task says to the inputs."""
    with opened(args) as (task, saved):
        predict = able(task, "predict")
        if task.inputs and not args.inputs:
            fail(f"expected {task.inputs}: zkynet predict {args.folder} {task.inputs}", 2)
        if args.size is not None and task.name != "image":
            fail(f"--size is for runs of the task image, and {args.folder} is one of {task.name}")
        for line in predict(saved, args.inputs, {"out": args.out, "size": args.size}):
            print(line, flush=True)
