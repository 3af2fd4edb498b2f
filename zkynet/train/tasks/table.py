"""``zkynet train table FILE.csv --target COL``: one column of a table from the others."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zkynet.train.tasks import columns as cols
from zkynet.train.tasks.task import (
    Choice,
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
Learns to predict one column of a CSV file, the target, from all others: its class where it holds texts or a few whole
numbers (classification), its value otherwise (regression); the first line says which. The file has a header line with
the names of its columns. Columns of numbers are standardized, columns of texts become one input for each text. A fixed
part of the rows, drawn with the same share of each class, is kept out of training and tells how good the network is:
by accuracy and macro F1, the mean over the classes, or by R2, 1 being perfect and 0 a guess of the mean, and the mean
absolute error in the target's own unit.
"""
EXAMPLES = """\
  zkynet train table iris.csv --target species                    which species
  zkynet train table houses.csv --target price --out run          which price; the network is kept in the folder run
  zkynet train table people.csv --target income --leave-out name,id --missing fill
  zkynet predict run new.csv                                      the prices of the houses in new.csv, as CSV
  zkynet evaluate run --data more.csv                             how good it is on the rows of another file
"""
CLASSIFICATION, REGRESSION = "classification", "regression"
CLASSES = 20  # whole numbers, at most, that are classes unless --kind says otherwise
SPLIT_SEED = 0  # the same test rows in every run, whatever its seed
WARM_UP = 0.05  # of the steps


# ---- settings and the table ----


def resolve(config: dict[str, Any]) -> dict[str, Any]:
    """Read \\t as a tab; TaskError where the delimiter is not one character."""
    delimiter = {"\\t": "\t", "tab": "\t"}.get(config["delimiter"], config["delimiter"])
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise TaskError(f"--delimiter {delimiter!r}: expected one character, such as , or ; or \\t for a tab")
    return config | {"delimiter": delimiter}


class Data:
    """A table read for training: how its columns become inputs, the target, and which rows are for what."""

    def __init__(self, config: Config):
        import numpy as np

        cells = self.cells = cols.Cells(config["file"], config["delimiter"])
        self.target = target = config["target"]
        cells.check([target], "the target")
        cells.check([*config["leave_out"], *config["text"]], "named in --leave-out or --text")
        names = [name for name in cells.columns if name != target and name not in config["leave_out"]]
        if not names:
            raise TaskError(f"{cells.path} has no column beside the target {target!r} to predict it from")
        self.dropped = cols.settle_missing(cells, [*names, target], target, config["missing"])
        self.kind = config["kind"] or kind_of(cells, target, config["text"])
        self.numeric = cols.of_numbers(cells, target, config["text"])
        self.classes = classes_of(cells, target, self.numeric) if self.kind == CLASSIFICATION else None
        self.columns: list[cols.Column] = []
        self.scaling = (0.0, 1.0)
        self.train, self.test = self._split(config["test"])
        self.columns = cols.fitted(cells, names, self.train, config["missing"], config["text"])
        if self.classes is None:
            values = np.array(cols.numbers(cells, target, None))[self.train]
            if values.min() == values.max():
                raise TaskError(f"every row to train on has the same target, {values[0]:g}: there is nothing to learn")
            self.scaling = float(values.mean()), float(values.std())

    def _split(self, share: float) -> tuple[Any, Any]:
        from zkynet.data import split, stratified_split

        if self.classes is not None:
            return stratified_split(targets_of(self.cells, self.description, "float64"), share, SPLIT_SEED)
        if len(self.cells) < 4:
            raise TaskError(
                f"{self.cells.path} has {len(self.cells)} rows; expected at least 4, two of them to test on"
            )
        train, test = split(len(self.cells), (1 - share, share), seed=SPLIT_SEED)
        if len(test) < 2:  # R2 needs two
            train, test = split(len(self.cells), (1 - 2 / len(self.cells), 2 / len(self.cells)), seed=SPLIT_SEED)
        return train, test

    def arrays(self, dtype: str) -> tuple[Any, Any]:
        """Inputs and targets of all rows, as the network sees them."""
        inputs = cols.encoded(self.cells, self.columns, dtype)
        return inputs, targets_of(self.cells, self.description, dtype)

    @property
    def description(self) -> dict[str, Any]:
        """All that it takes to read other tables in the same way."""
        return {
            "kind": self.kind,
            "target": self.target,
            "numeric": self.numeric,
            "classes": self.classes,
            "scaling": list(self.scaling),
            "columns": cols.described(self.columns),
            "delimiter": self.cells.delimiter,
        }


def kind_of(cells: cols.Cells, target: str, as_text: Sequence[str]) -> str:
    """Classification for texts and for few whole numbers, else regression."""
    if not cols.of_numbers(cells, target, as_text):
        return CLASSIFICATION
    values = set(map(float, cells[target]))
    few = len(values) <= min(CLASSES, max(2, len(cells) / 5))
    return CLASSIFICATION if few and all(value.is_integer() for value in values) else REGRESSION


