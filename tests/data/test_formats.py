"""The formats of known data sets: small files of each, right ones, truncated ones and malformed ones."""

import gzip
import struct

import numpy as np
import pytest

from zkynet.backends.errors import FileFormatError
from zkynet.data import (
    BOSTON_FEATURES,
    SIGN_LETTERS,
    load_boston_housing,
    load_digit_recognizer,
    load_digits,
    load_mnist,
    load_sign_language,
    load_sklearn,
    read_idx,
)

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def idx(array):
    """The bytes of an IDX file."""
    head = bytes([0, 0, CODES[array.dtype.name], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


PIXELS = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)
LABELS = np.array([9, 0, 3], dtype=np.uint8)


class TestIdx:
    @pytest.mark.parametrize("dtype", CODES)
    @pytest.mark.parametrize("packed", [False, True])
    def test_reads_every_dtype(self, tmp_path, dtype, packed):
        array = (np.arange(24) * 5 - 50).astype(dtype).reshape(2, 3, 4)
        # Whether a file is compressed, its content says and not its name.
        path = tmp_path / ("x" if packed else "x.gz")
        path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
        read = read_idx(path)
        assert read.dtype == array.dtype and np.array_equal(read, array) and read.dtype.isnative

    def test_every_shape(self, tmp_path):
        for shape in ((5,), (0,), (2, 0), (1, 2, 3, 4)):
            (tmp_path / "x").write_bytes(idx(np.ones(shape, np.uint8)))
            assert read_idx(tmp_path / "x").shape == shape

    @pytest.mark.parametrize(
        "content, words",
        [
            (b"", "is no IDX file\n  got:      first bytes none"),
            (b"\0\0\x08", "is no IDX file"),
            (b"label,pixel0\n", "first bytes 6c 61 62 65"),
            (b"\0\0\x0a\x01" + b"\0" * 8, "first bytes 00 00 0a 01"),
            (b"\0\0\x08\0", "is no IDX file"),
            (b"\1\0\x08\x01" + b"\0" * 8, "is no IDX file"),
            (idx(PIXELS)[:10], "ends within its header\n  expected: the lengths of 3 axes"),
            (idx(PIXELS)[:-1], "is cut short\n  got:      2351 bytes behind the header\n  expected: 2352, for shape"),
            (idx(PIXELS)[:16], "is cut short\n  got:      0 bytes"),
            (idx(PIXELS) + b"x", "is longer than it says\n  got:      more than 2352 bytes"),
            (b"\0\0\x0e\xff" + b"\xff" * 4 * 255, "is cut short\n  got:      0 bytes"),
        ],
    )
    @pytest.mark.parametrize("packed", [False, True])
    def test_what_is_no_idx_file(self, tmp_path, content, words, packed):
        path = tmp_path / "x"
        path.write_bytes(gzip.compress(content) if packed else content)
        with pytest.raises(FileFormatError, match=words):
            read_idx(path)

    def test_damaged_gzip(self, tmp_path):
        path, packed = tmp_path / "x.gz", bytearray(gzip.compress(idx(PIXELS)))
        for damaged in (packed[:-1], packed[:5], packed[:60], packed[:40] + b"\xff" * 20 + packed[60:]):
            path.write_bytes(damaged)
            with pytest.raises(FileFormatError, match="damaged"):
                read_idx(path)
        packed[-6] ^= 1  # the checksum
        path.write_bytes(packed)
        with pytest.raises(FileFormatError, match="damaged: CRC"):
            read_idx(path)

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_idx(tmp_path / "none")


class TestMnist:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(PIXELS))
        (tmp_path / "train-labels.idx1-ubyte").write_bytes(idx(LABELS))
        (tmp_path / "t10k-images.idx3-ubyte.gz").write_bytes(gzip.compress(idx(PIXELS[:2])))
        (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS[1:])))
        return tmp_path

    def test_reads_both_parts_under_all_names(self, folder):
        images, labels = load_mnist(folder)
        assert images.dtype == np.float32 and np.array_equal(images, PIXELS.astype("f4") / np.float32(255))
        assert labels.dtype == np.int64 and labels.tolist() == [9, 0, 3]
        assert not images.flags.writeable and images.base is None and not labels.flags.writeable
        images, labels = load_mnist(folder, "test", "float64")
        assert images.dtype == np.float64 and np.array_equal(images, PIXELS[:2] / 255) and labels.tolist() == [0, 3]

    @pytest.mark.parametrize(
        "name, content, words",
        [
            ("train-images-idx3-ubyte", idx(PIXELS[:2]), "2 images, 3 labels"),
            ("train-images-idx3-ubyte", idx(PIXELS[0]), "is not from MNIST\n  got:      uint8 of shape"),
            ("train-images-idx3-ubyte", idx(PIXELS.astype("int16")), "is not from MNIST\n  got:      int16"),
            ("train-labels.idx1-ubyte", idx(PIXELS), "expected: uint8 with 1 axis"),
            ("train-labels.idx1-ubyte", idx(LABELS + np.uint8(1)), "label out of range\n  got:      10"),
        ],
    )
    def test_files_that_do_not_fit(self, folder, name, content, words):
        (folder / name).write_bytes(content)
        with pytest.raises(FileFormatError, match=words):
            load_mnist(folder)

    def test_a_set_without_images(self, folder):
        (folder / "train-images-idx3-ubyte").write_bytes(idx(PIXELS[:0]))
        (folder / "train-labels.idx1-ubyte").write_bytes(idx(LABELS[:0]))
        with pytest.raises(FileFormatError, match="0 images, 0 labels"):
            load_mnist(folder)

    def test_a_file_that_is_missing(self, folder):
        (folder / "t10k-labels-idx1-ubyte.gz").unlink()
        with pytest.raises(FileNotFoundError, match="t10k-labels-idx1-ubyte\n  expected: one of .*gz"):
            load_mnist(folder, "test")

    def test_options_out_of_range(self, folder):
        with pytest.raises(ValueError, match="'validation'"):
            load_mnist(folder, "validation")
        with pytest.raises(TypeError, match="uint8"):
            load_mnist(folder, dtype="uint8")


