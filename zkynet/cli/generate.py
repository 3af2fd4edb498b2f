"""``zkynet generate``: let a trained model write or draw."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from zkynet.cli.parsing import Parser, positive_number, whole_number
from zkynet.cli.saved import able, add_run, opened

HELP = """\
Lets the trained model in the folder DIR make something of its own: a language model (zkynet train text) goes on writing
behind a prompt, a variational autoencoder (zkynet train vae) draws pictures.
"""
EXAMPLES = """\
examples:
  zkynet train text book.txt --out writer      learns to write like the book
  zkynet generate writer --prompt "Once "      goes on from there
  zkynet generate writer --temperature 0.5     more careful; above 1, bolder
  zkynet train vae --out painter
  zkynet generate painter --count 64 --out digits.png"""


def fill(parser: Parser, words: Sequence[str]) -> None:
    """Add what ``generate`` takes to its parser."""
    parser.description, parser.epilog = HELP, EXAMPLES
    add_run(parser)
    parser.add_argument("--prompt", metavar="TEXT", help="how a text begins")
    parser.add_argument("--count", type=whole_number(1), metavar="N", help="how many characters, or pictures")
    parser.add_argument(
        "--temperature", type=positive_number, metavar="X", help="below 1 the likelier comes more often (default: 1)"
    )
    parser.add_argument(
        "--top-k", type=whole_number(1), metavar="N", help="choose among the N likeliest alone (default: among all)"
    )
    parser.add_argument(
        "--seed", type=whole_number(0, 2**63 - 1), metavar="N", help="one seed, one result (default: 0)"
    )
    parser.add_argument("--out", metavar="FILE", help="write it there; a picture needs it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the pieces as they come."""
    settings = {name: getattr(args, name) for name in ("prompt", "count", "temperature", "top_k", "seed", "out")}
    with opened(args) as (task, saved):
        ended = True
        for piece in able(task, "generate")(saved, settings):
            print(piece, end="", flush=True)
            ended = piece.endswith("\n")
        if not ended:
            print()
