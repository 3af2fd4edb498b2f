"""The digits that ship with zkynet, the fixed split, and the batches."""

import hashlib

import numpy as np
import pytest

from zkynet.data import Batches, load_digits, stratified_split

# Of the uint8 pixels and the uint8 labels, as scikit-learn's load_digits has them.
DIGITS_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"

# Written down once, from NumPy 2.1 and 2.4: a change means that published accuracies no longer compare.
SPLIT_SHA256 = "83ac77e38f69c6509975508efe447b0492dde793cd6876336a89ed4df998808d"
ORDER_0 = [4, 6, 1, 5, 7, 0, 3, 8, 9, 2]
ORDER_1 = [9, 0, 6, 7, 5, 8, 2, 1, 4, 3]


def numbers(count):
    return np.arange(count), np.arange(count * 3).reshape(count, 3)


class TestDigits:
    def test_is_the_uci_set(self):
        images, labels = load_digits()
        pixels = (images * 16).astype(np.uint8).tobytes() + labels.astype(np.uint8).tobytes()
        assert hashlib.sha256(pixels).hexdigest() == DIGITS_SHA256

    @pytest.mark.parametrize("dtype", ["float32", "float64", np.float16])
    def test_shapes_dtypes_and_range(self, dtype):
        images, labels = load_digits(dtype)
        assert images.shape == (1797, 64) and images.dtype == np.dtype(dtype)
        assert labels.shape == (1797,) and labels.dtype == np.int64
        assert images.min() == 0 and images.max() == 1
        assert np.array_equal(np.bincount(labels), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])

    def test_is_read_only(self):
        for array in load_digits():
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0

    @pytest.mark.parametrize("dtype", ["int32", "complex64", "uint8"])
    def test_refuses_a_dtype_that_cannot_hold_fractions(self, dtype):
        with pytest.raises(TypeError, match=f"got: +{dtype}"):
            load_digits(dtype)


class TestStratifiedSplit:
    def test_parts_are_disjoint_and_cover_all(self):
        train, test = stratified_split(load_digits()[1])
        assert len(train) == 1438 and len(test) == 359
        assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(1797))
        assert train.dtype == test.dtype == np.int64
        assert (np.diff(train) > 0).all() and (np.diff(test) > 0).all()

    @pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5, 0.9])
    def test_every_class_gives_its_share(self, fraction):
        labels = load_digits()[1]
        _, test = stratified_split(labels, fraction)
        expected = np.floor(np.bincount(labels) * fraction + 0.5)
        assert np.array_equal(np.bincount(labels[test]), expected)

    def test_is_fixed(self):
        _, test = stratified_split(load_digits()[1])
        assert hashlib.sha256(test.astype("<i8").tobytes()).hexdigest() == SPLIT_SHA256

    def test_seed_changes_it(self):
        labels = load_digits()[1]
        _, test = stratified_split(labels, seed=0)
        _, other = stratified_split(labels, seed=1)
        assert len(test) == len(other) and not np.array_equal(test, other)

    def test_small_classes_are_on_both_sides(self):
        labels = np.array([7, 3, 7, 3])
        for fraction in (0.01, 0.99):
            train, test = stratified_split(labels, fraction)
            assert sorted(labels[train]) == sorted(labels[test]) == [3, 7]

    @pytest.mark.parametrize(
        "labels, fraction, kind, words",
        [
            ([0, 0, 1], 0.2, ValueError, "class 1 cannot be on both sides"),
            ([], 0.2, ValueError, r"got: +\(0,\)"),
            ([[0, 1]], 0.2, ValueError, r"got: +\(1, 2\)"),
            ([0.0, 1.0], 0.2, TypeError, "dtype float64"),
            ([0, 0], 0, ValueError, "got: +0"),
            ([0, 0], 1.0, ValueError, "got: +1.0"),
            ([0, 0], float("nan"), ValueError, "got: +nan"),
        ],
    )
    def test_errors_say_what_came(self, labels, fraction, kind, words):
        with pytest.raises(kind, match=words):
            stratified_split(labels, fraction)

    @pytest.mark.parametrize("seed, kind", [(-1, ValueError), (0.5, TypeError), (None, TypeError)])
    def test_refuses_a_seed_that_fixes_nothing(self, seed, kind):
        with pytest.raises(kind, match="seed"):
            stratified_split([0, 0], seed=seed)


