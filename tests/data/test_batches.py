"""Batches of datasets: resumed in the middle of an epoch, prefetched in a thread, transformed."""

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from zkynet.data import Arrays, Batches, Dataset, Subset


class Squares(Dataset):
    """0, 1, 4, 9 ...: made when asked for, and counted."""

    def __init__(self, count, fails_at=None):
        self.count, self.fails_at, self.asked = count, fails_at, []

    def __len__(self):
        return self.count

    def batch(self, indices):
        self.asked.append(indices.tolist())
        if self.fails_at in indices:
            raise OSError(f"sample {self.fails_at} cannot be read")
        return indices, indices**2


def noisy(batch, generator):
    return batch[0] + generator.random(len(batch[0])), batch[1]


def make(**options):
    numbers = np.arange(23)
    return Batches((numbers, numbers.reshape(23, 1) * 2), 4, **{"seed": 3, "transform": noisy} | options)


def same(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others):
        for array, another in zip(batch, other, strict=True):
            np.testing.assert_array_equal(array, another, strict=True)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "zkynet-prefetch"]


OPTIONS = [{}, {"shuffle": False}, {"drop_last": True}, {"prefetch": 2}, {"prefetch": 9, "drop_last": True}]


class TestResuming:
    @pytest.mark.parametrize("options", OPTIONS, ids=str)
    @pytest.mark.parametrize("stop", [0, 1, 3, 5, 6, 7, 12, 13])
    def test_the_next_batch_is_what_it_would_have_been(self, options, stop):
        whole, first = make(**options), make(**options)
        epochs = [list(whole) for _ in range(4)]
        stop = min(stop, 2 * len(whole) + 1)
        seen, state = 0, first.state_dict()
        for _ in range(3):
            if seen == stop:
                break
            for _ in first:
                seen += 1
                state = first.state_dict()
                if seen == stop:
                    break
        resumed = make(**options)
        resumed.load_state_dict(json.loads(json.dumps(state)))
        epoch, batch = divmod(stop, len(whole))
        assert resumed.epoch == epoch and resumed.state_dict() == state
        same(list(resumed), epochs[epoch][batch:])
        assert resumed.epoch == epoch + 1
        same(list(resumed), epochs[epoch + 1])

    def test_at_the_end_of_an_epoch_the_next_one_follows(self):
        batches = make()
        for _ in batches:
            state = batches.state_dict()
        assert (state["epoch"], state["batch"]) == (1, 0) and batches.state_dict() == state

    def test_a_state_is_of_its_moment(self):
        batches = make()
        iterator = iter(batches)
        next(iterator)
        state = batches.state_dict()
        next(iterator)
        assert state["batch"] == 1 and batches.state_dict()["batch"] == 2

    def test_after_a_break_the_state_stands_there_and_the_next_iteration_is_a_new_epoch(self):
        batches, whole = make(), make()
        epochs = [list(whole) for _ in range(2)]
        for _ in batches:
            break
        assert (batches.state_dict()["epoch"], batches.state_dict()["batch"], batches.epoch) == (0, 1, 1)
        same(list(batches), epochs[1])

    def test_the_epoch_that_is_assigned_begins_at_its_first_batch(self):
        batches = make()
        next(iter(batches))
        batches.epoch = 5
        assert (batches.state_dict()["epoch"], batches.state_dict()["batch"]) == (5, 0)

    def test_the_newest_iteration_counts(self):
        batches = make()
        first, second = iter(batches), iter(batches)
        next(first), next(first), next(second)
        assert (batches.state_dict()["epoch"], batches.state_dict()["batch"]) == (1, 1)

    def test_a_failure_leaves_the_state_before_the_batch_that_failed(self):
        batches = Batches(Squares(10, fails_at=5), 2, shuffle=False, prefetch=3)
        with pytest.raises(OSError, match="sample 5"):
            list(batches)
        assert (batches.state_dict()["epoch"], batches.state_dict()["batch"]) == (0, 2)

    @pytest.mark.parametrize("change", [{"seed": 4}, {"shuffle": False}, {"drop_last": True}])
    def test_other_settings_are_refused(self, change):
        ((name, value),) = change.items()
        batches = make(**change)
        with pytest.raises(ValueError, match=f"got: +{name} {make().state_dict()[name]}\n  expected: {name} {value}"):
            batches.load_state_dict(make().state_dict() | {"epoch": 7})
        assert batches.epoch == 0

    def test_other_samples_are_refused(self):
        with pytest.raises(ValueError, match="got: +samples 23\n  expected: samples 22"):
            Batches((np.ones(22),), 4, seed=3).load_state_dict(make().state_dict())

    @pytest.mark.parametrize(
        "change, kind, words",
        [
            ({"batch": 6}, ValueError, "there is no such batch.\n  got:      6\n  expected: 0 to 5"),
            ({"batch": -1}, ValueError, "too small"),
            ({"epoch": -1}, ValueError, "too small"),
            ({"epoch": 1.5}, TypeError, "not an integer"),
            ({"more": 1}, ValueError, "not the state of batches"),
        ],
    )
    def test_what_is_no_state_is_refused(self, change, kind, words):
        batches = make()
        with pytest.raises(kind, match=words):
            batches.load_state_dict(batches.state_dict() | change)
        with pytest.raises(ValueError, match="got: +NoneType"):
            batches.load_state_dict(None)
        assert batches.state_dict() == make().state_dict()


