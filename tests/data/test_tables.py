"""CSV tables: what is right is read, what is wrong is named with its line."""

import numpy as np
import pytest

from zkynet.backends.errors import FileFormatError
from zkynet.data import Table, encode_labels, read_table
from zkynet.data.tables import line_of_row


@pytest.fixture
def file(tmp_path):
    """A function that writes bytes or text, exactly as they are, and returns the path."""

    def write(content):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2.5\n3,-4e1\n",
        "a,b\r\n1,2.5\r\n3,-4e1\r\n",
        "a,b\r1,2.5\r3,-4e1\r",
        "\ufeffa,b\n1,2.5\n3,-4e1",
        '"a","b"\n1,2.5\n3,-4e1\n',
        'a,b\n"1","2.5"\n"3","-4e1"\n',
        "\n a , b \n\n1, 2.5\n\n 3 ,-4e1 \n\n",
        '"a",b\n+1.,2.50\n"3",-40\n',
    ],
    ids=["plain", "CRLF", "CR", "BOM, no end", "quoted header", "quoted", "empty lines and spaces", "mixed"],
)
def test_the_same_table_in_many_spellings(file, content):
    table = read_table(file(content))
    assert table.names == ("a", "b") and len(table) == 2 and "a" in table and "c" not in table
    assert table["a"].dtype == np.float64
    assert table["a"].tolist() == [1, 3] and table["b"].tolist() == [2.5, -40]


@pytest.mark.parametrize("missing", [(), ("NA",)], ids=["NumPy's parser", "row by row"])
def test_both_ways_read_the_same_numbers(file, missing):
    numbers = np.random.default_rng(0).standard_normal((50, 4)) * 10.0 ** np.arange(-150, 150, 6).reshape(50, 1)
    rows = "\n".join(",".join(map(repr, row)) for row in numbers.tolist())
    table = read_table(file("a,b,c,d\n" + rows), missing=missing)
    assert np.array_equal(table.matrix(dtype="float64"), numbers)


def test_text_and_missing_cells(file):
    path = file('name,"size, cm",kind\n"Smith, J.",1,x\n"a ""quoted""\nname",NA,\n,  ,y\n')
    table = read_table(path, text=("name", "kind"), missing=("NA", ""))
    assert table["name"].tolist() == ["Smith, J.", 'a "quoted"\nname', ""]
    assert table["kind"].tolist() == ["x", "", "y"]
    np.testing.assert_array_equal(table["size, cm"], [1, np.nan, np.nan])
    assert repr(table) == "Table(3 rows: name, size, cm, kind)"


def test_any_cell_can_stand_for_a_missing_one(file):
    path = file("a,b\nn_a, \u2013 \n1,  \n")
    table = read_table(path, missing=("n_a", "\u2013", " "))
    np.testing.assert_array_equal(table.matrix(), [[np.nan, np.nan], [1, np.nan]])


def test_text_alone(file):
    assert read_table(file("a\nx\n1\n"), text=("a",))["a"].tolist() == ["x", "1"]


def test_other_delimiter_dtype_encoding_and_names(file):
    path = file("1;2\n3;4\n".encode("utf-16"))
    table = read_table(path, names=("a", "b"), delimiter=";", dtype="int16", encoding="utf-16")
    assert table["b"].dtype == np.int16 and table["b"].tolist() == [2, 4]


def test_a_header_of_more_than_one_line(file):
    path = file('"a\nb",c\n1,2\n3,4\n')
    assert read_table(path)["a\nb"].tolist() == [1, 3]
    assert [line_of_row(path, row) for row in (0, 1)] == [3, 4]


