"""``zkynet predict``: which digit is in a picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from zkynet.cli.parsing import Parser, sentence

HELP = """\
Names the digit in a picture: one digit, dark on light or light on dark, of any size, gray, coloured or with
transparency. It is cut out and scaled as the digits of the UCI set were, which the model has learnt. Reading pictures
needs Pillow (pip install pillow).
"""
EXAMPLES = """\
examples:
  zkynet train digits --model cnn --out run    trains a model and keeps it in the folder run
  zkynet predict run three.png                 the digit, and the three most probable ones
"""
SHOWN = 3


def add(commands: Any) -> None:
    """Add ``predict`` to the command line."""
    parser: Parser = commands.add_parser(
        "predict", help="name the digit in a picture", description=HELP, epilog=EXAMPLES
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where zkynet train digits --out DIR kept a model")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="a picture of one digit: PNG, JPEG, GIF or BMP")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the digit and the probabilities of the most probable ones."""
    from zkynet.train.record import WEIGHTS

    if not (args.folder / WEIGHTS).is_file():
        what = (
            f"the folder {args.folder} has no {WEIGHTS}"
            if args.folder.is_dir()
            else f"there is no folder {args.folder}"
        )
        sys.exit(_fail(f"{what}; to train a model: zkynet train digits --out {args.folder}"))
    try:
        probabilities = _probabilities(args.folder, args.image)
    except OSError as error:
        sys.exit(_fail(f"cannot read {error.filename}: {error.strerror}"))
    except (ImportError, ValueError) as error:
        sys.exit(_fail(sentence(error)))
    best = sorted(range(len(probabilities)), key=lambda digit: -probabilities[digit])
    print(f"digit {best[0]}")
    for digit in best[:SHOWN]:
        print(f"  {digit}  {probabilities[digit]:.4f}")


def _probabilities(folder: Path, image: Path) -> list[float]:
    from zkynet.data import digit_of_picture, read_picture
    from zkynet.framework import op
    from zkynet.framework.computation_graph import no_grad
    from zkynet.train.digits import load_digits_model

    digit = digit_of_picture(read_picture(image))
    model = load_digits_model(folder)
    with no_grad():
        probabilities = op.softmax(op.astype(model(digit[None]), "float64"), axis=-1)
    return [float(probabilities[0, i].item()) for i in range(10)]


def _fail(message: str) -> int:
    print(f"zkynet: error: {message}", file=sys.stderr)
    return 1
