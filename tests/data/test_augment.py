"""Images changed at random, and by hand."""

import numpy as np
import pytest

from zkynet.data import Augment, Batches, Crop, Flip, Rotate, Shift, crop, flip, rotate, shift

IMAGE = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
STEPS = [Shift(2), Flip(), Flip(0.3, axis=-2), Crop(4, 5), Crop(7, padding=2), Rotate(30)]
NAMES = ["shift", "flip", "flip down", "crop", "crop padded", "rotate"]


def photos(count=6, dtype="f4"):
    return np.random.default_rng(0).integers(0, 200, (count, 3, 6, 7)).astype(dtype)


class TestByHand:
    @pytest.mark.parametrize("down, right", [(0, 0), (1, 0), (0, -1), (-2, 3), (3, 0), (100, 0), (0, -(2**40))])
    def test_shift_moves(self, down, right):
        expected = np.full((3, 4), -1.0)
        for row in range(3):
            for column in range(4):
                if 0 <= row + down < 3 and 0 <= column + right < 4:
                    expected[row + down, column + right] = IMAGE[0, row, column]
        assert np.array_equal(shift(IMAGE, down, right, fill=-1)[0], expected)

    def test_shift_each_image_by_its_own(self):
        x = photos()
        down, right = np.array([0, 1, -1, 2, 0, 0]), np.array([0, 0, 0, 0, -3, 1])
        expected = [shift(x[i : i + 1], down[i], right[i])[0] for i in range(6)]
        assert np.array_equal(shift(x, down, right), expected)

    @pytest.mark.parametrize("axis", [-1, -2])
    def test_flip_mirrors_those_chosen(self, axis):
        x = photos(3)
        result = flip(x, [True, False, True], axis)
        assert np.array_equal(result[0], np.flip(x[0], axis)) and np.array_equal(result[1], x[1])
        assert np.array_equal(flip(flip(x, axis=axis), axis=axis), x)

    def test_crop_cuts(self):
        x = photos(2)
        result = crop(x, [0, 2], [3, 0], 4, 3)
        assert np.array_equal(result[0], x[0, :, :4, 3:6]) and np.array_equal(result[1], x[1, :, 2:6, :3])

    @pytest.mark.parametrize("top, left", [(-1, 0), (0, -1), (3, 0), (0, 5), ([0, 3], 0)])
    def test_crop_stays_inside(self, top, left):
        with pytest.raises(ValueError, match="inside of 6 x 7 pixels"):
            crop(photos(2), top, left, 4, 3)

    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1", "i4"])
    @pytest.mark.parametrize("size", [5, 6])
    def test_quarter_turns_are_exact(self, dtype, size):
        x = photos(dtype=dtype)[:, :, :size, :size]
        for turns in range(-4, 6):
            np.testing.assert_array_equal(rotate(x, 90 * turns), np.rot90(x, turns, (-2, -1)), strict=True)

    def test_half_a_turn_of_any_shape_is_exact(self):
        assert np.array_equal(rotate(photos(), 180), photos()[..., ::-1, ::-1])

    def test_rotate_interpolates_between_four_pixels(self):
        x, angle = photos(1, "f8")[:, 0], 0.3
        result = rotate(x, np.rad2deg(angle), fill=7)
        for row in range(6):
            for column in range(7):
                y, z = row - 2.5, column - 3
                source = z * np.sin(angle) + y * np.cos(angle) + 2.5, z * np.cos(angle) - y * np.sin(angle) + 3
                expected = 0.0
                for i in range(-8, 14):
                    for j in range(-8, 15):
                        weight = max(0, 1 - abs(source[0] - i)) * max(0, 1 - abs(source[1] - j))
                        inside = 0 <= i < 6 and 0 <= j < 7
                        expected += weight * (x[0, i, j] if inside else 7)
                assert result[0, row, column] == pytest.approx(expected, rel=1e-12)

    def test_rotate_turns_counter_clockwise(self):
        x = np.zeros((1, 5, 5))
        x[0, 2, 4] = 1  # right of the centre
        assert rotate(x, 90)[0, 0, 2] == 1  # above it
        assert rotate(x, 45)[0].argmax() in (0 * 5 + 3, 1 * 5 + 3)

    def test_rotate_each_image_by_its_own(self):
        x, angles = photos(), np.array([0, 10, -20, 90, 33.3, 360])
        expected = [rotate(x[i : i + 1], angles[i])[0] for i in range(6)]
        assert np.array_equal(rotate(x, angles), expected) and np.array_equal(rotate(x, 0), x)

    def test_integers_are_rounded_and_stay_in_range(self):
        y = photos(dtype="u1")
        assert np.array_equal(rotate(y, 20), np.rint(rotate(y.astype("f8"), 20)))
        x = np.full((1, 9, 9), 255, np.uint8)
        result = rotate(x, 45, fill=255)
        assert result.dtype == np.uint8 and (result == 255).all()

    @pytest.mark.parametrize(
        "change", [lambda x: shift(x, 1, 1), flip, lambda x: crop(x, 0, 0, 3, 4), lambda x: rotate(x, 9)]
    )
    def test_the_argument_is_not_changed_and_nothing_is_shared(self, change):
        x = IMAGE.copy()
        assert not np.shares_memory(change(x), x) and np.array_equal(x, IMAGE)


