"""Text as numbers."""

import numpy as np
import pytest

from zkynet.backends.errors import FileFormatError
from zkynet.data import Batches, TextWindows, Vocabulary, read_text, words

TEXT = "The cat's hat: the cat sat.\nÅ, naïve co-op!"


class TestReadText:
    @pytest.mark.parametrize(
        "content",
        [b"\xc3\xa9a\nb\n", b"\xef\xbb\xbf\xc3\xa9a\r\nb\r\n", b"\xc3\xa9a\rb\r"],
        ids=["LF", "BOM, CRLF", "CR"],
    )
    def test_line_ends_and_byte_order_mark(self, tmp_path, content):
        (tmp_path / "x").write_bytes(content)
        assert read_text(tmp_path / "x") == "éa\nb\n"

    def test_other_encodings(self, tmp_path):
        for encoding in ("latin-1", "utf-16"):
            (tmp_path / "x").write_bytes("é\n".encode(encoding))
            assert read_text(tmp_path / "x", encoding) == "é\n"

    @pytest.mark.parametrize(
        "content, words",
        [(b"", "holds no text"), (b" \n", "holds no text"), (b"ab\xe9", "not text in utf-8.*position 2")],
    )
    def test_what_is_no_text(self, tmp_path, content, words):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(FileFormatError, match=words):
            read_text(tmp_path / "x")

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_text(tmp_path / "none")


def test_words():
    assert words(TEXT) == ["The", "cat's", "hat", ":", "the", "cat", "sat", ".", "Å", ",", "naïve", "co-op", "!"]
    assert words(" \n") == []


class TestVocabulary:
    def test_characters(self):
        vocabulary = Vocabulary.of(TEXT)
        assert vocabulary.tokens == tuple(sorted(set(TEXT))) and len(vocabulary) == len(set(TEXT))
        ids = vocabulary.encode(TEXT)
        assert ids.dtype == np.int64 and ids.shape == (len(TEXT),)
        assert "".join(vocabulary.decode(ids)) == TEXT and "é" not in vocabulary and "Å" in vocabulary

    def test_words_with_unknown(self):
        vocabulary = Vocabulary.of(words("b a b c b a"), unknown="?", at_least=2)
        assert vocabulary.tokens == ("?", "a", "b")
        assert vocabulary.encode(["b", "c", "?", "a"]).tolist() == [2, 0, 0, 1]
        assert vocabulary.decode([2, 0, 1]) == ["b", "?", "a"]

    def test_the_most_frequent(self):
        assert Vocabulary.of("ddbbcca", unknown="?", at_most=2).tokens == ("?", "b", "c")
        assert Vocabulary.of("ddbbcca?", unknown="?", at_most=9, at_least=2).tokens == ("?", "b", "c", "d")
        assert Vocabulary.of("ab", at_most=2).tokens == ("a", "b")

    @pytest.mark.parametrize("options", [{"at_least": 2}, {"at_most": 1}])
    def test_what_is_left_out_needs_a_token(self, options):
        with pytest.raises(ValueError, match="1 of 2 tokens are left out.*\nName what does: unknown="):
            Vocabulary.of("aab", **options)

    def test_the_order_of_the_text_does_not_matter(self):
        assert (
            Vocabulary.of("abcabc", at_most=2, unknown="?").tokens
            == Vocabulary.of("cbacba", at_most=2, unknown="?").tokens
        )

    def test_an_unknown_token_is_an_error_with_its_place(self):
        with pytest.raises(ValueError, match="got: +'x', token 2\n  expected: one of 2 tokens"):
            Vocabulary.of("ab").encode("abxy")

    @pytest.mark.parametrize(
        "ids, kind, words",
        [
            ([2], ValueError, "got: +2"),
            ([-1], ValueError, "got: +-1"),
            ([0.0], TypeError, "float64"),
            ([[0]], TypeError, r"\(1, 1\)"),
        ],
    )
    def test_ids_out_of_range(self, ids, kind, words):
        with pytest.raises(kind, match=words):
            Vocabulary.of("ab").decode(ids)

    def test_nothing(self):
        vocabulary = Vocabulary.of("ab")
        assert vocabulary.encode("").shape == (0,) and vocabulary.decode([]) == []

    @pytest.mark.parametrize(
        "tokens, unknown, words",
        [
            ((), None, "one or more"),
            (("a", ""), None, "empty"),
            (("a", 1), None, "strings"),
            (("a", "a"), None, "twice.\n  got:      'a'"),
            (("a",), "b", "unknown='b' is not"),
        ],
    )
    def test_tokens_that_cannot_be(self, tokens, unknown, words):
        with pytest.raises(ValueError, match=words):
            Vocabulary(tokens, unknown)
        with pytest.raises(ValueError, match="one or more"):
            Vocabulary.of("")

    @pytest.mark.parametrize(
        "vocabulary", [Vocabulary.of(TEXT), Vocabulary.of(words(TEXT), unknown="<?>"), Vocabulary('\ud800\n"')]
    )
    def test_saved_and_loaded_it_is_the_same(self, tmp_path, vocabulary):
        vocabulary.save(tmp_path / "x.json")
        loaded = Vocabulary.load(tmp_path / "x.json")
        assert (loaded.tokens, loaded.unknown) == (vocabulary.tokens, vocabulary.unknown)
        assert repr(loaded) == repr(vocabulary)

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "[]",
            "null",
            "{}",
            "text",
            '{"format": "other", "tokens": ["a"], "unknown": null}',
            '{"format": "zkynet vocabulary 1", "tokens": "ab", "unknown": null}',
            '{"format": "zkynet vocabulary 1", "tokens": ["a", "a"], "unknown": null}',
            '{"format": "zkynet vocabulary 1", "tokens": ["a", ["b"]], "unknown": null}',
            '{"format": "zkynet vocabulary 1", "tokens": ["a"]}',
            "[" * 100000,
        ],
        ids=str.__len__,
    )
    def test_other_files_are_refused(self, tmp_path, content):
        (tmp_path / "x").write_text(content)
        with pytest.raises(FileFormatError, match="no saved Vocabulary"):
            Vocabulary.load(tmp_path / "x")


