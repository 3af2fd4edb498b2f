"""Event files: their bytes, and what tensorboard reads in them."""

from types import SimpleNamespace

import numpy as np
import pytest

from support.boards import accumulated, scalars
from zkynet.errors import FileFormatError
from zkynet.io import EventWriter
from zkynet.io.events import BUCKETS, crc32c, record, records, whole_size

# ---- records ----


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # the four examples of RFC 3720, appendix B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_the_checksum_is_the_published_one(data, expected):
    assert crc32c(data) == expected


def test_records_come_back_and_a_part_at_the_end_is_left_out(tmp_path):
    data = [b"", b"a", bytes(range(256)) * 300]
    whole = b"".join(map(record, data))
    path = tmp_path / "file"
    first_two = len(record(b"")) + len(record(b"a"))
    for cut in (0, 1, 7, 11, 12, 12 + 100, len(record(data[2])) - 1):
        path.write_bytes(whole[: first_two + cut])
        assert list(records(path)) == data[:2]
        assert whole_size(path) == first_two
    path.write_bytes(whole)
    assert list(records(path)) == data
    assert whole_size(path) == len(whole)
    assert whole_size(path, most=len(whole) - 1) == first_two


@pytest.mark.parametrize("at, what", [(0, "length"), (9, "length"), (13, "checksum"), (-1, "checksum")])
def test_a_damaged_record_is_an_error(tmp_path, at, what):
    content = bytearray(record(b"abcdef"))
    content[at] ^= 1
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(FileFormatError, match=what):
        list(records(tmp_path / "file"))


# ---- the writer ----


def test_numbers_come_back(tmp_path):
    nothing = [0.0, -0.0, 1.5, -3.25, float("inf"), -float("inf"), float("nan"), 1e-45, 1e300, -1e300, 2**70, True]
    with EventWriter(tmp_path) as writer:
        for step, number in enumerate(nothing):
            writer.scalars(step, {"a": number, "b": np.float32(step)})
        writer.scalars(2**62, {"late": np.float64(0.1)})
    found = scalars(tmp_path)
    with np.errstate(over="ignore"):
        expected = [float(np.float32(x)) for x in nothing]
    assert [step for step, _ in found["a"]] == list(range(len(nothing)))
    np.testing.assert_array_equal([x for _, x in found["a"]], expected)
    assert found["b"] == [(i, float(i)) for i in range(len(nothing))]
    assert found["late"] == [(2**62, float(np.float32(0.1)))]


@pytest.mark.parametrize("tag", ["x" * 70_000, "größe/勾配/∇", "a b\n\t\0/..", "", "half \ud800"], ids=range(5))
def test_tags_come_back(tmp_path, tag):
    with EventWriter(tmp_path) as writer:
        writer.scalars(3, {tag: 1.0})
        writer.histogram(3, f"h/{tag}", np.ones(2))
    shown = tag.encode("utf-8", "backslashreplace").decode()
    found = accumulated(tmp_path)
    assert found.Tags()["scalars"] == [shown]
    assert found.Tags()["histograms"] == [f"h/{shown}"]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint64", "bool"])
def test_histograms_come_back(tmp_path, dtype):
    values = np.random.default_rng(0).normal(1, 3, (40, 25))
    values = (np.trunc(abs(values)) if dtype in ("uint64", "bool") else values).astype(dtype)
    with EventWriter(tmp_path) as writer:
        writer.histogram(7, "h", values)
    (event,) = accumulated(tmp_path).Histograms("h")
    histogram, wide = event.histogram_value, values.astype(np.float64)
    counts, edges = np.histogram(wide, BUCKETS)
    assert event.step == 7
    assert (histogram.min, histogram.max, histogram.num) == (wide.min(), wide.max(), values.size)
    assert histogram.sum == pytest.approx(wide.sum(), rel=1e-12)
    assert histogram.sum_squares == pytest.approx(np.square(wide).sum(), rel=1e-12)
    np.testing.assert_array_equal(histogram.bucket, counts)
    np.testing.assert_array_equal(histogram.bucket_limit, edges[1:])


@pytest.mark.parametrize(
    "values",
    [
        [2.5],
        [0.0, 0.0, 0.0],
        [1.0, np.nextafter(1.0, 2.0)],  # no room for buckets between them
        [-1.7e308, 1.7e308],  # their distance is no number
        [0.0, 5e-324],
    ],
)
def test_values_that_no_buckets_tell_apart_are_one(tmp_path, values):
    with EventWriter(tmp_path) as writer:
        writer.histogram(1, "h", np.array(values))
    (event,) = accumulated(tmp_path).Histograms("h")
    assert sum(event.histogram_value.bucket) == event.histogram_value.num == len(values)
    assert event.histogram_value.bucket_limit[-1] == max(values)


def test_what_is_not_finite_is_counted_apart(tmp_path):
    with EventWriter(tmp_path) as writer:
        writer.histogram(1, "h", np.array([np.nan, 1.0, np.inf, 2.0, -np.inf]))
        writer.histogram(2, "h", np.array([np.nan]))
        writer.histogram(3, "h", np.array([]))
        writer.histogram(4, "c", np.array([1 + 2j, 3 + 4j]))
    found = accumulated(tmp_path)
    assert [(each.step, each.histogram_value.num) for each in found.Histograms("h")] == [(1, 2)]
    assert scalars(tmp_path) == {"not finite/h": [(1, 3.0), (2, 1.0)]}
    assert [found.Histograms(f"c/{part}")[0].histogram_value.sum for part in ("real", "imaginary")] == [4.0, 6.0]


