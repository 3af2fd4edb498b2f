"""``zkynet train mnist``: IDX files and CSV tables, pictures and tables to predict, other data to evaluate on."""

import gzip
import json
import struct

import numpy as np
import pytest

from zkynet.cli import main
from zkynet.data import load_digits
from zkynet.train.tasks.mnist import centred


@pytest.fixture(scope="module", autouse=True)
def without_matplotlib():
    """It draws curves.png, tested elsewhere, and takes longer than these runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zkynet.train.curves.png", lambda *args: None)
        yield


def pictures(count, first=0):
    """Digits of the UCI set, three times as large, in pictures of 28 x 28; and their labels."""
    images, labels = (array[first : first + count] for array in load_digits())
    large = np.zeros((count, 28, 28), np.uint8)
    large[:, 2:26, 2:26] = np.round(255 * np.kron(images.reshape(-1, 8, 8), np.ones((3, 3))))
    return large, labels


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def table(path, images, labels=None):
    names = [f"pixel{i}" for i in range(images[0].size)]
    rows = images.reshape(len(images), -1)
    if labels is not None:
        names, rows = ["label", *names], np.column_stack([labels, rows])
    path.write_text("\n".join([",".join(names), *(",".join(map(str, row)) for row in rows.tolist())]) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnist")
    for part, (images, labels) in {"train": pictures(600), "t10k": pictures(100, 600)}.items():
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels.astype(np.uint8)))
    return folder


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    assert main(["train", "mnist", "--data", str(folder), "--batch-size", "50", "--out", str(run)]) == 0
    return run


def said(capsys, *arguments):
    capsys.readouterr()
    status = main([str(each) for each in arguments])
    return status, *capsys.readouterr()


def test_a_folder_of_idx_files(folder, run, capsys):
    accuracy = json.loads((run / "log.jsonl").read_text().splitlines()[-1])["accuracy"]
    assert accuracy > 0.85
    found = json.loads(said(capsys, "evaluate", run, "--json")[1])
    assert found["accuracy"] == accuracy and found["samples"] == 100
    assert json.loads(said(capsys, "evaluate", run, "--data", folder, "--json")[1]) == found


def test_a_table(tmp_path, capsys):
    path = table(tmp_path / "train.csv", *pictures(300))
    status, out, err = said(
        capsys, "train", "mnist", "--data", path, "--model", "cnn", "--epochs", 1, "--out", tmp_path
    )
    assert (status, err) == (0, "") and "convolutional network 16-32-64-128-10" in out
    assert json.loads(said(capsys, "evaluate", tmp_path, "--json")[1])["samples"] == pytest.approx(30, abs=3)
    assert json.loads(said(capsys, "evaluate", tmp_path, "--data", path, "--json")[1])["samples"] == 300


def test_labels_for_a_table_of_pixels(run, tmp_path, capsys):
    images, labels = pictures(50, 700)
    path = table(tmp_path / "test.csv", images)
    status, out, _ = said(capsys, "predict", run, path, "--out", tmp_path / "submission.csv")
    assert status == 0 and out == f"saved 51 lines in {tmp_path / 'submission.csv'}\n"
    head, *rows = (tmp_path / "submission.csv").read_text().splitlines()
    found = np.array([row.split(",") for row in rows], int)
    assert head == "ImageId,Label" and found[:, 0].tolist() == list(range(1, 51))
    assert np.mean(found[:, 1] == labels) > 0.8
    assert said(capsys, "predict", run, path)[1].splitlines() == [head, *rows]
    status, _, err = said(capsys, "predict", run, path, "--out", tmp_path / "no" / "such.csv")
    assert status == 1 and f"cannot write {tmp_path / 'no' / 'such.csv'}: there is no folder" in err


def test_the_digit_in_a_picture(run, tmp_path, capsys):
    Image = pytest.importorskip("PIL.Image", reason="pictures are read with Pillow")
    images, labels = pictures(3)
    for i, image in enumerate(images):
        Image.fromarray(255 - image).resize((90, 90)).save(tmp_path / f"{i}.png")
    status, out, _ = said(capsys, "predict", run, *(tmp_path / f"{i}.png" for i in range(3)))
    lines = out.splitlines()
    assert status == 0 and len(lines) == 12
    assert all(line.startswith(f"{tmp_path / f'{i}.png'}: label ") for i, line in enumerate(lines[::4]))
    assert sum(line.endswith(f"label {label}") for line, label in zip(lines[::4], labels, strict=True)) >= 2


@pytest.mark.parametrize("light", [False, True])
def test_a_digit_is_centred_by_its_mass_and_fills_twenty_points(light):
    picture = np.zeros((200, 300))
    picture[30:180, 50:60] = picture[30:50, 50:120] = 1
    found = centred(picture if light else 1 - picture, 28, 28)
    rows, columns = found.sum(axis=1), found.sum(axis=0)
    assert rows @ np.arange(28) / rows.sum() == pytest.approx(13.5, abs=0.1)
    assert columns @ np.arange(28) / columns.sum() == pytest.approx(13.5, abs=0.1)
    assert (rows > 0.01).sum() in (20, 21) and found.min() >= 0 and found.max() <= 1


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda path: path.write_text("label,a\n1,2\n"), "is no table of 28 x 28 images"),
        (lambda path: path.write_bytes(b"\xff\xfe\0"), ""),
        (lambda path: table(path, pictures(3)[0]), "has no column label"),
        (lambda path: path.mkdir(), "has no file train-images-idx3-ubyte"),
        (lambda path: None, "No such file"),
    ],
)
def test_data_that_cannot_be_used(tmp_path, capsys, make, words):
    path = tmp_path / "train.csv"
    make(path)
    status, out, err = said(capsys, "train", "mnist", "--data", path)
    assert status == 1 and out == "" and words in err and err.count("\n") == 1 and str(path) in err


def test_data_of_another_size(run, tmp_path, capsys):
    images = np.zeros((20, 10, 10), np.uint8)
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(20, dtype=np.uint8) // 2))
    status, _, err = said(capsys, "evaluate", run, "--data", tmp_path)
    assert status == 1 and "have 100 pixels; the model was trained on 28 x 28" in err
    assert said(capsys, "train", "mnist", "--data", tmp_path, "--epochs", 1, "--quiet")[0] == 0
