"""The options and fixtures of the whole test session."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from support import backends as backends_here

PROGRAMS = 500  # tests on JAX after which what it compiled is given back: about 2 MB each


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-backend",
        action="append",
        default=[],
        metavar="NAME",
        help=f"fail where this backend is missing, instead of skipping; repeatable: {', '.join(backends_here.NAMES)}",
    )


def pytest_configure(config: pytest.Config) -> None:
    backends_here.register_strict()
    backends_here.require_in_session(config.getoption("--require-backend"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    # Here, not in the fixture's params: only a run that has such tests pays for importing the array libraries.
    if "backend_name" in metafunc.fixturenames:
        metafunc.parametrize("backend_name", backends_here.present(), indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)  # a stable sort: the slow ones last


def pytest_runtest_teardown(item: pytest.Item) -> None:
    # JAX keeps every program that it compiled: six gigabytes by the end of a worker's half of the tests.
    jax = sys.modules.get("jax")
    if jax is not None and "jax" in item.name:
        tests = item.session.stash.get(_TESTS_ON_JAX, 0) + 1
        item.session.stash[_TESTS_ON_JAX] = tests
        if tests % PROGRAMS == 0:
            jax.clear_caches()


_TESTS_ON_JAX = pytest.StashKey[int]()


@pytest.fixture
def backend_name(request: pytest.FixtureRequest) -> str:
    """The name of one backend that is here; the test runs once for each."""
    return request.param


@pytest.fixture
def backend(backend_name: str) -> Any:
    """One backend that is here; the test runs once for each."""
    return backends_here.get(backend_name)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The repository root; tests that read the sources need it."""
    return Path(__file__).resolve().parents[1]
