"""``zkynet train autoencoder`` and ``vae``: they do better than PCA, draw, and say what is wrong."""

import json

import numpy as np
import pytest

from zkynet.cli import main
from zkynet.train.digits import split_digits
from zkynet.train.record import RunFolder
from zkynet.train.tasks import autoencoder, find
from zkynet.train.tasks.config import merged
from zkynet.train.tasks.run import load_run, run_task
from zkynet.visual import raster

(TRAIN, _), (TEST, LABELS) = split_digits("float64")


def run(name, folder, **settings):
    task = find(name)
    return run_task(task, merged(task, settings), folder=None if folder is None else RunFolder(folder))


@pytest.fixture(scope="module")
def squeezed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("autoencoder")
    return folder, run("autoencoder", folder, epochs=20)


@pytest.fixture(scope="module")
def painter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vae")
    return folder, run("vae", folder, epochs=20)


def principal_error(count):
    """The mean squared error of the test digits by PCA with ``count`` components of the training digits."""
    middle = TRAIN.mean(axis=0)
    axes = np.linalg.svd(TRAIN - middle, full_matrices=False)[2][:count]
    return np.mean(np.square((TEST - middle) @ axes.T @ axes + middle - TEST))


def size_of(path):
    """Width and height of a PNG file."""
    content = path.read_bytes()
    return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])


# ---- the autoencoder ----


def test_it_is_better_than_pca_with_as_many_numbers(squeezed):
    folder, finished = squeezed
    x = TEST.astype("float32")
    error = np.mean(np.square(autoencoder.reconstructed(finished.model, x) - x))
    assert error < 0.9 * principal_error(8)
    last = finished.history[-1]
    assert np.isclose(last["validation_loss"], error, rtol=1e-5)
    assert finished.result == f"test error {error:.4f} (PCA with 8 numbers: {principal_error(8):.4f})"
    assert finished.model.encode(x[:3]).shape == (3, 8)


def test_the_error_of_pca():
    for count in (1, 8, 63):
        assert np.isclose(autoencoder.pca_error(TRAIN, TEST, count), principal_error(count), rtol=1e-6)
    assert autoencoder.pca_error(TRAIN, TEST, 100) < 1e-20


def test_its_sheet_has_every_digit_twice(squeezed):
    folder, _ = squeezed
    assert size_of(folder / "reconstructions.png") == (10 * 54 + 6, 4 * 54 + 6)  # 8 pixels, 6 x 6 each, and a gap


