"""Safetensors files: what goes in comes out, other readers agree, and nothing malformed is taken."""

import json
import os
import struct

import numpy as np
import pytest

import zkynet as zk
from zkynet import io, nn
from zkynet.framework import op
from zkynet.models import fcn

DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
DTYPES += ["float16", "float32", "float64", "complex64"]


def some(dtype, shape=(2, 3)):
    numbers = np.arange(np.prod(shape)).reshape(shape)
    return (numbers % 2 if dtype == "bool" else numbers).astype(dtype)


def round_trip(path, **arrays):
    io.save_safetensors(path, arrays)
    return io.load_safetensors(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.safetensors"


# ---- what goes in comes out ----


@pytest.mark.parametrize("shape", [(2, 3), (), (0,), (3, 0, 2), (1, 1, 1, 1)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_shape(path, dtype, shape):
    x = some(dtype, shape)
    y = round_trip(path, x=x)["x"]
    assert y.dtype == x.dtype and y.shape == shape and np.array_equal(x, y)
    assert y.dtype.isnative and y.flags.writeable


BITS = {"bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}
BITS |= {"float8_e8m0fnu": "F8_E8M0", "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ"}


@pytest.mark.parametrize("name", BITS)
def test_dtypes_of_ml_dtypes(path, name):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="NumPy has no bfloat16 without ml_dtypes")
    x = np.asfortranarray(np.arange(1, 7).reshape(2, 3).astype(getattr(ml_dtypes, name)))
    y = round_trip(path, x=x)["x"]
    assert y.dtype == x.dtype and np.array_equal(x, y)


def test_without_ml_dtypes_its_dtypes_are_refused(path, monkeypatch):
    write(path, {"x": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}, bytes(2))
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match="BF16 needs ml_dtypes.*\n.*pip install ml_dtypes"):
        io.load_safetensors(path)


@pytest.mark.parametrize(
    "x",
    [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(20.0)[::-3],
        np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)[::2],
        np.arange(5, dtype=">i4"),
        np.arange(6, dtype=">c8").reshape(2, 3).T,
        np.broadcast_to(np.float32(3), (2, 2)),
        np.float32(2.5),
    ],
    ids=["fortran", "reversed", "transposed", "big-endian", "big-endian complex", "broadcast", "scalar"],
)
def test_memory_order_and_byte_order_do_not_matter(path, x):
    y = round_trip(path, x=x, other=np.ones(3, "uint8"))["x"]
    assert np.array_equal(x, y) and y.dtype == x.dtype.newbyteorder("=") and y.shape == x.shape


def test_special_values_keep_their_bits(path):
    x = np.array([np.nan, -np.nan, np.inf, -0.0, 5e-324])
    assert round_trip(path, x=x)["x"].tobytes() == x.tobytes()


def test_arrays_of_every_backend_tensors_and_parameters(path, backend):
    with zk.use_backend(backend):
        x = backend.asarray(some("float32"))
        loaded = {}

        def f(t):
            loaded.update(round_trip(path, array=x, tensor=t * 2, parameter=zk.Parameter("p", x), number=2.5))
            return op.sum(t)

        zk.grad(f)(x)
    assert all(type(each) is np.ndarray for each in loaded.values()) and loaded["number"].dtype == "float64"
    assert np.array_equal(loaded["array"], some("float32")) and np.array_equal(loaded["parameter"], loaded["array"])
    assert np.array_equal(loaded["tensor"], 2 * loaded["array"]) and loaded["tensor"].dtype == "float32"


def test_names_and_metadata_are_any_text(path):
    arrays = {"": np.ones(1), 'weights.0 é 中 \n"': np.zeros(2), "b": np.ones((2, 2))}
    io.save_safetensors(path, arrays, {"note": "ü {}", "": ""})
    assert io.load_metadata(path) == {"note": "ü {}", "": ""} and io.load_safetensors(path).keys() == arrays.keys()
    io.save_safetensors(path, {})
    assert io.load_safetensors(path) == io.load_metadata(path) == {}


def test_arrays_are_aligned_to_their_items(path):
    io.save_safetensors(path, {"a": np.ones(3, "u1"), "b": np.ones(3, "f8"), "c": np.ones(1, "f2")})
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert length % 8 == 0 and [header[k]["data_offsets"][0] for k in "bca"] == [0, 24, 26]


@pytest.mark.parametrize(
    "arrays, error, words",
    [
        ({"x": np.ones(2, "complex128")}, TypeError, "complex128\n.*\n.*complex64"),
        ({"x": np.ones(2, "longdouble")}, TypeError, "'x' has a dtype"),
        ({"x": np.array(["a"])}, TypeError, "'x' has a dtype"),
        ({"x": object()}, TypeError, "'x' has a dtype"),
        ({"x": [[1], [1, 2]]}, TypeError, "'x' is no array"),
        ({1: np.ones(1)}, TypeError, "is a str"),
        ({"__metadata__": np.ones(1)}, io.FileFormatError, "no array can be called __metadata__"),
        ({"\ud800": np.ones(1)}, io.FileFormatError, "UTF-8"),
    ],
)
def test_what_cannot_be_saved(path, arrays, error, words):
    path.write_bytes(b"older")
    with pytest.raises(error, match=words):
        io.save_safetensors(path, arrays)
    assert path.read_bytes() == b"older"


def test_metadata_are_strings(path):
    with pytest.raises(TypeError, match="json.dumps"):
        io.save_safetensors(path, {}, {"epoch": 3})


# ---- whole or not at all ----


def test_a_failed_write_leaves_the_older_file(path, monkeypatch):
    io.save_safetensors(path, {"x": np.ones(2)})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*x.safetensors'$"):
        io.save_safetensors(path, {"x": np.zeros(9)})
    monkeypatch.undo()
    assert np.array_equal(io.load_safetensors(path)["x"], np.ones(2)) and os.listdir(path.parent) == [path.name]


def test_the_file_appears_at_the_end(path):
    with io.atomic_write(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new" and os.listdir(path.parent) == [path.name]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"")
    try:
        (tmp_path / "link").symlink_to("real")
    except OSError as error:
        pytest.skip(f"no symbolic links here: {error}")
    with io.atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


# ---- other readers and writers ----


@pytest.fixture
def reference():
    return pytest.importorskip("safetensors.numpy", reason="the package safetensors is not installed")


def test_the_reference_reads_what_we_write(path, reference):
    arrays = {dtype: some(dtype) for dtype in DTYPES} | {"scalar": np.float32(3), "empty": np.zeros((0, 2))}
    io.save_safetensors(path, arrays, {"a": "b"})
    found = reference.load_file(path)
    assert found.keys() == arrays.keys()
    assert all(found[k].dtype == a.dtype and np.array_equal(found[k], a) for k, a in arrays.items())
    with __import__("safetensors").safe_open(path, "np") as file:
        assert file.metadata() == {"a": "b"}


def test_the_reference_reads_arrays_in_any_memory_order(path, reference):
    """What it writes of them itself is wrong; that is its own, and no reader can see it."""
    x = np.arange(24, dtype="f4").reshape(2, 3, 4)
    arrays = {"transposed": x.T, "reversed": x[::-1, :, ::2], "big-endian": x.astype(">f4")}
    io.save_safetensors(path, arrays)
    found = reference.load_file(path)
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())


@pytest.mark.parametrize("name", BITS)
def test_the_reference_and_we_agree_on_ml_dtypes(path, reference, name):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="NumPy has no bfloat16 without ml_dtypes")
    x = np.array([[0.5, 1, 2], [4, 8, 0.25]]).astype(getattr(ml_dtypes, name))
    io.save_safetensors(path, {"x": x, "one": np.ones(1, "f4")})
    found = dict(__import__("safetensors").deserialize(path.read_bytes()))["x"]
    assert (found["dtype"], found["shape"], found["data"]) == (BITS[name], [2, 3], x.tobytes())
    reference.save_file({"x": x}, path)
    y = io.load_safetensors(path)["x"]
    assert y.dtype == x.dtype and np.array_equal(x, y)


