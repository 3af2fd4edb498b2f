"""Write docs/operations.md, operation x dtype x order x backend, from the results of the tests.

``python docs/make_operations.py`` runs the battery of the case table and writes the page; with ``--report FILE`` it
reads the JUnit XML of a run that has been made already (``pytest tests/operators --junitxml=FILE``). Nothing on the
page is typed by hand: a cell names a backend because its test passed.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "operations.md"
# The tests that a column stands for; what their ids end with where they run for several dtypes.
COLUMNS = (
    ("value", "test_operators.py::test_forward_is_numpys", ""),
    ("order 1", "test_operators.py::test_first_derivatives", ""),
    ("order 2", "test_operators.py::test_second_derivatives", ""),
    ("float32", "test_dtypes.py::test_single_precision_stays_single", "-float32"),
    ("complex128", "test_operators.py::test_complex_derivatives", ""),
    ("complex64", "test_dtypes.py::test_single_precision_stays_single", "-complex64"),
    ("integers", "test_dtypes.py::test_integers_as_other_operands", ""),
)
LETTERS = {"numpy": "N", "jax": "J", "array_api_strict": "S", "cupy": "C"}
_ID = re.compile(rf"(\w+)\[({'|'.join(LETTERS)})-(.+)\]")

TITLE = """# Operations

Made by `docs/make_operations.py` from the results of `tests/operators`; a test fails where an operation is missing.

A letter says that the operation's test passed on that backend: {letters}. Columns:

- `value`: equal to NumPy's or SciPy's, in double precision, on samples of the case table;
- `order 1`, `order 2`: VJP and JVP, and their derivatives in all four ways of nesting, against differences of values;
- `float32`, `complex64`: value, VJP and JVP in single precision, which they keep;
- `complex128`: order 1 and 2 with complex operands;
- `integers`: with integer arrays in the place of floating ones.

An empty cell is no promise: the operation has no derivative, or the case table does not ask for it there.
"""
SECTION = "\n## {space}\n\n| operation | {names} |\n|---|{rules}\n"


def run_tests(report: Path, jobs: int) -> None:
    """Run the tests that the columns stand for; failures are results like others."""
    tests = dict.fromkeys(f"tests/operators/{test}" for _, test, _ in COLUMNS)
    command = [sys.executable, "-m", "pytest", "-q", *tests, f"--junitxml={report}"]
    command += ["-n", str(jobs)] if jobs > 1 else ["-p", "no:xdist"]
    done = subprocess.run(command, cwd=ROOT, check=False).returncode
    if done not in (0, 1):  # 1: some test failed
        raise SystemExit(f"pytest ended with {done}: no page was written")


def read_report(text: str) -> dict[tuple[str, str], dict[str, bool]]:
    """For each operation and column the backends that ran, and whether their test passed."""
    found: dict[tuple[str, str], dict[str, bool]] = defaultdict(dict)
    for case in ElementTree.fromstring(text).iter("testcase"):
        matched = _ID.fullmatch(case.get("name", ""))
        if matched is None or case.find("skipped") is not None:
            continue
        test, backend, rest = matched.groups()
        file = case.get("classname", "").rpartition(".")[2]
        passed = case.find("failure") is None and case.find("error") is None
        for column, of_column, ending in COLUMNS:
            if of_column == f"{file}.py::{test}" and rest.endswith(ending):
                found[rest.removesuffix(ending), column][backend] = passed
    return found


def cell(results: dict[str, bool]) -> str:
    """The letters of the backends that passed, and the names of those that failed."""
    passed = "".join(letter for name, letter in LETTERS.items() if results.get(name))
    failed = [f"{name} fails" for name in LETTERS if results.get(name) is False]
    return " ".join([passed, *failed]).strip()


def page(found: dict[tuple[str, str], dict[str, bool]]) -> str:
    """The page of what ``read_report`` gives: a table for each namespace, a row for each operation."""
    operations = sorted({name for name, _ in found} - {"index"}, key=lambda name: (name.count("."), name))
    seen = {name for results in found.values() for name in results}
    letters = ", ".join(f"{letter} {name}" for name, letter in LETTERS.items() if name in seen)
    parts = [TITLE.format(letters=letters)]
    names = [column for column, _, _ in COLUMNS]
    for space in dict.fromkeys(name.rpartition(".")[0] for name in operations):
        title = f"op.{space}" if space else "op"
        parts.append(SECTION.format(space=title, names=" | ".join(names), rules="---|" * len(names)))
        for name in operations:
            if name.rpartition(".")[0] == space:
                cells = [cell(found.get((name, column), {})) for column in names]
                parts.append(f"| `{name}` | " + " | ".join(cells) + " |\n")
    return "".join(parts)


def listed(text: str) -> set[str]:
    """The operations that a page has rows for."""
    return set(re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE))


def main() -> None:
    """Run the tests, or read their report, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--report", type=Path, help="JUnit XML of a run of tests/operators; without it they are run")
    parser.add_argument("--jobs", type=int, default=1, help="processes for the tests, with pytest-xdist (default 1)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asked.report or Path(folder) / "report.xml"
        if asked.report is None:
            run_tests(report, asked.jobs)
        found = read_report(report.read_text())
    PAGE.write_text(page(found))
    failed = sum(not passed for results in found.values() for passed in results.values())
    print(f"{PAGE.relative_to(ROOT)}: {len({name for name, _ in found})} operations, {failed} failed tests")


if __name__ == "__main__":
    main()