def test_a_saved_run_is_tested(squeezed, capsys):
    folder, finished = squeezed
    assert main(["evaluate", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"{finished.history[-1]['validation_loss']:.4f}" in said and f"{principal_error(8):.4f}" in said


def test_a_picture_has_a_code(squeezed, tmp_path, capsys):
    pytest.importorskip("PIL.Image", reason="pictures are read with Pillow")
    paths = []
    for i in range(2):
        paths.append(str(tmp_path / f"{i}.png"))
        enlarged = np.repeat(np.repeat(1 - TEST[i].reshape(8, 8), 8, axis=0), 8, axis=1)
        (tmp_path / f"{i}.png").write_bytes(raster.png(np.pad(enlarged, 6, constant_values=1)))
    out = tmp_path / "both.png"
    assert main(["predict", str(squeezed[0]), *paths, "--out", str(out)]) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{paths[0]}: code ") and second.startswith(f"{paths[1]}: code ")
    assert len(first.split("code ")[1].split(";")[0].split()) == 8 and float(first.split("error ")[1]) < 0.05
    assert last.startswith(f"drawn in {out}") and size_of(out) == (2 * 54 + 6, 2 * 54 + 6)


def test_an_autoencoder_invents_nothing(squeezed, capsys):
    assert main(["generate", str(squeezed[0])]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


# ---- the variational autoencoder ----


def test_the_bound_is_told_in_its_parts(painter):
    folder, finished = painter
    first, last = finished.history[0], finished.history[-1]
    for figures in finished.history:
        assert np.isclose(figures["elbo"], -(figures["misfit"] + figures["kl"]), rtol=1e-9)
    share = np.clip(TRAIN.mean(axis=0), 1e-6, 1 - 1e-6)  # the best that can be said of a digit without looking at it
    blind = np.mean(np.sum(TEST * np.log(share) + (1 - TEST) * np.log(1 - share), axis=1))
    assert last["elbo"] > blind + 1.5 and last["elbo"] > first["elbo"] and last["kl"] > 1
    assert finished.result.startswith(f"test ELBO {last['elbo']:.3f} nats a picture: misfit {last['misfit']:.3f}, KL")
    logged = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["kl"] for line in logged if "kl" in line] == [figures["kl"] for figures in finished.history]


def test_the_parts_are_those_of_the_formula(painter):
    model, x = painter[1].model, TEST[:40].astype("float32")
    found = autoencoder.elbo_parts(model, x)
    mean, log_variance = (each.value.astype("float64") for each in model.encode(x))
    assert np.isclose(found["kl"], np.mean(np.sum(mean**2 + np.exp(log_variance) - log_variance - 1, axis=1)) / 2)
    noise, misfits = np.random.default_rng(0), []
    for _ in range(300):
        z = mean + np.exp(log_variance / 2) * noise.standard_normal(mean.shape)
        y = model.decode(z.astype("float32")).value.astype("float64")
        misfits.append(np.mean(np.sum(np.logaddexp(0, y) - x * y, axis=1)))
    assert abs(found["misfit"] - np.mean(misfits)) < 5 * np.std(misfits)  # one draw of the same
    every = TEST.astype("float32")  # without a draw, at the mean, a drawing fits better
    assert autoencoder.elbo_parts(model, every)["misfit"] > model.parts(every)[0].item() + 0.1
    assert found == autoencoder.elbo_parts(model, x)


def test_beta_weighs_the_divergence(painter):
    model, x = painter[1].model, TEST[:40].astype("float32")
    misfit, kl = (each.item() for each in model.parts(x))
    assert np.isclose(autoencoder.bound(model, x, 1.0).item(), misfit + kl, rtol=1e-6)
    assert np.isclose(autoencoder.bound(model, x, 0.25).item(), misfit + kl / 4, rtol=1e-6)
    free, bound = (run("vae", None, epochs=4, beta=beta).history[-1]["kl"] for beta in (0.1, 4.0))
    assert free > 2 * bound


def test_its_drawings_are_better_than_pca_and_its_samples_look_like_digits(painter):
    model, x = painter[1].model, TEST.astype("float32")
    assert np.mean(np.square(autoencoder.reconstructed(model, x) - x)) < 0.85 * principal_error(2)
    samples = model.sample(100, 3).value

    def distances(pictures):  # to the nearest test digit
        return np.mean([np.min(np.sum(np.square(TEST - picture), axis=1)) for picture in pictures])

    pixels = np.random.default_rng(0).integers(0, len(TRAIN), (100, 64))
    assert distances(samples) < 0.5 * distances(TRAIN[pixels, np.arange(64)])  # each pixel of another digit
    assert distances(samples) < 0.8 * distances(np.repeat(TRAIN.mean(axis=0)[None], 100, axis=0))


def test_its_sheets(painter, tmp_path):
    side = autoencoder.GRID * 54 + 6
    assert size_of(painter[0] / "samples.png") == size_of(painter[0] / "plane.png") == (side, side)
    drawn = autoencoder.plane(painter[1].model, "float32", 3).reshape(3, 3, 64)
    codes = np.array([[-1, 1], [1, 1], [0, 0], [1, -1]]) * 0.9674215661017014  # the normal distribution's 5/6
    expected = 1 / (1 + np.exp(-painter[1].model.decode(codes.astype("float32")).value))
    assert np.allclose(drawn[[0, 0, 1, 2], [0, 2, 1, 2]], expected, atol=1e-6)
    run("vae", tmp_path, epochs=1, latent=3)
    assert (tmp_path / "samples.png").is_file() and not (tmp_path / "plane.png").exists()


def test_it_draws_new_pictures(painter, tmp_path, capsys):
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for path, seed in zip(paths, ("5", "5", "6"), strict=True):
        arguments = ["generate", str(painter[0]), "--count", "7", "--seed", seed, "--out", str(path)]
        assert main(arguments) == 0
    assert f"drawn in {paths[0]}: 7 new pictures" in capsys.readouterr().out
    first, same, other = (path.read_bytes() for path in paths)
    assert first == same != other and size_of(paths[0]) == (3 * 54 + 6, 3 * 54 + 6)
    assert main(["generate", str(painter[0]), "--prompt", "3"]) == 1
    assert "--prompt is for models that write" in capsys.readouterr().err


# ---- MNIST ----


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4) for n in array.shape)
    path.write_bytes(header + array.astype("uint8").tobytes())


