"""Plots of training: what is drawn where, files whole or not at all, nothing of pyplot, and no text upon another."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn, visual
from zkynet.train import metrics
from zkynet.visual.curve_plots import read_run
from zkynet.visual.figures import COLOURS, shortened


@pytest.fixture
def plots():
    """Needs matplotlib."""
    return pytest.importorskip("matplotlib", reason="matplotlib draws the plots")


def history(epochs, **more):
    """What a Trainer returns."""
    return [
        {"epoch": e, "loss": 1 / e, "validation_loss": 2 / e, "accuracy": 1 - 1 / (e + 1), "seconds": 0.1, **more}
        for e in range(1, epochs + 1)
    ]


def texts_of(figure):
    """Every text that is seen, with its place in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas, drawn, draw = FigureCanvasAgg(figure), {}, Text.draw

    def noted(self, renderer):
        if self.get_visible() and self.get_text().strip():
            drawn[self] = None
        return draw(self, renderer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", noted)  # a tick beyond the end of its axis has a text that is not drawn
        canvas.draw()
    assert not [each for each in drawn if "$" in each.get_text() and each.get_parse_math()], "a dollar is a dollar"
    return [(each.get_text(), each.get_window_extent(canvas.get_renderer())) for each in drawn]


def assert_legible(figure):
    """No text stands upon another, and none beyond the figure."""
    texts = texts_of(figure)
    edge = figure.bbox
    for n, (words, box) in enumerate(texts):
        inside = box.x0 >= edge.x0 - 1 and box.y0 >= edge.y0 - 1 and box.x1 <= edge.x1 + 1 and box.y1 <= edge.y1 + 1
        assert inside, f"{words!r} is cut off"
        for others, other in texts[n + 1 :]:
            width = min(box.x1, other.x1) - max(box.x0, other.x0)
            height = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert width <= 1 or height <= 1, f"{words!r} and {others!r} overlap"


# ---- curves ----


def test_curves_of_a_history(plots):
    figure = visual.plot_curves(history(5), title="a run")
    loss, accuracy = figure.axes
    assert loss.get_title() == "loss" and accuracy.get_title() == "accuracy"
    training, validation = loss.lines
    assert training.get_ydata().tolist() == [1 / e for e in range(1, 6)]
    assert validation.get_ydata().tolist() == [2 / e for e in range(1, 6)]
    assert training.get_xdata().tolist() == [1, 2, 3, 4, 5]
    assert [each.get_text() for each in loss.get_legend().get_texts()] == ["training", "validation"]
    assert accuracy.get_legend() is None
    assert figure._suptitle.get_text() == "a run"
    assert_legible(figure)


def write_log(folder, lines):
    folder.mkdir(exist_ok=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_curves_of_logs_in_files_and_folders(plots, tmp_path):
    lines = [{"model": "fcn", "epochs": 3, "seed": 0}, {"epoch": 1, "step": 10, "loss": 3.0, "learning_rate": 0.1}]
    lines += history(3, note="no number", perfect=False) + [{"stopped": "enough", "epoch": 3, "step": 30}]
    lines[3]["loss"] = None  # JSON has no NaN
    folder = write_log(tmp_path / "run", lines)
    for run in (folder, str(folder), folder / "log.jsonl"):
        loss, accuracy = visual.plot_curves(run).axes
        assert np.array_equal(loss.lines[0].get_ydata(), [1, math.nan, 1 / 3], equal_nan=True)
        assert accuracy.get_title() == "accuracy"
    steps = visual.plot_curves(folder, by="step")
    assert [axes.get_title() for axes in steps.axes] == ["loss", "learning rate"]
    assert steps.axes[0].lines[0].get_xdata().tolist() == [10]


def test_a_last_line_that_is_being_written_is_left_out(tmp_path):
    folder = write_log(tmp_path / "run", history(2))
    with open(folder / "log.jsonl", "a") as file:
        file.write('{"epoch": 3, "lo')
    assert [line["epoch"] for line in read_run(folder)] == [1, 2]
    with open(folder / "log.jsonl", "a") as file:
        file.write("\n")
        file.write('{"epoch": 4, "lo')
    with pytest.raises(ValueError, match=r"log\.jsonl: line 3 is no JSON"):
        read_run(folder)


def test_several_runs_have_a_colour_each_and_dashes_for_validation(plots):
    figure = visual.plot_curves({"adam": history(4), "sgd $x$": history(6)})
    loss = figure.axes[0]
    assert [line.get_color() for line in loss.lines] == [COLOURS[0], COLOURS[0], COLOURS[1], COLOURS[1]]
    assert [line.get_linestyle() for line in loss.lines] == ["-", "--", "-", "--"]
    words = [each.get_text() for each in figure.legends[0].get_texts()]
    assert words == ["adam", "sgd $x$", "training", "validation"]
    assert_legible(figure)


def test_many_runs_with_long_names(plots):
    runs = {f"run number {i} with a name that goes on and on and on, {i}": history(3 + i) for i in range(12)}
    figure = visual.plot_curves(runs, title="A dozen")
    assert len({line.get_color() for line in figure.axes[0].lines}) == 12
    assert figure.axes[0].get_window_extent().height > 150
    assert_legible(figure)


def test_gaps_are_marked(plots):
    run = history(60, parts=[1.0, 2.0], matrix=np.eye(2), perfect=False)
    for gone in (10, 11, 13):
        run[gone]["loss"] = math.nan if gone < 12 else math.inf
    loss, accuracy = visual.plot_curves(run, log="loss").axes
    curve, crosses, _ = loss.lines
    assert np.isnan(curve.get_ydata()).sum() == 3
    assert crosses.get_xdata().tolist() == [11, 12, 14]
    assert curve.get_markevery() == [12]  # alone between two gaps: without a dot it would not be seen
    assert "not finite" in loss.get_xlabel() and "not finite" not in accuracy.get_xlabel()
    assert loss.get_yscale() == "log"


def test_figures_that_come_every_few_epochs_are_joined(plots):
    run = history(9)
    for line in run[::2]:
        del line["validation_loss"]
    training, validation = visual.plot_curves(run).axes[0].lines
    assert validation.get_xdata().tolist() == [2, 4, 6, 8] and len(training.get_xdata()) == 9


def test_a_single_epoch_and_a_figure_without_a_number(plots):
    figure = visual.plot_curves(history(1, diverged=math.nan))
    loss, _, diverged = figure.axes
    assert loss.get_xlim() == (0.5, 1.5) and loss.get_xticks().tolist() == [1]
    assert diverged.texts[0].get_text() == "no finite value"
    assert_legible(figure)


def test_the_panels_are_those_asked_for(plots):
    run = history(3, recall=0.5, f1=0.4, a_metric_of_which_the_name_is_far_too_long_to_stand_above_a_panel=0.1)
    assert len(visual.plot_curves(run).axes) == 6  # two rows of three, one of them empty
    chosen = visual.plot_curves(run, figures=["recall", "validation_loss"])
    assert [axes.get_title() for axes in chosen.axes] == ["recall", "loss"]
    assert len(visual.plot_curves(run, figures="recall").axes) == 1
    times = visual.plot_curves(history(2, steps_per_second=5.0), figures=["seconds", "steps_per_second"])
    assert [axes.get_title() for axes in times.axes] == ["seconds", "steps per second"]
    assert_legible(visual.plot_curves(run))


@pytest.mark.parametrize(
    "call, kind, said",
    [
        (lambda: visual.plot_curves([]), ValueError, "nothing to plot by epoch"),
        (lambda: visual.plot_curves({}), ValueError, "no run in the dict"),
        (lambda: visual.plot_curves(history(2), by="step"), ValueError, "nothing to plot by step"),
        (lambda: visual.plot_curves(history(2), by="hour"), ValueError, "by='hour'"),
        (lambda: visual.plot_curves([1.0, 0.5]), ValueError, "a list of dicts.*\n  got:      float"),
        (lambda: visual.plot_curves(history(2), figures=["f1"]), ValueError, "no figure 'f1'.*\n.*loss, accuracy"),
        (lambda: visual.plot_curves(history(2), figures=[]), ValueError, "no figure to plot"),
        (lambda: visual.plot_curves(history(2), log="f1"), ValueError, "no figure 'f1'"),
        (lambda: visual.plot_curves("no/such/log.jsonl"), FileNotFoundError, "no/such"),
        (lambda: visual.plot_curves(history(2), "curves.bmp"), ValueError, r"curves\.bmp.*\n.*\.png, \.svg, \.pdf"),
    ],
)
def test_mistakes_with_curves(plots, call, kind, said):
    with pytest.raises(kind, match=said):
        call()


# ---- confusion matrices ----


def cells_of(figure):
    return [each.get_text() for each in figure.axes[0].texts]


def test_a_confusion_matrix_has_counts_and_shares(plots):
    figure = visual.plot_confusion([[5, 1], [0, 7]], names=["no", "yes"], title="A test")
    axes = figure.axes[0]
    assert cells_of(figure) == ["5", "83%", "1", "17%", "7", "100%"]
    assert [each.get_text() for each in axes.get_yticklabels()] == ["no", "yes"]
    assert axes.get_title() == "12 of 13 right: 92.3%"
    assert axes.images[0].get_array().tolist() == [[5 / 6, 1 / 6], [0, 1]]
    assert_legible(figure)


def test_shares_of_other_sums(plots):
    matrix = [[999, 1], [0, 0]]
    assert cells_of(visual.plot_confusion(matrix, shares="true"))[1::2] == [">99%", "<1%"]
    assert cells_of(visual.plot_confusion(matrix, shares="predicted"))[1::2] == ["100%", "100%"]
    assert visual.plot_confusion([[3, 1], [0, 4]], shares="all").axes[0].images[0].get_array().max() == 0.5


def test_a_metric_is_a_confusion_matrix(plots):
    metric = metrics.ConfusionMatrix()
    metric.update([0, 1, 1], [0, 1, 0])
    assert cells_of(visual.plot_confusion(metric))[::2] == ["1", "1", "1"]


@pytest.mark.parametrize("classes, size", [(2, 10**7), (10, 50), (12, 10**6), (30, 400), (50, 40), (300, 9)])
def test_matrices_of_all_sizes_can_be_read(plots, classes, size):
    rng = np.random.default_rng(classes)
    matrix = np.diag(rng.integers(size // 2, size, classes)) + (rng.random((classes, classes)) < 0.1)
    names = [f"the class of number {i} $and$ its name" for i in range(classes)]
    figure = visual.plot_confusion(matrix, names=names, title="A title that is rather long for so small a matrix")
    labels = [each.get_text() for each in figure.axes[0].get_yticklabels()]
    assert len(set(labels)) == len(labels) == (classes if classes <= 64 else 3)
    assert_legible(figure)


@pytest.mark.parametrize(
    "call, kind, said",
    [
        (lambda: visual.plot_confusion([[1, 2]]), zk.errors.ShapeError, r"got:      shape \(1, 2\)"),
        (lambda: visual.plot_confusion([[0.5, 0.5], [0, 1]]), ValueError, "no counts"),
        (lambda: visual.plot_confusion([[1, -1], [0, 1]]), ValueError, "no counts"),
        (lambda: visual.plot_confusion([[0, 0], [0, 0]]), ValueError, "no sample"),
        (lambda: visual.plot_confusion([["a"]]), TypeError, "no real numbers"),
        (lambda: visual.plot_confusion([[1]], names="ab"), zk.errors.ShapeError, "another number of names"),
        (lambda: visual.plot_confusion([[1]], shares="rows"), ValueError, "'true', 'predicted', 'all'"),
    ],
)
def test_mistakes_with_matrices(plots, call, kind, said):
    with pytest.raises(kind, match=said):
        call()


# ---- samples ----

LOGITS = np.log([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])


def words_of(figure):
    return [each.get_text() for each in figure.axes[0].texts]


def test_misclassified_samples_are_shown_by_certainty(plots):
    pictures = np.arange(16.0).reshape(4, 4)
    figure = visual.plot_misclassified(pictures, LOGITS, [0, 0, 0, 1], shape=(2, 2), names=["cat", "dog"])
    assert words_of(figure) == [
        "3 of 4 misclassified",
        *("predicted dog, 80%", "true cat, 20%", "sample 1"),
        *("predicted dog, 70%", "true cat, 30%", "sample 2"),
        *("predicted cat, 60%", "true dog, 40%", "sample 3"),
    ]
    assert [image.get_array().tolist() for image in figure.axes[0].images] == pictures[1:].reshape(3, 2, 2).tolist()
    assert {image.get_clim() for image in figure.axes[0].images} == {(4, 15)}
    assert_legible(figure)
    fewer = visual.plot_misclassified(pictures, np.exp(LOGITS), [0, 0, 0, 1], shape=(1, 2, 2), most=1)
    assert words_of(fewer) == [
        "3 of 4 misclassified, the 1 most certain",
        "predicted 1, 80%",
        "true 0, 20%",
        "sample 1",
    ]


def test_colour_long_names_and_nothing_wrong(plots):
    rng = np.random.default_rng(0)
    figure = visual.plot_misclassified(
        rng.random((4, 3, 5, 9)), LOGITS, [1, 1, 0, 1], names=["a $name$ that is much too long to stand below it"] * 2
    )
    assert [image.get_array().shape for image in figure.axes[0].images] == [(5, 9, 3)] * 3
    assert_legible(figure)
    some = visual.plot_misclassified(rng.random((4, 5, 9)), LOGITS, [1, 1, 0, 1], names=["a longer name", "another"])
    assert words_of(some)[1:3] == ["predicted a longer name, 90%", "true another, 10%"]
    assert_legible(some)
    positive = visual.plot_misclassified(rng.random((1, 5, 9)), [[math.log(4), 0.0]], [1])  # logits: they add up to 1.4
    assert words_of(positive)[1:3] == ["predicted 0, 80%", "true 1, 20%"]
    right = visual.plot_misclassified(rng.random((4, 5, 9)), LOGITS, [0, 1, 1, 0])
    assert words_of(right) == ["0 of 4 misclassified"]


@pytest.mark.parametrize(
    "pictures, more, said",
    [
        (np.zeros((4, 4)), {}, "these are no pictures"),
        (np.zeros((4, 2, 3, 3)), {}, "these are no pictures"),
        (np.zeros((4, 5)), {"shape": (2, 2)}, "no pictures of that shape"),
        (np.zeros((4, 0, 2)), {}, "empty"),
        (np.zeros((3, 2, 2)), {}, "3 pictures and 4 outputs"),
        (np.zeros((4, 2, 2)), {"names": ["a"]}, "another number of names"),
        (np.zeros((4, 2, 2)), {"most": 0}, "at least one picture"),
    ],
)
def test_mistakes_with_samples(pictures, more, said):
    with pytest.raises(ValueError, match=said):
        visual.plot_misclassified(pictures, LOGITS, [0, 0, 0, 1], **more)
    with pytest.raises(ValueError, match="plot_misclassified: a label in targets is out of range"):
        visual.plot_misclassified(np.zeros((4, 2, 2)), LOGITS, [0, 0, 0, 2])


# ---- filters and weights ----


def test_filters_of_a_first_layer_stand_side_by_side(plots):
    layer = nn.Conv2d(1, 7, 3, 0)
    figure = visual.plot_filters(layer, title="first")
    images = figure.axes[0].images
    assert [image.get_array().tolist() for image in images] == layer.weight.value[:, 0].tolist()
    largest = pytest.approx(float(np.abs(layer.weight.value).max()))
    assert {image.get_clim() for image in images} == {(-largest.expected, largest.expected)}
    assert words_of(figure)[:2] == ["first", "7 outputs x 1 input, kernels of 3 x 3"]
    assert_legible(figure)


def test_filters_of_other_layers_are_a_table(plots):
    figure = visual.plot_filters(nn.Conv2d(3, 5, (2, 4), 0), most=4)
    words = words_of(figure)
    assert len(figure.axes[0].images) == 12
    assert words[:2] == ["5 outputs x 3 inputs, kernels of 2 x 4", "the first 4 x 3 of them"]
    assert words[2:] == ["output 0", "1", "2", "3", "input 0", "1", "2"]
    assert_legible(figure)
    turned = visual.plot_filters(nn.ConvTranspose2d(3, 5, 2, 0))
    assert words_of(turned)[0] == "3 inputs x 5 outputs, kernels of 2 x 2"
    assert words_of(visual.plot_filters(nn.Conv1d(2, 3, 5, 0)))[0] == "3 outputs x 2 inputs, kernels of 1 x 5"
    assert len(visual.plot_filters(np.zeros((2, 1, 3, 3))).axes[0].images) == 2  # all zeros: a scale there is still


def test_weights_of_a_linear_layer_are_pictures_of_its_input(plots):
    layer = nn.Linear(12, 3, 0)
    assert_legible(visual.plot_weights(layer, shape=(3, 4), names="abc", title="A title wider than three pictures"))
    figure = visual.plot_weights(layer, shape=(3, 4), names=["a", "b", "c"])
    images = [image.get_array().tolist() for image in figure.axes[0].images]
    assert images == [layer.weight.value[:, i].reshape(3, 4).tolist() for i in range(3)]
    assert words_of(figure) == ["12 inputs, 3 outputs", "a", "b", "c"]
    assert_legible(figure)
    assert words_of(visual.plot_weights(np.eye(9), most=2))[0] == "9 inputs, 9 outputs, the first 2"


@pytest.mark.parametrize(
    "call, kind, said",
    [
        (lambda: visual.plot_filters(nn.Linear(4, 4, 0)), zk.errors.ShapeError, "plot_weights draws"),
        (lambda: visual.plot_weights(nn.Conv2d(1, 1, 2, 0)), zk.errors.ShapeError, "plot_filters draws"),
        (lambda: visual.plot_filters(nn.Sequential(nn.Conv2d(1, 1, 2, 0))), TypeError, "no weight of its own"),
        (lambda: visual.plot_filters(np.full((1, 1, 2, 2), np.nan)), ValueError, "4 of 4 weights are not finite"),
        (lambda: visual.plot_weights(nn.Linear(12, 3, 0)), zk.errors.ShapeError, "12 inputs fill no square"),
        (lambda: visual.plot_weights(nn.Linear(12, 3, 0), shape=(3, 3)), zk.errors.ShapeError, r"shape=\(3, 3\)"),
        (lambda: visual.plot_weights(nn.Linear(12, 3, 0), shape=(3, 2, 2)), zk.errors.ShapeError, "two sides"),
        (lambda: visual.plot_weights(nn.Linear(4, 3, 0), names="ab"), zk.errors.ShapeError, "number of names"),
    ],
)
def test_mistakes_with_weights(call, kind, said):
    with pytest.raises(kind, match=said):
        call()


# ---- feature maps ----


def test_feature_maps(plots):
    model = nn.Sequential(nn.Conv2d(1, 5, 3, 0), nn.ReLU(), nn.Flatten(), nn.Linear(180, 2, 0))
    picture = np.random.default_rng(0).normal(size=(1, 1, 8, 8)).astype(np.float32)
    figure = visual.plot_features(model, "layers.0", picture, most=4)
    maps = model[0](picture).value[0]
    assert [image.get_array().tolist() for image in figure.axes[0].images] == maps[:4].tolist()
    assert words_of(figure) == ["layers.0: 5 maps of 6 x 6, the first 4", "0", "1", "2", "3"]
    assert_legible(figure)
    with pytest.raises(zk.errors.ShapeError, match=r"no maps of one picture.\n  got:      shape \(2, 5, 6, 6\)"):
        visual.plot_features(model, model[0], np.concatenate([picture, picture]))
    with pytest.raises(ValueError, match="180 of 180 numbers are not finite"):
        visual.plot_features(model, "layers.0", picture * np.nan)
    line = nn.Sequential(nn.Conv1d(1, 3, 2, 0), nn.ReLU())
    assert words_of(visual.plot_features(line, "layers.0", np.ones((1, 1, 5), np.float32)))[0] == (
        "layers.0: 3 maps of 1 x 4"
    )


# ---- files, and matplotlib ----


@pytest.mark.parametrize("name, start", [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml"), ("a.pdf", b"%PDF")])
def test_the_suffix_is_the_format(plots, tmp_path, name, start):
    figure = visual.plot_confusion([[1]], tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_an_old_file_stays_where_the_new_one_cannot_be_written(plots, tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        visual.plot_confusion([[1]], path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"] and path.read_bytes() == b"old"


def test_nothing_of_pyplot_is_loaded_and_no_setting_changed(plots, tmp_path):
    program = (
        "import sys, matplotlib, numpy as np\n"
        "from zkynet import nn, visual\n"
        "settings = lambda: repr(sorted(dict.items(matplotlib.rcParams)))\n"
        "before = settings()\n"
        "visual.plot_curves([{'epoch': 1, 'loss': 0.5}], 'a.png')\n"
        "visual.plot_confusion([[1, 2], [3, 4]], 'b.svg')\n"
        "visual.plot_misclassified(np.zeros((1, 2, 2)), [[0., 1]], [0], 'c.pdf')\n"
        "visual.plot_filters(nn.Conv2d(1, 2, 3, 0), 'd.png')\n"
        "assert settings() == before\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.png", "b.svg", "c.pdf", "d.png"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: visual.plot_curves([{"epoch": 1, "loss": 0.5}]),
        lambda: visual.plot_confusion([[1]]),
        lambda: visual.plot_misclassified(np.zeros((1, 2, 2)), [[0.0, 1]], [0]),
        lambda: visual.plot_filters(np.ones((1, 1, 2, 2))),
        lambda: visual.plot_weights(np.ones((4, 1))),
        lambda: visual.plot_features(nn.Sequential(nn.Conv1d(1, 1, 1, 0), nn.ReLU()), "layers.0", np.ones((1, 1, 2))),
    ],
)
def test_without_matplotlib_the_error_says_what_to_do(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(zk.errors.BackendNotAvailable, match=r"needs matplotlib[\s\S]*pip install 'zkynet\[viz\]'"):
        call()


def test_shortened_names_keep_both_ends():
    assert shortened("a name", 10) == "a name"
    assert shortened("a  name\nof two lines", 40) == "a name of two lines"
    assert shortened("abcdefghij", 5) == "ab…ij" and shortened("abcdefghij", 4) == "ab…j"
