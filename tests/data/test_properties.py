"""What holds for any sizes, seeds and places: hypothesis looks for counterexamples."""

import csv

import numpy as np
import pytest

from zkynet.data import (
    Batches,
    Crop,
    Flip,
    Rotate,
    Shift,
    Standardizer,
    Vocabulary,
    crop,
    encode_labels,
    flip,
    one_hot,
    read_table,
    rotate,
    shift,
    split,
)

hypothesis = pytest.importorskip("hypothesis", reason="these tests search for counterexamples with hypothesis")
st = hypothesis.strategies
# No deadline: the machine may have other work.
given, settings = hypothesis.given, hypothesis.settings(max_examples=60, deadline=None, derandomize=True)

seeds = st.integers(0, 2**70)


@st.composite
def loaders(draw):
    """A function that makes the same batches each time, and how many samples they have."""
    count = draw(st.integers(1, 30))
    options = {
        "batch_size": draw(st.integers(1, count)),
        "shuffle": draw(st.booleans()),
        "seed": draw(seeds),
        "drop_last": draw(st.booleans()),
        "prefetch": draw(st.sampled_from([0, 0, 1, 3])),
    }
    numbers = np.arange(count)
    return lambda **change: Batches((numbers, numbers * 1.5), **options | change)


def noise(batch, generator):
    return batch[0], batch[1] + generator.random(len(batch[1]))


def flat(batches):
    return [tuple(array.tolist() for array in batch) for batch in batches]


@settings
@given(loaders(), st.data())
def test_a_run_cut_anywhere_any_number_of_times_is_the_run(make, data):
    make_noisy = lambda: make(transform=noise)  # noqa: E731
    whole = make_noisy()
    expected = [batch for _ in range(3) for batch in flat(whole)]
    batches, seen = make_noisy(), []
    while len(seen) < len(expected):
        steps = data.draw(st.integers(1, len(expected)))
        for batch in batches:
            seen += flat([batch])
            steps -= 1
            if not steps:
                break
        state, batches = batches.state_dict(), make_noisy()
        batches.load_state_dict(state)
    assert seen[: len(expected)] == expected


@settings
@given(loaders(), st.integers(0, 2**40))
def test_an_epoch_holds_each_sample_once(make, epoch):
    batches = make()
    batches.epoch = epoch
    seen = [number for numbers, halves in batches for number in numbers.tolist()]
    assert len(set(seen)) == len(seen) and set(seen) <= set(range(batches.samples))
    left_out = batches.samples - len(seen)
    assert left_out == (batches.samples % batches.batch_size if batches.drop_last else 0)


@st.composite
def fractions_of(draw):
    weights = draw(st.lists(st.integers(1, 50), min_size=2, max_size=5))
    return tuple(weight / sum(weights) for weight in weights)


@settings
@given(st.integers(5, 200), fractions_of(), seeds, st.booleans())
def test_a_split_holds_each_sample_once_and_is_as_large_as_it_should(count, fractions, seed, shuffle):
    parts = split(count, fractions, seed=seed, shuffle=shuffle)
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))
    for part, fraction in zip(parts, fractions, strict=True):
        assert len(part) >= 1 and (np.diff(part) > 0).all()
        # One for rounding, and what others lack that would have been empty.
        assert abs(len(part) - fraction * count) <= 1 + sum(f * count < 1 for f in fractions)


@settings
@given(st.lists(st.integers(5, 40), min_size=1, max_size=4), fractions_of(), seeds)
def test_a_split_by_label_is_a_split_of_each_class(sizes, fractions, seed):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)) * 3 - 1, sizes))
    parts = split(len(labels), fractions, labels=labels, seed=seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    for label in np.unique(labels):
        total = (labels == label).sum()
        for part, fraction in zip(parts, fractions):
            count = (labels[part] == label).sum()
            assert count >= 1 and abs(count - fraction * total) <= 1 + sum(f * total < 1 for f in fractions)


@st.composite
def images(draw):
    shape = draw(st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(5, 9)] * 2))
    dtype = draw(st.sampled_from(["f4", "f8", "u1", "i2"]))
    return np.random.default_rng(draw(st.integers(0, 9))).integers(0, 200, shape).astype(dtype)


@settings
@given(images(), st.integers(-10, 10), st.integers(-10, 10))
def test_what_is_shifted_there_and_back_lost_its_border_alone(x, down, right):
    height, width = x.shape[-2:]
    back = shift(shift(x, down, right), -down, -right)
    rows = slice(max(0, -down), max(0, height - max(0, down)))
    columns = slice(max(0, -right), max(0, width - max(0, right)))
    expected = np.zeros_like(x)
    expected[..., rows, columns] = x[..., rows, columns]
    assert np.array_equal(back, expected)


