"""``zkynet train image FILE``: a network of places learns one picture, which comes into focus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zkynet.train.callback import Callback
from zkynet.train.tasks.pictures import drawable, save
from zkynet.train.tasks.task import (
    Config,
    Evaluation,
    Many,
    Number,
    Option,
    Place,
    Plan,
    Saved,
    Task,
    TaskError,
    Whole,
    Word,
    training_options,
)

HELP = """\
Learns one picture by heart: a network is told a place, x and y, and says its colour. It begins with a gray haze that
comes into focus. The folder of the run shows that in pictures: step-0000.png and so on as they come, at the end all of
them in sheet.png, beside the original, and in focus.png, an animation that browsers play. Figures are the mean squared
error and the PSNR of the whole picture, in decibels: 20 is a blur, 30 is good, from 40 on the eye sees no difference.
zkynet predict DIR --size 1024 draws what was learnt at any size. FILE is a PNG, JPEG, GIF or BMP picture; without one
it is the flower that comes with scikit-learn. Reading pictures needs Pillow (pip install pillow).
"""
EXAMPLES = """\
  zkynet train image                        scikit-learn's flower, less than half a minute
  zkynet train image me.jpg --out me        another picture, kept in the folder me
  zkynet train image me.jpg --size 512      finer, and longer
  zkynet predict me --size 1024             the learnt picture, 1024 pixels wide or high"""
FOLDER = "image-run"  # where a run is kept unless --out says otherwise
SHEET, ANIMATION, PICTURES = "sheet.png", "focus.png", "step-{:04d}.png"
BATCHES = 40  # an epoch has at least about so many, so that small pictures have steps enough
LEAST_BATCH, MOST_BATCH = 64, 1024
FINEST = 25  # the waves: one cycle in so many half pixels; see coordinate_network
WARM_UP = 0.05  # share of the steps: with the whole rate at once a colour may go out for long
COLUMNS = 4  # of the sheet
LARGEST = 8192  # pixels along a side that are drawn


# ---- the picture ----


def path_of(config: Config) -> Path:
    """The file of the picture; TaskError where there is none."""
    if config["file"] is not None:
        return Path(config["file"])
    from importlib.util import find_spec  # scikit-learn takes seconds to import, its folder none

    found = find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise TaskError(
            "the picture that is learnt where no FILE is given is scikit-learn's flower, and scikit-learn is not "
            "installed; give a picture: zkynet train image FILE, or pip install scikit-learn"
        )
    return Path(found.submodule_search_locations[0]) / "datasets" / "images" / "flower.jpg"


def read(path: str | Path, size: int, dtype: str) -> Any:
    """The picture in a file, (height, width, 3), scaled so that its longer side has at most ``size`` pixels."""
    import numpy as np

    from zkynet.data import read_image
    from zkynet.data.images import opened_picture

    with opened_picture(path) as image:
        width, height = image.size
    scale = min(1.0, size / max(width, height))
    fitted = (max(1, round(height * scale)), max(1, round(width * scale)))
    return np.ascontiguousarray(np.moveaxis(read_image(path, 3, fitted, dtype), 0, -1))


def psnr(drawn: Any, pixels: Any) -> float:
    """The peak signal-to-noise ratio in decibels: -10 log10 of the mean squared difference of pixels in 0 .. 1."""
    import math

    import numpy as np

    error = float(np.mean(np.square(np.subtract(drawn, pixels, dtype="float64"))))
    return -10 * math.log10(error) if error else math.inf


# ---- training ----


def squared_error(model: Any, places: Any, colours: Any) -> Any:
    """The mean squared difference between the colours of the picture and those of the model."""
    from zkynet.framework import op

    return op.mean(op.square(op.subtract(model(places), colours)))


def prepare(config: Config) -> Plan:
    """The plan of a run."""
    from zkynet import data, models, optim
    from zkynet.models.coordinates import places

    path = path_of(config)
    pixels = read(path, config["size"], config["dtype"])
    height, width, channels = pixels.shape
    count = height * width
    batch_size = config["batch_size"] or min(max(count // BATCHES, LEAST_BATCH), MOST_BATCH)
    arrays = places(height, width, config["dtype"]), pixels.reshape(-1, channels)
    batches = data.Batches(arrays, batch_size, seed=config["seed"])
    settings = {
        "channels": channels,
        "waves": config["waves"],
        "frequency": config["frequency"] or max(height, width) / FINEST,
        "hidden": config["hidden"],
    }
    described = {"name": "coordinate_network", "settings": settings}
    model = models.build(described, seed=config["seed"], dtype=config["dtype"])
    steps = config["epochs"] * len(batches)
    pictures = Pictures(pixels, moments(steps, config["pictures"]))
    layers = "-".join(map(str, (2 * config["waves"], *config["hidden"], channels)))
    return Plan(
        model,
        squared_error,
        optim.Adam(optim.schedules.WarmUp(optim.schedules.Cosine(config["lr"], steps), max(1, round(WARM_UP * steps)))),
        batches,
        {"model": described, "picture": [height, width]},
        f"{path.name}, {width} x {height} pixels; {config['waves']} waves, network {layers}",
        lambda history: f"PSNR {history[-1]['psnr']:.2f} dB",
        callbacks=[pictures],
        names={"loss": "squared error", "psnr": "PSNR"},
        finish=lambda folder, model: finish(folder, pictures),
    )


def moments(steps: int, count: int) -> list[int]:
    """After which of so many steps ``count`` pictures are drawn: before the first one, and then from a hundredth on.

    Each comes later by one factor than that before it, and the last one at the end. Fewer where there are not as many
    steps; one alone is drawn at the end.
    """
    first = max(1.0, steps / 100)
    later = [round(first * (steps / first) ** (i / (count - 2))) for i in range(count - 2)]
    return sorted({*[0] * (count > 1), *later, steps})


class Pictures(Callback):
    """Draws the model's picture after some steps, into the folder of the run, and adds its ``psnr`` to the figures.

    ``pixels``: the original, (height, width, 3). ``frames``: what was drawn, uint8, by step; ``due``: when.
    """

    order = -1

    def __init__(self, pixels: Any, due: Sequence[int]):
        self.pixels, self.due = pixels, frozenset(due)
        self.frames: dict[int, Any] = {}

    def on_run_start(self, run: Any) -> None:
        if not run.step:
            self.frames = {}
        if run.folder is not None and run.folder.is_dir():  # what is left of another run, or of where this one ended
            mine = {PICTURES.format(step) for step in self.frames}
            for old in run.folder.iterdir():
                drawn = old.name in (SHEET, ANIMATION) or re.fullmatch(r"step-\d{4,}\.png", old.name)
                if drawn and old.name not in mine:
                    old.unlink()
        if run.step in self.due and run.step not in self.frames:
            self.keep(run, self.draw(run))

    def on_step_end(self, run: Any) -> None:
        if run.step in self.due and run.batch != run.batches:
            self.keep(run, self.draw(run))

    def on_epoch_end(self, run: Any) -> None:
        drawn = self.draw(run)
        run.figures["psnr"] = psnr(drawn, self.pixels)
        if run.step in self.due:
            self.keep(run, drawn)

    def on_run_end(self, run: Any) -> None:
        if run.step not in self.frames:  # interrupted
            self.keep(run, self.draw(run))

    def draw(self, run: Any) -> Any:
        """The picture as the model has it now."""
        return drawable(run.model.draw(*self.pixels.shape[:2]))

    def keep(self, run: Any, drawn: Any) -> None:
        """Take a picture into ``frames``, and into the folder."""
        from zkynet.visual import raster

        self.frames[run.step] = raster.levels(drawn)
        if run.folder is not None:
            save(run.folder / PICTURES.format(run.step), raster.png(drawn))

    def arrays(self) -> dict[str, Any]:
        return {str(step): frame for step, frame in self.frames.items()}

    def load_arrays(self, arrays: Mapping[str, Any]) -> None:
        self.frames = {int(step): arrays[step] for step in sorted(arrays, key=int)}


def finish(folder: Path, pictures: Pictures) -> list[str]:
    """Write the sheet, the original behind the last picture, and the animation."""
    from zkynet.visual import raster

    frames = [pictures.frames[step] for step in sorted(pictures.frames)]
    original = raster.levels(pictures.pixels)
    save(folder / SHEET, raster.png(raster.sheet([*frames, original], COLUMNS, gap=4)))
    save(folder / ANIMATION, raster.animated_png(frames, seconds=0.4, last=3.0))
    return [SHEET, ANIMATION, f"step-*.png ({len(frames)} pictures)"]


# ---- what a finished run can do ----


def predict(saved: Saved, inputs: list[str], settings: Config) -> Iterator[str]:
    """Draw the picture with its longer side as --size says, into --out or a file in the folder of the run."""
    from zkynet.visual import raster

    if inputs:
        raise TaskError(
            f"the run in {saved.folder} has learnt one picture and takes none; to draw it: "
            f"zkynet predict {saved.folder} --size 1024"
        )
    height, width = _shape(saved)
    size = settings.get("size") or 1024
    if not 1 <= size <= LARGEST:
        raise TaskError(f"--size {size}: expected 1 to {LARGEST} pixels")
    scale = size / max(height, width)
    wanted = max(1, round(height * scale)), max(1, round(width * scale))
    path = settings.get("out") or saved.folder / f"drawn-{size}.png"
    save(path, raster.png(saved.model.draw(*wanted)))
    yield f"drawn in {path}: {wanted[1]} x {wanted[0]} pixels, of a picture learnt in {width} x {height}"


def evaluate(saved: Saved, path: str | None) -> Evaluation:
    """How near the picture comes to that in a file, the one it was learnt from unless given."""
    height, width = _shape(saved)
    if path is None and "file" not in saved.config:
        raise TaskError("the settings of the run are gone, which name its picture; give the file with the picture")
    source = Path(path) if path is not None else path_of(saved.config)
    dtype = saved.description.get("dtype", "float32")
    pixels = read(source, max(height, width), dtype)
    if pixels.shape[:2] != (height, width):
        raise TaskError(
            f"{source} has another shape than the picture that was learnt: {pixels.shape[1]} x {pixels.shape[0]} when "
            f"it is scaled, expected {width} x {height}"
        )
    ratio = psnr(saved.model.draw(height, width), pixels)
    return Evaluation({"psnr": ratio, "mean_squared_error": 10 ** (-ratio / 10)})


def _shape(saved: Saved) -> tuple[int, int]:
    height, width = saved.description["picture"]
    return height, width


def example(description: Mapping[str, Any]) -> tuple:
    """Places, as the model takes them."""
    return ((1, 2),)


TASK = Task(
    "image",
    HELP,
    EXAMPLES,
    (
        Option("file", Place("FILE"), None, "the picture (default: scikit-learn's flower)", positional=True),
        Option("size", Whole(1, 4096), 256, "pixels of the longer side that it is scaled down to"),
        Option("waves", Whole(1), 256, "waves that tell the network where it is"),
        Option(
            "frequency",
            Number(above=0),
            None,
            "how fine they are, in cycles per half of the longer side (default: a 25th of its pixels)",
        ),
        Option("hidden", Many(Whole(1), 1), [128, 128], "units of the hidden layers"),
        Option("pictures", Whole(1, 1000), 11, "how many pictures show the way"),
        Option("out", Word("DIR"), FOLDER, "the folder that the run is kept in", free=True),
        *(
            option._replace(default=None, help="pixels per step (default: a 40th of them, 64 to 1024)")
            if option.name == "batch_size"
            else option
            for option in training_options(epochs=40, batch_size=1, lr=0.01, samples="pixels")
        ),
    ),
    prepare=prepare,
    example=example,
    predict=predict,
    evaluate=evaluate,
    inputs="",  # it draws what it has learnt
)
