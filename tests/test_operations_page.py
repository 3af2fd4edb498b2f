"""docs/operations.md lists exactly the public operations, and what makes it reads results as they are."""

from __future__ import annotations

import importlib.util
from types import FunctionType

import pytest

from zkynet.framework import op


def public_operations():
    spaces = {"": op, **{f"{name}.": getattr(op, name) for name in ("special", "fft", "signal")}}
    return {
        prefix + name
        for prefix, space in spaces.items()
        for name in dir(space)
        if isinstance(getattr(space, name), FunctionType) and not name.startswith("_")
    }


@pytest.fixture(scope="module")
def maker(checkout):
    spec = importlib.util.spec_from_file_location("make_operations", checkout / "docs" / "make_operations.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_lists_the_public_operations(maker):
    listed, public = maker.listed(maker.PAGE.read_text()), public_operations()
    assert public - listed == set(), "not on the page; run python docs/make_operations.py"
    assert listed - public == set(), "on the page, but no operation; run python docs/make_operations.py"


def test_the_page_has_no_failure(maker):
    text = maker.PAGE.read_text()
    assert [name for name in maker.LETTERS if f"{name} fails" in text] == []


REPORT = """<testsuites><testsuite>
<testcase classname="tests.operators.test_operators" name="test_forward_is_numpys[numpy-add]"/>
<testcase classname="tests.operators.test_operators" name="test_forward_is_numpys[jax-add]"><failure/></testcase>
<testcase classname="tests.operators.test_operators" name="test_forward_is_numpys[cupy-add]"><skipped/></testcase>
<testcase classname="tests.operators.test_operators" name="test_second_derivatives[array_api_strict-add]"/>
<testcase classname="tests.operators.test_operators" name="test_forward_is_numpys[numpy-special.erf]"/>
<testcase classname="tests.operators.test_dtypes" name="test_single_precision_stays_single[numpy-add-float32]"/>
<testcase classname="tests.operators.test_dtypes" name="test_single_precision_stays_single[jax-add-complex64]"/>
<testcase classname="tests.operators.test_dtypes" name="test_single_precision_stays_single[jax-add-float32]"><error/>
</testcase>
<testcase classname="tests.operators.test_other" name="test_forward_is_numpys[numpy-other]"/>
<testcase classname="tests.operators.test_operators" name="test_layout_in_memory_does_not_matter[add]"/>
</testsuite></testsuites>"""


def test_a_report_becomes_a_page(maker):
    text = maker.page(maker.read_report(REPORT))
    assert "| `add` | N jax fails |  | S | N jax fails |  | J |  |\n" in text
    assert "## op.special\n" in text and "| `special.erf` | N |  |  |  |  |  |  |\n" in text
    assert "N numpy, J jax, S array_api_strict." in text
    assert maker.listed(text) == {"add", "special.erf"}
