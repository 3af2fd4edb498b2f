"""Every file of examples/ runs as a script, says something, and says why where it cannot."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted(Path(__file__).resolve().parents[1].glob("examples/*.py"))
NEEDS = {"own_backend.py": "array_api_strict"}  # what an example needs beside NumPy


def test_there_are_some():
    assert {"composites.py", "look_inside.py"} <= {path.name for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_it_runs(path, tmp_path):
    if path.name in NEEDS:
        pytest.importorskip(NEEDS[path.name], reason=f"{path.name} needs it")
    command = [sys.executable, "-W", "error", str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() and not done.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_its_first_lines_say_how_to_run_it(path):
    text = path.read_text()
    assert text.startswith('"""') and f"python examples/{path.name}" in text.split('"""')[1]
