"""Metrics: the numbers of scikit-learn and of pen and paper, the same for all batches, and errors that help."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest

import zkynet as zk
from zkynet import nn
from zkynet.framework import op
from zkynet.train import metrics
from zkynet.train.metrics.exact import UNIT, ExactSums, ratio, square

# Six samples of three classes, counted by hand. Predicted: 0 0 1 2 2 2, true: 0 1 1 2 2 0.
SCORES = np.array([[3, 1, 0], [2, 1, 1], [0, 5, 1], [0, 1, 4], [-1, 0, 1], [0, 0, 2]], np.float32)
TRUE = np.array([0, 1, 1, 2, 2, 0])
MATRIX = [[1, 0, 1], [1, 1, 0], [0, 0, 2]]
RATES = [  # precision, recall, F1 of each class, then by average
    ("precision", None, [1 / 2, 1, 2 / 3]),
    ("recall", None, [1 / 2, 1 / 2, 1]),
    ("f1", None, [1 / 2, 2 / 3, 4 / 5]),
    ("precision", "macro", 13 / 18),
    ("recall", "macro", 2 / 3),
    ("f1", "macro", 59 / 90),
    ("precision", "micro", 2 / 3),
    ("f1", "micro", 2 / 3),
    ("f1", "weighted", 59 / 90),
]


def drawn(samples=200, classes=7, seed=0):
    """Scores that say something about labels of which some never occur; the last class is never predicted."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes - 2, samples)
    scores = rng.normal(size=(samples, classes)) + 1.5 * np.eye(classes)[true]
    scores[:, -1] = -9
    return scores, true


def cut(samples, seed):
    """Slices of an array in batches of uneven sizes, an empty one among them."""
    edges = np.sort(np.random.default_rng(seed).integers(0, samples, 6))
    return [slice(a, b) for a, b in zip([0, *edges, edges[-1]], [*edges, edges[-1], samples], strict=True)]


# ---- classes ----


def test_the_figures_that_are_counted_by_hand():
    assert metrics.accuracy(SCORES, TRUE) == 4 / 6
    assert metrics.confusion_matrix(SCORES, TRUE).tolist() == MATRIX
    assert metrics.top_k_accuracy(SCORES, TRUE, 1) == 4 / 6
    assert metrics.top_k_accuracy(SCORES, TRUE, 2) == 1
    for name, average, expected in RATES:
        found = getattr(metrics, name)(SCORES, TRUE, average)
        assert np.allclose(found, expected, rtol=1e-15, atol=0), (name, average)
        assert isinstance(found, np.ndarray if average is None else float)


def test_the_shares_of_a_confusion_matrix():
    assert metrics.confusion_matrix(SCORES, TRUE, "true").tolist() == [[0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0, 1]]
    assert metrics.confusion_matrix(SCORES, TRUE, "predicted")[:, 2].tolist() == [1 / 3, 0, 2 / 3]
    assert metrics.confusion_matrix(SCORES, TRUE, "all").sum() == pytest.approx(1, abs=1e-15)
    assert metrics.confusion_matrix([1, 1], [1, 1], "true", classes=3).tolist() == [[0] * 3, [0, 1, 0], [0] * 3]


@pytest.mark.parametrize("zero", [0.0, 1.0, math.nan])
@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_rates_as_scikit_learn_has_them(name, average, zero):
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is what we compare with")
    scores, true = drawn()
    predicted = scores.argmax(axis=1)
    labels = np.arange(7) if average is None else None
    theirs = getattr(sklearn, f"{name}_score")(true, predicted, average=average, zero_division=zero, labels=labels)
    ours = getattr(metrics, name)(scores, true, average, zero_division=zero)
    assert np.allclose(ours, theirs, rtol=1e-14, atol=0, equal_nan=True)


def test_binary_rates_as_scikit_learn_has_them():
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is what we compare with")
    rng = np.random.default_rng(1)
    logits, true = rng.normal(size=(50, 1)), rng.integers(0, 2, 50)
    predicted = (logits[:, 0] > 0.3).astype(int)
    for positive in (0, 1):
        theirs = sklearn.f1_score(true, predicted, pos_label=positive)
        ours = metrics.f1(logits, true, "binary", threshold=0.3, positive=positive)
        assert ours == pytest.approx(theirs, rel=1e-14)
        assert metrics.f1(predicted, true, "binary", positive=positive) == ours
    assert metrics.precision(logits, true, "micro", threshold=0.3) == pytest.approx(
        sklearn.accuracy_score(true, predicted), rel=1e-14
    )


