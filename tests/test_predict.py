"""``zkynet predict``: pictures are read, digits found in them, and every mistake is one sentence."""

import sys

import numpy as np
import pytest

from zkynet.cli import main
from zkynet.data import PictureError, digit_of_picture, read_picture
from zkynet.train.digits import load_digits_model, split_digits, train_digits

Image = pytest.importorskip("PIL.Image", reason="pictures are read with Pillow")
ImageDraw = pytest.importorskip("PIL.ImageDraw", reason="pictures are read with Pillow")
ImageFont = pytest.importorskip("PIL.ImageFont", reason="pictures are read with Pillow")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train_digits(model="cnn", epochs=6, out=folder)
    return folder


def named(model, digits):
    return model(np.asarray(digits, "float32")).value.argmax(axis=-1)


def gray(digit):
    """A digit of the data set as 8-bit gray, dark on light."""
    return np.round(255 * (1 - digit.reshape(8, 8))).astype(np.uint8)


def enlarged(digit, size, smooth, margin):
    kind = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    picture = Image.fromarray(gray(digit)).resize((size, size), kind)
    return np.pad(np.asarray(picture) / 255, margin, constant_values=1)


# ---- the digit in a picture ----


@pytest.mark.parametrize(
    "size, smooth, margin",
    [(8, False, 0), (8, False, 1), (19, True, 0), (28, False, 5), (100, True, 0), (100, True, ((10, 90), (60, 3)))],
)
def test_enlarged_test_digits_are_named_as_the_originals(trained, size, smooth, margin):
    model, (images, _) = load_digits_model(trained), split_digits()[1]
    images = images[:: 1 if size < 20 else 3]
    expected = named(model, images)
    dark = [digit_of_picture(enlarged(digit, size, smooth, margin)) for digit in images]
    light = [digit_of_picture(1 - enlarged(digit, size, smooth, margin)) for digit in images]
    assert np.mean(named(model, dark) == expected) >= 0.95
    assert np.mean(named(model, light) == expected) >= 0.95


def drawn(digit, size=120, ink=0, paper=255):
    """A digit in Pillow's own font."""
    picture = Image.new("L", (size, size), paper)
    draw = ImageDraw.Draw(picture)
    draw.text((size * 0.3, size * 0.1), str(digit), font=ImageFont.load_default(size=0.7 * size), fill=ink)
    return np.asarray(picture) / 255


def test_a_digit_fills_the_height_and_stands_in_the_middle():
    for digit in range(10):
        found = digit_of_picture(drawn(digit)).reshape(8, 8)
        assert found.max(axis=1).min() > 0.25 and found[:, 0].max() < 0.6
        assert abs(found.sum(axis=0) @ (np.arange(8) + 0.5) / found.sum() - 4) < 0.15
        assert 0.2 < found.mean() < 0.4 and found.min() >= 0 and found.max() <= 1
        assert found.max(axis=0)[[0, 7]].max() < found.max(axis=0)[3:5].max()


def test_size_polarity_contrast_and_place_do_not_matter():
    original = digit_of_picture(drawn(5, 400))
    assert np.abs(digit_of_picture(drawn(5, 400, ink=200, paper=90)) - original).max() < 0.02
    assert np.abs(digit_of_picture(np.roll(drawn(5, 400), (20, -60), (0, 1))) - original).max() < 1e-6
    assert np.abs(digit_of_picture(drawn(5, 100)) - original).mean() < 0.03


def test_thin_lines_become_usual_strokes():
    picture = np.ones((300, 300))
    picture[50:250, 149:151] = 0  # a line of two points: a one
    found = digit_of_picture(picture).reshape(8, 8)
    assert found[:, 3:5].mean() > 0.9 and found.mean() == pytest.approx(0.305, abs=0.05)


def test_what_is_wider_than_high_fills_the_width():
    picture = np.ones((50, 90))
    picture[20:30, 10:80] = 0
    found = digit_of_picture(picture).reshape(8, 8)
    assert found[3:5].min() > 0.4 and found[0].max() == found[7].max() == 0


@pytest.mark.parametrize("picture", [np.ones((20, 20)), np.zeros((1, 1)), np.full((3, 9), 0.5) + 0.01 * np.eye(3, 9)])
def test_a_picture_without_ink(picture):
    with pytest.raises(PictureError, match="no ink"):
        digit_of_picture(picture)


@pytest.mark.parametrize("shape", [(0, 3), (4, 4, 3), (5,)])
def test_an_array_that_is_no_picture(shape):
    with pytest.raises(PictureError, match="pixels in rows"):
        digit_of_picture(np.zeros(shape))


# ---- reading files ----

BASE = Image.fromarray(gray(split_digits()[1][0][0])).resize((40, 40))


def with_alpha(paper, ink):
    """The digit as the transparency of one colour."""
    picture = Image.new("RGBA", BASE.size, (*paper, 0))
    picture.paste(Image.new("RGBA", BASE.size, (*ink, 255)), mask=Image.eval(BASE, lambda x: 255 - x))
    return picture


