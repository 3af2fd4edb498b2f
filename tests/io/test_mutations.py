"""Ten thousand damaged files: each is refused as a CheckpointError, or reads as what its bytes say.

``ZKYNET_MUTATIONS`` sets how many (10000), ``ZKYNET_SEED`` which (0).
"""

import copy
import json
import os
import random
import struct
import time
import tracemalloc
import warnings

import numpy as np
import pytest

from zkynet import io
from zkynet.io import checkpoint

COUNT = int(os.environ.get("ZKYNET_MUTATIONS", "10000"))
SEED = int(os.environ.get("ZKYNET_SEED", "0"))
SPARE = 64 << 20  # bytes of memory beyond the file's size
PATIENCE = 5.0  # seconds of the processor for one file; a thousandth of that is usual

# Sizes, offsets, depths and leaves that readers stumble over.
NUMBERS = [0, 1, 2, 3, 4, 7, 8, 255, 2**31 - 1, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30]
LEAVES = [*NUMBERS, -1, -8, 1.0, 0.5, 1e300, float("nan"), float("-inf"), None, True, False, "", "F32", "BF16", "U8"]
LEAVES += ["F64", "F4", "q", "__metadata__", "\ud800", "\0", [], {}, [0], [[]], [0, 0], {"dtype": "U8"}, {"$int": "x"}]
LEAVES += [[1] * 65, [2**40, 2**40], [2**62, 4, 0]]


# ---- files to begin with ----


def arrays():
    found = {
        "layers.0.weight": np.arange(12, dtype="f4").reshape(3, 4),
        "layers.0.bias": np.arange(4, dtype="f8"),
        "count": np.array(3, "i8"),
        "mask": np.array([True, False, True]),
        "none": np.zeros((0, 2), "u2"),
        "bytes": np.arange(5, dtype="u1"),
        "é 中": np.ones((2, 1), "c8"),
    }
    try:
        import ml_dtypes
    except ImportError:
        return found
    return found | {"half": np.arange(3).astype(ml_dtypes.bfloat16)}


def seeds(folder):
    """Whole safetensors files, as bytes: ours, and where the package is installed, its own."""
    path = folder / "seed"
    found = []
    for given, metadata in [(arrays(), {"format": "zkynet", "é": "{}"}), ({"x": np.ones(3, "f4")}, None), ({}, None)]:
        io.save_safetensors(path, given, metadata)
        found.append(path.read_bytes())
    many = {f"w{i}": np.full(i % 4, i, "i4") for i in range(60)}
    io.save_safetensors(path, many)
    found.append(path.read_bytes())
    try:
        from safetensors.numpy import save
    except ImportError:
        return found
    # It stores wrong numbers for arrays that are not contiguous, so it is given no others.
    given = {name: np.ascontiguousarray(x) for name, x in arrays().items() if x.dtype.name in np.sctypeDict}
    return [*found, save(given, {"by": "the reference"})]


def put(path, data):
    path.unlink(
        missing_ok=True
    )  # a file that is cut to nothing and written anew is flushed to the disk: 40 times slower
    path.write_bytes(data)


# ---- ways to damage one ----


def flip(rng, data, others):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def flip_header(rng, data, others):
    """As ``flip``, where it hurts."""
    length = struct.unpack("<Q", data[:8])[0]
    return flip(rng, data[: 8 + length], others) + data[8 + length :]


def cut(rng, data, others):
    return data[: rng.randrange(len(data))]


def extend(rng, data, others):
    return data + rng.choice([b"\0", bytes(rng.randrange(1, 40)), data])


def splice(rng, data, others):
    """The header of one file, with or without its length, before the arrays of another."""
    other = rng.choice(others)
    mine, its = (8 + struct.unpack("<Q", each[:8])[0] for each in (data, other))
    start = rng.choice([0, 8])
    return data[:start] + other[start:its] + data[mine:]


def length(rng, data, others):
    n = struct.unpack("<Q", data[:8])[0]
    new = rng.choice([n + rng.randrange(-9, 10), len(data) - 8, len(data), rng.choice(NUMBERS), rng.getrandbits(64)])
    return struct.pack("<Q", new % 2**64) + data[8:]


def move(rng, data, others):
    """Bytes taken out, put in twice or made up, the length of the header left or corrected."""
    n = struct.unpack("<Q", data[:8])[0]
    header, at = data[8 : 8 + n], rng.randrange(n + 1)
    size = rng.randrange(1, 30)
    new = rng.choice([b"", header[at : at + size] * 2, rng.randbytes(size), b"[" * size, b"9" * size, b'"'])
    header = header[:at] + new + header[at + size :]
    return struct.pack("<Q", rng.choice([n, len(header)])) + header + data[8 + n :]


