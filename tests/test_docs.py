"""The code on the pages of docs/ runs as it stands. README.md and docs/backends.md have tests of their own."""

import re
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs"
TESTED_ELSEWHERE = {"backends.md": "test_own_backend.py"}
USERS_OWN = (
    "datasets/"  # what a block reads that only users have: Kaggle's files, which tests/test_data*.py write small
)


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


PAGES = sorted(page.name for page in DOCS.glob("*.md") if blocks(page.name) and page.name not in TESTED_ELSEWHERE)


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """The files that the pages speak of, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    Path("flowers.csv").write_text("length,width,species\n1.5,2.5,rose\n2.5,NA,lily\n3.5,1.0,rose\n")
    Path("poem.txt").write_text("a rose is a rose is a rose\n" * 20)


@pytest.fixture
def photos():
    image = pytest.importorskip("PIL.Image", reason="photos are read by Pillow")
    for k in range(8):
        folder = Path("photos", "cats" if k % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        image.fromarray(np.full((40, 40, 3), 20 * k, np.uint8)).save(folder / f"{k}.png")


@pytest.mark.parametrize("page", PAGES)
def test_the_code_on_the_page_runs(page, request):
    if "ImageFolder" in "".join(blocks(page)):
        request.getfixturevalue("photos")
    if "plot_curves" in "".join(blocks(page)):
        pytest.importorskip("matplotlib", reason="matplotlib draws the plots")
    space = {"features": np.random.default_rng(0).normal(size=(20, 3))}
    ran = 0
    for block in blocks(page):
        if USERS_OWN not in block:
            exec(compile(block, f"docs/{page}", "exec"), space)  # our own page
            ran += 1
    assert ran