def classes_of(cells: cols.Cells, target: str, numeric: bool) -> list[str]:
    """The classes of a target, numbers in their order; TaskError where there are fewer than two, or one has one row."""
    texts = [cols.plain(cell) if numeric else cell for cell in cells[target]]
    counts = Counter(texts)
    classes = sorted(counts, key=float if numeric else None)
    if len(classes) < 2:
        raise TaskError(f"every row of {cells.path} has the same target, {classes[0]!r}: there is nothing to learn")
    once = [text for text in classes if counts[text] == 1]
    if once:
        row = texts.index(once[0])
        raise cells.wrong(
            row,
            target,
            f"{once[0]!r} is there once, one of {len(once)} such classes; each needs two rows, one of them to test on"
            + ("; if the target is a quantity: --kind regression" if numeric else ""),
        )
    return classes


def targets_of(cells: cols.Cells, description: Mapping[str, Any], dtype: str) -> Any:
    """The targets as the network learns them: numbers of classes (rows,), or standardized values (rows, 1)."""
    import numpy as np

    name = description["target"]
    if description["kind"] == CLASSIFICATION:
        return np.array(cols.coded(cells, name, description["classes"], description["numeric"]), np.int64)
    mean, scale = description["scaling"]
    return ((np.array(cols.numbers(cells, name, None)) - mean) / scale).astype(dtype)[:, None]


# ---- training ----


def cross_entropy(model: Any, x: Any, labels: Any) -> Any:
    """The mean cross-entropy of the logits."""
    from zkynet.framework import op

    return op.softmax_cross_entropy(model(x), labels)


def squared_error(model: Any, x: Any, y: Any) -> Any:
    """The mean squared error, of standardized values."""
    from zkynet.framework import op

    return op.mean(op.square(op.subtract(model(x), y)))


def prepare(config: Config) -> Plan:
    """The plan of a run."""
    from zkynet import data, models, optim

    table = Data(config)
    inputs, targets = table.arrays(config["dtype"])
    outputs = 1 if table.classes is None else len(table.classes)
    described = {"name": "fcn", "settings": {"sizes": [inputs.shape[1], *config["hidden"], outputs]}}
    batches = data.Batches((inputs[table.train], targets[table.train]), config["batch_size"], seed=config["seed"])
    steps = config["epochs"] * len(batches)
    rate = optim.schedules.WarmUp(optim.schedules.Cosine(config["lr"], steps), max(1, round(WARM_UP * steps)))
    decay = {"weight_decay": config["weight_decay"], "groups": {"*.bias": {"weight_decay": 0.0}}}
    return Plan(
        models.build(described, seed=config["seed"], dtype=config["dtype"]),
        squared_error if table.classes is None else cross_entropy,
        optim.AdamW(rate, **decay),
        batches,
        {"model": described, **table.description},
        _headline(table, config["hidden"]),
        _result(table),
        validation=(inputs[table.test], targets[table.test]),
        metrics=_metrics(table.description),
        names=NAMES,
        shown=("loss", "accuracy", "f1", "r2", "error"),
    )


NAMES = {
    "loss": "train loss",
    "validation_loss": "test loss",
    "accuracy": "test accuracy",
    "f1": "macro F1",
    "r2": "test R2",
    "error": "mean absolute error",
}
FIGURES = {
    "accuracy": "accuracy",
    "f1": "f1_macro",
    "r2": "r2",
    "error": "mean_absolute_error",
}  # as evaluate names them


def _metrics(description: Mapping[str, Any]) -> dict[str, Any]:
    from zkynet.train import metrics

    if description["kind"] == CLASSIFICATION:
        return {"accuracy": metrics.Accuracy(), "f1": metrics.F1(average="macro")}
    scale = description["scaling"][1]
    return {"r2": metrics.R2(), "error": lambda outputs, y: scale * metrics.mean_absolute_error(outputs, y)}


def _headline(table: Data, hidden: Sequence[int]) -> str:
    texts = [each for each in table.columns if isinstance(each, cols.Text)]
    counts = f"{len(table.columns) - len(texts)} columns of numbers, {len(texts)} of texts"
    if table.classes is None:
        what = f"regression of {table.target}"
    else:
        what = f"classification of {table.target}, {len(table.classes)} classes"
    rows = f"{len(table.train)} rows to train on, {len(table.test)} to test on"
    gone = f" ({table.dropped} with missing values left out)" if table.dropped else ""
    network = "-".join(map(str, hidden)) or "none"
    return f"{what}, from {counts}; {rows}{gone}; hidden units {network}"


def _result(table: Data) -> Any:
    def result(history: Sequence[Mapping[str, Any]]) -> str:
        last = history[-1]
        if table.classes is not None:
            return f"test accuracy {last['accuracy']:.4f}, macro F1 {last['f1']:.4f}"
        return f"test R2 {last['r2']:.4f}, mean absolute error {last['error']:.5g} in the unit of {table.target}"

    return result


# ---- what a finished run can do ----


def predict(saved: Saved, inputs: list[str], settings: Config) -> Iterator[str]:
    """Yield the rows of the files as lines of CSV, with what the target is predicted to be behind them."""
    from zkynet.train.tasks.common import lines_to

    return lines_to(settings.get("out"), _predicted(saved, inputs))