class TestBatches:
    @pytest.mark.parametrize("count, size", [(10, 1), (10, 3), (10, 5), (10, 10), (10, 64), (1, 1)])
    @pytest.mark.parametrize("shuffle", [True, False])
    def test_cover_each_sample_once(self, count, size, shuffle):
        batches = Batches(numbers(count), size, shuffle=shuffle)
        seen = list(batches)
        assert len(seen) == len(batches)
        assert all(len(a) == len(b) == size for a, b in seen[:-1])
        assert np.array_equal(np.sort(np.concatenate([a for a, _ in seen])), np.arange(count))

    def test_arrays_stay_aligned(self):
        for a, b in Batches(numbers(10), 4):
            assert np.array_equal(b[:, 0], 3 * a) and b.shape[1:] == (3,)

    def test_without_shuffle_the_order_is_kept(self):
        batches = Batches(numbers(10), 4, shuffle=False)
        for _ in range(2):
            assert np.array_equal(np.concatenate([a for a, _ in batches]), np.arange(10))

    def test_drop_last(self):
        batches = Batches(numbers(10), 4, drop_last=True)
        assert len(batches) == 2 and [len(a) for a, _ in batches] == [4, 4]

    def test_dtypes_are_kept(self):
        (batch,) = next(iter(Batches((np.ones((4, 2), np.float16),), 2)))
        assert batch.dtype == np.float16 and batch.shape == (2, 2)

    def test_order_is_fixed(self):
        batches = Batches(numbers(10), 4, seed=3)
        assert np.array_equal(batches.order(0), ORDER_0)
        assert np.array_equal(batches.order(1), ORDER_1)
        assert np.array_equal(np.concatenate([a for a, _ in batches]), ORDER_0)
        assert np.array_equal(np.concatenate([a for a, _ in batches]), ORDER_1)

    def test_resuming_repeats_the_epoch(self):
        first = Batches(numbers(50), 8, seed=5)
        epochs = [np.concatenate([a for a, _ in first]) for _ in range(3)]
        assert first.epoch == 3
        resumed = Batches(numbers(50), 8, seed=5)
        resumed.epoch = 2
        assert np.array_equal(np.concatenate([a for a, _ in resumed]), epochs[2])
        assert not np.array_equal(epochs[0], epochs[1])

    def test_seed_changes_the_order(self):
        assert not np.array_equal(Batches(numbers(50), 8, seed=0).order(0), Batches(numbers(50), 8, seed=1).order(0))

    def test_two_iterations_at_once_are_two_epochs(self):
        batches = Batches(numbers(10), 10, seed=3)
        first, second = iter(batches), iter(batches)
        assert np.array_equal(next(second)[0], ORDER_1)
        assert np.array_equal(next(first)[0], ORDER_0)

    @pytest.mark.parametrize("shuffle", [True, False])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_batches_are_read_only_and_own_their_memory(self, shuffle, order):
        source = np.array(numbers(10)[1], order=order)
        for (batch,) in Batches((source,), 4, shuffle=shuffle):
            assert not batch.flags.writeable and batch.base is None
            with pytest.raises(ValueError, match="read-only"):
                batch[0] = 0
            assert not np.shares_memory(batch, source)
        assert source.flags.writeable

    @pytest.mark.parametrize(
        "arrays, size, kind, words",
        [
            ((np.ones(3), np.ones(4)), 2, ValueError, r"shapes \(3,\), \(4,\)"),
            ((np.ones((0, 2)),), 2, ValueError, r"shapes \(0, 2\)"),
            ((), 2, ValueError, "of no array"),
            ((np.float64(1),), 2, ValueError, r"shapes \(\)"),
            (np.ones((3, 2)), 2, TypeError, "got: +ndarray"),
            ((np.ones(3),), 0, ValueError, "got: +0"),
            ((np.ones(3),), -2, ValueError, "got: +-2"),
            ((np.ones(3),), 1.5, TypeError, "got: +float 1.5"),
        ],
    )
    def test_errors_say_what_came(self, arrays, size, kind, words):
        with pytest.raises(kind, match=words):
            Batches(arrays, size)

    def test_refuses_an_epoch_without_batches(self):
        with pytest.raises(ValueError, match="3 samples, batch_size 4"):
            Batches((np.ones(3),), 4, drop_last=True)

    @pytest.mark.parametrize("epoch", [-1, 0.5, None])
    def test_refuses_an_impossible_epoch(self, epoch):
        batches = Batches((np.ones(3),), 2)
        with pytest.raises(ValueError, match="epoch"):
            batches.epoch = epoch
        assert batches.epoch == 0
