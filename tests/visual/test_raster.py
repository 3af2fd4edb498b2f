"""Pixels as PNG files, which others read back bit for bit; sheets; what is no picture."""

import io
import struct
import zlib

import numpy as np
import pytest

from zkynet.visual.raster import animated_png, levels, png, sheet

RNG = np.random.default_rng(0)


def chunks(content):
    """The chunks of a PNG file, their checksums compared."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    place, found = 8, []
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        kind, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        assert struct.unpack(">I", content[place + 8 + length : place + 12 + length]) == (zlib.crc32(kind + body),)
        found.append((kind, body))
        place += 12 + length
    return found


def unpacked(body, shape):
    """The pixels of packed rows, by the filter that they name: 2, each row added to the one above."""
    rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(shape[0], -1)
    assert np.all(rows[:, 0] == 2)
    return np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).reshape(shape)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1), (1, 9, 3), (300, 2)])
def test_a_file_holds_the_pixels(shape):
    pixels = RNG.integers(0, 256, shape).astype("uint8")
    (first, header), (second, body), (last, empty) = chunks(png(pixels))
    assert (first, second, last, empty) == (b"IHDR", b"IDAT", b"IEND", b"")
    assert struct.unpack(">IIBB", header[:10]) == (shape[1], shape[0], 8, 0 if len(shape) == 2 else 2)
    assert np.array_equal(unpacked(body, shape), pixels)


def test_pillow_reads_it():
    image = pytest.importorskip("PIL.Image", reason="the file is read back with Pillow")
    for shape, mode in (((6, 4), "L"), ((6, 4, 3), "RGB")):
        pixels = RNG.integers(0, 256, shape).astype("uint8")
        read = image.open(io.BytesIO(png(pixels)))
        assert read.mode == mode and np.array_equal(np.asarray(read), pixels)


def test_pillow_plays_an_animation():
    image = pytest.importorskip("PIL.Image", reason="the file is read back with Pillow")
    frames = RNG.random((3, 6, 4, 3))
    read = image.open(io.BytesIO(animated_png(frames, seconds=0.25, last=1.5)))
    assert read.n_frames == 3 and read.info["loop"] == 0
    for i, frame in enumerate(frames):
        read.seek(i)
        assert read.info["duration"] == (250, 250, 1500)[i]
        assert np.array_equal(np.asarray(read.convert("RGB")), levels(frame))


def test_an_animation_counts_its_chunks():
    frames = RNG.random((3, 2, 2))
    found = chunks(animated_png(frames))
    assert [kind for kind, _ in found] == [b"IHDR", b"acTL", b"fcTL", b"IDAT", *[b"fcTL", b"fdAT"] * 2, b"IEND"]
    numbers = [struct.unpack(">I", body[:4])[0] for kind, body in found if kind in (b"fcTL", b"fdAT")]
    assert numbers == [0, 1, 2, 3, 4]
    assert np.array_equal(unpacked(found[-2][1][4:], (2, 2)), levels(frames[2]))


def test_numbers_become_levels():
    assert levels([[0.0, 1.0, 0.5, 0.25]]).tolist() == [[0, 255, 128, 64]]
    assert levels(np.array([[-3.0, 7.0, np.inf, -np.inf]], "float32")).tolist() == [[0, 255, 255, 0]]
    assert levels(np.array([[0.002]], "float16")).dtype == np.uint8


@pytest.mark.parametrize(
    "pixels, error, words",
    [
        (np.zeros(4), ValueError, "no picture"),
        (np.zeros((4, 4, 2)), ValueError, "no picture"),
        (np.zeros((0, 4)), ValueError, "at least one pixel"),
        (np.zeros((2, 2), "int64"), TypeError, "int64"),
        (np.array([[0.0, np.nan]]), ValueError, "NaN.*\n.*1 of 2"),
    ],
)
def test_what_is_no_picture(pixels, error, words):
    with pytest.raises(error, match=words):
        png(pixels)


def test_an_animation_has_pictures_of_one_shape():
    with pytest.raises(ValueError, match="no picture"):
        animated_png([])
    with pytest.raises(ValueError, match="one shape"):
        animated_png([np.zeros((2, 2)), np.zeros((2, 3))])


def test_a_sheet():
    pictures = np.arange(3, dtype="uint8")[:, None, None] * np.ones((1, 2), "uint8") + 1
    expected = [
        [9, 9, 9, 9, 9, 9, 9],
        [9, 1, 1, 9, 2, 2, 9],
        [9, 9, 9, 9, 9, 9, 9],
        [9, 3, 3, 9, 9, 9, 9],
        [9, 9, 9, 9, 9, 9, 9],
    ]
    found = sheet(pictures, 2, background=9 / 255)
    assert found.dtype == np.uint8 and found.tolist() == expected
    colour = RNG.integers(0, 256, (2, 3, 4, 3)).astype("uint8")
    large = sheet(colour, 5, scale=2, gap=0)
    assert large.shape == (6, 40, 3) and np.array_equal(large[::2, ::2][:, :8].reshape(3, 2, 4, 3)[:, 1], colour[1])
    with pytest.raises(ValueError, match="cannot be made"):
        sheet([], 3)
    with pytest.raises(ValueError, match="columns 0"):
        sheet(pictures, 0)