def test_matrix_accuracy_and_top_k_as_scikit_learn_has_them():
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is what we compare with")
    scores, true = drawn()
    predicted = scores.argmax(axis=1)
    for normalize, theirs in ((None, None), ("true", "true"), ("predicted", "pred"), ("all", "all")):
        expected = sklearn.confusion_matrix(true, predicted, labels=np.arange(7), normalize=theirs)
        assert np.allclose(metrics.confusion_matrix(scores, true, normalize), expected, rtol=1e-15, atol=0)
    assert metrics.accuracy(scores, true) == sklearn.accuracy_score(true, predicted)
    for k in (1, 2, 5, 6):
        theirs = sklearn.top_k_accuracy_score(true, scores, k=k, labels=np.arange(7))
        assert metrics.top_k_accuracy(scores, true, k) == theirs


@pytest.mark.parametrize(
    "zero, each, macro, weighted",
    [(0.0, [0.5, 0, 0], 0.25, 0.25), (1.0, [0.5, 1, 1], 0.75, 0.75), (math.nan, [0.5, math.nan, math.nan], 0.5, 0.5)],
)
def test_a_share_of_nothing_is_what_was_asked_for(zero, each, macro, weighted):
    # Half of the samples are of class 0, half of class 1, which is never predicted; class 2 does not occur at all.
    given = {"outputs": [[1, 0, 0]] * 6, "targets": [0, 0, 0, 1, 1, 1], "zero_division": zero}
    assert np.array_equal(metrics.precision(**given, average=None), each, equal_nan=True)
    assert metrics.precision(**given, average="macro") == macro
    assert metrics.precision(**given, average="weighted") == weighted


def test_equal_scores_count_for_the_first_class():
    scores = np.zeros((3, 3))
    assert metrics.accuracy(scores, [0, 1, 2]) == metrics.top_k_accuracy(scores, [0, 1, 2], 1) == 1 / 3
    assert metrics.top_k_accuracy(scores, [0, 1, 2], 2) == 2 / 3


def test_ignored_labels_are_left_out_with_their_scores():
    scores, true = drawn()
    padded, holes = true.copy(), np.arange(0, 200, 3)
    padded[holes] = -100
    spoilt = scores.copy()
    spoilt[holes] = np.nan
    kept = np.setdiff1d(np.arange(200), holes)
    for metric in (
        metrics.Accuracy(ignore_index=-100),
        metrics.TopKAccuracy(2, ignore_index=-100),
        metrics.F1("macro", ignore_index=-100),
        metrics.Perplexity(ignore_index=-100),
    ):
        assert metric.of(spoilt, padded) == metric.of(scores[kept], true[kept])
    one = metrics.Accuracy(threshold=0.5, ignore_index=-1)
    assert one.of([0.9, 0.1, np.nan, 0.8], [1.0, 1, -1, 0]) == one.of([0.9, 0.1, 0.8], [1, 1, 0]) == 1 / 3
    labels = metrics.Accuracy(ignore_index=2)
    assert labels.of([0, 1, 1], [0, 0, 2]) == 0.5
    with pytest.raises(ValueError, match="label 2, which is ignored, was predicted"):
        labels.of([0, 2, 1], [0, 0, 1])


def test_axes_of_classes_and_of_time():
    rng = np.random.default_rng(2)
    scores, true = rng.normal(size=(4, 5, 6)), rng.integers(0, 6, (4, 5))
    flat = metrics.accuracy(scores.reshape(20, 6), true.reshape(20))
    assert metrics.accuracy(scores, true) == flat
    assert metrics.accuracy(np.moveaxis(scores, -1, 1), true, axis=1) == flat
    assert metrics.perplexity(np.moveaxis(scores, -1, 1), true, axis=1) == metrics.perplexity(scores, true)


def test_thresholds_take_targets_of_either_shape_and_dtype():
    logits = np.array([[-1.0], [0.0], [2.0], [3.0]])
    for true in ([0, 0, 0, 1], np.array([[0.0], [0.0], [0.0], [1.0]]), np.array([False, False, False, True])):
        assert metrics.accuracy(logits, true, threshold=0) == 0.75
    assert metrics.accuracy(logits[:, 0], [[0], [0], [0], [1]], threshold=0) == 0.75
    assert metrics.accuracy([[0.1, 0.9], [0.8, 0.2]], [[0, 1], [1, 1]], threshold=0.5) == 0.75