def test_a_histogram_of_what_is_no_array_is_an_error(tmp_path):
    with EventWriter(tmp_path) as writer, pytest.raises(TypeError, match="'h' is no array"):
        writer.histogram(1, "h", [[1.0], [2.0, 3.0]])


def pixels_of(png):
    import io

    pillow = pytest.importorskip("PIL.Image", reason="Pillow, which reads the picture back, is not installed")
    with pillow.open(io.BytesIO(png)) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_pictures_come_back(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    with EventWriter(tmp_path) as writer:
        writer.image(4, "bytes", pixels)
        writer.image(4, "floats", pixels / 255)
    found = accumulated(tmp_path)
    for tag in ("bytes", "floats"):
        (event,) = found.Images(tag)
        assert (event.step, event.height, event.width) == (4, 5, 7)
        np.testing.assert_array_equal(pixels_of(event.encoded_image_string).reshape(shape), pixels)


def test_a_picture_may_be_a_png_file_but_no_other_bytes(tmp_path):
    with EventWriter(tmp_path) as writer:
        writer.image(1, "pixels", np.full((2, 3, 3), np.nan))
        writer.flush()
        png = accumulated(tmp_path).Images("pixels")[0].encoded_image_string
        writer.image(2, "file", png)
        with pytest.raises(ValueError, match="no PNG file"):
            writer.image(3, "file", b"GIF89a")
        with pytest.raises(ValueError):
            writer.image(3, "pixels", np.zeros((2, 3, 3, 3)))
        with pytest.raises(TypeError, match="int64"):
            writer.image(3, "pixels", np.zeros((2, 3), np.int64))
    (event,) = accumulated(tmp_path).Images("file")
    assert (event.step, event.width, event.height, event.encoded_image_string) == (2, 3, 2, png)


def test_texts_come_back(tmp_path):
    with EventWriter(tmp_path) as writer:
        writer.text(5, "notes", "*größer* than ∇")
    found = accumulated(tmp_path)
    (event,) = found.Tensors("notes")
    assert event.step == 5 and event.tensor_proto.string_val[0].decode() == "*größer* than ∇"
    assert found.SummaryMetadata("notes").plugin_data.plugin_name == "text"


@pytest.mark.parametrize("step", [-1, 2**63])
def test_a_step_that_the_format_cannot_hold_is_an_error(tmp_path, step):
    with EventWriter(tmp_path) as writer:
        size = writer.size
        with pytest.raises(ValueError, match="step"):
            writer.scalars(step, {"a": 1.0})
        assert writer.size == size


def test_two_writers_have_two_files(tmp_path):
    with EventWriter(tmp_path) as one, EventWriter(tmp_path) as other:
        for step in range(50):
            one.scalars(step, {"one": step})
            other.scalars(step, {"other": -step})
    found = scalars(tmp_path)
    assert found == {"one": [(i, float(i)) for i in range(50)], "other": [(i, -float(i)) for i in range(50)]}


def test_a_file_is_never_replaced_and_has_a_name_that_tensorboard_looks_for(tmp_path):
    EventWriter(tmp_path, "a.tfevents").close()
    with pytest.raises(FileExistsError):
        EventWriter(tmp_path, "a.tfevents")
    with pytest.raises(ValueError, match="tfevents"):
        EventWriter(tmp_path, "events")


def test_files_can_be_read_while_they_are_written(tmp_path):
    with EventWriter(tmp_path) as writer:
        found = accumulated(tmp_path)
        assert found.Tags()["scalars"] == []
        for step in range(30):
            writer.scalars(step, {"a": step})
            if step % 10 == 9:
                writer.flush()
                found.Reload()
                assert [each.step for each in found.Scalars("a")] == list(range(step + 1))


def test_it_flushes_by_itself_after_a_while(tmp_path, monkeypatch):
    now = [1e9]
    monkeypatch.setattr("zkynet.io.events.time", SimpleNamespace(time=lambda: now[0]))
    with EventWriter(tmp_path) as writer:
        size = writer.size
        writer.scalars(1, {"a": 1.0})
        assert writer.path.stat().st_size == size
        now[0] += EventWriter.interval
        writer.scalars(2, {"a": 1.0})
        assert writer.path.stat().st_size == writer.size
        now[0] -= 1000  # the clock was set back
        writer.scalars(3, {"a": 1.0})
        assert writer.path.stat().st_size == writer.size


@pytest.mark.parametrize("how", ["write", "flush", "close"])
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, how):
    resource = pytest.importorskip("resource", reason="this system has no limit for the size of files")
    writer = EventWriter(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            writer.text(1, "long", "x" * (10**6 if how == "write" else 2000))
            getattr(writer, how)()
        assert caught.value.filename == str(writer.path)
        assert writer.closed
        writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(list(records(writer.path))) == 1  # what was there is whole