def _predicted(saved: Saved, paths: list[str]) -> Iterator[str]:
    names: list[str] = []
    for path in paths:
        cells = _read(saved, path)
        answers = _answers(saved.description, _outputs(saved, cells))
        if not names:
            names = list(cells.columns)
            extra = ["probability"] if saved.description["classes"] else []
            yield _csv_line([*names, f"predicted {saved.description['target']}", *extra])
        cells.check(names, f"as {paths[0]} has")
        for row, answer in zip(zip(*(cells[name] for name in names), strict=True), answers, strict=True):
            yield _csv_line([*row, *answer])


def _answers(description: Mapping[str, Any], outputs: Any) -> Iterator[list[str]]:
    """For each row of outputs the cells that predict adds."""
    from zkynet.train.tasks.common import probabilities

    if not description["classes"]:
        mean, scale = description["scaling"]
        return ([f"{value * scale + mean:.6g}"] for value in outputs[:, 0].tolist())
    shares = probabilities(outputs)
    best = shares.argmax(axis=1).tolist()
    return ([description["classes"][k], f"{shares[i, k]:.4f}"] for i, k in enumerate(best))


def _read(saved: Saved, path: str) -> cols.Cells:
    cells = cols.Cells(path, saved.description["delimiter"])
    cells.check([each["name"] for each in saved.description["columns"]], "which the model takes")
    return cells


def _outputs(saved: Saved, cells: cols.Cells) -> Any:
    """What the network gives for each row: (rows, outputs), float64."""
    import numpy as np

    from zkynet.train.tasks.common import outputs_of

    dtype = saved.description.get("dtype", "float32")
    inputs = cols.encoded(cells, cols.restored(saved.description["columns"]), dtype)
    return outputs_of(saved.model, inputs).astype(np.float64)


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def evaluate(saved: Saved, path: str | None) -> Evaluation:
    """The figures on the test rows of the run's table, or on all rows of another."""
    from zkynet.train import metrics
    from zkynet.train.tasks.common import confusion_text

    description = saved.description
    cells = _test_rows(saved) if path is None else _read(saved, path)
    cells.check([description["target"]], "the target")
    outputs, targets = _outputs(saved, cells), targets_of(cells, description, "float64")
    figures: dict[str, float] = {"samples": len(cells)}
    for name, metric in _metrics(description).items():
        figures[FIGURES[name]] = float(getattr(metric, "of", metric)(outputs, targets))
    classes = description["classes"]
    if not classes or len(classes) > CLASSES:
        return Evaluation(figures)
    return Evaluation(
        figures, confusion_text(metrics.ConfusionMatrix(classes=len(classes)).of(outputs, targets), classes)
    )


def _test_rows(saved: Saved) -> cols.Cells:
    """The rows of the run's own table that it was not trained on; TaskError where the table has changed since."""
    import numpy as np

    if saved.config.get("file") is None:
        raise TaskError("the settings of the run are gone, which name its table; name a file: --data FILE.csv")
    table = Data(saved.config)
    if table.description != {name: saved.description[name] for name in table.description}:
        raise TaskError(
            f"{table.cells.path} has changed since the run, so which rows it was trained on is not known; "
            "name a file with other rows: --data FILE.csv"
        )
    table.cells.keep(np.isin(np.arange(len(table.cells)), table.test).tolist())
    return table.cells


def example(description: Mapping[str, Any]) -> tuple:
    """The shape of a row."""
    return ((1, description["model"]["settings"]["sizes"][0]),)


TASK = Task(
    "table",
    HELP,
    EXAMPLES,
    (
        Option("file", Place("FILE.csv"), None, "the table, with a header line", positional=True, required=True),
        Option("target", Word("COLUMN"), None, "the column to predict", required=True),
        Option(
            "kind",
            Choice(CLASSIFICATION, REGRESSION),
            None,
            "what to do (default: classification where the target is text or a few whole numbers, else regression)",
        ),
        Option("leave_out", Many(Word("COLUMN")), [], "columns that are not used (default: none)"),
        Option(
            "text", Many(Word("COLUMN")), [], "columns of numbers that are names, such as postal codes (default: none)"
        ),
        Option(
            "missing",
            cols.MISSING,
            "error",
            "empty cells and NA: an error, or drop their rows, or fill in the mean (for texts: a category of its own)",
        ),
        Option("delimiter", Word("CHARACTER"), ",", "what stands between the cells"),
        Option("test", Number(above=0, below=1), 0.2, "the part of the rows that is kept out of training"),
        Option("hidden", Many(Whole(1)), [64, 64], "units of the hidden layers"),
        Option("weight_decay", Number(least=0), 1.0, "how strongly weights are drawn to 0"),
        *training_options(epochs=100, batch_size=32, lr=3e-3, samples="rows", lr_help="the largest learning rate"),
    ),
    prepare=prepare,
    example=example,
    resolve=resolve,
    predict=predict,
    evaluate=evaluate,
    inputs="FILE.csv",
)