@pytest.fixture
def mnist(tmp_path):
    """A folder in the form of MNIST, with pictures of 12 x 12 pixels: bars that stand at ten places."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name, count in (("train", 400), ("t10k", 50)):
        labels = np.arange(count) % 10
        bars = 255 * (np.arange(12) // 2 == labels[:, None] // 2)[:, None] * np.ones((1, 12, 1), int)
        bars[labels % 2 == 1, 6:] = 0
        write_idx(folder / f"{name}-images-idx3-ubyte", bars)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    return folder


def test_pictures_in_the_form_of_mnist(mnist, tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ["--data", str(mnist), "--out", str(out), "--hidden", "32", "--latent", "3", "--epochs", "40"]
    assert main(["train", "autoencoder", *arguments, "--batch-size", "20"]) == 0
    said = capsys.readouterr().out
    assert "400 pictures of 12 x 12 pixels, network 144-32-3-32-144" in said
    error, linear = (float(word.strip("():")) for word in np.array(said.splitlines()[-1].split())[[2, -1]])
    assert error < 0.5 * linear
    assert size_of(out / "reconstructions.png") == (10 * 52 + 4, 4 * 52 + 4)
    assert main(["evaluate", str(out)]) == 0
    assert f"{error:.4f}" in capsys.readouterr().out
    pytest.importorskip("PIL.Image", reason="pictures are read with Pillow")
    picture = np.ones((40, 40))
    picture[8:32, 18:22] = 0
    (tmp_path / "bar.png").write_bytes(raster.png(picture))
    assert main(["predict", str(out), str(tmp_path / "bar.png")]) == 0
    assert size_of(out / "predicted.png") == (52 + 4, 2 * 52 + 4)


# ---- settings ----


def test_defaults_depend_on_the_data(tmp_path):
    for name, epochs in (("autoencoder", 60), ("vae", 100)):
        config = merged(find(name), {})
        assert (config["epochs"], config["batch_size"], config["out"]) == (epochs, 32, f"{name}-run")
        config = merged(find(name), {"data": str(tmp_path), "epochs": 3})
        assert (config["epochs"], config["batch_size"]) == (3, 128)


def test_a_run_of_other_pictures_is_refused(squeezed):
    task, saved = load_run(squeezed[0])
    smaller = saved._replace(description={**saved.description, "picture": [4, 4]})
    with pytest.raises(ValueError, match="8 x 8 pixels, the model takes 4 x 4"):
        task.evaluate(smaller, None)
    unknown = saved._replace(description={**saved.description, "data": "mnist"})
    with pytest.raises(ValueError, match="the settings of the run are gone"):
        task.evaluate(unknown, None)


@pytest.mark.parametrize("arguments", [["--latent", "0"], ["--hidden", "a"], ["--data", "nowhere"]])
def test_a_mistake_is_one_sentence(arguments, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "vae", *arguments]) in (1, 2)
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "Traceback" not in said and arguments[1] in said


def test_a_network_that_has_diverged_says_so(squeezed, tmp_path):
    model, x = squeezed[1].model, TEST[:10].astype("float32")
    broken = find("autoencoder").model(load_run(squeezed[0])[1].description)
    for parameter in broken.parameters():
        parameter.value = parameter.value * np.float32("nan")
    pictures = autoencoder.Pictures(x, x, np.arange(10), (8, 8))
    with pytest.raises(ValueError, match="draws NaN.*smaller --lr"):
        autoencoder.finish(tmp_path, broken, pictures)
    assert autoencoder.finish(tmp_path, model, pictures) == ["reconstructions.png"]
