"""Event files of TensorBoard: numbers, histograms, pictures and texts by step, written with NumPy and nothing else.

The format, by TensorFlow (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto): a file of
records, and each record is the number of its bytes as a little-endian uint64, the masked CRC-32C of these eight bytes,
the bytes, and the masked CRC-32C of the bytes. The bytes are one message ``Event`` in the encoding of Protocol Buffers.
The first event says the version of the format.

What an event costs, measured on a busy AMD EPYC, the checksum being computed in Python: two numbers 20 microseconds, a
histogram 0.2 milliseconds and 20 more for a million values, a picture 0.3 milliseconds per kilobyte of its PNG file.
"""

from __future__ import annotations

import math
import os
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from zkynet.backends.errors import FileFormatError
from zkynet.io.safetensors import host_array

VERSION = b"brain.Event:2"
BUCKETS = 30  # of a histogram, as many as TensorFlow makes
PNG = b"\x89PNG\r\n\x1a\n"
_HEAD, _FOOT = struct.Struct("<QI"), struct.Struct("<I")
_MOST_STEPS = 2**63 - 1


# ---- records ----


def _table() -> tuple[int, ...]:
    """The remainder of every byte, for the reflected polynomial of Castagnoli."""
    rests: Any = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        rests = (rests >> 1) ^ np.where(rests & 1, np.uint32(0x82F63B78), np.uint32(0))
    return tuple(rests.tolist())


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli; RFC 3720, appendix B.4) of ``data``: 0xE3069283 of ``b"123456789"``."""
    table, rest = _TABLE, 0xFFFFFFFF
    for byte in data:
        rest = table[(rest ^ byte) & 0xFF] ^ (rest >> 8)
    return rest ^ 0xFFFFFFFF


def _masked(data: bytes) -> int:
    """The checksum as a record holds it: turned and moved, so that a record inside a record has another one."""
    rest = crc32c(data)
    return ((rest >> 15 | rest << 17) + 0xA282EAD8) & 0xFFFFFFFF


@lru_cache(256)
def _head(size: int) -> bytes:
    return _HEAD.pack(size, _masked(size.to_bytes(8, "little")))


def record(data: bytes) -> bytes:
    """Return ``data`` as one record: framed and with checksums."""
    return _head(len(data)) + data + _FOOT.pack(_masked(data))


def records(path: str | os.PathLike) -> Iterator[bytes]:
    """Read the records of the file ``path``, one after the other, until it ends; a part of one at its end is left out.

    FileFormatError for a record whose checksums do not fit.
    """
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            size, checksum = _HEAD.unpack(head)
            at = file.tell()
            if checksum != _masked(head[:8]):
                raise FileFormatError(f"{path} is damaged: the length of the record at byte {at - _HEAD.size} is not")
            if size > end - at - _FOOT.size:
                return
            data, foot = file.read(size), file.read(_FOOT.size)
            if len(foot) < _FOOT.size:
                return
            if _FOOT.unpack(foot)[0] != _masked(data):
                raise FileFormatError(f"{path} is damaged: the record at byte {at - _HEAD.size} fails its checksum")
            yield data


def whole_size(path: str | os.PathLike, most: int | None = None) -> int:
    """Return how many bytes of the file ``path`` are whole records, of its first ``most`` bytes where that is given.

    Goes from length to length, without looking into the records.
    """
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size if most is None else min(most, os.fstat(file.fileno()).st_size)
        at = 0
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            size, checksum = _HEAD.unpack(head)
            after = at + _HEAD.size + size + _FOOT.size
            if after > end or head != _head(size):
                break
            at = file.seek(after)
        return at


# ---- messages ----


def _varint(number: int) -> bytes:
    """``number`` >= 0, seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _block(field: int, data: bytes) -> bytes:
    """A field that holds bytes, a text, another message or packed numbers."""
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _whole(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _double(field: int, number: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", number)


@lru_cache(4096)
def _tag(name: str) -> bytes:
    """The field ``tag`` of a summary's value. What UTF-8 cannot hold, half of a surrogate pair, is spelled out."""
    return _block(1, name.encode("utf-8", "backslashreplace"))


def _float32(number: float) -> bytes:
    """Four bytes; what is too large for them is infinite, as NumPy would make it."""
    try:
        return struct.pack("<f", number)
    except OverflowError:
        return struct.pack("<f", math.copysign(math.inf, number))


def _scalar(tag: str, number: float) -> bytes:
    value = _tag(tag) + b"\x15" + _float32(number)  # 2: simple_value
    return b"\x0a" + _varint(len(value)) + value


def _histogram(tag: str, values: np.ndarray) -> bytes:
    """``values``: float64, finite, at least one."""
    low, high = float(values.min()), float(values.max())
    with np.errstate(all="ignore"):
        counts, limits = _buckets(values, low, high)
        total, squares = float(values.sum()), float(np.square(values).sum())
    message = b"".join(
        [
            *(_double(field, x) for field, x in enumerate((low, high, values.size, total, squares), start=1)),
            _block(6, limits.astype("<f8").tobytes()),  # the upper limit of each bucket
            _block(7, counts.astype("<f8").tobytes()),
        ]
    )
    return _block(1, _tag(tag) + _block(5, message))


def _buckets(values: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """How many values are in each bucket, and the buckets' upper limits; one bucket where they cannot be told apart."""
    if low < high and math.isfinite(high - low):
        try:
            counts, edges = np.histogram(values, BUCKETS, (low, high))
        except ValueError:  # neighbours among the floating-point numbers
            pass
        else:
            return counts, edges[1:]
    return np.array([values.size]), np.array([high])


def _picture(tag: str, pixels: Any) -> bytes:
    png = bytes(pixels) if isinstance(pixels, (bytes, bytearray, memoryview)) else _png(tag, pixels)
    if not png.startswith(PNG) or len(png) < 26:
        raise ValueError(f"EventWriter: the picture {tag!r} is no PNG file.\n  got:      bytes, first {png[:8]!r}")
    width, height, _, kind = struct.unpack(">IIBB", png[16:26])
    channels = {0: 1, 4: 2, 6: 4}.get(kind, 3)
    message = _whole(1, height) + _whole(2, width) + _whole(3, channels) + _block(4, png)
    return _block(1, _tag(tag) + _block(4, message))


def _png(tag: str, pixels: Any) -> bytes:
    from zkynet.visual.raster import png

    array = _array(tag, pixels)
    if array.dtype.kind == "f":
        array = np.nan_to_num(array, nan=0.0)
    return png(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _text(tag: str, text: str) -> bytes:
    string = _whole(1, 7) + _block(2, _block(2, _whole(1, 1))) + _block(8, text.encode("utf-8", "backslashreplace"))
    metadata = _block(1, _block(1, b"text")) + _whole(4, 2)  # the plugin; a tensor
    return _block(1, _tag(tag) + _block(8, string) + _block(9, metadata))


def _array(tag: str, x: Any) -> np.ndarray:
    try:
        return host_array(tag, x)
    except TypeError:
        raise TypeError(f"EventWriter: {tag!r} is no array.\n  got:      {type(x).__name__}") from None


# ---- the writer ----


class EventWriter:
    """Writes events to a new file in ``folder``, which is made where it is missing; TensorBoard shows folders.

    ``name``: of the file, with ``tfevents`` in it; the default is new every time, so several writers never share a
    file. FileExistsError where there is one of that name. ``step`` is a whole number >= 0, ``tag`` any text; a slash in
    it makes groups. Numbers are kept in 32 bits: too large ones, infinity and NaN are drawn as such.

    What was written is in the file after ``flush`` and ``close``, at the end of a ``with`` block, and otherwise when
    something is written two seconds after the last time; a reader may look at the file at any time. Where the disk is
    full there is an OSError that names the file, which is closed then.
    """

    interval = 2.0  # seconds between two flushes

    def __init__(self, folder: str | os.PathLike, name: str | None = None):
        self.path = Path(folder) / (name or f"events.out.tfevents.{time.time():017.6f}.{os.urandom(6).hex()}")
        if "tfevents" not in self.path.name:
            raise ValueError(
                f"TensorBoard reads files by their name.\n  got:      {name}\n  expected: one with tfevents in it"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = open(self.path, "xb")  # noqa: SIM115  (closed by close)
        self._flushed = 0.0
        self.size = 0  # bytes written so far, those that wait included
        self._event(0, _block(3, VERSION))
        self.flush()

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write ``numbers`` by tag, in one event."""
        self._event(step, _block(5, b"".join([_scalar(tag, float(x)) for tag, x in numbers.items()])))

    def histogram(self, step: int, tag: str, array: Any) -> None:
        """Write how the entries of ``array`` are distributed, in 30 buckets of the same width from the least to the
        greatest.

        An array of any backend, real or complex: of a complex one, real and imaginary parts as two tags. Entries that
        are not finite have no bucket; how many there are is a scalar, ``not finite/tag``, where there are any. An
        empty array gives nothing.
        """
        values = _array(tag, array)
        if values.dtype.kind == "c":
            self.histogram(step, f"{tag}/real", values.real)
            self.histogram(step, f"{tag}/imaginary", values.imag)
            return
        values = values.astype(np.float64, copy=False).ravel()
        finite = np.isfinite(values)
        kept = values if finite.all() else values[finite]
        parts = [] if not kept.size else [_histogram(tag, kept)]
        if kept.size < values.size:
            parts.append(_scalar(f"not finite/{tag}", values.size - kept.size))
        if parts:
            self._event(step, _block(5, b"".join(parts)))

    def image(self, step: int, tag: str, pixels: Any) -> None:
        """Write a picture: an array of pixels or the bytes of a PNG file.

        Pixels have the shape (height, width), (height, width, 1) or (height, width, 3) for red, green and blue; uint8,
        or floating point from 0 to 1, beyond which it is cut off; NaN is black. ValueError for another shape, TypeError
        for another dtype.
        """
        self._event(step, _block(5, _picture(tag, pixels)))

    def text(self, step: int, tag: str, text: str) -> None:
        """Write a text, in Markdown."""
        self._event(step, _block(5, _text(tag, text)))

    def start(self, step: int) -> None:
        """Say that the run begins (again) at ``step``: TensorBoard forgets what it has read from there on."""
        self._event(step, _block(7, _whole(1, 1)))

    def _event(self, step: int, what: bytes) -> None:
        if not 0 <= step <= _MOST_STEPS:
            raise ValueError(f"the step of an event is out of range.\n  got:      {step}\n  expected: 0 to 2**63 - 1")
        now = time.time()
        data = record(_double(1, now) + _whole(2, step) + what)
        try:
            self._file.write(data)
        except OSError as error:
            raise self._ended(error) from None
        self.size += len(data)
        if not 0 <= now - self._flushed < self.interval:  # a clock may be set back
            self.flush()

    def flush(self, last: bool = False) -> None:
        """Hand what was written to the system, so that it survives this process; ``last``: and the system's end too."""
        try:
            self._file.flush()
            if last:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise self._ended(error) from None
        self._flushed = time.time()

    def close(self) -> None:
        """Flush and close the file, which is closed even where that fails; nothing where it is closed."""
        try:
            self._file.close()
        except OSError as error:
            raise self._ended(error) from None

    def _ended(self, error: OSError) -> OSError:
        """``error`` with the file, which those of writing do not name. What came after it would stand behind a part of
        a record, where nobody finds it, so the file is closed."""
        with suppress(OSError):
            self._file.close()
        return OSError(error.errno, error.strerror, str(self.path))

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._file.closed

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EventWriter({str(self.path)!r}, {self.size} bytes)"
