"""``zkynet train text`` and ``generate``: what it learns, how it writes on, and one sentence for every mistake."""

import itertools
import json
import math

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet import models
from zkynet.cli import main
from zkynet.train import Trainer
from zkynet.train.tasks import find, text
from zkynet.train.tasks.config import merged
from zkynet.train.tasks.pace import Pace, PacedCosine
from zkynet.train.tasks.run import load_run
from zkynet.train.tasks.text import Windows, parts, pydoc_text

LINES = "".join(f"{number} green bottles hanging on the wall,\n" for number in range(100, 0, -1))
SMALL = ("--length", "16", "--size", "16", "--layers", "1", "--heads", "2", "--batch-size", "8")


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "song.txt"
    path.write_text(LINES, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    """The folder of a run that has learnt the song."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "song.txt").write_text(LINES, encoding="utf-8")
    song, out = str(folder / "song.txt"), str(folder / "run")
    assert main(["train", "text", song, *SMALL, "--size", "32", "--epochs", "2", "--quiet", "--out", out]) == 0
    return out


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


def plan(song, **given):
    settings = {"length": 16, "size": 16, "layers": 1, "heads": 2, "batch_size": 8, "sample": 0, "epochs": 2}
    task = find("text")
    return task.prepare(merged(task, {"file": song, **settings, **given}))


# ---- what it is trained on ----


def test_a_window_lies_in_its_part_and_is_drawn_anew():
    ids = np.arange(100) + 1000
    windows = Windows(ids, 8, 5)
    seen = set()
    for seed in range(200):
        x, y = windows((np.array([0, 2, 4]),), np.random.default_rng(seed))
        assert x.shape == y.shape == (3, 8) and np.array_equal(x + 1, y)
        starts = x[:, 0] - 1000
        for start, part in zip(starts, (0, 2, 4), strict=True):
            assert part * 92 // 5 <= start < (part + 1) * 92 // 5
        seen.update(starts.tolist())
    assert min(seen) == 0 and max(seen) == 91  # y of the last window is the last token
    assert len(seen) == 18 + 19 + 19


def test_a_short_text_has_windows_that_overlap():
    x, y = Windows(np.arange(12), 10, 6)((np.arange(6),), np.random.default_rng(0))
    assert x.shape == (6, 10) and x.max() <= 10 and y.max() <= 11 and np.array_equal(x + 1, y)


def test_the_last_tenth_is_held_out(song):
    train, held = parts(np.arange(1000), 64)
    assert np.array_equal(train, np.arange(900)) and np.array_equal(held, np.arange(900, 1000))
    made = plan(song)
    first = "".join(made.description["characters"][i] for i in next(iter(made.validation))[0][0])
    assert first == LINES[len(LINES) - round(0.1 * len(LINES)) :][:16]
    highest = max(int(each[0].max()) for each in made.train)
    assert highest < len(made.description["characters"]) and len(made.train) == 100


def test_the_help_texts_of_python_are_one_text():
    from pydoc_data.topics import topics

    joined = pydoc_text()
    assert len(joined) == sum(map(len, topics.values())) + len(topics) - 1 > 300_000
    assert joined.startswith(next(iter(topics.values())) + "\n")


def test_a_seed_decides_the_run_and_a_resumed_one_is_the_same(song, tmp_path, monkeypatch):
    monkeypatch.setattr(text, "STEPS", (10, 1000))

    def run(stop_at=None, **given):
        made = plan(song, dropout=0.1, **given)
        folder = None if stop_at is None else tmp_path / "run"
        stopping = zk.train.On(step_end=lambda run: run.stop("here") if run.step == stop_at else None)
        trainer = Trainer(made.model, made.loss, made.optimizer, callbacks=[*made.callbacks, stopping], folder=folder)
        history = trainer.fit(made.train, made.validation, epochs=2, resume=bool(trainer.saved))
        return [figures["validation_loss"] for figures in history]

    whole = run()
    assert run() == whole != run(seed=1)
    assert len(run(stop_at=40)) == 1
    assert run(stop_at=-1) == whole


def test_settings_that_are_not_given_follow_from_others(song):
    def settings(**given):
        found = merged(find("text"), {"file": song, **given})
        return [found[name] for name in ("size", "layers", "lr", "epochs")]

    assert settings() == [128, 5, 1e-2, 10] and settings(minutes=1.0) == [128, 5, 1e-2, 1000]
    assert settings(model="lstm", epochs=3, size=64) == [64, 2, 2e-2, 3]
    assert settings(optimizer="adamw") == [128, 5, 3e-3, 10] and settings(optimizer="adamw", lr=1.0)[2] == 1.0


# ---- how far it is ----


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Run:
    """What Pace reads of a Trainer."""

    step, stopped = 0, None

    def stop(self, reason, finish_epoch=False):
        self.stopped = (reason, finish_epoch)


def test_a_pace_follows_the_steps_or_the_time_and_ends_with_the_minutes():
    clock, run = Clock(), Run()
    pace = Pace(100, 1.0, clock)
    pace.on_run_start(run)
    run.step, clock.now = 25, 106.0
    pace.on_step_start(run)
    assert pace.share == 0.25
    clock.now = 130.0
    pace.on_step_start(run)
    assert pace.share == 0.5
    pace.on_step_end(run)
    assert run.stopped is None
    clock.now = 161.0
    pace.on_step_end(run)
    assert run.stopped == ("the 1 minutes are over", True)
    pace.on_step_start(run)
    assert pace.share == 1.0


def test_a_resumed_pace_goes_on_where_it_was():
    clock, run = Clock(), Run()
    first = Pace(1000, 1.0, clock)
    first.on_run_start(run)
    clock.now, run.step = 145.0, 10
    first.on_step_end(run)
    second = Pace(1000, 1.0, clock)
    clock.now = 900.0
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    second.on_run_start(run)
    second.on_step_start(run)
    assert second.share == 0.75 and run.stopped is None
    clock.now = 915.0
    second.on_step_end(run)
    assert run.stopped is not None
    third, over = Pace(1000, 1.0, clock), Run()
    over.step = 11
    third.load_state_dict(second.state_dict())
    third.on_run_start(over)
    assert over.stopped == ("the 1 minutes are over", False)


def test_the_rate_rises_and_falls_along_half_a_cosine():
    pace = Pace(1000)
    rate = PacedCosine(0.1, pace, warm_up=0.1)
    found = []
    for pace.share in (0.0, 0.05, 0.1, 0.5, 1.0):
        found.append(rate(0))
    falls = [0.1 * (1 + math.cos(math.pi * share)) / 2 for share in (0.0, 0.05, 0.1, 0.5, 1.0)]
    assert np.allclose(found, np.multiply(falls, [0.01, 0.51, 1, 1, 1]), rtol=1e-12, atol=0)


def test_minutes_end_a_run_with_a_result(song, tmp_path, capsys):
    out = str(tmp_path / "run")
    lines = said(capsys, "train", "text", song, *SMALL, "--minutes", "0.01", "--sample", "0", "--out", out).splitlines()
    assert lines[-1].startswith("nats per character: train ") and "held-out" in lines[-4]
    assert lines[-3].endswith("the 0.01 minutes are over")
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert any("minutes are over" in str(line.get("stopped")) for line in log)
    assert load_run(out)[1].description["trained"]["validation_loss"] < math.log(40)


# ---- what it learns ----


def test_a_run_says_how_good_it_is_and_shows_a_line(song, capsys):
    lines = said(capsys, "train", "text", song, *SMALL, "--epochs", "2", "--sample", "30").splitlines()
    assert f"{len(LINES):,} characters, {len(set(LINES))} different ones, the last 10% held out" in lines[0]
    assert "epoch 1/2  nats per character: train " in lines[1] and "held-out " in lines[1]
    assert lines[2].startswith("  | ") and 4 < len(lines[2]) <= 34 and lines[4].startswith("  | ")
    held = float(lines[-1].split("held-out ")[1])
    assert lines[-1].startswith("nats per character: train ") and held < float(
        lines[1].split("held-out ")[1].split()[0]
    )


def test_it_learns_the_song_and_sings_it_beyond_its_window(writer, capsys):
    song = said(capsys, "generate", writer, "--prompt", "7 green", "--count", "200", "--top-k", "1")
    assert song.startswith("7 green bottles hanging on the wall,\n") and len(song.rstrip("\n")) >= 200
    assert song.count(" green bottles hanging on the wall,\n") >= 4


def test_generation_is_decided_by_its_settings(writer, capsys):
    def written(*settings):
        return said(capsys, "generate", writer, "--prompt", "9", "--count", "60", *settings)

    assert written("--seed", "3", "--temperature", "2") == written("--seed", "3", "--temperature", "2")
    assert written("--seed", "3", "--temperature", "2") != written("--seed", "4", "--temperature", "2")
    assert written("--temperature", "0.0001") == written("--top-k", "1")
    assert len(written().rstrip("\n")) in (60, 61) and set(written("--temperature", "50")) <= set(LINES)


def test_evaluate_gives_the_figure_of_the_run_and_of_other_texts(writer, tmp_path, capsys):
    figures = json.loads(said(capsys, "evaluate", writer, "--json"))
    trained = load_run(writer)[1].description["trained"]
    assert figures["nats_per_character"] == pytest.approx(trained["validation_loss"], rel=1e-4)
    assert figures["bits_per_character"] == pytest.approx(figures["nats_per_character"] / math.log(2))
    other = tmp_path / "other.txt"
    other.write_text(" the wall on hanging bottles green" * 20)
    worse = json.loads(said(capsys, "evaluate", writer, "--data", str(other), "--json"))
    assert worse["nats_per_character"] > figures["nats_per_character"] + 0.5
    other.write_text("the wall of Jericho")
    assert "'J', 'c'" in refused(capsys, "evaluate", writer, "--data", str(other))


def test_a_recurrent_network_learns_too(song, tmp_path, capsys):
    out = str(tmp_path / "run")
    settings = ("--model", "lstm", "--size", "32", "--layers", "1", "--length", "32", "--batch-size", "8")
    lines = said(capsys, "train", "text", song, *settings, "--epochs", "5", "--sample", "0", "--out", out).splitlines()
    assert "; lstm of " in lines[0] and float(lines[-1].split("held-out ")[1]) < 1.2
    assert " bottles" in said(capsys, "generate", out, "--prompt", "4 green bot", "--count", "80", "--top-k", "1")
    assert "RecurrentLanguageModel" in said(capsys, "summary", out)


@pytest.mark.slow
def test_the_run_is_the_same_on_jax(song):
    backends_here.get("jax")
    losses = []
    for backend in ("numpy", "jax"):
        with zk.use_backend(backend):
            made = plan(song, backend=backend)
            trainer = Trainer(
                made.model, made.loss, made.optimizer, callbacks=made.callbacks, compiled=backend == "jax"
            )
            stopping = zk.train.On(step_end=lambda run: run.stop("enough") if run.step == 5 else None)
            trainer.callbacks.append(stopping)
            trainer.fit(made.train, None, epochs=1)
            losses.append(trainer.loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


# ---- writing on ----


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_beyond_its_length_a_model_goes_on_from_half_a_window(positions):
    model = models.language_model(11, 8, 16, 2, 2, seed=3, positions=positions, dropout=0.5)
    prompt = [1, 2, 3]
    seen = prompt + list(itertools.islice(models.write(model, prompt), 30))
    window, expected = list(prompt), list(prompt)
    for _ in range(30):
        with zk.no_grad():
            logits = model.eval()(np.array([window])).value[0, -1]
        expected.append(int(np.argmax(logits)))
        window = [*window, expected[-1]] if len(window) < 8 else expected[-4:]
    assert seen == expected


def test_a_prompt_longer_than_the_window_counts_by_its_end():
    model = models.language_model(11, 8, 16, 2, 2, seed=3)
    long = [5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7]
    assert list(itertools.islice(models.write(model, long), 9)) == list(
        itertools.islice(models.write(model, long[4:]), 9)
    )


def test_a_recurrent_model_keeps_its_state_for_ever():
    model = models.recurrent_language_model(11, 16, seed=3, layers=2)
    seen = [1, 2, 3, *itertools.islice(models.write(model, [1, 2, 3]), 20)]
    with zk.no_grad():
        logits = model(np.array([seen[:-1]])).value[0]
    assert np.argmax(logits[2:], axis=-1).tolist() == seen[3:]


@pytest.mark.parametrize(
    "settings, error, words",
    [
        ({"tokens": []}, ValueError, "no token"),
        ({"temperature": 0.0, "generator": zk.Generator(0)}, ValueError, "above 0"),
        ({"top_k": 12, "generator": zk.Generator(0)}, ValueError, "1 .. 11"),
        ({"top_k": 2}, TypeError, "no generator"),
    ],
)
def test_what_writing_refuses(settings, error, words):
    model = models.recurrent_language_model(11, 4)
    with pytest.raises(error, match=words):
        models.write(model, settings.pop("tokens", [1]), **settings)


# ---- mistakes ----


def test_a_character_that_is_not_known_is_named(writer, capsys):
    assert "--prompt has characters that the model has never seen: 'Z', 'é'" in refused(
        capsys, "generate", writer, "--prompt", "Zoé green"
    )
    assert "--top-k 99: expected 1 to" in refused(capsys, "generate", writer, "--top-k", "99")


def test_every_mistake_is_one_sentence(song, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin").write_bytes("Zo\xe9 ".encode("latin-1") * 200)
    (tmp_path / "short").write_text("too short")
    (tmp_path / "empty").write_text("")

    def words(*arguments):
        return refused(capsys, "train", "text", *arguments)

    assert "- is none; save it in one" in words("-")
    assert "No such file" in words("nowhere.txt")
    assert "is a folder" in words(".")
    assert "latin is not text in utf-8" in words("latin") and "--encoding latin-1" in words("latin")
    assert "no such encoding" in words(song, "--encoding", "klingon")
    assert "too short: 9 characters" in words("short") and "holds no text" in words("empty")
    assert "--size 16 is no multiple of 6" in words(song, "--size", "16", "--heads", "3")
    assert "not both" in words(song, "--pydoc")
    assert "a number above 0" in words(song, "--minutes", "0")
    assert main(["train", "text", "latin", "--encoding", "latin-1", "--epochs", "1", "--quiet", *SMALL]) == 0


def test_without_a_file_it_says_what_is_missing(capsys):
    assert "a FILE with the text, or --pydoc" in refused(capsys, "train", "text")