def pixel_table(labels, first=0, end="\n"):
    """A table as Kaggle has them, its pixels counting up, and the pixels."""
    pixels = (np.arange(len(labels) * 784) % 256).reshape(-1, 784)
    lines = ["label," + ",".join(f"pixel{first + i}" for i in range(784))]
    lines += [f"{label}," + ",".join(map(str, row)) for label, row in zip(labels, pixels.tolist())]
    return end.join(lines) + end, pixels.reshape(-1, 28, 28)


class TestPixelTables:
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_digit_recognizer(self, tmp_path, end):
        content, pixels = pixel_table([1, 0, 9], end=end)
        (tmp_path / "train.csv").write_text("\ufeff" + content, encoding="utf-8", newline="")
        images, labels = load_digit_recognizer(tmp_path / "train.csv", "float64")
        assert images.dtype == np.float64 and np.array_equal(images, pixels / 255)
        assert labels.dtype == np.int64 and labels.tolist() == [1, 0, 9]
        assert not images.flags.writeable and images.base is None and not labels.flags.writeable

    def test_digit_recognizer_without_labels(self, tmp_path):
        content, pixels = pixel_table([1, 0])
        lines = [line.partition(",")[2] for line in content.splitlines()]
        (tmp_path / "test.csv").write_text("\n".join(lines))
        images = load_digit_recognizer(tmp_path / "test.csv")
        assert images.shape == (2, 28, 28) and np.array_equal(images, (pixels / np.float32(255)).astype("f4"))

    def test_sign_language(self, tmp_path):
        every = [ord(letter) - ord("A") for letter in SIGN_LETTERS]
        content, _ = pixel_table(every, first=1)
        (tmp_path / "x.csv").write_text(content)
        images, labels = load_sign_language(tmp_path / "x.csv")
        assert images.shape == (24, 28, 28) and images.dtype == np.float32 and labels.tolist() == every
        assert len(SIGN_LETTERS) == 24 and 9 not in every and max(every) == 24

    @pytest.mark.parametrize(
        "load, labels, words",
        [
            (load_digit_recognizer, [1, 10], "line 3: a label out of range\n  got:      10\n  expected: 0 to 9"),
            (load_sign_language, [0, 24, 9], "line 4: a label out of range\n  got:      9"),
            (load_sign_language, [25], "line 2: a label out of range\n  got:      25"),
        ],
    )
    def test_labels_out_of_range(self, tmp_path, load, labels, words):
        (tmp_path / "x.csv").write_text(pixel_table(labels)[0])
        with pytest.raises(FileFormatError, match=words):
            load(tmp_path / "x.csv")

    @pytest.mark.parametrize(
        "change, words",
        [
            (lambda s: s[:-30], "line 3: the wrong number of cells"),
            (lambda s: s.replace(",7,", ",x,", 1), "line 2, column 'pixel7': not an integer\n  got:      'x'"),
            (lambda s: s.replace(",7,", ",256,", 1), "line 2, column 'pixel7': out of range"),
            (lambda s: s.replace(",7,", ",-1,", 1), "line 2, column 'pixel7': out of range"),
            (lambda s: s.replace(",7,", ",,", 1), "line 2, column 'pixel7': an empty cell"),
            (lambda s: s.splitlines()[0], "header and no rows"),
            (lambda s: "", "is empty"),
            (lambda s: "label,a,b\n1,2,3\n", "no table of 28 x 28 images\n  got:      3 columns: label, a, b"),
            (lambda s: s.replace("label", "pixel784"), "no table of 28 x 28 images"),
            (lambda s: s.partition("\n")[2], "has no header line"),
        ],
    )
    @pytest.mark.parametrize("load", [load_digit_recognizer, load_sign_language])
    def test_malformed_tables(self, tmp_path, load, change, words):
        (tmp_path / "x.csv").write_text(change(pixel_table([1, 0])[0]))
        with pytest.raises(FileFormatError, match=words):
            load(tmp_path / "x.csv")

    def test_signs_need_labels(self, tmp_path):
        lines = [line.partition(",")[2] for line in pixel_table([1])[0].splitlines()]
        (tmp_path / "x.csv").write_text("\n".join(lines))
        with pytest.raises(FileFormatError, match="expected: label, then 784 pixels$"):
            load_sign_language(tmp_path / "x.csv")