# ---- numbers ----


def test_numbers_that_are_counted_by_hand():
    y, t = [1.0, 2.0, 4.0], [1.0, 3.0, 2.0]
    assert metrics.mean_squared_error(y, t) == 5 / 3
    assert metrics.mean_absolute_error(y, t) == 1
    assert metrics.r2(y, t) == -1.5
    assert metrics.r2(t, t) == 1
    assert metrics.perplexity(np.zeros((5, 8)), [0, 1, 2, 3, 7]) == pytest.approx(8, rel=1e-15)
    assert metrics.perplexity(np.log([[0.5, 0.5], [0.125, 0.875]]), [0, 0]) == pytest.approx(4, rel=1e-15)
    assert metrics.perplexity([[-np.inf, 0.0], [0, 0]], [0, 1]) == math.inf
    assert metrics.perplexity([[-np.inf, 0.0], [0, 0]], [1, 1]) == pytest.approx(math.sqrt(2), rel=1e-15)
    assert metrics.perplexity([[0.0, 5000.0]], [0]) == math.inf


def test_numbers_as_scikit_learn_has_them():
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is what we compare with")
    rng = np.random.default_rng(3)
    y, t = rng.normal(size=(100, 4)), rng.normal(size=(100, 4)) * 3
    t[:, 1], t[:, 2], y[:, 2] = 7, 5, 5  # two that do not vary: one missed, one met
    assert metrics.mean_squared_error(y, t) == pytest.approx(sklearn.mean_squared_error(t, y), rel=1e-13)
    assert metrics.mean_absolute_error(y, t) == pytest.approx(sklearn.mean_absolute_error(t, y), rel=1e-13)
    assert metrics.r2(y, t) == pytest.approx(sklearn.r2_score(t, y), rel=1e-13)
    each = metrics.r2(y, t, per_number=True)
    assert np.allclose(each, sklearn.r2_score(t, y, multioutput="raw_values"), rtol=1e-13, atol=0)
    assert each[1:3].tolist() == [0, 1]


def test_perplexity_is_exp_of_the_loss():
    scores, true = drawn()
    assert metrics.perplexity(scores, true) == pytest.approx(math.exp(op.softmax_cross_entropy(scores, true).item()))


def test_r2_of_a_small_spread_around_a_large_mean():
    rng = np.random.default_rng(4)
    noise, error = rng.integers(-50, 50, 1000), rng.integers(-5, 5, 1000)
    spread = Fraction(int((noise**2).sum())) - Fraction(int(noise.sum()) ** 2, 1000)
    expected = float(1 - Fraction(int((error**2).sum())) / spread)
    t = 2.0**52 + noise  # where squares in float64 have lost all of it
    assert metrics.r2(t + error, t) == expected


# ---- batches ----


def everything():
    """Every Metric with data for it."""
    scores, true = drawn()
    rng = np.random.default_rng(5)
    y, t = rng.normal(size=(200, 3)) * 10.0 ** rng.integers(-9, 9, (200, 3)), rng.normal(size=(200, 3))
    made = [metrics.Accuracy(), metrics.TopKAccuracy(3), metrics.Perplexity(), metrics.ConfusionMatrix()]
    made += [metrics.ConfusionMatrix("true"), metrics.Accuracy(classes=7)]
    for kind in (metrics.Precision, metrics.Recall, metrics.F1):
        made += [kind(average) for average in ("macro", "micro", "weighted", None)]
    cases = [(metric, scores, true) for metric in made]
    cases += [(metrics.F1("binary", threshold=0.0), scores[:, 0], true > 2)]
    cases += [(metrics.ConfusionMatrix(), scores.argmax(axis=1), true)]  # it grows
    numbers = [metrics.R2(), metrics.R2(per_number=True), metrics.MeanSquaredError(), metrics.MeanAbsoluteError()]
    return cases + [(metric, y, t) for metric in numbers]


@pytest.mark.parametrize("seed", range(3))
def test_batches_give_what_the_whole_gives_to_the_last_bit(seed):
    for metric, outputs, targets in everything():
        whole = metric.of(outputs, targets)
        for part in cut(200, seed):
            metric.update(outputs[part], targets[part])
        assert np.array_equal(metric.value(), whole), metric.name
        assert np.array_equal(metric.of(outputs[::-1], targets[::-1]), whole)
        assert np.array_equal(metric.value(), whole), "`of` has changed what was there"
        assert metric.scalar == isinstance(whole, float)
        metric.reset()
        metric.update(outputs[:50], targets[:50])
        assert np.array_equal(metric.value(), metric.of(outputs[:50], targets[:50]))


