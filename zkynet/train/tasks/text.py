"""``zkynet train text FILE``: a language model that reads a text character by character, and writes on."""

from __future__ import annotations

import itertools
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zkynet.train.tasks.task import (
    Choice,
    Config,
    Evaluation,
    Flag,
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
Learns to write like a text: a language model reads it character by character and predicts each one from those before
it. Its last tenth is held out. Losses are in nats per character: 4.6 is a guess among 100 characters, English texts of
some hundred kilobytes reach about 1.3. An epoch is a pass over the text, but of 100 steps at least and 1000 at most;
after each a line shows how the model writes by then. zkynet generate DIR --prompt "..." lets a model that was kept with
--out write on.
"""
EXAMPLES = """\
  zkynet train text novel.txt --out run               a transformer of a million parameters, ten epochs
  zkynet train text novel.txt --minutes 10 --out run  as good as it gets in ten minutes
  zkynet train text novel.txt --model lstm            a recurrent network
  zkynet train text --pydoc --minutes 10              Python's own help texts, which are on every machine
  zkynet generate run --prompt "It was " --count 300  text in the style of the novel
"""
HELD_OUT = 0.1  # of the text, its end
LOOKS = 1024  # windows of the held-out text that are looked at after an epoch, at most
STEPS = 100, 1000  # in an epoch: more than a pass over a short text, a part, spread over the whole, of a long one
EPOCHS, MOST_EPOCHS = 10, 1000  # with the minutes given, they decide
PACES = {  # size, layers and learning rate unless given
    "transformer": {"size": 128, "layers": 5, "lr": 1e-2},
    "lstm": {"size": 256, "layers": 2, "lr": 2e-2},
}
ADAMW_RATE = 3e-3
WARM_UP = 0.05  # of the run
SHOWN = 12  # characters that an error names


# ---- settings ----


def resolve(config: dict[str, Any]) -> dict[str, Any]:
    """Fill in what depends on the model and on the minutes; TaskError where they do not fit."""
    if (config["file"] is None) != config["pydoc"]:
        raise TaskError("expected a FILE with the text, or --pydoc in its place, and not both")
    chosen = {**config}
    usual = PACES[config["model"]] | ({"lr": ADAMW_RATE} if config["optimizer"] == "adamw" else {})
    chosen |= {name: value for name, value in usual.items() if config[name] is None}
    if config["epochs"] is None:
        chosen["epochs"] = EPOCHS if config["minutes"] is None else MOST_EPOCHS
    if config["model"] == "transformer" and chosen["size"] % (2 * config["heads"]):
        heads = config["heads"]
        raise TaskError(f"--size {chosen['size']} is no multiple of {2 * heads}, twice the {heads} heads of --heads")
    return chosen


def pydoc_text() -> str:
    """The help texts of this Python's language reference: the values of pydoc_data.topics.topics, joined by a line end.

    Their order is that of the dict. The text differs between versions of Python.
    """
    from pydoc_data.topics import topics

    return "\n".join(topics.values())


def read(config: Config) -> str:
    """The whole text of a run."""
    return pydoc_text() if config["pydoc"] else _text_in(config["file"], config["encoding"])


def _text_in(path: str, encoding: str) -> str:
    """The text in a file; TaskError where there is none, OSError where it cannot be read."""
    from zkynet.data import read_text
    from zkynet.io import FileFormatError

    if Path(path).name == "-" and not Path(path).exists():
        raise TaskError("a text is read from a file, and - is none; save it in one and give its name")
    if Path(path).is_dir():
        raise TaskError(f"{path} is a folder; expected a file with the text")
    try:
        return read_text(path, encoding)
    except LookupError:
        raise TaskError(f"--encoding {encoding}: there is no such encoding; try utf-8, latin-1, utf-16") from None
    except FileFormatError as error:
        first, *hint = str(error).splitlines()
        raise TaskError(first + ("; name the encoding that it is in: --encoding latin-1" if hint else "")) from None


def parts(ids: Any, length: int) -> tuple[Any, Any]:
    """The tokens to learn from and those held out; TaskError where either has not a single window."""
    cut = len(ids) - round(HELD_OUT * len(ids))
    if cut <= length or len(ids) - cut < 2:
        raise TaskError(
            f"the text is too short: {len(ids)} characters; --length {length} takes at least "
            f"{max(20, int((length + 1) / (1 - HELD_OUT)) + 1)}, and a model worth having some 100,000"
        )
    return ids[:cut], ids[cut:]


# ---- training ----


class Windows:
    """Makes batches of ``length`` tokens and those behind each, (x, y), at random places: a transform of Batches.

    The text is cut into ``count`` parts; the window of a part begins at random in it, anew in every epoch.
    """

    def __init__(self, ids: Any, length: int, count: int):
        import numpy as np

        self.ids, self.length = ids, length
        last = len(ids) - length  # the first place that is none: a window needs one token more
        self.edges = np.arange(count + 1, dtype=np.int64) * last // count
        self.parts = np.arange(count)

    def __call__(self, batch: Any, generator: Any) -> tuple[Any, Any]:
        import numpy as np

        low, high = self.edges[batch[0]], self.edges[batch[0] + 1]
        starts = generator.integers(low, np.maximum(high, low + 1))
        windows = self.ids[starts[:, None] + np.arange(self.length + 1)]
        return windows[:, :-1].copy(), windows[:, 1:].copy()


def nats(model: Any, x: Any, y: Any) -> Any:
    """The mean cross-entropy of the next characters."""
    from zkynet.framework import op

    return op.softmax_cross_entropy(model(x), y)


def prepare(config: Config) -> Plan:
    """The plan of a run."""
    from zkynet import data, models
    from zkynet.train.tasks.pace import Pace

    text = read(config)
    vocabulary = data.Vocabulary.of(text)
    train, held = parts(vocabulary.encode(text), config["length"])
    batches = _batches(train, config)
    described: dict[str, Any] = {"model": _described(config, len(vocabulary)), "characters": "".join(vocabulary.tokens)}
    model = models.build(described["model"], seed=config["seed"], dtype=config["dtype"])
    pace = Pace(config["epochs"] * len(batches), config["minutes"])
    callbacks: list[Any] = [pace]
    if config["sample"] and not config.get("quiet"):
        callbacks.append(_sample(vocabulary, config["sample"], config["seed"]))
    return Plan(
        model,
        nats,
        _optimizer(config, pace),
        batches,
        {**described, "length": config["length"], "held_out": HELD_OUT},
        _headline(config, model, text, vocabulary),
        _result,
        validation=_looks(held, config),
        callbacks=callbacks,
        names={"loss": "nats per character: train", "validation_loss": "held-out"},
    )


def _batches(ids: Any, config: Config) -> Any:
    from zkynet import data

    length, size = config["length"], config["batch_size"]
    least, most = STEPS
    count = max(least * size, min(most * size, -(-(len(ids) - 1) // length)))
    windows = Windows(ids, length, count)
    return data.Batches((windows.parts,), size, seed=config["seed"], transform=windows)


def _looks(ids: Any, config: Config, most: int | None = LOOKS) -> Any:
    """Windows of the held-out text, at most ``most``, evenly spread."""
    from zkynet import data

    length = min(config["length"], len(ids) - 1)
    stride = length if most is None else max(length, len(ids) // most)
    return data.Batches(data.TextWindows(ids, length, stride), config["batch_size"], shuffle=False)


def _described(config: Config, vocabulary: int) -> dict[str, Any]:
    common = {"vocabulary": vocabulary, "size": config["size"], "layers": config["layers"]}
    common["dropout"] = config["dropout"]
    if config["model"] == "lstm":
        return {"name": "recurrent_language_model", "settings": {**common, "cell": "lstm"}}
    own = {"length": config["length"], "heads": config["heads"], "positions": "rotary"}
    return {"name": "language_model", "settings": {**common, **own, "activation": "gelu_tanh"}}


def _optimizer(config: Config, pace: Any) -> Any:
    from zkynet import optim
    from zkynet.train.tasks.pace import PacedCosine

    rate = PacedCosine(config["lr"], pace, WARM_UP)
    if config["optimizer"] == "adamw":
        return optim.AdamW(rate, betas=(0.9, 0.99), weight_decay=0.1, groups={"*bias*": {"weight_decay": 0.0}})
    tables = ("embedding", "output")  # rows are looked up one by one: Muon is for matrices that multiply
    return optim.Muon(rate, groups={_in(tables): {"orthogonal": False}, "*bias*": {"weight_decay": 0.0}})


def _in(names: Sequence[str]) -> Any:
    def holds(path: str, parameter: Any) -> bool:
        return path.split(".")[0] in names

    return holds


def _headline(config: Config, model: Any, text: str, vocabulary: Any) -> str:
    parameters = sum(p.value.size for p in model.parameters())
    return (
        f"{len(text):,} characters, {len(vocabulary)} different ones, the last {HELD_OUT:.0%} held out; "
        f"{config['model']} of {parameters:,} parameters"
    )


def _result(history: Sequence[Mapping[str, Any]]) -> str:
    last = history[-1]
    return f"nats per character: train {last['loss']:.4f}, held-out {last['validation_loss']:.4f}"


def _sample(vocabulary: Any, count: int, seed: int) -> Any:
    """A callback that prints a line that the model writes, after every epoch."""
    from zkynet.framework.computation_graph import Generator
    from zkynet.train.callback import Callback

    start = "\n" if "\n" in vocabulary else vocabulary.tokens[0]

    class Sample(Callback):
        order = 2

        def on_epoch_end(self, run: Any) -> None:
            generator = Generator(seed + run.epoch)
            written = "".join(_write(run.model, vocabulary, start, count, generator, 0.8, None))
            print(f"  | {_line(written)}", flush=True)

    return Sample()


def _line(text: str) -> str:
    """``text`` as one line that can be printed here, many spaces as one."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    line = "".join(c if c.isprintable() else "\u23ce" if c == "\n" else "\ufffd" for c in re.sub(" +", " ", text))
    return line.encode(encoding, "replace").decode(encoding)


# ---- what a finished run can do ----


def generate(saved: Saved, settings: Config) -> Iterator[str]:
    """Yield the prompt and what the model writes behind it, in pieces."""
    from zkynet.framework.computation_graph import Generator

    vocabulary = _vocabulary(saved)
    prompt = settings.get("prompt") or ("\n" if "\n" in vocabulary else vocabulary.tokens[0])
    _check_characters("--prompt", prompt, vocabulary)
    top_k = settings.get("top_k")
    if top_k is not None and not 1 <= top_k <= len(vocabulary):
        raise TaskError(f"--top-k {top_k}: expected 1 to {len(vocabulary)}, the number of characters that it knows")
    generator = Generator(settings.get("seed") or 0)
    temperature = 1.0 if settings.get("temperature") is None else settings["temperature"]
    count = 500 if settings.get("count") is None else settings["count"]
    if settings.get("prompt"):
        yield prompt
    yield from _write(saved.model, vocabulary, prompt, count, generator, temperature, top_k)


def _write(
    model: Any, vocabulary: Any, prompt: str, count: int, generator: Any, temperature: float, top_k: int | None
) -> Iterator[str]:
    from zkynet.models import write

    ids = write(model, vocabulary.encode(prompt), generator=generator, temperature=temperature, top_k=top_k)
    return (vocabulary.tokens[i] for i in itertools.islice(ids, count))


def evaluate(saved: Saved, path: str | None) -> Evaluation:
    """Nats per character on the held-out part of the run's text, all of it, or on the text in a file."""
    from zkynet.framework.computation_graph import no_grad

    vocabulary, length = _vocabulary(saved), saved.description["length"]
    if path is None:
        if saved.config.get("file") is None and not saved.config.get("pydoc"):
            raise TaskError("the settings of the run are gone, which name its text; give a file with a text")
        text = read(saved.config)
    else:
        text = _text_in(path, saved.config["encoding"])
    _check_characters(path or "the text of the run", text, vocabulary)
    ids = vocabulary.encode(text)
    if path is None:
        ids = parts(ids, length)[1]
    if len(ids) < 2:
        raise TaskError(f"{path} has a single character; expected at least two")
    total, samples = 0.0, 0
    with no_grad():
        for x, y in _looks(ids, {"length": length, "batch_size": 32}, None):
            total += float(nats(saved.model, x, y).item()) * len(x)
            samples += len(x)
    value = total / samples
    return Evaluation({"nats_per_character": value, "bits_per_character": value / math.log(2)})


def _vocabulary(saved: Saved) -> Any:
    from zkynet import data

    return data.Vocabulary(list(saved.description["characters"]))


def _check_characters(where: str, text: str, vocabulary: Any) -> None:
    """TaskError that names the characters which the model does not know."""
    unknown = sorted({c for c in set(text) if c not in vocabulary})
    if unknown:
        named = ", ".join(repr(c) for c in unknown[:SHOWN]) + (", ..." if len(unknown) > SHOWN else "")
        raise TaskError(
            f"{where} has characters that the model has never seen: {named}; it knows the {len(vocabulary)} "
            f"characters of the text that it was trained on"
        )


def example(description: Mapping[str, Any]) -> tuple:
    """Tokens, as the model takes them."""
    import numpy as np

    return (np.zeros((1, description["length"]), np.int64),)


def _training_options() -> Iterator[Option]:
    """Those of all tasks, the epochs with a default of their own."""
    for option in training_options(
        epochs=EPOCHS,
        batch_size=16,
        lr=None,
        samples="windows",
        lr_help="the largest learning rate (default: 0.01; lstm: 0.02; adamw: 0.003)",
    ):
        if option.name == "epochs":
            told = f"epochs (default: {EPOCHS}; with --minutes as many as there is time for)"
            option = option._replace(default=None, help=told)
        yield option


TASK = Task(
    "text",
    HELP,
    EXAMPLES,
    (
        Option("file", Place("FILE"), None, "the text", positional=True),
        Option("pydoc", Flag(), False, "in place of FILE: Python's own help texts, pydoc_data.topics, some 500 kB"),
        Option("encoding", Word(), "utf-8", "how the characters of FILE are written down"),
        Option("model", Choice("transformer", "lstm"), "transformer", "the network"),
        Option("length", Whole(2), 128, "characters that it sees at once"),
        Option("size", Whole(1), None, "features, or units of an LSTM (default: 128; lstm: 256)"),
        Option("layers", Whole(1), None, "layers (default: 5; lstm: 2)"),
        Option("heads", Whole(1), 4, "attention heads of a transformer"),
        Option("dropout", Number(least=0, below=1), 0.0, "share of the numbers dropped in training"),
        Option("optimizer", Choice("muon", "adamw"), "muon", "how the weights are changed"),
        Option("minutes", Number(above=0), None, "stop after so many minutes of training (default: no limit)"),
        Option(
            "sample", Whole(0), 100, "characters that it writes after each pass, to be looked at; 0: none", free=True
        ),
        *_training_options(),
    ),
    prepare=prepare,
    example=example,
    resolve=resolve,
    evaluate=evaluate,
    generate=generate,
)
