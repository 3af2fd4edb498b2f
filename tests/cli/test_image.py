"""``zkynet train image``: a picture comes into focus, is drawn at other sizes, and every mistake is one sentence."""

import importlib.util
import json

import numpy as np
import pytest

from zkynet.cli import main
from zkynet.train.callback import On
from zkynet.train.record import RunFolder
from zkynet.train.tasks import image
from zkynet.train.tasks.config import merged
from zkynet.train.tasks.run import load_run, run_task
from zkynet.visual import raster

pillow = pytest.importorskip("PIL.Image", reason="pictures are read with Pillow")

HEIGHT, WIDTH = 24, 36
SETTINGS = {"epochs": 30, "waves": 48, "hidden": [32], "pictures": 5}


def painted(height=HEIGHT, width=WIDTH):
    """A red disc on a sky that gets darker."""
    y, x = ((np.indices((height, width)) + 0.5) / height).astype("float32")
    sky = np.stack([0.3 + 0 * y, 0.6 - 0.4 * y, 0.9 - 0.5 * y], axis=-1)
    return np.where(((x - 0.75) ** 2 + (y - 0.5) ** 2 < 0.1)[..., None], np.float32([0.9, 0.2, 0.1]), sky)


@pytest.fixture(scope="module")
def painting(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "disc.png"
    path.write_bytes(raster.png(painted()))
    return path


def run(painting, folder, callbacks=(), resume=False, **settings):
    config = merged(image.TASK, {"file": str(painting), **SETTINGS, **settings})
    return run_task(image.TASK, config, folder=RunFolder(folder), callbacks=callbacks, resume=resume)


@pytest.fixture(scope="module")
def trained(painting, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, run(painting, folder)


def pixels_of(path):
    with pillow.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def distance(path, original):
    return np.mean(np.square(pixels_of(path) / 255 - original))


# ---- the run ----


def test_it_comes_into_focus(trained):
    folder, finished = trained
    steps = sorted(folder.glob("step-*.png"))
    batches = -(-HEIGHT * WIDTH // image.LEAST_BATCH)
    assert [int(path.stem[5:]) for path in steps] == image.moments(30 * batches, 5)
    errors = [distance(path, painted()) for path in steps]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.002 < 0.03 < errors[0]
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert len([line for line in lines if "psnr" in line]) == 30 and finished.history[-1]["psnr"] > 27
    original = raster.levels(painted()) / 255  # as the file holds it
    exact = -10 * np.log10(np.mean(np.square(finished.model.draw(HEIGHT, WIDTH) - original)))
    assert abs(exact - finished.history[-1]["psnr"]) < 1e-4
    assert finished.result == f"PSNR {finished.history[-1]['psnr']:.2f} dB"


def test_the_sheet_and_the_animation_hold_all_pictures(trained):
    folder, _ = trained
    steps = [pixels_of(path) for path in sorted(folder.glob("step-*.png"))]
    whole = pixels_of(folder / image.SHEET)
    cells = [
        whole[top : top + HEIGHT, left : left + WIDTH]
        for top in (4, 8 + HEIGHT)
        for left in range(4, 4 * (WIDTH + 4), WIDTH + 4)
    ]
    for cell, step in zip(cells, [*steps, raster.levels(painted())], strict=False):
        assert np.array_equal(cell, step)
    with pillow.open(folder / image.ANIMATION) as moving:
        assert moving.n_frames == len(steps) == 5
        for i, step in enumerate(steps):
            moving.seek(i)
            assert np.array_equal(np.asarray(moving.convert("RGB")), step)


def test_a_run_that_was_cut_off_goes_on_to_the_same_pictures(trained, painting, tmp_path):
    class PowerCutError(Exception):
        pass

    def cut(run):
        if run.step == 100:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        run(painting, tmp_path, callbacks=[On(step_end=cut)])
    assert not (tmp_path / image.SHEET).exists()
    run(painting, tmp_path, resume=True)
    names = [image.SHEET, image.ANIMATION, *(path.name for path in trained[0].glob("step-*.png"))]
    for name in names:
        assert (tmp_path / name).read_bytes() == (trained[0] / name).read_bytes()


def test_a_new_run_clears_the_pictures_of_an_older_one(painting, tmp_path):
    mine = tmp_path / "step-by-step.png"
    for name in (mine.name, "step-9999.png", image.SHEET):
        (tmp_path / name).write_bytes(b"old")
    run(painting, tmp_path, epochs=1, pictures=2)
    assert mine.read_bytes() == b"old" and len(list(tmp_path.glob("step-*.png"))) == 3
    assert pixels_of(tmp_path / image.SHEET).shape == (HEIGHT + 8, 4 * (WIDTH + 4) + 4, 3)


@pytest.mark.parametrize("steps, count", [(1720, 11), (7, 11), (1, 2), (1, 1), (100, 1), (100, 2), (50, 3), (1, 30)])
def test_the_moments_of_pictures(steps, count):
    found = image.moments(steps, count)
    assert found == sorted(set(found)) and found[-1] == steps and len(found) <= max(count, 1)
    assert found[0] == (0 if count > 1 else steps)
    if steps > 1000:
        assert len(found) == count
        ratios = np.array(found[2:]) / found[1:-1]
        assert ratios.max() < 1.15 * ratios.min()


def test_small_pictures_have_small_batches(trained, painting):
    plan = image.prepare(merged(image.TASK, {"file": str(painting), "size": 12}))
    assert plan.train.batch_size == image.LEAST_BATCH and plan.train.samples == 8 * 12
    assert plan.description["picture"] == [8, 12] and "12 x 8 pixels" in plan.headline
    given = image.prepare(merged(image.TASK, {"file": str(painting), "batch_size": 7, "dtype": "float64"}))
    assert given.train.batch_size == 7 and given.train.arrays[1].dtype == np.float64
    assert len(given.train.arrays[1]) == HEIGHT * WIDTH  # no picture is scaled up


# ---- what is done with a run ----


def test_it_is_drawn_at_another_size(trained, capsys):
    folder, _ = trained
    assert main(["predict", str(folder), "--size", "72"]) == 0
    path = folder / "drawn-72.png"
    assert f"drawn in {path}: 72 x 48 pixels, of a picture learnt in 36 x 24" in capsys.readouterr().out
    assert pixels_of(path).shape == (48, 72, 3) and distance(path, painted(48, 72)) < 0.004
    out = folder.parent / "other.png"
    assert main(["predict", str(folder), "--size", "36", "--out", str(out)]) == 0
    assert np.array_equal(pixels_of(out), pixels_of(sorted(folder.glob("step-*.png"))[-1]))


def test_it_is_not_drawn_into_a_folder_that_is_not_there(trained, tmp_path, capsys):
    assert main(["predict", str(trained[0]), "--size", "36", "--out", str(tmp_path / "no" / "x.png")]) == 1
    said = capsys.readouterr().err
    assert f"there is no folder {tmp_path / 'no'}" in said and len(said.splitlines()) == 1


def test_it_is_compared_with_a_picture(trained, painting):
    folder, finished = trained
    task, saved = load_run(folder)
    found = task.evaluate(saved, None).figures
    assert np.isclose(found["psnr"], finished.history[-1]["psnr"], rtol=1e-6)
    assert np.isclose(found["mean_squared_error"], 10 ** (-found["psnr"] / 10))
    assert task.evaluate(saved, str(painting)).figures == found
    upright = folder.parent / "upright.png"
    upright.write_bytes(raster.png(painted().transpose(1, 0, 2)))
    with pytest.raises(ValueError, match="24 x 36 when it is scaled, expected 36 x 24"):
        task.evaluate(saved, str(upright))


def test_psnr():
    x = np.full((3, 4, 3), 0.5)
    assert np.isclose(image.psnr(x + 0.1, x), 20.0) and image.psnr(x, x) == np.inf


# ---- without a file, and mistakes ----


def test_the_picture_is_a_flower_unless_given(monkeypatch, tmp_path, capsys):
    pytest.importorskip("sklearn", reason="the flower comes with scikit-learn")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "image", "--size", "16", "--epochs", "1"]) == 0
    said = capsys.readouterr().out
    assert "flower.jpg, 16 x 11 pixels" in said and "saved in image-run" in said and "PSNR" in said.splitlines()[-1]
    assert (tmp_path / "image-run" / image.SHEET).is_file()


def test_without_the_flower_it_says_what_to_do(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "sklearn" else find(name, *a))
    assert main(["train", "image"]) == 1
    said = capsys.readouterr().err
    assert "give a picture: zkynet train image FILE, or pip install scikit-learn" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("name, words", [("none.png", "none.png"), ("text.png", "no picture"), (".", "directory")])
def test_a_file_that_is_no_picture_is_one_sentence(name, words, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("not a picture")
    assert main(["train", "image", name]) == 1
    said = capsys.readouterr().err
    assert words in said and len(said.splitlines()) == 1 and "Traceback" not in said


def test_predict_takes_no_picture(trained, capsys):
    assert main(["predict", str(trained[0]), "some.png"]) == 1
    assert "has learnt one picture and takes none" in capsys.readouterr().err
    task, saved = load_run(trained[0])
    with pytest.raises(ValueError, match="--size 9000: expected 1 to 8192"):
        list(task.predict(saved, [], {"size": 9000, "out": None}))