def numbers(rng, data, others):
    """A shape or an offset in the header altered, and perhaps the bytes behind it made to fit."""
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + n])
    entries = [item for name, item in header.items() if name != "__metadata__"]
    for _ in range(rng.choice([1, 1, 2])):
        if entries:
            counts = rng.choice(entries)[rng.choice(["shape", "data_offsets"])]
            if counts:
                i = rng.randrange(len(counts))
                counts[i] = rng.choice([counts[i] + rng.choice([-1, 1, 4, 8]), rng.choice(NUMBERS), -1])
    return with_header(header, data[8 + n :])


def edit(rng, data, others):
    n = struct.unpack("<Q", data[:8])[0]
    return with_header(edited(rng, json.loads(data[8 : 8 + n])), data[8 + n :])


def with_header(header, rest):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


def edited(rng, tree):
    """``tree`` with some node replaced, taken out, copied elsewhere, or renamed."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice([1, 1, 2, 5])):
        nodes = [node for node in walk(tree) if node]
        if not nodes:
            break
        node = rng.choice(nodes)
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        how = rng.randrange(5)
        if how == 0:
            del node[key]
        elif how == 1:
            node[key] = copy.deepcopy(rng.choice(nodes))
        elif how == 2 and isinstance(node, dict):
            node[rng.choice(["__metadata__", "shape", "dtype", "", "x", "\ud800", "$int"])] = node.pop(key)
        else:
            node[key] = copy.deepcopy(rng.choice(LEAVES))
    return tree


def walk(node):
    if isinstance(node, (dict, list)):
        yield node
        for child in list(node.values() if isinstance(node, dict) else node):
            yield from walk(child)


DAMAGES = [flip, flip_header, cut, extend, splice, length, move, numbers, edit]


# ---- reading, watched ----


class Watch:
    """Reads files, and remembers how many were refused, and the worst of time and memory."""

    def __init__(self):
        self.refused = self.read = 0
        self.seconds = self.memory = 0.0

    def of(self, load, size):
        """What ``load()`` returns; None where it raises CheckpointError; everything else it raises goes through."""
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        start = time.process_time()  # nothing waits here, and other processes do not count
        try:
            found = load()
            self.read += 1
        except io.CheckpointError as error:
            assert len(str(error)) < 20_000
            found = None
            self.refused += 1
        except ImportError as error:
            assert "ml_dtypes" in str(error)  # the dtype is right and the package is missing, or old
            found = None
        self.seconds = max(self.seconds, time.process_time() - start)
        peak = tracemalloc.get_traced_memory()[1] - before
        self.memory = max(self.memory, peak - size)
        assert peak <= size + SPARE and self.seconds < PATIENCE
        return found

    def line(self, what):
        return (
            f"{what}: {self.refused + self.read} files, {self.refused} refused, {self.read} read as what they say; at "
            f"most {self.seconds * 1e3:.1f} ms and {self.memory / 1e6:.2f} MB of memory beyond the file's size"
        )


@pytest.fixture
def watch():
    tracemalloc.start()
    yield Watch()
    tracemalloc.stop()


def plain_reading(data):
    """A second reader, which believes the header: {name: (dtype, shape, bytes)}."""
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + n])
    header.pop("__metadata__", None)
    rest = data[8 + n :]
    return {k: (e["dtype"], tuple(e["shape"]), rest[slice(*e["data_offsets"])]) for k, e in header.items()}


def reference_reading(data):
    """What the package safetensors makes of the file; None where it is not installed."""
    try:
        from safetensors import deserialize
    except ImportError:
        return None
    return {name: (item["dtype"], tuple(item["shape"]), bytes(item["data"])) for name, item in deserialize(data)}


def our_reading(found):
    from zkynet.io.safetensors import _stored

    stored = {name: _stored(name, x) for name, x in found.items()}
    return {name: (dtype, x.shape, x.tobytes()) for name, (dtype, x) in stored.items()}


@pytest.mark.slow
def test_damaged_safetensors_files(tmp_path, watch):
    rng, path, whole = random.Random(SEED), tmp_path / "x.safetensors", seeds(tmp_path)
    for _ in range(COUNT * 7 // 10):
        data = rng.choice(DAMAGES)(rng, rng.choice(whole), whole)
        put(path, data)
        found = watch.of(lambda: io.load_safetensors(path), len(data))
        if found is not None:
            ours = our_reading(found)
            assert ours == plain_reading(data)
            assert reference_reading(data) in (None, ours)
            assert all(isinstance(text, str) for pair in io.load_metadata(path).items() for text in pair)
    print("\n" + watch.line("safetensors"))
    assert watch.read > COUNT // 100 and watch.refused > COUNT // 3  # both were seen


def sealed(tree):
    text = json.dumps(tree).encode()
    return text[:-1] + checkpoint._seal(text[:-1])


@pytest.mark.slow
def test_damaged_checkpoints(tmp_path, watch):
    """Any damage to either file is seen; a JSON file that was edited and given a new checksum still has to be right."""
    rng = random.Random(SEED + 1)
    state = {"step": 3, "loss": [0.1, float("nan"), 2**70], "text": "é", "history": [{"epoch": 1, "$map": {"$int": 1}}]}
    record = io.save_checkpoint(tmp_path, arrays(), state, step=3)
    data = record.with_suffix(".safetensors")
    files = {path: path.read_bytes() for path in (record, data)}
    tree = json.loads(files[record])
    del tree["sha256"]
    size = sum(map(len, files.values()))
    for i in range(COUNT - COUNT * 7 // 10):
        path = data if i % 3 == 0 else record
        if i % 3 == 2:
            damaged = sealed(edited(rng, tree))
        else:
            damaged = rng.choice([flip, cut, extend, flip])(rng, files[path], None)
        put(path, damaged)
        found = watch.of(lambda: io.load_checkpoint(record), size + len(damaged))
        if damaged == files[path]:
            assert found is not None
        elif found is not None:
            assert i % 3 == 2 and our_reading(found[0]) == plain_reading(files[data])
            checkpoint._encoded(found[1])  # the state is a legal one
        put(path, files[path])
    print("\n" + watch.line("checkpoints"))
    assert watch.read > COUNT // 100 and watch.refused > COUNT // 10


def test_a_folder_of_damaged_checkpoints_gives_the_whole_one(tmp_path):
    rng = random.Random(SEED + 2)
    for step in (1, 2):
        record = io.save_checkpoint(tmp_path, {"w": np.full(9, step)}, step, step=step)
    for _ in range(100):
        path = rng.choice([record, record.with_suffix(".safetensors")])
        whole = path.read_bytes()
        path.write_bytes(rng.choice([cut, extend])(rng, whole, None))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert io.load_checkpoint(tmp_path)[1] == 1
        assert len(told) == 1 and "step-00000002" in str(told[0].message)
        put(path, whole)


# ---- headers that are made to take memory or time ----

MANY = 1_000_000
BOMBS = {
    "lists": b'{"x":[' + b"[]," * MANY + b"[]]}",
    "lists in lists": b'{"x":[' + b"[[0]]," * MANY + b"[]]}",
    "maps": b'{"x":[' + b'{"":0},' * MANY + b"[]]}",
    "numbers": b'{"x":[' + b"10000," * MANY + b"1]}",
    "shape": b'{"x":{"dtype":"U8","shape":[' + b"1," * MANY + b'1],"data_offsets":[0,1]}}',
    "strings": b'{"x":[' + b'"ab",' * MANY + b"1]}",
    "names": b"{" + b",".join(b'"%d":0' % i for i in range(MANY)) + b"}",
    "the last name twice": b"{" + b",".join(b'"%d":0' % i for i in range(100_000)) + b',"99999":0}',
    "metadata": b'{"__metadata__":{' + b",".join(b'"%d":"%d"' % (i, i) for i in range(MANY)) + b"}}",
    "wide characters": b'{"x":"' + "\U0001f600".encode() * MANY + b'"}',
    "depth": b'{"x":' + b"[" * MANY,
    "one number": b'{"x":' + b"9" * MANY + b"}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_headers_that_would_take_memory_or_time(tmp_path, watch, name):
    path, data = tmp_path / "x.safetensors", struct.pack("<Q", len(BOMBS[name])) + BOMBS[name]
    put(path, data)
    for load in (io.load_safetensors, io.load_metadata):
        assert watch.of(lambda: load(path), len(data)) is None  # noqa: B023  (called at once)


def test_large_files_that_are_damaged(tmp_path, watch):
    """Nothing is copied to find out."""
    record = io.save_checkpoint(tmp_path, arrays(), None, step=1)
    for path in (record, record.with_suffix(".safetensors")):
        whole, size = path.read_bytes(), 150_000_000
        os.truncate(path, size)  # zeros behind it, which take no space
        assert watch.of(lambda: io.load_checkpoint(record), size) is None
        put(path, whole)
    assert io.load_checkpoint(record)[0].keys() == arrays().keys()


def test_a_file_of_very_many_arrays_is_read(tmp_path, watch):
    """What the limit of memory leaves: tens of thousands of arrays, and more where they are not empty."""
    path = tmp_path / "x.safetensors"
    io.save_safetensors(path, {f"blocks.{i}.attention.query.weight": np.zeros(1, "f4") for i in range(30_000)})
    size = path.stat().st_size
    assert len(watch.of(lambda: io.load_safetensors(path), size)) == 30_000