def test_a_mean_of_batches_would_be_another_number():
    true = np.array([0] * 9 + [1])
    metric = metrics.F1("macro")
    parts = []
    for part in (slice(0, 9), slice(9, 10)):
        metric.update(np.eye(2)[[0] * 10][part], true[part])
        parts.append(metrics.f1(np.eye(2)[[0] * 10][part], true[part], "macro"))
    assert metric.value() == pytest.approx(9 / 19) and np.mean(parts) == 0.5


def test_exact_sums():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(500, 2)) * 10.0 ** rng.integers(-320, 300, (500, 2))
    x[:6, 0] = [5e-324, -5e-324, 1.7e308, 1.7e308, -1.7e308, 0.0]
    sums = ExactSums(2)
    for part in cut(500, 1):
        sums.add(x[part])
    assert [Fraction(total, UNIT) for total in sums.totals()] == [sum(map(Fraction, map(float, c))) for c in x.T]


def test_exact_sums_carry(monkeypatch):
    monkeypatch.setattr("zkynet.train.metrics.exact.ROWS", 64)
    sums, x = ExactSums(), np.full((300, 1), -(1 - 2.0**-53))
    for _ in range(20):
        sums.add(x)
    assert Fraction(sums.totals()[0], UNIT) == 6000 * Fraction(float(x[0, 0]))
    assert abs(sums._table).max() <= 2**33


def test_squares_are_exact_and_ratios_of_large_numbers_are_infinite():
    x = np.random.default_rng(7).normal(size=1000) * 10.0 ** np.arange(-100, 100, 0.2)
    high, low = square(x)
    assert all(Fraction(float(a)) + Fraction(float(b)) == Fraction(float(c)) ** 2 for a, b, c in zip(high, low, x))
    assert ratio(1 << 3000, 1) == math.inf and ratio(-(1 << 3000), 1) == -math.inf


# ---- what they take ----


def test_arrays_of_every_backend(backend):
    scores, true = backend.asarray(SCORES), backend.asarray(TRUE)
    assert metrics.accuracy(scores, true) == 4 / 6
    assert metrics.confusion_matrix(scores, true).tolist() == MATRIX
    assert metrics.f1(scores, true, "macro") == metrics.f1(SCORES, TRUE, "macro")
    assert metrics.perplexity(scores, true) == metrics.perplexity(SCORES, TRUE)
    assert metrics.r2(scores, scores) == 1


def test_tensors_graphs_and_lists():
    model = nn.Linear(np.eye(3, dtype=np.float32))
    inside = []

    def loss(model, x):
        inside.append(metrics.accuracy(model(x), TRUE))
        return op.mean(model(x))

    zk.grad(loss)(model, SCORES)
    assert inside == [4 / 6]
    assert metrics.accuracy(model(SCORES), TRUE) == 4 / 6
    assert metrics.accuracy(SCORES.tolist(), TRUE.tolist()) == 4 / 6
    assert metrics.accuracy(np.float16(SCORES), np.uint8(TRUE)) == 4 / 6
    assert metrics.accuracy([0, 1, 1, 1], [False, True, True, False]) == 0.75
    assert metrics.accuracy(np.array([0.1, 0.9]), 1) == 1


def test_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="a bfloat16 for NumPy comes with JAX")
    assert metrics.accuracy(SCORES.astype(ml_dtypes.bfloat16), TRUE) == 4 / 6


def test_nothing_that_was_given_is_changed_or_kept():
    y, t = SCORES.astype(np.float64), TRUE.copy()
    metric = metrics.ConfusionMatrix()
    metric.update(y, t)
    metric.value()[:] = 7
    assert metric.value().tolist() == MATRIX
    assert (y == SCORES).all() and (t == TRUE).all()


def test_metrics_of_a_compiled_function_are_refused():
    jax = pytest.importorskip("jax", reason="JAX traces")
    with pytest.raises(TypeError, match="Accuracy: outputs have no numbers yet"):
        jax.jit(lambda y: metrics.accuracy(y, TRUE))(SCORES)