@pytest.mark.parametrize(
    "picture, light",
    [
        (BASE, False),
        (BASE.convert("1"), False),
        (BASE.convert("RGB"), False),
        (BASE.convert("RGBA"), False),
        (BASE.convert("LA"), False),
        (BASE.convert("P"), False),
        (BASE.convert("RGB").quantize(4), False),
        (Image.fromarray(np.asarray(BASE).astype(np.uint16) * 257), False),
        (Image.eval(BASE, lambda x: 255 - x), True),
        (with_alpha((0, 0, 0), (0, 0, 0)), False),
        (with_alpha((255, 255, 255), (255, 255, 255)), True),
    ],
    ids=[
        "gray",
        "bits",
        "rgb",
        "rgba",
        "gray-alpha",
        "palette",
        "four-colours",
        "16-bit",
        "light",
        "black-on-clear",
        "white-on-clear",
    ],
)
def test_every_kind_of_png(tmp_path, picture, light):
    picture.save(tmp_path / "x.png")
    found = read_picture(tmp_path / "x.png")
    assert found.shape == (40, 40) and found.dtype == "float64" and found.min() >= 0 and found.max() <= 1
    assert (np.median(found) < 0.5) == light
    tolerance = 0.35 if picture.mode == "1" else 0.15
    assert np.abs(digit_of_picture(found) - digit_of_picture(np.asarray(BASE) / 255)).max() < tolerance


def test_other_formats_and_a_large_picture(tmp_path):
    expected = digit_of_picture(np.asarray(BASE) / 255)
    BASE.convert("CMYK").save(tmp_path / "x.jpg", quality=95)
    BASE.resize((3000, 5000)).resize((5000, 5000)).save(tmp_path / "x.png")
    for name in ("x.jpg", "x.png"):
        assert np.abs(digit_of_picture(read_picture(tmp_path / name)) - expected).mean() < 0.05
    assert read_picture(tmp_path / "x.png").shape == (2500, 2500)


def test_a_picture_with_far_too_many_pixels(tmp_path, monkeypatch):
    BASE.save(tmp_path / "x.png")
    for most in (1000, 100):  # Pillow warns above the limit and refuses above twice of it
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(PictureError, match="too large"):
            read_picture(tmp_path / "x.png")


# ---- the command ----


def predict(capsys, *arguments):
    status = main(["predict", *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.mark.parametrize("digit", [2, 3, 4, 7])
def test_predict_names_the_digit(trained, tmp_path, capsys, digit):
    Image.fromarray(np.uint8(255 * drawn(digit))).save(tmp_path / "x.png")
    status, out, err = predict(capsys, trained, tmp_path / "x.png")
    first, *rows = out.splitlines()
    assert status == 0 and err == "" and first == f"digit {digit}" and len(rows) == 3
    names, probabilities = zip(*[row.split() for row in rows], strict=True)
    assert names[0] == str(digit) and len(set(names)) == 3
    assert 1 >= float(probabilities[0]) >= float(probabilities[1]) >= float(probabilities[2]) >= 0


def test_the_probabilities_are_the_models(trained, tmp_path, capsys):
    Image.fromarray(gray(split_digits()[1][0][5])).save(tmp_path / "x.png")
    logits = load_digits_model(trained)(digit_of_picture(read_picture(tmp_path / "x.png"))[None]).value[0]
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    _, out, _ = predict(capsys, trained, tmp_path / "x.png")
    for row in out.splitlines()[1:]:
        name, probability = row.split()
        assert float(probability) == pytest.approx(expected[int(name)], abs=1e-4)


def damaged(path):
    BASE.save(path)
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "cannot read"),
        (lambda path: path.write_text("hello"), "is no picture: neither PNG"),
        (damaged, "is a damaged picture"),
        (lambda path: Image.new("RGB", (30, 30), (9, 99, 199)).save(path), "there is no ink in the picture"),
    ],
)
def test_a_picture_that_cannot_be_used(trained, tmp_path, capsys, make, words):
    make(tmp_path / "x.png")
    status, out, err = predict(capsys, trained, tmp_path / "x.png")
    assert status == 1 and out == "" and words in err and err.count("\n") == 1 and err.startswith("zkynet: error: ")


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda path: None, "there is no folder"),
        (lambda path: path.mkdir(), "has no model.safetensors; to train a model: zkynet train TASK --out"),
        (lambda path: (path.mkdir(), (path / "model.safetensors").write_bytes(b"x" * 99)), "no safetensors file"),
    ],
)
def test_a_folder_without_a_model(tmp_path, capsys, make, words):
    make(tmp_path / "run")
    BASE.save(tmp_path / "x.png")
    status, out, err = predict(capsys, tmp_path / "run", tmp_path / "x.png")
    assert status == 1 and out == "" and words in err and err.count("\n") == 1


def test_without_pillow_it_says_how_to_get_it(trained, tmp_path, capsys, monkeypatch):
    BASE.save(tmp_path / "x.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    status, out, err = predict(capsys, trained, tmp_path / "x.png")
    assert status == 1 and out == "" and "pip install pillow" in err and err.count("\n") == 1