class TestTextWindows:
    @pytest.mark.parametrize(
        "count, length, stride", [(10, 3, None), (10, 3, 1), (9, 3, 3), (4, 3, 5), (11, 2, 3), (2, 1, 1)]
    )
    def test_y_is_what_comes_next(self, count, length, stride):
        ids = np.arange(100, 100 + count, dtype=np.int32)
        windows = TextWindows(ids, length, stride)
        starts = range(0, count - length, stride or length)
        assert len(windows) == len(starts)
        x, y = windows.batch(np.arange(len(windows))[::-1])
        assert x.dtype == y.dtype == np.int64 and x.shape == y.shape == (len(windows), length)
        assert np.array_equal(y, x + 1) and x[:, 0].tolist() == [100 + start for start in starts][::-1]

    def test_in_batches(self):
        vocabulary = Vocabulary.of(TEXT)
        for x, y in Batches(TextWindows(vocabulary.encode(TEXT), 5), 3, seed=0):
            assert np.array_equal(x[:, 1:], y[:, :-1]) and not y.flags.writeable and y.base is None

    @pytest.mark.parametrize(
        "ids, length, stride, kind, words",
        [
            ([1, 2, 3], 3, None, ValueError, "3 tokens, length 3, stride 3"),
            ([1, 2, 3], 0, None, ValueError, "length 0"),
            ([1, 2, 3], 1, 0, ValueError, "stride 0"),
            ([1.0, 2.0], 1, None, TypeError, "float64"),
            ([[1, 2]], 1, None, TypeError, r"\(1, 2\)"),
            ([1, 2, 3], 1.5, None, TypeError, "integer"),
        ],
    )
    def test_no_windows(self, ids, length, stride, kind, words):
        with pytest.raises(kind, match=words):
            TextWindows(ids, length, stride)