@pytest.mark.parametrize(
    "compute, kind, said",
    [
        (lambda: metrics.accuracy(SCORES, np.eye(3)[TRUE]), zk.errors.ShapeError, r"one-hot, .*argmax\(axis=-1\)"),
        (lambda: metrics.accuracy(SCORES, TRUE[:5]), zk.errors.ShapeError, r"\(6, 3\) and targets of shape \(5,\)"),
        (lambda: metrics.accuracy(SCORES, TRUE[:, None]), zk.errors.ShapeError, r"here \(6,\)"),
        (lambda: metrics.accuracy(SCORES[:, 0], TRUE), zk.errors.ShapeError, "give a threshold"),
        (lambda: metrics.accuracy(SCORES[:, :1], TRUE), zk.errors.ShapeError, "give a threshold"),
        (lambda: metrics.accuracy(SCORES[:, :1], TRUE[:, None]), zk.errors.ShapeError, "give a threshold"),
        (lambda: metrics.accuracy(SCORES, TRUE, threshold=0), zk.errors.ShapeError, "one score a sample"),
        (lambda: metrics.accuracy(SCORES, TRUE, axis=2), zk.errors.ShapeError, "no axis 2"),
        (lambda: metrics.accuracy(SCORES, TRUE, classes=4), zk.errors.ShapeError, r"got:      3\n  expected: 4"),
        (lambda: metrics.accuracy(SCORES, TRUE, classes=1), ValueError, "at least 2 classes"),
        (lambda: metrics.accuracy(SCORES, TRUE + 1), ValueError, r"got:      3 at \(3,\), one of 2"),
        (lambda: metrics.accuracy(SCORES, TRUE - 1), ValueError, "at least 0 and below 3, the number of classes"),
        (lambda: metrics.accuracy(SCORES, TRUE * 1.0), TypeError, r"astype\(int\)"),
        (lambda: metrics.accuracy(SCORES[:, 0], TRUE, threshold=0), ValueError, "below 2"),
        (lambda: metrics.accuracy(SCORES[:, 0], TRUE * 0.5, threshold=0), TypeError, "no labels"),
        (lambda: metrics.accuracy([0, 3], [0, 1], classes=3), ValueError, "a label in outputs is out of range"),
        (lambda: metrics.accuracy(SCORES * np.nan, TRUE), ValueError, r"18 of 18 NaN .*nan, at \(0, 0\)"),
        (lambda: metrics.accuracy(SCORES + np.inf, TRUE), ValueError, "detect_anomaly"),
        (lambda: metrics.accuracy(["a"] * 6, TRUE), TypeError, "not real numbers"),
        (lambda: metrics.accuracy(SCORES + 1j, TRUE), TypeError, "complex"),
        (lambda: metrics.accuracy((SCORES, TRUE), TRUE), TypeError, "outputs are no array.*tuple"),
        (lambda: metrics.accuracy({"y": SCORES}, TRUE), TypeError, "dict"),
        (lambda: metrics.accuracy(None, TRUE), TypeError, "NoneType"),
        (lambda: metrics.accuracy(SCORES[:0], TRUE[:0]), ValueError, "Accuracy: there is no value of no sample"),
        (lambda: metrics.accuracy(SCORES, TRUE, ignore_index=-1, colour=1), TypeError, "colour"),
        (lambda: metrics.top_k_accuracy(SCORES, TRUE, 4), ValueError, "fewer than 4 classes"),
        (lambda: metrics.top_k_accuracy(SCORES, TRUE, 0), ValueError, "k is at least 1"),
        (lambda: metrics.f1(SCORES, TRUE, "mean"), ValueError, "'binary', 'macro', 'micro', 'weighted', None"),
        (lambda: metrics.f1(SCORES, TRUE, "binary"), ValueError, "for two classes"),
        (lambda: metrics.f1(SCORES, TRUE, "macro", zero_division=0.5), ValueError, "0.0, 1.0 or NaN"),
        (lambda: metrics.f1(SCORES, TRUE, "macro", positive=2), ValueError, "0 or 1"),
        (lambda: metrics.f1(TRUE[:0], TRUE[:0], "macro"), ValueError, "F1: there is no value of no sample"),
        (lambda: metrics.confusion_matrix(SCORES, TRUE, "rows"), ValueError, "'true', 'predicted', 'all'"),
        (lambda: metrics.confusion_matrix([90000], [0]), ValueError, "too many classes"),
        (lambda: metrics.r2([1.0, 2], [[1.0], [2.0]]), zk.errors.ShapeError, "nothing is broadcast\nOne has an axis"),
        (lambda: metrics.r2([1.0], [1.0]), ValueError, "at least two samples"),
        (lambda: metrics.r2([1.0, np.inf], [1.0, 2]), ValueError, "expected: finite numbers"),
        (lambda: metrics.r2([1e-200, 0], [1e-200, 2e-200]), ValueError, "too small to be squared"),
        (lambda: metrics.mean_squared_error(1.0, 2.0), zk.errors.ShapeError, "one sample an entry of axis 0"),
        (lambda: metrics.mean_squared_error([1e200], [0.0]), ValueError, "too large to be squared"),
        (lambda: metrics.mean_absolute_error([], []), ValueError, "no sample"),
        (lambda: metrics.perplexity([[0.25, 0.75]], [0]), ValueError, "the outputs are probabilities"),
        (lambda: metrics.perplexity([[-np.inf, -np.inf]], [0]), ValueError, "no class that is possible"),
        (lambda: metrics.perplexity([0, 1], [0, 1]), zk.errors.ShapeError, "do not fit together"),
    ],
)
def test_mistakes(compute, kind, said):
    with pytest.raises(kind, match=f"(?s){said}"):
        compute()


