"""``zkynet train table``: what becomes of columns, how good the network is, and one sentence for every mistake."""

import csv
import json

import numpy as np
import pytest

from zkynet.cli import main
from zkynet.data.tables import column_names
from zkynet.train.tasks import columns as cols
from zkynet.train.tasks import find
from zkynet.train.tasks.config import merged
from zkynet.train.tasks.run import load_run
from zkynet.train.tasks.table import Data
from zkynet.train.tasks.task import TaskError

RNG = np.random.default_rng(5)
COLORS = ("red", "green", "blue")


def write(path, header, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def houses(path, count=300):
    """Prices that follow from area, color and age, with a little noise."""
    area, age, color = RNG.uniform(20, 200, count), RNG.integers(0, 80, count), RNG.integers(0, 3, count)
    price = 1000 * area * (1 - 0.004 * age) + 30000 * color + RNG.normal(0, 1000, count)
    rows = zip(area.round(2), age, [COLORS[i] for i in color], price.round(1), strict=True)
    return write(path, ("area", "age", "color", "price"), rows)


def flowers(path, count=240, classes=("iris", "rose", "tulip")):
    """Flowers that their two sizes tell apart, the first kind twice as often as the second."""
    kind = RNG.permutation(np.repeat([0, 0, 1, 2], count // 4))
    sizes = np.array([[1.0, 5.0], [4.0, 1.0], [7.0, 6.0]])[kind] + RNG.normal(0, 0.4, (count, 2))
    rows = [(*size.round(3), classes[i]) for size, i in zip(sizes, kind, strict=True)]
    return write(path, ("length", "width", "kind"), rows)


def data(path, target, **given):
    return Data(merged(find("table"), {"file": path, "target": target, **given}))


def said(capsys, *arguments):
    """What a command prints that must succeed."""
    capsys.readouterr()
    status = main([*arguments])
    out, err = capsys.readouterr()
    assert status == 0, err
    return out


def refused(capsys, *arguments):
    """The one sentence of a command that must not succeed."""
    capsys.readouterr()
    assert main([*arguments]) in (1, 2)
    out, err = capsys.readouterr()
    assert err.startswith("zkynet") and err.count("\n") == 1 and "Traceback" not in err
    return err


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """The table of houses, and the folder of a run on it."""
    folder = tmp_path_factory.mktemp("market")
    table, out = houses(folder / "houses.csv"), str(folder / "run")
    assert main(["train", "table", table, "--target", "price", "--out", out, "--epochs", "40", "--quiet"]) == 0
    return table, out


@pytest.fixture(scope="module")
def garden(tmp_path_factory):
    """The table of flowers, and the folder of a run on it."""
    folder = tmp_path_factory.mktemp("garden")
    table, out = flowers(folder / "flowers.csv"), str(folder / "run")
    assert main(["train", "table", table, "--target", "kind", "--out", out, "--epochs", "20", "--quiet"]) == 0
    return table, out


# ---- columns ----


def test_numbers_are_standardized_by_the_training_rows_and_texts_one_hot(tmp_path):
    path = houses(tmp_path / "houses.csv", 50)
    table = data(path, "price")
    inputs, targets = table.arrays("float64")
    rows = read(path)
    for i, name in enumerate(("area", "age")):
        values = np.array([float(row[name]) for row in rows])
        train = values[table.train]
        assert np.allclose(inputs[:, i], (values - train.mean()) / train.std(), rtol=1e-12, atol=1e-12)
    assert inputs.shape == (50, 5) and list(table.columns[2].categories) == sorted(COLORS)
    assert np.array_equal(inputs[:, 2:], [[row["color"] == name for name in sorted(COLORS)] for row in rows])
    prices = np.array([float(row["price"]) for row in rows])
    assert np.allclose(targets[:, 0] * prices[table.train].std() + prices[table.train].mean(), prices)
    assert cols.restored(json.loads(json.dumps(cols.described(table.columns)))) == table.columns


@pytest.mark.parametrize(
    "values, kind",
    [
        ([f"class {i % 2}" for i in range(40)], "classification"),
        ([str(i % 3) for i in range(40)], "classification"),
        ([f"{i % 3}.0" for i in range(40)], "classification"),
        ([str(i % 3 + 0.5) for i in range(40)], "regression"),
        ([str(i % 2) for i in range(8)], "classification"),
        ([str(i % 9) for i in range(40)], "regression"),  # 9 values in 40 rows: a quantity
        ([str(i) for i in range(40)], "regression"),
    ],
)
def test_the_target_says_what_to_do(values, kind, tmp_path):
    path = write(tmp_path / "t.csv", ("x", "y"), [(i, value) for i, value in enumerate(values)])
    assert data(path, "y").kind == kind
    if kind == "classification" and values[0].isdigit():
        assert data(path, "y", kind="regression").classes is None


def test_classes_of_numbers_are_in_their_order(tmp_path):
    path = write(tmp_path / "t.csv", ("x", "y"), [(i, (2, 10, -1)[i % 3]) for i in range(60)])
    table = data(path, "y")
    assert table.classes == ["-1", "2", "10"] and table.arrays("float32")[1][:4].tolist() == [1, 2, 0, 1]


def test_a_number_is_one_class_however_it_is_written(tmp_path):
    path = write(tmp_path / "t.csv", ("x", "y"), [(i, ("1", "1.0", "01", "2")[i % 4]) for i in range(40)])
    table = data(path, "y")
    assert table.classes == ["1", "2"] and np.bincount(table.arrays("float32")[1]).tolist() == [30, 10]
    assert data(path, "y", text=["y"]).classes == ["01", "1", "1.0", "2"]


def test_each_class_has_its_share_of_the_test_rows(tmp_path):
    table = data(flowers(tmp_path / "flowers.csv"), "kind", test=0.25)
    _, labels = table.arrays("float32")
    assert np.bincount(labels[table.test]).tolist() == [30, 15, 15]
    assert sorted([*table.train, *table.test]) == list(range(240))
    assert np.array_equal(table.test, data(table.cells.path, "kind", test=0.25, seed=7).test)


def test_missing_values_are_an_error_or_dropped_or_filled(tmp_path):
    rows = [(i, "ab"[i % 2], i % 2) for i in range(40)]
    rows[4], rows[7], rows[9] = ("", "a", 0), (7, "NA", 1), (9, "b", "")
    path = write(tmp_path / "t.csv", ("x", "letter", "y"), rows)
    with pytest.raises(TaskError, match=r"line 6, column 'x': a missing value, '', one of 3; --missing drop"):
        data(path, "y")
    dropped = data(path, "y", missing="drop")
    assert dropped.dropped == 3 and len(dropped.cells) == 37 and dropped.columns[1].categories == ("a", "b")
    filled = data(path, "y", missing="fill")
    assert filled.dropped == 1 and filled.columns[1].categories == ("", "a", "b")
    inputs, _ = filled.arrays("float64")
    train = [i for i in filled.train if i != 4]
    values = np.array([float(x) for i, (x, _, _) in enumerate(rows) if i not in (4, 9)])
    assert filled.columns[0].fill == pytest.approx(np.mean([values[i - (i > 4)] for i in train]))
    assert inputs[4, 0] == pytest.approx(0.0, abs=1e-12) and inputs[7, 1:].tolist() == [1, 0, 0]


def test_numbers_can_be_taken_as_texts(tmp_path):
    path = write(tmp_path / "t.csv", ("zip", "y"), [(f"0{i % 4}", i % 2) for i in range(40)])
    assert data(path, "y").columns[0].width == 1
    assert data(path, "y", text=["zip"]).columns[0].categories == ("00", "01", "02", "03")


# ---- training ----


def test_regression_ends_with_r2_and_the_error_in_the_unit_of_the_target(market, capsys):
    table, out = market
    lines = said(capsys, "train", "table", table, "--target", "price", "--epochs", "40").splitlines()
    assert "regression of price, from 2 columns of numbers, 1 of texts; 240 rows to train on, 60 to test on" in lines[0]
    words = lines[-1].split()
    assert lines[-1].startswith("test R2 0.9") and words[3:6] == ["mean", "absolute", "error"]
    assert lines[-1].endswith("in the unit of price") and 500 < float(words[6]) < 8000


def test_classification_ends_with_accuracy_and_macro_f1(garden, capsys):
    table, out = garden
    lines = said(capsys, "train", "table", table, "--target", "kind", "--epochs", "20").splitlines()
    assert "classification of kind, 3 classes" in lines[0] and "test accuracy " in lines[1] and "macro F1 " in lines[1]
    assert lines[-1].startswith("test accuracy 0.9") or lines[-1] == "test accuracy 1.0000, macro F1 1.0000"


def test_a_seed_decides_the_run(garden, capsys):
    def run(seed):
        text = said(capsys, "train", "table", garden[0], "--target", "kind", "--epochs", "3", "--seed", seed)
        return [line.rsplit("  ", 1)[0] for line in text.splitlines()[1:]]

    assert run("0") == run("0") != run("1")


def test_evaluate_gives_the_figures_of_the_run(market, garden, capsys):
    for _, out in (market, garden):
        figures = json.loads(said(capsys, "evaluate", out, "--json"))
        trained = load_run(out)[1].description["trained"]
        for name, other in {
            "accuracy": "accuracy",
            "f1": "f1_macro",
            "r2": "r2",
            "error": "mean_absolute_error",
        }.items():
            assert (name in trained) == (other in figures)
            if name in trained:
                assert figures[other] == pytest.approx(trained[name], rel=1e-5)
        assert figures["samples"] == (60 if out == market[1] else 48)
    assert "iris" in said(capsys, "evaluate", garden[1]).splitlines()[-3]


def test_predict_agrees_with_evaluate(market, garden, tmp_path, capsys):
    table, out = market
    rows = list(csv.DictReader(said(capsys, "predict", out, table).splitlines()))
    errors = [abs(float(row["price"]) - float(row["predicted price"])) for row in rows]
    figures = json.loads(said(capsys, "evaluate", out, "--data", table, "--json"))
    assert len(rows) == figures["samples"] == 300
    assert np.mean(errors) == pytest.approx(figures["mean_absolute_error"], rel=1e-4)
    table, out = garden
    file = tmp_path / "answers.csv"
    assert "saved 241 lines" in said(capsys, "predict", out, table, "--out", str(file))
    rows = read(file)
    figures = json.loads(said(capsys, "evaluate", out, "--data", table, "--json"))
    right = np.mean([row["kind"] == row["predicted kind"] for row in rows])
    assert right == pytest.approx(figures["accuracy"]) and right > 0.95
    assert all(1 / 3 <= float(row["probability"]) <= 1 for row in rows)


def test_columns_are_found_by_their_names(market, tmp_path, capsys):
    table, out = market
    rows = [["x", "blue", "50", "100.5"], ["y", "red", "1", "30"]]
    mixed = write(tmp_path / "mixed.csv", ("note", "color", "age", "area"), rows)
    plain = write(tmp_path / "plain.csv", ("area", "age", "color"), [[r[3], r[2], r[1]] for r in rows])
    answers = [
        [row["predicted price"] for row in csv.DictReader(said(capsys, "predict", out, path).splitlines())]
        for path in (mixed, plain)
    ]
    assert answers[0] == answers[1] and len(answers[0]) == 2


# ---- mistakes ----


def test_rows_that_the_model_cannot_take_are_named(market, garden, tmp_path, capsys):
    path = tmp_path / "new.csv"

    def words(header, *rows):
        return refused(capsys, "predict", market[1], write(path, header, rows))

    assert "line 3, column 'color': 'pink' was not there in training; known: 'blue', 'green', 'red'" in words(
        ("area", "age", "color"), (1, 2, "red"), (1, 2, "pink")
    )
    assert "has no column 'age', which the model takes; it has area, color" in words(("area", "color"), (1, "red"))
    assert "line 2, column 'area': 'big' is no number" in words(("area", "age", "color"), ("big", 1, "red"))
    assert "line 2, column 'age': an empty cell" in words(("area", "age", "color"), (1, "", "red"))
    assert "line 2, column 'color': an empty cell" in words(("area", "age", "color"), (1, 2, ""))
    assert "'inf' is no number" in words(("area", "age", "color"), ("inf", 1, "red"))
    without = write(path, ("area", "age", "color"), [(1, 2, "red")])
    assert "no column 'price', the target" in refused(capsys, "evaluate", market[1], "--data", without)
    other = write(path, ("length", "width", "kind"), [(1, 2, "iris"), (3, 1, "daisy")])
    assert "line 3, column 'kind': 'daisy' was not there" in refused(capsys, "evaluate", garden[1], "--data", other)


def test_a_table_that_has_changed_since_is_not_tested_on(tmp_path, capsys):
    table, out = flowers(tmp_path / "flowers.csv"), str(tmp_path / "run")
    said(capsys, "train", "table", table, "--target", "kind", "--epochs", "1", "--out", out, "--quiet")
    with open(table, "a") as file:
        file.write("3.0,3.0,rose\n" * 5)
    assert "has changed since the run" in refused(capsys, "evaluate", out)
    assert "samples" in said(capsys, "evaluate", out, "--data", table)


@pytest.mark.parametrize(
    "header, rows, given, words",
    [
        (("a", "b"), [(1, 2)] * 9, ("--target", "c"), "has no column 'c', the target; it has a, b"),
        (("a", "b"), [(1, 2)] * 9, ("--target", "b", "--leave-out", "c"), "no column 'c', named in --leave-out"),
        (("a", "b"), [(1, 2)] * 9, ("--target", "b", "--leave-out", "a"), "no column beside the target 'b'"),
        (("a", "b"), [(1, 2)] * 9, ("--target", "b"), "the same target, '2': there is nothing to learn"),
        (("a", "b"), [(i, 2.5) for i in range(9)], ("--target", "b"), "the same target, 2.5: there is"),
        (("a", "b"), [(1, "x")] * 9 + [(1, "y")], ("--target", "b"), "line 11, column 'b': 'y' is there once"),
        (("a", "b"), [(i, i / 2) for i in range(3)], ("--target", "b"), "has 3 rows; expected at least 4"),
        (
            ("a", "b"),
            [(1, "x"), (2, "y")] * 9,
            ("--target", "b", "--kind", "regression"),
            "line 2, column 'b': 'x' is no",
        ),
        (
            ("a", "b"),
            [(i, i / 2) for i in range(9)] + [("1o", 3)],
            ("--target", "b"),
            "line 11, column 'a': '1o' is no nu",
        ),
        (("a", "b"), [(f"n{i}", i / 2) for i in range(50)], ("--target", "b"), "50 different texts in 50 rows"),
        (("a", "b"), [("", i / 2) for i in range(50)], ("--target", "b"), "the column 'a' of"),
        (("a;b",), [("1;2",), ("2;3",)], ("--target", "b"), "--delimiter ';'"),
        (("a", "b"), [(1, 2), (1, 2, 3)], ("--target", "b"), "line 3: the wrong number of cells"),
        (("a", "b"), [], ("--target", "b"), "a header and no rows"),
        (("a", "b"), [(1, 2)] * 9, ("--target", "b", "--delimiter", "ab"), "expected one character"),
        (("a", "b"), [(1, 2)] * 9, (), "needs --target"),
    ],
)
def test_every_mistake_is_one_sentence(header, rows, given, words, tmp_path, capsys):
    path = write(tmp_path / "t.csv", header, rows)
    assert words in refused(capsys, "train", "table", path, *given)


def test_what_is_no_table_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "- is none" in refused(capsys, "train", "table", "-", "--target", "a")
    assert "is a folder" in refused(capsys, "train", "table", ".", "--target", "a")
    assert "No such file" in refused(capsys, "train", "table", "no.csv", "--target", "a")
    (tmp_path / "latin.csv").write_bytes("a,b\n1,caf\xe9\n".encode("latin-1"))
    said = refused(capsys, "train", "table", "latin.csv", "--target", "a")
    assert "latin.csv is not text in utf-8" in said and "encoding=" not in said
    (tmp_path / "bare.csv").write_text("1,2\n3,4\n")
    said = refused(capsys, "train", "table", "bare.csv", "--target", "a")
    assert "bare.csv has no header line: it begins with numbers, 1, 2" in said and "names=" not in said


def test_other_delimiters(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("a\tb\n" + "".join(f"{i}\t{'xy'[i % 2]}\n" for i in range(20)))
    assert column_names(path, delimiter="\t") == ("a", "b")
    given = ("train", "table", str(path), "--target", "b", "--epochs", "1", "--quiet", "--delimiter", "\\t")
    assert "macro F1" in said(capsys, *given)