class TestBostonHousing:
    @pytest.fixture
    def file(self, tmp_path):
        def write(content):
            (tmp_path / "x.csv").write_text(content, encoding="utf-8")
            return tmp_path / "x.csv"

        return write

    def test_the_file_that_the_script_fetches(self, file):
        features, prices = load_boston_housing(
            file("RM,LSTAT,PTRATIO,MEDV\n6.575,4.98,15.3,504000.0\n6.4,9,17,453600\n")
        )
        assert features.dtype == prices.dtype == np.float32
        np.testing.assert_array_equal(features, np.float32([[6.575, 4.98, 15.3], [6.4, 9, 17]]))
        np.testing.assert_array_equal(prices, np.float32([[504000], [453600]]))
        assert not features.flags.writeable and features.base is None

    def test_all_features_in_small_letters_with_an_id(self, file):
        names = [name.lower() for name in BOSTON_FEATURES]
        names[11] = "black"
        content = ",".join(f'"{name}"' for name in ["ID", *names, "medv"]) + "\n" + ",".join(map(str, range(15))) + "\n"
        features, prices = load_boston_housing(file(content), dtype="float64")
        assert features.tolist() == [list(range(1, 14))] and prices.tolist() == [[14]]
        features, _ = load_boston_housing(file(content), columns=("LSTAT", "B", "crim"))
        assert features.tolist() == [[13, 12, 1]]

    def test_missing_cells_are_errors_unless_they_are_named(self, file):
        path = file("RM,LSTAT,MEDV\n6.5,NA,24\n7,4,30\n")
        with pytest.raises(FileFormatError, match="line 2, column 'LSTAT': not a number"):
            load_boston_housing(path)
        np.testing.assert_array_equal(load_boston_housing(path, missing=("NA",))[0], [[6.5, np.nan], [7, 4]])

    @pytest.mark.parametrize(
        "content, words",
        [
            ("", "is empty"),
            ("RM,MEDV\n", "header and no rows"),
            ("RM,LSTAT\n1,2\n", "no table of Boston housing\n  got:      RM, LSTAT\n  expected: MEDV"),
            ("MEDV\n1\n", "no table of Boston housing"),
            ("RM,ROOMS,MEDV\n1,2,3\n", "no table of Boston housing"),
            ("RM,MEDV\n1,2\n1\n", "line 3: the wrong number of cells"),
            ("0.00632,18.00,2.31\n0.02731,0.0,7.07\n", "has no header line"),
        ],
    )
    def test_malformed_tables(self, file, content, words):
        with pytest.raises(FileFormatError, match=words):
            load_boston_housing(file(content))

    def test_a_feature_that_is_not_there(self, file):
        with pytest.raises(ValueError, match="no feature CRIM\n  expected: some of RM"):
            load_boston_housing(file("RM,MEDV\n1,2\n"), columns=("CRIM",))
        with pytest.raises(ValueError, match="expected: some of RM"):
            load_boston_housing(file("RM,MEDV\n1,2\n"), columns=())


class TestSklearn:
    @pytest.mark.parametrize(
        "name, shape, targets",
        [
            ("digits", (1797, 64), 10),
            ("iris", (150, 4), 3),
            ("breast_cancer", (569, 30), 2),
            ("wine", (178, 13), 3),
            ("diabetes", (442, 10), (442, 1)),
            ("linnerud", (20, 3), (20, 3)),
        ],
    )
    def test_shapes_and_dtypes(self, name, shape, targets):
        pytest.importorskip("sklearn", reason="these sets come with scikit-learn")
        x, y = load_sklearn(name)
        assert x.shape == shape and x.dtype == np.float32
        if isinstance(targets, int):
            assert y.dtype == np.int64 and y.shape == shape[:1] and set(y.tolist()) == set(range(targets))
        else:
            assert y.dtype == np.float32 and y.shape == targets
        for array in (x, y):
            assert not array.flags.writeable and array.base is None

    def test_its_digits_are_ours(self):
        pytest.importorskip("sklearn", reason="these sets come with scikit-learn")
        (x, y), (images, labels) = load_sklearn("digits", "float64"), load_digits("float64")
        assert np.array_equal(x / 16, images) and np.array_equal(y, labels)

    def test_without_scikit_learn_it_says_so(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
        with pytest.raises(ImportError, match="pip install scikit-learn"):
            load_sklearn("iris")

    def test_another_name(self):
        with pytest.raises(ValueError, match="'boston'\n  expected: one of digits, iris"):
            load_sklearn("boston")
