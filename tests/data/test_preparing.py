"""Splits, standardising, one-hot labels."""

import io
import warnings

import numpy as np
import pytest

from zkynet.backends.errors import FileFormatError, ShapeError
from zkynet.data import Standardizer, load_digits, one_hot, split, stratified_split

# Written down once: a change means that results on these parts no longer compare.
SPLIT_10 = [[0, 4, 5, 7, 9], [1, 6, 8], [2, 3]]


class TestSplit:
    @pytest.mark.parametrize("fractions", [(0.8, 0.2), (0.8, 0.1, 0.1), (0.25,) * 4])
    @pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"labels": np.arange(97) % 4}], ids=["", "cut", "by"])
    def test_parts_are_disjoint_ascending_and_cover_all(self, fractions, options):
        parts = split(97, fractions, **options)
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(97))
        for part, fraction in zip(parts, fractions, strict=True):
            assert part.dtype == np.int64 and (np.diff(part) > 0).all()
            assert abs(len(part) - 97 * fraction) <= (1 if "labels" not in options else 4)

    def test_without_shuffle_it_cuts(self):
        train, validation, test = split(20, shuffle=False)
        assert train.tolist() == list(range(16)) and validation.tolist() == [16, 17] and test.tolist() == [18, 19]

    def test_with_labels_every_class_has_its_share(self):
        labels = load_digits()[1]
        for part, fraction in zip(split(1797, labels=labels, seed=5), (0.8, 0.1, 0.1)):
            assert np.abs(np.bincount(labels[part]) - fraction * np.bincount(labels)).max() <= 1

    @pytest.mark.parametrize("seed", [0, 7])
    def test_two_parts_by_label_are_the_stratified_split(self, seed):
        labels = load_digits()[1]
        for part, expected in zip(
            split(1797, (0.8, 0.2), labels=labels, seed=seed), stratified_split(labels, seed=seed)
        ):
            assert np.array_equal(part, expected)

    def test_is_fixed(self):
        assert [part.tolist() for part in split(10, (0.5, 0.3, 0.2))] == SPLIT_10

    def test_seed_changes_it(self):
        assert not np.array_equal(split(100)[1], split(100, seed=1)[1])

    def test_no_part_is_empty(self):
        for count in (3, 4, 5):
            assert min(map(len, split(count, (0.98, 0.01, 0.01)))) == 1
        labels = np.repeat([0, 1], [3, 100])
        for part in split(103, labels=labels):
            assert set(labels[part]) == {0, 1}

    @pytest.mark.parametrize(
        "count, options, words",
        [
            (2, {}, "got: +2 samples, 3 parts\n  expected: at least 3"),
            (0, {}, "got: +0 samples"),
            (9, {"labels": [0] * 7 + [5] * 2}, "got: +2 samples with label 5"),
            (9, {"labels": [0] * 8}, "got: +8 labels\n  expected: 9"),
            (9, {"labels": [0] * 9, "shuffle": False}, "labels need shuffle=True"),
            (9, {"fractions": (0.8, 0.1)}, "sum 0.9"),
            (9, {"fractions": (1.0,)}, "two or more"),
            (9, {"fractions": (1.2, -0.2)}, "each above 0"),
            (9, {"fractions": (float("nan"), 1.0)}, "each above 0"),
            (9, {"seed": -1}, "seed"),
        ],
    )
    def test_errors_say_what_came(self, count, options, words):
        with pytest.raises(ValueError, match=words):
            split(count, **options)