def test_we_read_what_the_reference_writes(path, reference):
    arrays = {dtype: some(dtype) for dtype in DTYPES if dtype != "complex64"} | {"empty": np.zeros((0, 2))}
    reference.save_file(arrays, path, {"a": "b"})
    found = io.load_safetensors(path)
    assert found.keys() == arrays.keys() and io.load_metadata(path) == {"a": "b"}
    assert all(found[k].dtype == a.dtype and np.array_equal(found[k], a) for k, a in arrays.items())


# ---- malformed files ----


def write(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(begin, end, dtype="F32", shape=(1,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


MALFORMED = [
    ("short", b"abc", "3 bytes, too few"),
    ("huge header", (b"{}", b"", 1 << 62), "the format allows"),
    ("cut header", (b"{}", b"", 100), "it is cut off"),
    ("no brace", (b"[]", b""), "does not begin with a brace"),
    ("not JSON", (b"{x}", b""), "is not JSON"),
    ("many digits", (b'{"x":' + b"9" * 10_000 + b"}", b""), "is not JSON"),
    ("deep", (b'{"x":' + b"[" * 200_000, b""), "is not JSON"),
    ("not UTF-8", (b'{"\xff":1}', b""), "is not UTF-8"),
    ("twice", (b'{"x":1,"x":2}', b""), "'x' twice"),
    ("key twice", (b'{"x":{"dtype":"U8","dtype":"U8"}}', b""), "'dtype' twice"),
    ("metadata", ({"__metadata__": {"a": 1}}, b""), "__metadata__ is not a map"),
    ("half a surrogate", (b'{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"1"), "no text that UTF-8"),
    ("metadata's surrogate", (b'{"__metadata__":{"a":"\\ud800"}}', b""), "no text that UTF-8"),
    ("no map", ({"x": 3}, b""), "'x' is not described"),
    ("more keys", ({"x": entry(0, 4) | {"code": "1"}}, bytes(4)), "'x' is not described"),
    ("dtype", ({"x": entry(0, 4, "Q7")}, bytes(4)), "unknown dtype 'Q7'"),
    ("dtype kind", ({"x": entry(0, 4, ["F32"])}, bytes(4)), "unknown dtype"),
    ("negative size", ({"x": entry(0, 4, shape=(-1,))}, bytes(4)), "no shape"),
    ("float size", ({"x": entry(0, 4, shape=(1.0,))}, bytes(4)), "no shape"),
    ("boolean size", ({"x": entry(0, 4, shape=(True,))}, bytes(4)), "no shape"),
    ("axes", ({"x": entry(0, 4, shape=(1,) * 65)}, bytes(4)), "no shape of at most 64"),
    ("overflow", ({"x": entry(0, 0, shape=(1 << 62, 1 << 62, 0))}, b""), "larger than any memory"),
    ("offsets", ({"x": {"dtype": "U8", "shape": [4], "data_offsets": [0, 2, 4]}}, bytes(4)), "no two offsets"),
    ("negative offset", ({"x": entry(-4, 0)}, bytes(4)), "no two offsets"),
    ("too small", ({"x": entry(0, 8)}, bytes(8)), "takes 4 bytes, not 0 to 8"),
    ("backwards", ({"x": entry(4, 0)}, bytes(4)), "takes 4 bytes, not 4 to 0"),
    ("overlap", ({"x": entry(0, 4), "y": entry(2, 6)}, bytes(6)), "overlaps"),
    ("same bytes", ({"x": entry(0, 4), "y": entry(0, 4)}, bytes(4)), "overlaps"),
    ("hole", ({"x": entry(0, 4), "y": entry(8, 12)}, bytes(12)), "leaves a hole"),
    ("hole first", ({"x": entry(4, 8)}, bytes(8)), "leaves a hole"),
    ("cut data", ({"x": entry(0, 4)}, bytes(3)), "cut off"),
    ("more data", ({"x": entry(0, 4)}, bytes(5)), "more in it than arrays"),
    ("boolean", ({"x": entry(0, 1, "BOOL")}, b"\x02"), "neither 0 nor 1"),
]


@pytest.mark.parametrize("content, words", [(c, w) for _, c, w in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_a_malformed_file_is_refused(path, content, words):
    path.write_bytes(content) if isinstance(content, bytes) else write(path, *content)
    with pytest.raises(io.CheckpointError, match=words) as caught:
        io.load_safetensors(path)
    assert isinstance(caught.value, io.FileFormatError) and str(path) in str(caught.value)


def test_every_cut_of_a_file_is_refused(path):
    io.save_safetensors(path, {"x": np.ones(2, "f4"), "y": np.ones(3, "u1")})
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(io.CheckpointError):
            io.load_safetensors(path)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        io.load_safetensors(tmp_path / "none")


# ---- models ----


class Counted(zk.Module):
    def __init__(self, seed):
        self.layer = nn.Linear(2, 2, seed)
        self.count = zk.State("count", np.array([seed]))
        self.scale = zk.Parameter("scale", float(seed))


def test_weights_go_from_backend_to_backend(path, backend):
    io.save_weights(path, Counted(3), {"a": "b"})
    with zk.use_backend(backend):
        model = Counted(0)
        io.load_weights(path, model)
    assert np.array_equal(backend.to_numpy(model.layer.weight.value), nn.Linear(2, 2, 3).weight.value)
    assert backend.owns(model.layer.weight.value) and model.scale.value == 3.0 and type(model.scale.value) is float
    assert backend.item(model.count.value[0, ...]) == 3 and io.load_metadata(path) == {"a": "b"}


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda w: w.pop("layers.0.bias"), "missing:  'layers.0.bias'"),
        (lambda w: w.update(extra=np.ones(1)), "unknown:  'extra'"),
        (lambda w: w.update({"layers.2.bias": np.ones(3, "f4")}), r"layers.2.bias: got float32 of shape \(3,\), expec"),
        (lambda w: w.update({"layers.2.bias": np.ones(2)}), "got float64 of .* expected float32 of"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(path, change, words):
    model = fcn((3, 4, 2), seed=1)
    weights = {name: p.value for name, p in fcn((3, 4, 2), seed=2).named_parameters().items()}
    change(weights)
    io.save_safetensors(path, weights)
    before = {name: np.array(p.value) for name, p in model.named_parameters().items()}
    with pytest.raises(io.WeightsMismatchError, match=words):
        io.load_weights(path, model)
    assert all(np.array_equal(p.value, before[name]) for name, p in model.named_parameters().items())


def test_only_a_module_has_weights(path):
    with pytest.raises(TypeError, match="those of a Module"):
        io.save_weights(path, {"x": np.ones(1)})
