"""Settings of a task: read from words and from TOML, written back, merged, compared."""

import tomllib

import pytest

from zkynet.train.tasks import TASKS, find
from zkynet.train.tasks.config import differences, kept, merged, options_of, read_settings, to_toml, toml_value
from zkynet.train.tasks.option import Choice, Flag, Many, Number, Option, Place, Whole, Word
from zkynet.train.tasks.task import TaskError

DIGITS = find("digits")


@pytest.mark.parametrize(
    "kind, text, value",
    [
        (Whole(1), "3", 3),
        (Whole(0, 7), " 7 ", 7),
        (Number(above=0), "1e-3", 1e-3),
        (Number(least=0, below=1), "0", 0.0),
        (Choice("mlp", "cnn", aliases={"fcn": "mlp"}), "fcn", "mlp"),
        (Word(), "a b", "a b"),
        (Many(Whole(1)), "128, 64", [128, 64]),
        (Many(Number()), "0.5", [0.5]),
        (Many(Word()), "", []),
    ],
)
def test_words_of_the_command_line(kind, text, value):
    found = kind.read(text)
    assert found == value and type(found) is type(value) and kind.accept(found) == value


@pytest.mark.parametrize(
    "kind, text",
    [
        (Whole(1), "0"),
        (Whole(1), "1.5"),
        (Whole(0, 7), "8"),
        (Number(above=0), "0"),
        (Number(above=0), "inf"),
        (Number(), "nan"),
        (Number(least=0, below=1), "1"),
        (Choice("mlp", "cnn"), "rnn"),
        (Word(), ""),
        (Many(Whole(1)), "3,x"),
        (Many(Whole(1), least=2), "3"),
    ],
)
def test_words_that_are_out_of_range(kind, text):
    with pytest.raises(ValueError, match="expected .*, got") as error:
        kind.read(text)
    assert repr(text) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "kind, value",
    [
        (Whole(1), "3"),
        (Whole(1), 3.0),
        (Whole(1), True),
        (Number(), "3"),
        (Number(), True),
        (Choice("a", "b"), 1),
        (Choice("a", "b"), ["a"]),
        (Word(), 3),
        (Flag(), 1),
        (Many(Whole(1)), 3),
        (Many(Whole(1)), [1, "2"]),
    ],
)
def test_values_of_a_file_have_to_be_of_the_kind(kind, value):
    with pytest.raises(ValueError, match="expected"):
        kind.accept(value)


def test_a_place_is_absolute_and_a_number_may_be_whole_in_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Place().read("x.csv") == str(tmp_path / "x.csv") and Number().accept(2) == 2.0


def test_the_help_says_the_default_once():
    assert Option("a", Whole(), 3, "so many").explained == "so many (default: 3)"
    assert Option("a", Number(), 1e-5, "rate").explained == "rate (default: 1e-05)"
    assert Option("a", Many(Whole()), [3, 4], "sizes").explained == "sizes (default: 3,4)"
    assert Option("a", Whole(), 3, "so many (default: three)").explained == "so many (default: three)"
    assert Option("a", Whole(), None, "so many").explained == "so many"
    assert Option("a", Flag(), False, "loud").explained == "loud"
    assert (Option("a_b", Whole(), 3, "").flag, Option("f", Place("FILE"), None, "", positional=True).flag) == (
        "--a-b",
        "FILE",
    )


VALUES = [
    True,
    False,
    0,
    -7,
    2**62,
    0.1,
    1e-300,
    1e22,
    3.0,
    float("inf"),
    "",
    'a "b" \\ \n\t\x00\x7f\x1b é 漢 😀',
    [],
    [1, 2],
]


@pytest.mark.parametrize("value", [*VALUES, [0.5, 1.0], ["a", "b'"], [[1], [2, 3]]], ids=repr)
def test_what_is_written_as_toml_is_read_back(value):
    found = tomllib.loads(f"x = {toml_value(value)}\n")["x"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("value", [None, {"a": 1}, object()])
def test_what_toml_cannot_hold(value):
    with pytest.raises(TypeError, match="plain data"):
        toml_value(value)


# ---- files ----


def write(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_command_line_beats_the_file_beats_the_defaults(tmp_path):
    file = read_settings(DIGITS, write(tmp_path, 'epochs = 7\nlr = 1\nmodel = "fcn"\n'))
    config = merged(DIGITS, {"epochs": 3}, file)
    assert (config["epochs"], config["lr"], config["model"], config["batch_size"]) == (3, 1.0, "mlp", 32)


def test_what_depends_on_other_settings_is_filled_in():
    assert merged(DIGITS, {})["lr"] == 2e-3 and merged(DIGITS, {"optimizer": "sgd"})["lr"] == 0.05
    assert merged(DIGITS, {})["backend"] == "numpy"


@pytest.mark.parametrize(
    "text, words",
    [
        ("epochs = ", "is no TOML file"),
        (b"\xff\xfe", "is no TOML file"),
        ("epocs = 3", "there is no setting 'epocs'; did you mean 'epochs'?"),
        ("batch-size = 3", "did you mean 'batch_size'?"),
        ("zzzzzz = 3", "known: model, optimizer"),
        ("[training]\nepochs = 3", "there is no setting 'training'"),
        ('epochs = "3"', "epochs: expected a whole number of at least 1, got '3'"),
        ("epochs = 0", "epochs: expected a whole number of at least 1, got 0"),
        ('task = "vae"', "holds settings of the task vae, not of digits"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(TaskError) as error:
        read_settings(DIGITS, path)
    assert words in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


def test_the_settings_that_are_kept_are_read_back(tmp_path):
    config = merged(DIGITS, {"out": "x", "quiet": True, "epochs": 3})
    text = to_toml(DIGITS, config)
    again = read_settings(DIGITS, write(tmp_path, text))
    assert again == kept(DIGITS, config) and tomllib.loads(text)["task"] == "digits"
    assert not {"out", "quiet", "checkpoint_every"} & set(again) and text.startswith("# zkynet ")


def test_differences_are_those_that_decide_numbers():
    old, new = merged(DIGITS, {}), merged(DIGITS, {"epochs": 3, "keep": 9, "out": "x", "lr": 0.5})
    found = differences(DIGITS, old, new)
    assert set(found) == {"epochs", "lr"} and found["lr"] == "lr is 0.002 there, not 0.5"


# ---- all tasks ----


@pytest.mark.parametrize("name", TASKS)
def test_a_task_declares_itself_well(name):
    task = find(name)
    assert task.name == name and task.help.strip() and f"zkynet train {name}" in task.examples
    names = [option.name for option in options_of(task)]
    assert len(names) == len(set(names)) and {"backend", "seed", "dtype", "epochs", "lr", "out"} <= set(names)
    for option in task.options:
        assert option.help and option.help[0] != " " and not option.help.endswith(".")
        if option.default is not None:
            assert option.kind.accept(option.default) == option.default
    longest = max(len(line) for text in (task.help, task.examples) for line in text.splitlines())
    assert longest <= 120