@settings
@given(images(), seeds, st.integers(0, 9))
def test_a_shift_and_a_padded_crop_invent_no_pixels(x, seed, pixels):
    height, width = x.shape[-2:]
    shifted, cropped = Shift(pixels)(x, seed), Crop(height, width, padding=pixels)(x, seed)
    assert shifted.shape == cropped.shape and shifted.dtype == cropped.dtype
    for result in (shifted, cropped):
        for one, source in zip(result, x, strict=True):
            kept, counts = np.unique(one[one != 0], return_counts=True)
            there = dict(zip(*np.unique(source, return_counts=True)))
            assert all(there.get(value, 0) >= count for value, count in zip(kept, counts))


@settings
@given(images(), st.integers(-8, 8), st.floats(-720, 720))
def test_turning(x, turns, degrees):
    square = x[..., :5, :5]
    assert np.array_equal(rotate(square, 90 * turns), np.rot90(square, turns, (-2, -1)))
    turned = rotate(x, degrees, fill=200)
    assert turned.min() >= min(x.min(), 200) and turned.max() <= 200
    centred = np.zeros((1, 7, 7))
    centred[0, 3, 3] = 1
    assert abs(rotate(centred, degrees)[0, 3, 3] - 1) < 1e-12


@settings
@given(images(), seeds, st.floats(0, 1))
def test_a_flip_gives_an_image_or_its_mirror(x, seed, probability):
    for axis in (-1, -2):
        for one, source in zip(Flip(probability, axis)(x, seed), x, strict=True):
            assert np.array_equal(one, source) or np.array_equal(one, np.flip(source, axis))
        assert np.array_equal(flip(flip(x, True, axis), True, axis), x)


@settings
@given(images(), st.data())
def test_a_crop_is_a_slice(x, data):
    height, width = (data.draw(st.integers(1, length)) for length in x.shape[-2:])
    top, left = (data.draw(st.integers(0, a - b)) for a, b in zip(x.shape[-2:], (height, width)))
    assert np.array_equal(crop(x, top, left, height, width), x[..., top : top + height, left : left + width])


@settings
@given(images(), seeds)
def test_the_first_image_does_not_depend_on_those_behind_it(x, seed):
    for step in (Rotate(40), Flip()):
        many, fewer = step(x, seed), step(x[:1], seed)
        assert np.array_equal(many[:1], fewer)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
rows = st.tuples(st.floats(allow_nan=False, allow_infinity=False), texts, st.integers(-(2**53), 2**53))


@settings
@given(st.lists(rows, min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.sampled_from(",;\t"))
def test_a_table_that_was_written_is_read(tmp_path_factory, rows, end, quoted, delimiter):
    path = tmp_path_factory.mktemp("tables") / "x.csv"
    with open(path, "w", encoding="utf-8-sig" if quoted else "utf-8", newline="") as file:
        quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
        writer = csv.writer(file, lineterminator=end, quoting=quoting, delimiter=delimiter)
        writer.writerows([("a", "b", "c"), *rows])
    table = read_table(path, text=("b",), delimiter=delimiter)
    assert list(zip(table["a"].tolist(), table["b"].tolist(), table["c"].tolist())) == rows


@settings
@given(texts.filter(bool))
def test_what_is_encoded_is_decoded(text):
    vocabulary = Vocabulary.of(text)
    assert "".join(vocabulary.decode(vocabulary.encode(text))) == text


matrices = st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(0, 99)).map(
    lambda t: np.random.default_rng(t[2]).standard_normal(t[:2]) * 10.0 ** (t[2] % 7 - 3) + t[2]
)


@settings
@given(matrices)
def test_standardised_numbers_come_back(x):
    standardizer = Standardizer().fit(x)
    result = standardizer.apply(x)
    np.testing.assert_allclose(standardizer.undo(result), x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(result.mean(axis=0), 0, atol=1e-6)
    assert np.isin(np.round(result.std(axis=0), 6), [0, 1]).all()


@settings
@given(st.lists(st.text(max_size=3), min_size=1, max_size=20))
def test_codes_and_one_hot(values):
    array = np.array([value + "." for value in values])  # NumPy cuts off NUL at the end of a string
    codes, classes = encode_labels(array)
    assert np.array_equal(classes[codes], array) and len(classes) == len(set(values))
    hot = one_hot(codes, len(classes))
    assert np.array_equal(hot.argmax(axis=-1), codes) and (hot.sum(axis=-1) == 1).all()