class TestPrefetch:
    @pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"drop_last": True}], ids=str)
    @pytest.mark.parametrize("ahead", [1, 2, 100])
    def test_gives_the_same_batches(self, options, ahead):
        plain, ahead = make(**options), make(prefetch=ahead, **options)
        for _ in range(2):
            same(list(plain), list(ahead))

    def test_makes_as_many_ahead_as_it_was_told(self):
        squares = Squares(100)
        iterator = iter(Batches(squares, 1, prefetch=3))
        assert squares.asked == []
        next(iterator)
        deadline = time.monotonic() + 10
        while len(squares.asked) < 4 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)  # a fifth one would come now
        assert len(squares.asked) == 4
        iterator.close()

    def test_batches_are_made_in_another_thread(self):
        threads = set()
        make_batch = lambda batch, _: threads.add(threading.current_thread().name) or batch  # noqa: E731
        list(make(transform=make_batch, prefetch=1))
        assert threads == {"zkynet-prefetch"}

    def test_an_error_comes_at_its_place(self):
        batches, seen = Batches(Squares(10, fails_at=6), 2, shuffle=False, prefetch=4), []
        with pytest.raises(OSError, match="sample 6 cannot be read"):
            for numbers, _ in batches:
                seen.append(numbers.tolist())
        assert seen == [[0, 1], [2, 3], [4, 5]]

    def test_the_thread_ends_with_a_break(self):
        for _ in make(prefetch=2):
            assert any(thread.name == "zkynet-prefetch" for thread in threading.enumerate())
            break

    def test_nothing_is_asked_for_after_a_break(self):
        class Slow(Squares):
            def batch(self, indices):
                time.sleep(0.02)
                return super().batch(indices)

        squares = Slow(100)
        for _ in Batches(squares, 1, prefetch=50):
            break
        asked = len(squares.asked)
        assert not [thread for thread in threading.enumerate() if thread.name == "zkynet-prefetch"]
        time.sleep(0.05)
        assert len(squares.asked) == asked < 50

    def test_a_program_ends_in_the_middle_of_an_epoch(self, tmp_path):
        program = (
            "import numpy as np; from zkynet.data import Batches\n"
            "iterator = iter(Batches((np.arange(100),), 1, prefetch=2)); next(iterator)\n"
            "class Holder: pass\n"
            "holder = Holder(); holder.me, holder.iterator = holder, iterator; del iterator\n"
            "print('done')"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


class TestTransform:
    def test_its_random_numbers_are_those_of_the_batch(self):
        batches = make()
        first, again = list(batches), []
        batches.epoch = 0
        again = list(batches)
        same(first, again)
        noise = np.concatenate([x % 1 for x, _ in first] + [x % 1 for x, _ in batches])
        assert len(np.unique(noise)) == len(noise)
        one, other = (next(iter(make(seed=seed, shuffle=False)))[0] % 1 for seed in (3, 4))
        assert np.abs(one - other).max() > 0.01

    def test_what_it_returns_becomes_read_only_and_stays_its_own(self):
        kept = np.zeros(4)
        batches = make(transform=lambda batch, _: [kept, batch[1][:, 0], batch[1]])
        for kept_copy, view, same_array in batches:
            assert not kept_copy.flags.writeable and kept_copy.base is None
            assert not view.flags.writeable and view.base is None
            assert not same_array.flags.writeable and same_array.base is None
        assert kept.flags.writeable

    def test_it_gets_read_only_arrays(self):
        def spoil(batch, generator):
            batch[0][0] = 1

        with pytest.raises(ValueError, match="read-only"):
            next(iter(make(transform=spoil)))

    @pytest.mark.parametrize("result, words", [(np.ones(3), "ndarray"), (None, "NoneType"), ((), "tuple of shapes")])
    def test_it_returns_a_batch(self, result, words):
        with pytest.raises(TypeError, match=f"transform did not return a batch.\n  got:      {words}"):
            next(iter(make(transform=lambda batch, _: result)))

    def test_it_can_be_called(self):
        with pytest.raises(TypeError, match="transform cannot be called.\n  got:      int"):
            make(transform=3)


class TestDatasets:
    def test_a_dataset_of_ones_own(self):
        batches = Batches(Squares(10), 4, seed=1)
        order = batches.order(0)
        x, y = (np.concatenate(arrays) for arrays in zip(*batches))
        assert np.array_equal(x, order) and np.array_equal(y, order**2)
        for array in next(iter(batches)):
            assert not array.flags.writeable and array.base is None

    def test_one_sample(self):
        numbers = np.arange(12).reshape(6, 2)
        dataset = Arrays((numbers, numbers[:, 0]))
        assert len(dataset) == 6 and dataset[-1][0].tolist() == [10, 11] and dataset[1][1] == 2
        with pytest.raises(IndexError, match="got: +6\n  expected: -6 to 5"):
            dataset[6]

    def test_subsets(self):
        subset = Subset(Subset(Squares(10), [1, -1, 3, 3]), np.array([1, 2, 3]))
        assert len(subset) == 3 and subset.batch(np.array([2, 0]))[1].tolist() == [9, 81]
        assert [b[0].tolist() for b in Batches(subset, 2, shuffle=False)] == [[9, 3], [3]]

    @pytest.mark.parametrize(
        "indices, kind, words",
        [
            ([0, 10], IndexError, "got: +10"),
            ([-11], IndexError, "got: +-11"),
            ([], TypeError, r"shape \(0,\)"),
            ([[1]], TypeError, r"shape \(1, 1\)"),
            (np.ones(10, bool), TypeError, "numpy.flatnonzero"),
            ([0.5], TypeError, "float64"),
        ],
    )
    def test_indices_out_of_range(self, indices, kind, words):
        with pytest.raises(kind, match=words):
            Subset(Squares(10), indices)

    def test_a_subset_of_arrays_is_an_index(self):
        with pytest.raises(TypeError, match="index them instead"):
            Subset(np.ones(3), [0])

    @pytest.mark.parametrize(
        "result, words",
        [
            (np.ones((2, 2)), "ndarray"),
            ((np.ones(3),), r"tuple of shapes \(3,\)"),
            ((np.ones(2), 1.0), r"tuple of shapes \(2,\), \(\)"),
        ],
    )
    def test_what_a_dataset_returns_is_checked(self, result, words):
        class Wrong(Squares):
            def batch(self, indices):
                return result

        with pytest.raises(
            ValueError, match=f"Wrong.batch did not give .*\n  got:      {words}\n  expected: .* 2 along"
        ):
            next(iter(Batches(Wrong(10), 2)))

    def test_a_view_is_copied_before_it_is_marked(self):
        source = np.arange(10)

        class Views(Squares):
            def batch(self, indices):
                return (source[: len(indices)],)

        for (batch,) in Batches(Views(10), 5):
            assert batch.base is None and not batch.flags.writeable
        assert source.flags.writeable

    def test_an_unfinished_dataset_says_what_it_needs(self):
        class Empty(Dataset):
            pass

        with pytest.raises(NotImplementedError, match="Empty needs __len__"):
            Batches(Empty(), 1)
        with pytest.raises(NotImplementedError, match="needs batch"):
            Empty().batch(np.arange(1))
        with pytest.raises(ValueError, match="0 samples"):
            Batches(Squares(0), 1)

    def test_arrays_in_a_file_stay_there(self, tmp_path):
        np.save(tmp_path / "x.npy", np.arange(20).reshape(10, 2))
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
        (batch,) = next(iter(Batches((mapped,), 3, shuffle=False)))
        assert type(batch) is np.ndarray and batch.tolist() == [[0, 1], [2, 3], [4, 5]]

    def test_arrays_that_are_not_contiguous(self):
        source = np.arange(60).reshape(3, 20).T
        batches = Batches((source, source[:, ::2]), 7, seed=1)
        whole, half = (np.concatenate(arrays) for arrays in zip(*batches))
        assert np.array_equal(whole, source[batches.order(0)]) and np.array_equal(half, whole[:, ::2])

    def test_the_arrays_of_batches(self):
        assert make().arrays[0].tolist() == list(range(23))
        with pytest.raises(AttributeError, match="dataset"):
            _ = Batches(Squares(3), 1).arrays

    @pytest.mark.parametrize("ahead, kind", [(-1, ValueError), (1.5, TypeError)])
    def test_prefetch_out_of_range(self, ahead, kind):
        with pytest.raises(kind, match="prefetch"):
            make(prefetch=ahead)