class TestAtRandom:
    @pytest.mark.parametrize("step", STEPS, ids=NAMES)
    def test_the_generator_decides(self, step):
        x = photos(40)
        one, again, other = (step(x, np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert np.array_equal(one, again) and not np.array_equal(one, other)
        assert np.array_equal(step(x, 5), step(x, 5)) and not np.array_equal(step(x, 5), step(x, 6))

    @pytest.mark.parametrize("step", STEPS, ids=NAMES)
    @pytest.mark.parametrize("dtype", ["f2", "f8", "u1"])
    def test_dtype_and_shape(self, step, dtype):
        result = step(photos(dtype=dtype), 0)
        expected = {"crop": (4, 5), "crop padded": (7, 7)}.get(NAMES[STEPS.index(step)], (6, 7))
        assert result.dtype == dtype and result.shape == (6, 3, *expected)
        gray = step(photos(dtype=dtype)[:, 0], 0)
        assert np.array_equal(gray, result[:, 0])  # all channels are treated alike
        deep = step(photos(dtype=dtype)[:, :, None], 0)
        assert np.array_equal(deep[:, :, 0], result)

    def test_is_fixed(self):
        # Written down once: what a seed gives stays the same.
        assert Shift(2)(IMAGE.repeat(3, axis=0), 0)[:, 1, 1].tolist() == [3.0, 0.0, 0.0]
        assert Flip()(IMAGE.repeat(8, axis=0), 0)[:, 0, 0].tolist() == [0.0, 3.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0]

    def test_shifts_are_uniform(self):
        x = np.zeros((5000, 7, 7), np.uint8)
        x[:, 3, 3] = 1
        counts = Shift(2)(x, 0).sum(axis=0)
        assert counts.sum() == 5000 and (counts[1:6, 1:6] > 130).all() and counts[1:6, 1:6].max() < 270

    def test_crops_are_uniform(self):
        x = np.arange(36, dtype=np.uint8).reshape(1, 6, 6).repeat(4000, axis=0)
        counts = np.bincount(Crop(3, 4)(x, 0)[:, 0, 0], minlength=36).reshape(6, 6)
        assert counts[:4, :3].sum() == 4000 and (counts[:4, :3] > 250).all()

    def test_flips_have_their_probability(self):
        x = IMAGE.repeat(4000, axis=0)
        assert 1100 < (Flip(0.3)(x, 0)[:, 0, 0] == 3).sum() < 1300
        assert np.array_equal(Flip(0)(x, 0), x) and np.array_equal(Flip(1, axis=-2)(x, 0), x[:, ::-1])

    def test_angles_are_uniform(self):
        x = np.zeros((2000, 41, 41))
        x[:, 20, 40] = 1
        rows = Rotate(90)(x, 0).reshape(2000, -1).argmax(axis=1) // 41
        assert 900 < (rows < 20).sum() < 1100 and rows.min() <= 1 and rows.max() >= 39

    def test_nothing_to_change(self):
        x = photos()
        for step in (Shift(0), Flip(0), Crop(6, 7), Rotate(0)):
            assert np.array_equal(step(x, 0), x)


class TestAugment:
    def test_steps_one_after_the_other(self):
        x, y = photos(), np.arange(6)
        images, labels = Augment(Shift(1), Rotate(10))((x, y), np.random.default_rng(3))
        generator = np.random.default_rng(3)
        assert np.array_equal(images, Rotate(10)(Shift(1)(x, generator), generator)) and labels is y
        labels, images = Augment(Shift(1), array=1)((y, x), 3)
        assert np.array_equal(images, Shift(1)(x, 3)) and labels is y

    def test_in_batches_every_epoch_is_another_and_can_be_resumed(self):
        def make():
            return Batches((photos(20), np.arange(20)), 6, seed=1, transform=Augment(Shift(2), Flip(), Rotate(15)))

        batches = make()
        first, second = list(batches), list(batches)
        assert sorted(np.concatenate([labels for _, labels in first])) == list(range(20))
        assert not np.array_equal(by_label(first), by_label(second))
        resumed = make()
        resumed.load_state_dict(resumed.state_dict() | {"epoch": 1, "batch": 2})
        for got, expected in zip(list(resumed), second[2:], strict=True):
            assert np.array_equal(got[0], expected[0]) and not got[0].flags.writeable and got[0].base is None


def by_label(batches):
    images, labels = (np.concatenate(arrays) for arrays in zip(*batches))
    return images[np.argsort(labels)]


class TestErrors:
    @pytest.mark.parametrize("step", STEPS, ids=NAMES)
    @pytest.mark.parametrize(
        "images, words",
        [
            (np.ones((4, 64)), r"float64, shape \(4, 64\)"),
            (np.ones((0, 6, 7)), r"shape \(0, 6, 7\)"),
            (np.ones((2, 6, 7), bool), "bool"),
            (np.ones((2, 6, 7), complex), "complex128"),
            (np.ones((2, 6, 7, 3)), r"channels last.\n  got:      shape \(2, 6, 7, 3\)"),
        ],
    )
    def test_what_are_no_images(self, step, images, words):
        with pytest.raises(ValueError, match=words):
            step(images, 0)

    def test_small_images_with_their_channels_first_are_images(self):
        assert Flip(1)(np.ones((2, 3, 6, 4)), 0).shape == (2, 3, 6, 4)
        assert Flip(1)(np.ones((2, 1, 3, 3)), 0).shape == (2, 1, 3, 3)

    @pytest.mark.parametrize("generator", [None, 0.5, "seed", np.random])
    @pytest.mark.parametrize("step", STEPS, ids=NAMES)
    def test_what_is_no_generator(self, step, generator):
        with pytest.raises(TypeError, match="expected: a numpy.random.Generator, or an int seed"):
            step(photos(), generator)

    @pytest.mark.parametrize(
        "make, kind",
        [
            (lambda: Shift(-1), ValueError),
            (lambda: Shift(1.5), TypeError),
            (lambda: Flip(1.5), ValueError),
            (lambda: Flip(axis=0), ValueError),
            (lambda: Crop(0), ValueError),
            (lambda: Crop(3, padding=-1), ValueError),
            (lambda: Crop(3, 2.5), TypeError),
            (lambda: Rotate(-1), ValueError),
            (lambda: Rotate(float("nan")), ValueError),
        ],
    )
    def test_options_out_of_range(self, make, kind):
        with pytest.raises(kind, match="expected"):
            make()

    def test_a_crop_that_is_larger_than_the_images(self):
        with pytest.raises(ValueError, match="inside of 6 x 7"):
            Crop(7)(photos(), 0)

    @pytest.mark.parametrize("fill, dtype", [(0.5, "u1"), (256, "u1"), (-1, "u1"), (float("nan"), "f4"), (1e9, "f2")])
    @pytest.mark.parametrize("make", [lambda fill: Shift(1, fill), lambda fill: Rotate(9, fill)])
    def test_a_fill_that_is_no_pixel(self, make, fill, dtype):
        with pytest.raises(ValueError, match="fill cannot be a pixel"):
            make(fill)(photos(dtype=dtype), 0)

    def test_pixels_that_are_no_numbers_of_pixels(self):
        with pytest.raises(TypeError, match=r"int, or integers of shape \(6,\)"):
            shift(photos(), 0.5, 0)
        with pytest.raises(TypeError, match=r"shape \(5,\)"):
            shift(photos(), np.zeros(5, int), 0)
        with pytest.raises(ValueError, match="not finite"):
            rotate(photos(), np.inf)