class TestStandardizer:
    @pytest.fixture
    def train(self):
        return (np.random.default_rng(0).standard_normal((200, 3)) * [1, 10, 1e-3] + [0, 100, 5]).astype("f4")

    def test_the_training_data_get_mean_0_and_deviation_1(self, train):
        result = Standardizer().fit(train).apply(train)
        assert result.dtype == np.float32 and result.shape == train.shape
        np.testing.assert_allclose(result.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(result.std(axis=0), 1, atol=1e-4)

    def test_other_data_are_measured_with_the_training_data(self, train):
        standardizer = Standardizer().fit(train)
        expected = (3.0 - train.astype("f8").mean(axis=0)) / train.astype("f8").std(axis=0)
        np.testing.assert_allclose(standardizer.apply(np.full((1, 3), 3)), [expected], rtol=1e-12)

    def test_undo(self, train):
        standardizer = Standardizer().fit(train)
        np.testing.assert_allclose(standardizer.undo(standardizer.apply(train)), train, rtol=1e-5)

    @pytest.mark.parametrize("dtype, result", [("f2", "f2"), ("f4", "f4"), ("f8", "f8"), ("i8", "f8"), ("u1", "f8")])
    def test_dtypes(self, dtype, result):
        x = np.array([[1, 2], [3, 9]], dtype)
        standardizer = Standardizer().fit(x)
        assert standardizer.apply(x).dtype == standardizer.undo(x).dtype == result
        assert standardizer.apply(x).tolist() == [[-1, -1], [1, 1]] and standardizer.mean.dtype == np.float64

    @pytest.mark.parametrize("constant", [0.1, -1 / 3, 1e300, 0.0, 5])
    def test_a_constant_feature_becomes_0(self, constant):
        x = np.stack([np.full(1000, constant), np.arange(1000)], axis=1)
        standardizer = Standardizer().fit(x)
        assert (standardizer.apply(x)[:, 0] == 0).all() and standardizer.scale[0, 0] == 1
        assert (standardizer.undo(standardizer.apply(x))[:, 0] == constant).all()

    @pytest.mark.parametrize(
        "axis, shape", [((0, 2, 3), (1, 3, 1, 1)), ([0, -1, -2], (1, 3, 1, 1)), (None, ()), (-3, (4, 1, 5, 6))]
    )
    def test_other_axes(self, axis, shape):
        x = np.random.default_rng(1).random((4, 3, 5, 6))
        standardizer = Standardizer(axis).fit(x)
        axes = tuple(axis) if isinstance(axis, list) else axis
        assert standardizer.mean.shape == shape
        keep = axis is not None
        expected = (x - x.mean(axis=axes, keepdims=keep)) / x.std(axis=axes, keepdims=keep)
        np.testing.assert_allclose(standardizer.apply(x), expected, rtol=1e-12)

    @pytest.mark.parametrize("axis", [0, (0, 1), None, -2])
    def test_saved_and_loaded_it_is_the_same(self, train, tmp_path, axis):
        standardizer = Standardizer(axis).fit(train)
        standardizer.save(tmp_path / "scale")
        loaded = Standardizer.load(tmp_path / "scale")
        np.testing.assert_array_equal(loaded.mean, standardizer.mean, strict=True)
        np.testing.assert_array_equal(loaded.apply(train[:5]), standardizer.apply(train[:5]), strict=True)
        with pytest.raises(ShapeError) if axis in (0, -2) else warnings.catch_warnings():
            loaded.apply(train[:, :2])

    @pytest.mark.parametrize("shape", [(200,), (200, 2), (200, 1), (200, 3, 1)])
    def test_data_of_another_shape_are_refused(self, train, shape):
        with pytest.raises(ShapeError, match=r"expected: \(any, 3\)"):
            Standardizer().fit(train).apply(np.ones(shape))

    @pytest.mark.parametrize(
        "x, kind, words",
        [
            (np.ones((0, 3)), ValueError, r"shape \(0, 3\)"),
            ([[1.0], [np.nan]], ValueError, "1 numbers not finite"),
            ([[1.0], [np.inf]], ValueError, "1 numbers not finite"),
            ([[1e308], [-1e308]], ValueError, "too large"),
            ([[0.0], [5e-324]], ValueError, "too close to 0"),
            ([["a"]], TypeError, "no real numbers"),
            ([[1j]], TypeError, "no real numbers"),
            (1.0, TypeError, r"shape \(\)"),
        ],
    )
    def test_what_cannot_be_measured(self, x, kind, words):
        standardizer = Standardizer()
        with pytest.raises(kind, match=words):
            standardizer.fit(x)
        with pytest.raises(RuntimeError, match="Call fit"):
            _ = standardizer.mean

    def test_before_fit(self, tmp_path):
        for use in (lambda s: s.apply([1]), lambda s: s.undo([1]), lambda s: s.save(tmp_path / "x"), lambda s: s.scale):
            with pytest.raises(RuntimeError, match=r"Call fit\(training_data\) first"):
                use(Standardizer())
        assert not (tmp_path / "x").exists()

    def archive(self, **arrays):
        file, good = io.BytesIO(), {"format": np.array("zkynet standardizer 1"), "axis": np.array([0])}
        good |= {"mean": np.zeros((1, 2)), "scale": np.ones((1, 2))}
        np.savez(file, **{name: array for name, array in (good | arrays).items() if array is not None})
        return file.getvalue()

    def test_the_archive_made_here_is_right(self, tmp_path):
        (tmp_path / "x").write_bytes(self.archive())
        assert Standardizer.load(tmp_path / "x").apply([[1, 2]]).tolist() == [[1, 2]]

    @pytest.mark.parametrize(
        "arrays",
        [
            {"scale": np.zeros((1, 2))},
            {"scale": np.ones((1, 3))},
            {"scale": np.array([[1, np.nan]])},
            {"mean": np.array([[1, np.inf]])},
            {"mean": np.zeros((1, 2), "f4"), "scale": np.ones((1, 2), "f4")},
            {"axis": np.array([2])},
            {"axis": np.array([-3])},
            {"axis": np.array([0.5])},
            {"axis": None},
            {"format": np.array("other")},
            {"mean": np.array([["a"]], dtype=object)},
        ],
    )
    def test_other_archives_are_refused(self, tmp_path, arrays):
        (tmp_path / "x").write_bytes(self.archive(**arrays))
        with pytest.raises(FileFormatError, match="Standardizer"):
            Standardizer.load(tmp_path / "x")

    def test_other_files_are_refused(self, tmp_path):
        array = io.BytesIO()
        np.save(array, np.ones(3))
        for content in (b"", b"text", self.archive()[:-30], self.archive()[:50], array.getvalue()):
            (tmp_path / "x").write_bytes(content)
            with pytest.raises(FileFormatError, match="no saved Standardizer"):
                Standardizer.load(tmp_path / "x")
        with pytest.raises(FileNotFoundError):
            Standardizer.load(tmp_path / "none")


class TestOneHot:
    def test_ones_at_the_labels(self):
        result = one_hot([2, 0], 4)
        assert result.dtype == np.float32 and result.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]

    def test_shapes_dtypes_and_the_number_of_classes(self):
        assert one_hot([[0, 1, 2]], dtype="int8").tolist() == [[[1, 0, 0], [0, 1, 0], [0, 0, 1]]]
        assert one_hot(np.uint8(1)).tolist() == [0, 1]
        assert one_hot(np.zeros((0, 2), int), 3).shape == (0, 2, 3)
        assert one_hot([70000], 100000).nbytes == 400000

    @pytest.mark.parametrize(
        "labels, classes, kind, words",
        [
            ([0, 3], 3, ValueError, "got: +3\n  expected: 0 to 2"),
            ([-1, 0], None, ValueError, "got: +-1"),
            ([0.0], None, TypeError, "float64"),
            ([True], None, TypeError, "bool"),
            (np.zeros(0, int), None, ValueError, "how many classes"),
        ],
    )
    def test_labels_out_of_range(self, labels, classes, kind, words):
        with pytest.raises(kind, match=words):
            one_hot(labels, classes)
