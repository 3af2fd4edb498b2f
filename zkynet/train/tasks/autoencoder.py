"""``zkynet train autoencoder`` and ``zkynet train vae``: pictures squeezed through a few numbers and drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from zkynet.train.callback import Callback
from zkynet.train.tasks.pictures import save_sheet
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

DATA = """\

The pictures are the 1,797 handwritten digits of the UCI set, which ship with zkynet, or those of MNIST's files, where
--data says where they are; a part is held out to test it on.

"""
AUTOENCODER_HELP = f"""\
Learns to squeeze small pictures through a few numbers, the code, and to draw them again from these alone.
{DATA}\
Figures are mean squared errors of pixels between 0 and 1; the last line has beside them that of PCA, the best that can
be done by linear means with as many numbers. reconstructions.png in the folder of the run shows test pictures, and each
below what came of it.
"""
VAE_HELP = f"""\
Learns to draw pictures: a variational autoencoder says of a picture where in a space of --latent numbers it lies, as a
normal distribution, and draws it again from a point of that. What is drawn from points chosen at random then looks like
new pictures.
{DATA}\
The loss is in nats a picture: the misfit of the drawing, and KL, what the place in the space tells beyond a normal
distribution of all; with the minus sign their sum is the ELBO, a bound of the logarithm of the probability of the
pictures, which is to get large. In the folder of the run reconstructions.png shows test pictures and each below what
came of it, samples.png new ones, and plane.png, with --latent 2, what is drawn all over the plane.
"""
AUTOENCODER_EXAMPLES = """\
  zkynet train autoencoder                     8 numbers for 64 pixels, a few seconds
  zkynet train autoencoder --latent 2          fewer
  zkynet train autoencoder --data mnist        MNIST, its four files in the folder mnist
  zkynet predict autoencoder-run three.png     the code of a picture, and what is drawn from it
  zkynet evaluate autoencoder-run              its error on the test pictures"""
VAE_EXAMPLES = """\
  zkynet train vae                             two numbers for a digit, less than half a minute
  zkynet train vae --latent 8 --beta 0.5       sharper drawings, less order among the codes
  zkynet generate vae-run --count 64           64 new digits
  zkynet predict vae-run three.png             where a picture lies, and what is drawn there
  zkynet evaluate vae-run                      the ELBO of the test pictures, and its parts"""
LEARNING_RATE = 3e-3
MNIST = {"epochs": 10, "batch_size": 128}  # of 60,000 pictures, unless given
PIECE = 1000  # pictures that are looked at at once where nothing is learnt
NOISE = 2026  # the seed of the draws that ELBOs are computed with: the same ones whenever it is
EACH = 2  # test pictures of every class in a sheet
GRID = 16  # drawings along a side of the plane, and of the sheet of samples
WIDE = 48  # pixels that a picture is about wide in a sheet


# ---- the pictures ----


class Pictures(NamedTuple):
    """What a run learns from: pictures as rows, (n, height * width) in 0 .. 1, and the classes of the test part."""

    train: Any
    test: Any
    labels: Any
    shape: tuple[int, int]


def read(data: str | None, dtype: str) -> Pictures:
    """The digits that ship with zkynet, or MNIST from the folder or files ``data``."""
    if data is None:
        from zkynet.train.digits import split_digits

        (train, _), (test, labels) = split_digits(dtype)
        return Pictures(train, test, labels, (8, 8))
    from zkynet.train.tasks import mnist

    train, _ = mnist.read(data, "train", dtype)
    test, labels = mnist.read(data, "test", dtype)
    return Pictures(train, test, labels, mnist._size(data, train.shape[1], test.shape[1]))


# ---- training ----


def resolve(config: dict[str, Any], epochs: int) -> dict[str, Any]:
    """Fill in what depends on the data."""
    usual = {"epochs": epochs, "batch_size": 32} if config["data"] is None else MNIST
    return {**config, **{name: value for name, value in usual.items() if config[name] is None}}


def prepare(config: Config, kind: str) -> Plan:
    """The plan of a run; ``kind``: the name of the model in zkynet.models."""
    from zkynet import data, models, optim

    pictures = read(config["data"], config["dtype"])
    sizes = [pictures.train.shape[1], *config["hidden"], config["latent"]]
    described = {"name": kind, "settings": {"sizes": sizes}}
    batches = data.Batches((pictures.train,), config["batch_size"], seed=config["seed"])
    rate = optim.schedules.Cosine(config["lr"], config["epochs"] * len(batches))
    plan = Plan(
        models.build(described, seed=config["seed"], dtype=config["dtype"]),
        squared_error,
        optim.Adam(rate),
        batches,
        {"model": described, "picture": list(pictures.shape), "data": "digits" if config["data"] is None else "mnist"},
        f"{len(pictures.train):,} pictures of {pictures.shape[1]} x {pictures.shape[0]} pixels, network "
        f"{'-'.join(map(str, [*sizes, *sizes[-2::-1]]))}",
        lambda history: _error_line(history, pictures, config["latent"]),
        validation=(pictures.test,),
        names={"loss": "train error", "validation_loss": "test error"},
        finish=lambda folder, model: finish(folder, model, pictures),
    )
    if kind == "autoencoder":
        return plan
    return plan._replace(
        loss=partial(bound, beta=config["beta"]),
        result=_bound_line,
        validation=None,
        callbacks=[HeldOut(pictures.test)],
        names={"loss": "train loss", "elbo": "test ELBO", "misfit": "misfit", "kl": "KL"},
    )


def squared_error(model: Any, x: Any) -> Any:
    """The loss of an autoencoder."""
    return model.loss(x)


def bound(model: Any, x: Any, beta: float) -> Any:
    """The loss of a variational autoencoder."""
    return model.loss(x, beta)


class HeldOut(Callback):
    """Adds ``elbo``, ``misfit`` and ``kl`` of the pictures ``test``, (n, pixels), to the figures of every epoch."""

    order = -1

    def __init__(self, test: Any):
        self.test = test

    def on_epoch_end(self, run: Any) -> None:
        run.figures.update(elbo_parts(run.model, self.test))


def elbo_parts(model: Any, x: Any) -> dict[str, float]:
    """The ELBO of pictures, the mean in nats, and its two parts: elbo = -(misfit + kl), by draws always the same."""
    from zkynet.framework.computation_graph import Generator, no_grad

    noise, misfit, kl = Generator(NOISE), 0.0, 0.0
    with no_grad():
        for part in _pieces(x):
            first, second = model.parts(part, noise)
            misfit += float(first.item()) * len(part) / len(x)
            kl += float(second.item()) * len(part) / len(x)
    return {"elbo": -(misfit + kl), "misfit": misfit, "kl": kl}


def pca_error(train: Any, test: Any, count: int) -> float:
    """The mean squared error of ``test`` drawn again from its ``count`` principal components, found in ``train``."""
    import numpy as np

    middle = train.mean(axis=0, dtype="float64")
    scatter = sum((part - middle).T @ (part - middle) for part in _pieces(train))
    _, axes = np.linalg.eigh(scatter)  # ascending
    axes = axes[:, max(0, axes.shape[1] - count) :]
    rest = test - middle
    return float(np.mean(np.square(rest - rest @ axes @ axes.T)))


def _error_line(history: Sequence[Mapping[str, Any]], pictures: Pictures, count: int) -> str:
    linear = pca_error(pictures.train, pictures.test, count)
    return f"test error {history[-1]['validation_loss']:.4f} (PCA with {count} numbers: {linear:.4f})"


def _bound_line(history: Sequence[Mapping[str, Any]]) -> str:
    last = history[-1]
    return f"test ELBO {last['elbo']:.3f} nats a picture: misfit {last['misfit']:.3f}, KL {last['kl']:.3f}"


# ---- what is drawn ----


def reconstructed(model: Any, x: Any) -> Any:
    """What the model draws of the pictures x, of the same shape: a NumPy array."""
    import numpy as np

    return np.concatenate([_drawn(model, _code(model, part)) for part in _pieces(x)])


def _pieces(x: Any) -> Iterator[Any]:
    return (x[start : start + PIECE] for start in range(0, len(x), PIECE))


def _code(model: Any, x: Any) -> Any:
    """The codes of pictures: of a variational autoencoder the means."""
    from zkynet.framework.computation_graph import no_grad

    with no_grad():
        code = model.encode(x)
    return code[0] if isinstance(code, tuple) else code


def _drawn(model: Any, code: Any) -> Any:
    from zkynet.framework import op
    from zkynet.framework.computation_graph import no_grad

    with no_grad():
        y = model.decode(code)
        return _host(op.sigmoid(y) if hasattr(model, "likelihood") else y)


def _host(x: Any) -> Any:
    from zkynet import backends

    return backends.backend_of(x.value).to_numpy(x.value)  # type: ignore[union-attr]


def plane(model: Any, dtype: str, side: int = GRID) -> Any:
    """What a model with two numbers draws all over the plane, (side * side, pixels), the second number from above down.

    The places are quantiles of the normal distribution, so that each square stands for as many pictures.
    """
    from statistics import NormalDist

    import numpy as np

    ticks = [NormalDist().inv_cdf((i + 0.5) / side) for i in range(side)]
    codes = np.array([(x, y) for y in reversed(ticks) for x in ticks], dtype)
    return _drawn(model, _asarray(model, codes))


def _asarray(model: Any, x: Any) -> Any:
    from zkynet import backends

    return backends.backend_of(model.decoder.parameters()[0].value).asarray(x)  # type: ignore[union-attr]


def finish(folder: Path, model: Any, pictures: Pictures) -> list[str]:
    """Write the sheets into the folder of a run, and return their names."""
    import numpy as np

    scale = _scale(pictures.shape)
    rows: list[Any] = []
    for nth in range(EACH):
        members = [np.flatnonzero(pictures.labels == label) for label in np.unique(pictures.labels)]
        chosen = pictures.test[[each[nth % len(each)] for each in members]]
        rows += [_framed(chosen, pictures.shape), _framed(reconstructed(model, chosen), pictures.shape)]
    written = [save_sheet(folder / "reconstructions.png", rows, scale)]
    if hasattr(model, "sample"):
        samples = _host(model.sample(GRID * GRID, 0))
        written.append(save_sheet(folder / "samples.png", _square(samples, pictures.shape), scale))
        if model.code == 2:
            drawn = plane(model, pictures.test.dtype.name)
            written.append(save_sheet(folder / "plane.png", _square(drawn, pictures.shape), scale))
    return [path.name for path in written]


def _scale(shape: Sequence[int]) -> int:
    return max(1, round(WIDE / max(shape)))


def _framed(rows: Any, shape: Sequence[int]) -> Any:
    return rows.reshape(len(rows), *shape)


def _square(drawn: Any, shape: Sequence[int], side: int = GRID) -> list[Any]:
    """Drawings in rows of ``side``."""
    framed = _framed(drawn, shape)
    return [framed[i : i + side] for i in range(0, len(framed), side)]


# ---- what a finished run can do ----


def predict(saved: Saved, inputs: list[str], settings: Config) -> Iterator[str]:
    """The code of each picture and its error; the pictures, what was drawn of them below, in --out or the folder."""
    import numpy as np

    if not inputs:
        raise TaskError(f"expected a picture: zkynet predict {saved.folder} three.png")
    reader = _reader(saved)
    originals = np.stack([reader(path) for path in inputs])
    codes = _host(_code(saved.model, originals))
    drawn = reconstructed(saved.model, originals)
    for path, x, y, code in zip(inputs, originals, drawn, codes, strict=True):
        numbers = " ".join(f"{value:.3f}" for value in code)
        yield f"{path}: code {numbers}; error {float(np.mean(np.square(y - x))):.4f}"
    shape = saved.description["picture"]
    out = settings.get("out") or saved.folder / "predicted.png"
    save_sheet(out, [_framed(originals, shape), _framed(drawn, shape)], _scale(shape))
    yield f"drawn in {out}: what the model saw, and below what it made of it"


def _reader(saved: Saved) -> Callable[[str], Any]:
    """How a picture in a file becomes a row of pixels as the model knows them."""
    from zkynet.data import digit_of_picture, read_picture

    dtype = saved.description.get("dtype", "float32")
    if saved.description["data"] == "digits":
        return lambda path: digit_of_picture(read_picture(path)).astype(dtype)
    from zkynet.train.tasks import mnist

    return lambda path: mnist.centred(read_picture(path), *saved.description["picture"]).astype(dtype).reshape(-1)


def evaluate(saved: Saved, data: str | None) -> Evaluation:
    """How well test pictures are drawn again; of a variational autoencoder the ELBO and its parts."""
    data = data or saved.config.get("data")
    if data is None and saved.description["data"] != "digits":
        raise TaskError("the settings of the run are gone, which name its data; give the folder with MNIST's files")
    pictures = read(data, saved.description.get("dtype", "float32"))
    if list(pictures.shape) != list(saved.description["picture"]):
        height, width = saved.description["picture"]
        raise TaskError(
            f"these pictures have {pictures.shape[1]} x {pictures.shape[0]} pixels, the model takes {width} x {height}"
        )
    import numpy as np

    error = float(np.mean(np.square(reconstructed(saved.model, pictures.test) - pictures.test)))
    count = saved.description["model"]["settings"]["sizes"][-1]
    figures = {
        "samples": len(pictures.test),
        "error": error,
        "pca_error": pca_error(pictures.train, pictures.test, count),
    }
    if hasattr(saved.model, "parts"):
        figures |= elbo_parts(saved.model, pictures.test)
    return Evaluation(figures)


def generate(saved: Saved, settings: Config) -> Iterator[str]:
    """Draw new pictures, --count of them, by --seed, in --out or the folder of the run."""
    for name in ("prompt", "temperature", "top_k"):
        if settings.get(name) is not None:
            raise TaskError(f"--{name.replace('_', '-')} is for models that write; the run in {saved.folder} draws")
    count, side = settings.get("count") or 64, 1
    while side * side < count:
        side += 1
    samples = _host(saved.model.sample(count, settings.get("seed") or 0))
    shape = saved.description["picture"]
    rows = _square(samples, shape, side)
    out = settings.get("out") or saved.folder / "generated.png"
    save_sheet(out, rows, _scale(shape))
    yield f"drawn in {out}: {count} new pictures"


def example(description: Mapping[str, Any]) -> tuple:
    """Pictures as rows, as the model takes them."""
    return ((1, description["model"]["settings"]["sizes"][0]),)


def _options(latent: int, hidden: list[int], epochs: int, folder: str, own: Sequence[Option]) -> tuple[Option, ...]:
    changed = {
        "epochs": f"passes over the training pictures (default: {epochs}; with --data {MNIST['epochs']})",
        "batch_size": f"pictures per step (default: 32; with --data {MNIST['batch_size']})",
    }
    shared = training_options(epochs=None, batch_size=1, lr=LEARNING_RATE, samples="pictures")
    return (
        Option("data", Place("PATH"), None, "MNIST's folder or CSV file (default: the digits that ship with zkynet)"),
        Option("latent", Whole(1), latent, "how many numbers a code has"),
        *own,
        Option("hidden", Many(Whole(1), 1), hidden, "units of the hidden layers, from the picture to the code"),
        *(each._replace(default=None, help=changed[each.name]) if each.name in changed else each for each in shared),
        Option("out", Word("DIR"), folder, "the folder that the run is kept in", free=True),
    )


AUTOENCODER = Task(
    "autoencoder",
    AUTOENCODER_HELP,
    AUTOENCODER_EXAMPLES,
    _options(8, [128, 64], 60, "autoencoder-run", ()),
    partial(prepare, kind="autoencoder"),
    example,
    resolve=partial(resolve, epochs=60),
    predict=predict,
    evaluate=evaluate,
    inputs="IMAGE",
)
VAE = Task(
    "vae",
    VAE_HELP,
    VAE_EXAMPLES,
    _options(
        2,
        [256, 128],
        100,
        "vae-run",
        [Option("beta", Number(least=0), 1.0, "how much KL counts in the loss; below 1 drawings are sharper")],
    ),
    partial(prepare, kind="variational_autoencoder"),
    example,
    resolve=partial(resolve, epochs=100),
    predict=predict,
    evaluate=evaluate,
    generate=generate,
    inputs="IMAGE",
)
TASKS = (AUTOENCODER, VAE)
