"""How wide a text is, without any font library: a table of one common font's widths.

The widths are those of DejaVu Sans, which matplotlib brings along and which is among the widest of the usual sans-serif
fonts; a text measured by it fits its box in Helvetica, Arial or Segoe UI as well.
"""

from __future__ import annotations

import unicodedata

FONT = "'Helvetica Neue', Helvetica, 'Segoe UI', Arial, 'DejaVu Sans', sans-serif"

# Hundredths of the font size, for the characters from the space (32) to the tilde (126).
_REGULAR = """
32 40 46 84 64 95 78 27 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84 84 53
100 68 69 70 77 63 58 77 75 29 29 66 56 86 75 79 60 79 69 63 61 73 68 99 69 61 69 39 34 39 84 50
50 61 63 55 63 62 35 63 63 28 28 58 28 97 63 61 63 63 41 52 39 63 59 82 59 59 52 64 34 64 84
"""
_BOLD = """
35 46 52 84 70 100 87 31 46 46 52 84 38 42 38 37 70 70 70 70 70 70 70 70 70 70 40 40 84 84 84 58
100 77 76 73 83 68 68 82 84 37 37 77 64 100 84 85 73 85 77 72 68 81 77 110 77 72 73 46 37 46 84 50
50 67 72 59 72 68 44 72 71 34 34 67 34 104 71 69 72 72 49 60 48 71 65 92 65 65 58 71 37 71 84
"""
_TABLES = {
    bold: tuple(int(width) / 100 for width in table.split()) for bold, table in ((False, _REGULAR), (True, _BOLD))
}
_OTHER = 0.75  # Greek, accented and most mathematical characters are narrower
_WIDE = 1.05  # Chinese, Japanese, Korean; the ellipsis


def text_width(text: str, size: float, bold: bool = False) -> float:
    """The width of one line of ``text`` at font size ``size``, in the unit of ``size``."""
    table = _TABLES[bold]
    total = 0.0
    for character in text:
        index = ord(character) - 32
        if 0 <= index < len(table):
            total += table[index]
        elif unicodedata.combining(character) == 0:
            wide = character == "…" or unicodedata.east_asian_width(character) in "WF"
            total += _WIDE if wide else _OTHER + 0.1 * bold
    return total * size


def shorten(text: str, size: float, width: float, bold: bool = False) -> str:
    """``text`` itself if it fits ``width``, else as much of its beginning as fits, and an ellipsis."""
    if text_width(text, size, bold) <= width:
        return text
    room = width - text_width("…", size, bold)
    kept = ""
    for character in text:
        room -= text_width(character, size, bold)
        if room < 0:
            break
        kept += character
    return kept.rstrip() + "…"


def wrap(text: str, size: float, width: float, lines: int = 2) -> list[str]:
    """``text`` broken at spaces into at most ``lines`` lines of ``width``; what does not fit ends in an ellipsis."""
    broken: list[str] = []
    words = text.split(" ")
    while words and len(broken) < lines - 1:
        line = words.pop(0)
        while words and text_width(f"{line} {words[0]}", size) <= width:
            line = f"{line} {words.pop(0)}"
        broken.append(shorten(line, size, width))
    if words:
        broken.append(shorten(" ".join(words), size, width))
    return broken