def test_samples_of_another_size_in_a_later_batch():
    metric = metrics.R2()
    metric.update(np.zeros((2, 3)), np.ones((2, 3)))
    with pytest.raises(zk.errors.ShapeError, match="R2: samples differ in size"):
        metric.update(np.zeros((2, 4)), np.ones((2, 4)))


# ---- what a Trainer makes of them ----


def test_functions_of_the_package_become_exact_metrics():
    given = metrics.F1("macro")
    assert metrics.as_metric(given) is given
    for function in (metrics.accuracy, metrics.r2, metrics.perplexity, metrics.confusion_matrix):
        metric = metrics.as_metric(function)
        assert type(metric).__name__.lower() == function.__name__.replace("_", "")
    for function in (metrics.f1, metrics.precision, metrics.recall, metrics.top_k_accuracy):
        with pytest.raises(TypeError, match=f"{function.__name__} needs a setting"):
            metrics.as_metric(function)
    with pytest.raises(TypeError, match=r"Accuracy\(\.\.\.\)"):
        metrics.as_metric(metrics.Accuracy)
    with pytest.raises(TypeError, match="this is no metric.\n  got:      'accuracy'"):
        metrics.as_metric("accuracy")


def test_other_functions_are_means_over_batches_by_samples():
    def largest(outputs, targets):
        return op.max(outputs)

    metric = metrics.as_metric(largest)
    metric.update(np.array([1.0, 2.0, 3.0]), [0, 0, 0])
    metric.update(np.array([7.0]), [0])
    metric.update(np.array([]), [])
    assert metric.value() == 4 and metric.name == "largest"
    metric.reset()
    with pytest.raises(ValueError, match="largest: there is no value of no sample"):
        metric.value()
    metric.update(np.array([np.nan]), [0])
    assert math.isnan(metric.value())


def test_a_figure_of_a_batch_is_one_number():
    def margins(outputs, targets):
        return outputs[:, 0] - outputs[:, 1]

    with pytest.raises(zk.errors.ShapeError, match="margins: a metric of a batch is one number"):
        metrics.as_metric(margins).update(SCORES, TRUE)


def test_a_metric_of_ones_own():
    class Right(metrics.Metric):
        def reset(self):
            self.right = 0

        def update(self, outputs, targets):
            self.right += int((np.argmax(outputs, axis=-1) == targets).sum())

        def value(self):
            return float(self.right)

    assert Right().of(SCORES, TRUE) == 4
    for call in (metrics.Metric().reset, metrics.Metric().value, lambda: metrics.Metric().update(1, 1)):
        with pytest.raises(NotImplementedError, match="Metric needs a method"):
            call()


def test_every_public_name_is_documented():
    assert all(getattr(metrics, name).__doc__ for name in metrics.__all__)


def test_the_page_runs(checkout, tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (checkout / "docs/metrics.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    space: dict = {}
    exec(compile(blocks[0], "docs/metrics.md, metrics", "exec"), space)
    pytest.importorskip("matplotlib", reason="matplotlib draws the plots")
    exec(compile(blocks[1], "docs/metrics.md, plots", "exec"), space)
    written = {"curves.png", "confusion.svg", "wrong.png", "weights.png", "filters.png", "features.pdf"}
    assert len(blocks) == 2 and {each.name for each in tmp_path.iterdir()} == written