@pytest.mark.parametrize(
    "content, options, words",
    [
        ("", {}, "is empty"),
        ("\ufeff", {}, "is empty"),
        ("\n\r\n\n", {}, "is empty"),
        ("a,b\n", {}, "header and no rows"),
        ("a,b", {}, "header and no rows"),
        ("a,b\n1,2\n3\n", {}, r"line 3: the wrong number of cells\n  got:      1\n  expected: 2"),
        ("a,b\n1,2\n\n3,4,5\n", {}, "line 4: the wrong number of cells\n  got:      3"),
        ("a,b\n1,2,3\n3,4,5\n", {}, "line 2: the wrong number of cells\n  got:      3"),
        ("a,b\n1,2\n3,4\n5,six\n", {}, "line 4, column 'b': not a number\n  got:      'six'"),
        ("a,b\r\n1,2\r\n5,six\r\n", {}, "line 3, column 'b': not a number"),
        ('a,b\n"1\n",2\n5,six\n', {}, "line 4, column 'b': not a number"),
        ("a,b\n1,2\n,4\n", {}, "line 3, column 'a': an empty cell"),
        ("a,b\n1,2\n1,nan\n", {}, "line 3, column 'b': not a number\n  got:      'nan'"),
        ("a,b\n1,2\n-inf,1\n", {}, "line 3, column 'a': not a number\n  got:      '-inf'"),
        ("a,b\n1,2\n1,1e999\n", {}, "line 3, column 'b': out of range"),
        ("a,b\n1,2\n1_0,1\n", {}, "line 3, column 'a': not a number\n  got:      '1_0'"),
        ("a,b\n1,2\n1,\u0663\n", {}, "line 3, column 'b': not a number"),
        ("a,b\n1,2\n1,0x10\n", {}, "line 3, column 'b': not a number"),
        ("a,b\n1,2\n3,4.0\n", {"dtype": "int64"}, "line 3, column 'b': not an integer"),
        ("a,b\n1,2\n3,256\n", {"dtype": "uint8"}, "line 3, column 'b': out of range\n  got:      256"),
        ("a,b\n1,2\n-3,4\n", {"dtype": "uint8"}, "line 3, column 'a': out of range\n  got:      -3"),
        ("a,b\n1,1e39\n", {"dtype": "float32"}, "line 2, column 'b': out of range"),
        ("a,b\n1," + "9" * 5000 + "\n", {"dtype": "int64"}, "line 2, column 'b': out of range"),
        ("a,b\n1,NA\n2,N/A\n", {"missing": ("NA",)}, "line 3, column 'b': not a number"),
        ('a,b\n1,"2\n', {}, "line 2: not a line of a CSV file"),
        ('a,b\n1,"2"x\n', {}, "line 2: not a line of a CSV file"),
        ('a,"b\n', {}, "line 1: not a line of a CSV file"),
        ("a,b,a\n1,2,3\n", {}, "two columns 'a'"),
        ("1,2\n3,4\n", {}, "has no header line"),
        ("a;b\n1,2\n", {}, "delimiter=';'"),
        ("a\tb\n1\t2\n", {}, "column 'a\\\\tb': not a number"),
        ("a,b\n1,2\n", {"text": ("c",)}, "no column 'c'\n  expected: one of a, b"),
        (b"a,b\n\xff,2\n", {}, "not text in utf-8"),
        (b"\xff\xfea\x00", {}, "not text in utf-8"),
        (b"a,b\n1,\x002\n", {}, "line 2"),
        (b"a,b\n1,x\n2,y\0\n", {"text": ("b",)}, "line 3: a NUL character"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(file, content, options, words):
    path = file(content)
    with pytest.raises(FileFormatError, match=words) as raised:
        read_table(path, **options)
    assert str(path) in str(raised.value)


def test_an_error_in_a_text_table_has_its_line(file):
    path = file("name,size\nx,1\ny,2\nz,three\n")
    with pytest.raises(FileFormatError, match="line 4, column 'size': not a number"):
        read_table(path, text=("name",))


def test_the_hint_works(file):
    path = file("a,b\n1,six\n")
    with pytest.raises(FileFormatError, match=r"missing=\('six',\)") as raised:
        read_table(path)
    assert "text=('b',)" in str(raised.value)
    assert np.isnan(read_table(path, missing=("six",))["b"]).all()
    assert read_table(path, text=("b",))["b"].tolist() == ["six"]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "none.csv")
    with pytest.raises(OSError, match="directory|denied"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"dtype": "complex64"}, "complex64"),
        ({"dtype": "int64", "missing": ("",)}, "NaN for missing"),
        ({"missing": "NA"}, "missing=.*one string|missing is one string"),
    ],
)
def test_options_that_cannot_be_meant(file, options, words):
    with pytest.raises(TypeError, match=words):
        read_table(file("a\n1\n"), **options)


class TestTable:
    table = Table({"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0]), "c": np.array(["x", "y"])})

    def test_matrix(self):
        matrix = self.table.matrix(("b", "a"))
        assert matrix.dtype == np.float32 and matrix.tolist() == [[3, 1], [4, 2]]

    def test_matrix_of_text_is_an_error(self):
        with pytest.raises(TypeError, match="'c' is text"):
            self.table.matrix()

    @pytest.mark.parametrize(
        "number, dtype", [(np.nan, "int64"), (0.5, "int32"), (300.0, "uint8"), (-1.0, "uint8"), (1e39, "float32")]
    )
    def test_a_dtype_that_cannot_hold_the_numbers(self, number, dtype):
        table = Table({"a": np.array([1.0, number])})
        assert table.matrix(dtype="float64").dtype == np.float64
        with pytest.raises(ValueError, match=f"{dtype} cannot hold a number in column 'a'") as raised:
            table.matrix(dtype=dtype)
        assert f"got:      {number}\n" in str(raised.value)

    def test_a_dtype_that_can(self):
        assert self.table.matrix(("a",), "uint8").tolist() == [[1], [2]]
        assert np.isnan(Table({"a": np.array([np.nan])}).matrix(dtype="float16")).all()

    def test_a_column_that_is_not_there(self):
        with pytest.raises(KeyError, match="no column 'd'; there are a, b, c"):
            self.table["d"]


class TestEncodeLabels:
    @pytest.mark.parametrize("values", [["b", "a", "b", "c"], [30, 10, 30, 20], [0.5]])
    def test_codes_are_places_in_the_classes(self, values):
        codes, classes = encode_labels(values)
        assert codes.dtype == np.int64 and classes.tolist() == sorted(set(values))
        assert classes[codes].tolist() == values

    def test_the_classes_of_the_training_data_keep_their_order(self):
        codes, classes = encode_labels(["a", "c"], ["c", "b", "a"])
        assert codes.tolist() == [2, 0] and classes.tolist() == ["c", "b", "a"]

    @pytest.mark.parametrize("classes", [["a", "b"], [], ["zz"]])
    def test_unknown_classes_are_errors(self, classes):
        with pytest.raises(ValueError, match="got: +'x'"):
            encode_labels(["x"], classes)
