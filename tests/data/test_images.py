"""Images in files and in folders."""

import sys
import warnings

import numpy as np
import pytest

from zkynet.data import Batches, ImageFolder, PictureError, Subset, read_image, read_picture, split

Image = pytest.importorskip("PIL.Image", reason="images are read with Pillow")

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)
LUMA = np.array([0.299, 0.587, 0.114])


def store(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


class TestReadImage:
    @pytest.mark.parametrize("suffix", ["png", "bmp"])
    def test_colours(self, tmp_path, suffix):
        image = read_image(store(tmp_path / f"x.{suffix}", COLOURS))
        assert image.dtype == np.float32 and image.flags.c_contiguous
        np.testing.assert_array_equal(image, np.moveaxis(COLOURS, -1, 0) / np.float32(255), strict=True)

    def test_gray_of_colours_and_colours_of_gray(self, tmp_path):
        gray = read_image(store(tmp_path / "x.png", COLOURS), channels=1)
        assert gray.shape == (1, 5, 4)
        np.testing.assert_allclose(gray[0] * 255, COLOURS @ LUMA, atol=0.51)
        image = read_image(store(tmp_path / "y.png", COLOURS[..., 0]), dtype="float64")
        assert image.shape == (3, 5, 4) and image.dtype == np.float64
        np.testing.assert_allclose(image, np.repeat(COLOURS[None, ..., 0] / 255, 3, axis=0), rtol=1e-7)

    @pytest.mark.parametrize("mode", ["P", "1", "CMYK", "LA", "RGBA", "PA"])
    def test_other_kinds_of_images(self, tmp_path, mode):
        pixels = np.repeat(COLOURS[..., :1] // 128 * 255, 3, axis=2)
        suffix = {"CMYK": "jpg", "PA": "png"}.get(mode, "png")
        if mode == "PA":
            image = Image.fromarray(pixels).convert("P")
            image.save(tmp_path / "x.png", transparency=0)
            read = read_image(tmp_path / "x.png")
            assert read.shape == (3, 5, 4) and (read == 1).any()
            return
        read = read_image(store(tmp_path / f"x.{suffix}", pixels, mode))
        assert np.abs(read - np.moveaxis(pixels, -1, 0) / 255).max() < (0.2 if mode == "CMYK" else 0.01)

    def test_transparent_becomes_white(self, tmp_path):
        pixels = np.zeros((2, 2, 4), np.uint8)
        pixels[0, 0, 3], pixels[0, 1, 3] = 255, 51
        image = read_image(store(tmp_path / "x.png", pixels), channels=1)
        np.testing.assert_allclose(image[0], [[0, 0.8], [1, 1]], atol=0.005)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_sixteen_bits_keep_their_steps(self, tmp_path, channels):
        pixels = np.array([[0, 1, 2], [256, 40000, 65535]], np.uint16)
        image = read_image(store(tmp_path / "x.png", pixels), channels)
        np.testing.assert_allclose(image, np.repeat(pixels[None] / 65535, channels, axis=0), rtol=1e-6)
        assert read_image(tmp_path / "x.png", channels, size=(4, 6)).shape == (channels, 4, 6)

    def test_a_camera_that_was_held_sideways(self, tmp_path):
        image, exif = Image.fromarray(COLOURS), Image.Exif()
        exif[0x0112] = 6  # the top of the scene is on the right of the stored pixels
        image.save(tmp_path / "x.png", exif=exif)
        expected = np.rot90(COLOURS, -1)
        np.testing.assert_array_equal(read_image(tmp_path / "x.png"), np.moveaxis(expected, -1, 0) / np.float32(255))
        np.testing.assert_allclose(read_picture(tmp_path / "x.png"), expected / 255 @ LUMA)

    def test_size_keeps_the_aspect_and_cuts_the_sides(self, tmp_path):
        pixels = np.zeros((10, 40, 3), np.uint8)
        pixels[:, 15:25] = 255  # a white square in the middle
        image = read_image(store(tmp_path / "x.png", pixels), size=(5, 5))
        assert image.shape == (3, 5, 5) and (image[:, :, 1:4] == 1).all()
        assert read_image(tmp_path / "x.png", 1, size=(6, 8)).shape == (1, 6, 8)

    @pytest.mark.parametrize(
        "content, words",
        [
            (b"", "is no picture"),
            (b"text", "is no picture"),
            (b"\x89PNG\r\n\x1a\n", "picture"),
            (None, "is a damaged picture"),
        ],
    )
    def test_what_is_no_image(self, tmp_path, content, words):
        path = store(tmp_path / "x.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
        path.write_bytes(path.read_bytes()[:-3000] if content is None else content)
        with pytest.raises(PictureError, match=words):
            read_image(path)

    def test_too_many_pixels(self, tmp_path, monkeypatch):
        path = store(tmp_path / "x.png", np.zeros((10, 10), np.uint8))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 99)
        for read in (read_image, read_picture):
            # Pillow's own warning, where it is shown and not an error as in these tests, does not let the picture pass.
            with warnings.catch_warnings(), pytest.raises(PictureError, match="too large a picture"):
                warnings.simplefilter("ignore")
                read(path)

    @pytest.mark.parametrize(
        "options", [{"channels": 2}, {"size": 5}, {"size": (0, 5)}, {"size": (5.0, 5)}, {"size": (5,)}]
    )
    def test_options_out_of_range(self, tmp_path, options):
        with pytest.raises(ValueError, match="got"):
            read_image(store(tmp_path / "x.png", COLOURS), **options)

    def test_other_dtypes_and_files(self, tmp_path):
        with pytest.raises(TypeError, match="int32"):
            read_image(store(tmp_path / "x.png", COLOURS), dtype="int32")
        with pytest.raises(FileNotFoundError):
            read_image(tmp_path / "none.png")

    def test_without_pillow_it_says_so(self, tmp_path, monkeypatch):
        path = store(tmp_path / "x.png", COLOURS)
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(ImportError, match="pip install pillow"):
            read_image(path)


class TestImageFolder:
    @pytest.fixture
    def root(self, tmp_path):
        for number, name in enumerate(["dog/b.png", "cat/z.PNG", "cat/a.jpg", "dog/deep/er.bmp", "owl/x.gif"]):
            store(tmp_path / "set" / name, np.full((6, 8), number * 40, np.uint8))
        (tmp_path / "set" / ".git").mkdir()
        (tmp_path / "set" / "README").write_text("about")
        (tmp_path / "set" / "cat" / ".a.png").write_bytes(b"")
        (tmp_path / "set" / "cat" / "Thumbs.db").write_bytes(b"")
        return tmp_path / "set"

    def test_classes_are_folders_in_sorted_order(self, root):
        images = ImageFolder(root, channels=1)
        assert images.classes == ("cat", "dog", "owl") and len(images) == 5
        assert images.labels.tolist() == [0, 0, 1, 1, 2] and images.labels.dtype == np.int64
        assert [path.name for path in images.files] == ["a.jpg", "z.PNG", "b.png", "er.bmp", "x.gif"]
        assert [path.name for path in images.skipped] == ["Thumbs.db"]
        assert repr(images).endswith("5 images of 3 classes, 1 files skipped)")

    def test_batches(self, root):
        images = ImageFolder(root, channels=1)
        pixels, labels = images.batch(np.array([4, 0, 2, 0]))
        assert pixels.shape == (4, 1, 6, 8) and pixels.dtype == np.float32 and labels.tolist() == [2, 0, 1, 0]
        np.testing.assert_allclose(pixels[:, 0, 3, 3] * 255, [160, 80, 0, 80], atol=1)
        image, label = images[1]
        assert image.shape == (1, 6, 8) and label == 0
        whole = list(Batches(images, 2, seed=0))
        ahead = list(Batches(images, 2, seed=0, prefetch=2))
        for one, other in zip(whole, ahead, strict=True):
            assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
            assert not one[0].flags.writeable and one[0].base is None

    def test_split_by_label(self, root):
        images = ImageFolder(root, size=(4, 4))
        train, test = (Subset(images, part) for part in split(4, (0.5, 0.5), labels=images.labels[:4]))
        assert len(train) == len(test) == 2 and train[0][0].shape == (3, 4, 4)

    def test_sizes_differ(self, root):
        odd = store(root / "dog" / "odd.png", np.zeros((5, 8), np.uint8))
        images = ImageFolder(root)
        with pytest.raises(
            PictureError, match=r"odd.png has another size than .*a.jpg\n  got:      5 x 8 .*\n  expected: 6 x 8"
        ):
            images.batch(np.arange(6))
        assert images.batch(np.array([0, 1]))[0].shape == (2, 3, 6, 8)
        assert ImageFolder(root, size=(6, 8)).batch(np.arange(6))[0].shape == (6, 3, 6, 8)
        odd.unlink()

    def test_a_damaged_file_is_named(self, root):
        (root / "dog" / "c.png").write_bytes(b"no image")
        for ahead in (0, 2):
            with pytest.raises(PictureError, match="c.png is no picture"):
                list(Batches(ImageFolder(root), 2, prefetch=ahead))

    def test_folders_without_images(self, root, tmp_path):
        (root / "bee").mkdir()
        with pytest.raises(FileNotFoundError, match="bee has no images\n  expected: files that end with .png"):
            ImageFolder(root)
        with pytest.raises(FileNotFoundError, match="has no folders\n  expected: one for each class"):
            ImageFolder(root / "bee")
        with pytest.raises(FileNotFoundError):
            ImageFolder(root / "none")
        with pytest.raises(NotADirectoryError):
            ImageFolder(root / "README")
