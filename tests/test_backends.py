"""The registry of backends: which there are, which is the default, and which one an array belongs to."""

import copy
import importlib.metadata
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

from zkynet import backends
from zkynet.backends import errors
from zkynet.backends.base import Backend

numpy_backend = backends.get("numpy")


@pytest.fixture
def strict():
    pytest.importorskip("array_api_strict", reason="array_api_strict, which states the standard, is not installed here")
    return backends.get("array_api_strict")


@pytest.fixture
def jax_backend():
    pytest.importorskip("jax", reason="JAX is not installed here: the backend under test")
    return backends.get("jax")


class Fake(Backend):
    """A device backend over NumPy, which counts how often it was selected."""

    def __init__(self, name="fake"):
        super().__init__(name, np)
        self.count = 0

    def selected(self):
        self.count += 1

    def owns(self, x):
        return isinstance(x, Array)

    def to_numpy(self, x):
        return np.array(x)


class Array:
    """An array of Fake."""


@pytest.fixture
def restore(monkeypatch):
    """Puts the registry back afterwards."""
    for name in ("_loaders", "_loaded", "_instances", "_settings", "BACKEND_BY_TYPE"):
        monkeypatch.setattr(backends, name, copy.copy(getattr(backends, name)))


def run(code, **env):
    """Run Python code in a process of its own and return what it printed."""
    clean = {k: v for k, v in os.environ.items() if k not in ("ZKYNET_BACKEND", "ZKYNET_KEEP_MEMORY", "JAX_ENABLE_X64")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**clean, **env}, capture_output=True, text=True, timeout=300, cwd="/"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


# ---- the registry ----


def test_numpy_is_always_there():
    assert backends.get("numpy") is numpy_backend
    assert backends.available()["numpy"] is None
    assert numpy_backend.is_host and repr(numpy_backend) == "<backend numpy>"


def test_unknown_backend_names_what_there_is():
    with pytest.raises(
        errors.BackendNotAvailable, match=r"(?s)no backend 'nunpy'.*known:.*cupy.*jax.*numpy.*See docs/backends.md"
    ):
        backends.get("nunpy")
    with pytest.raises(ImportError):
        backends.get("nunpy")


def test_register_loads_once_and_when_needed(restore):
    made = []
    backends.register("fake", lambda: made.append(Fake()) or made[-1])
    assert made == []
    assert backends.get("fake") is backends.get("fake") is made[0]
    assert len(made) == 1 and made[0].count == 2
    assert backends.available()["fake"] is None


def test_registering_again_replaces(restore):
    backends.register("fake", Fake)
    first = backends.get("fake")
    backends.register("fake", Fake)
    assert backends.get("fake") is not first


def test_numpy_cannot_be_replaced():
    with pytest.raises(ValueError, match="host"):
        backends.register("numpy", Fake)


def test_missing_library_names_the_extra(restore, monkeypatch):
    monkeypatch.setitem(backends._loaders, "jax", lambda: __import__("no_such_library"))
    backends._loaded.pop("jax", None)
    with pytest.raises(
        errors.BackendNotAvailable, match=r"(?s)'jax' cannot be used here.*zkynet\[jax\].*See docs/backends.md"
    ):
        backends.get("jax")
    assert "no_such_library" in backends.available()["jax"]


def test_a_missing_cupy_names_both_extras(restore, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "zkynet.backends.cupy", raising=False)
    backends._loaded.pop("cupy", None)
    with pytest.raises(errors.BackendNotAvailable, match=r"(?s)'cupy' cannot be used here.*zkynet\[cupy\].*\[cuda13\]"):
        backends.get("cupy")


def test_the_page_that_the_errors_name_is_there(checkout):
    assert (checkout / "docs" / "backends.md").is_file()


def test_available_reports_what_fails_and_never_raises(restore, monkeypatch):
    def broken():
        raise RuntimeError("driver too old")

    class Useless(Fake):
        def sum(self, *args):
            raise RuntimeError("no memory on the device")

    backends.register("broken", broken)
    backends.register("useless", Useless)
    found = backends.available()
    assert found["broken"] == "RuntimeError: driver too old"
    assert "no memory on the device" in found["useless"]

    def no_metadata(**kwargs):
        raise OSError("unreadable")

    monkeypatch.setattr(importlib.metadata, "entry_points", no_metadata)
    assert backends.available()["numpy"] is None


def test_entry_points_of_other_distributions(restore, monkeypatch):
    class Point:
        def __init__(self, name):
            self.name = name

        def load(self):
            return lambda: Fake(self.name)

    def entry_points(group):
        assert group == "zkynet.backends"
        return [Point("theirs"), Point("numpy")]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert backends.get("theirs").name == "theirs"
    assert backends.get("numpy") is numpy_backend
    assert "theirs" in backends.available()


def test_backends_are_copied_and_pickled_by_name(restore, strict):
    for backend in (numpy_backend, strict):
        assert copy.deepcopy(backend) is backend
        assert pickle.loads(pickle.dumps(backend)) is backend


# ---- the default ----


def test_default_is_numpy(restore):
    backends._settings.clear()
    if not os.environ.get("ZKYNET_BACKEND"):
        assert backends.default_backend() is numpy_backend


def test_use_backend_as_a_call_sets_the_process(restore):
    fake = Fake()
    backends.use_backend(fake)
    assert backends.default_backend() is fake and fake.count == 1
    seen = []
    thread = threading.Thread(target=lambda: seen.append(backends.default_backend()))
    thread.start()
    thread.join()
    assert seen == [fake]
    backends.use_backend("numpy")
    assert backends.default_backend() is numpy_backend
    assert len(backends._settings) <= 2  # earlier calls are forgotten


def test_use_backend_as_a_block_is_undone(restore):
    before = backends.default_backend()
    fake, other = Fake(), Fake("other")
    with backends.use_backend(fake) as given:
        assert given is fake is backends.default_backend()
        with backends.use_backend(other):
            assert backends.default_backend() is other
            with backends.use_backend(fake):
                assert backends.default_backend() is fake
            assert backends.default_backend() is other
        assert backends.default_backend() is fake
    assert backends.default_backend() is before


def test_block_is_undone_after_an_error(restore):
    before = backends.default_backend()
    with pytest.raises(KeyError), backends.use_backend(Fake()):
        raise KeyError
    assert backends.default_backend() is before


def test_block_can_be_entered_again(restore):
    block = backends.use_backend(Fake())
    with block:
        pass
    before = backends.default_backend()
    assert before is not block.backend
    with block, block:
        assert backends.default_backend() is block.backend
    assert backends.default_backend() is before


def test_block_leaves_a_call_inside_it_alone(restore):
    fake, other = Fake(), Fake("other")
    with backends.use_backend(fake):
        backends.use_backend(other)
        assert backends.default_backend() is fake  # the context's choice stands before the process's
    assert backends.default_backend() is other


def test_block_is_not_seen_by_other_threads(restore):
    before = backends.default_backend()
    inside, seen = threading.Event(), []

    def look():
        inside.wait(10)
        seen.append(backends.default_backend())

    thread = threading.Thread(target=look)
    thread.start()
    with backends.use_backend(Fake()):
        inside.set()
        thread.join()
    assert seen == [before]


def test_blocks_in_many_threads_leave_the_process_default(restore):
    before = backends.default_backend()
    wrong = []

    def work(fake):
        for _ in range(200):
            with backends.use_backend(fake):
                if backends.default_backend() is not fake:
                    wrong.append(fake)

    threads = [threading.Thread(target=work, args=(Fake(str(i)),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and backends.default_backend() is before


def test_use_backend_of_an_unknown_name_changes_nothing(restore):
    before = backends.default_backend()
    with pytest.raises(errors.BackendNotAvailable):
        backends.use_backend("nunpy")
    assert backends.default_backend() is before
    assert repr(backends.use_backend("numpy")) == "use_backend('numpy')"


SHOW_DEFAULT = "from zkynet import backends; print(backends.default_backend().name)"


def test_environment_sets_the_default():
    assert run(SHOW_DEFAULT) == "numpy"
    assert run(SHOW_DEFAULT, ZKYNET_BACKEND="numpy") == "numpy"


def test_environment_sets_another_default(strict):
    assert run(SHOW_DEFAULT, ZKYNET_BACKEND="array_api_strict") == "array_api_strict"


def test_wrong_environment_fails_at_first_use():
    code = """
from zkynet import backends
backends.get("numpy")
try:
    backends.default_backend()
except backends.errors.BackendNotAvailable as error:
    print(error)
with backends.use_backend("numpy"):
    print(backends.default_backend().name)
"""
    said = run(code, ZKYNET_BACKEND="nunpy")
    assert "ZKYNET_BACKEND=nunpy" in said and "numpy" in said and said.endswith("numpy")


# ---- which backend an array belongs to ----


def test_types_of_numpy_are_known_in_advance():
    for x in (np.zeros(2), np.float64(1), np.float32(1), np.int8(1), np.bool(1), np.complex64(1), np.uint64(1)):
        assert backends.BACKEND_BY_TYPE[type(x)] is numpy_backend is backends.backend_of(x)
    assert np.str_ not in backends.BACKEND_BY_TYPE and np.object_ not in backends.BACKEND_BY_TYPE


@pytest.mark.parametrize(
    "x", (1, 1.0, True, "text", None, [1.0], (np.zeros(2),), {}, object(), np.str_("a"), np.timedelta64(1, "s"))
)
def test_other_types_belong_to_nobody(x):
    assert backends.backend_of(x) is None


def test_subclasses_of_ndarray(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    assert backends.backend_of(np.load(tmp_path / "a.npy", mmap_mode="r")) is numpy_backend
    for bad, word in ((np.ma.masked_array([1.0], [True]), "mask"), (np.zeros((1, 1)).view(np.matrix), "matrix")):
        with pytest.raises(TypeError, match=word):
            backends.backend_of(bad)
        with pytest.raises(TypeError, match=word):
            numpy_backend.asarray(bad)


def test_arrays_of_jax_and_their_tracers(jax_backend):
    import jax
    import jax.numpy as jnp

    assert backends.backend_of(jnp.zeros(2)) is jax_backend
    seen = []
    jax.jit(lambda x: seen.append(backends.backend_of(x)) or x)(jnp.zeros(2))
    jax.grad(lambda x: seen.append(backends.backend_of(x)) or x)(1.0)
    assert seen == [jax_backend, jax_backend]


def test_jax_arrays_are_known_without_selecting_jax():
    pytest.importorskip("jax", reason="JAX is not installed here: the backend under test")
    code = """
import jax.numpy as jnp
from zkynet import backends
x = jnp.zeros(2)
print(backends.backend_of(x).name, backends.BACKEND_BY_TYPE[type(x)].name, jnp.zeros(2).dtype)
"""
    assert run(code) == "jax jax float32"


def test_strict_arrays_belong_to_the_backend_of_their_device(restore, strict):
    import array_api_strict as strict_namespace

    from zkynet.backends.array_api import ArrayAPIBackend

    other_device = next(
        d for d in map(strict_namespace.Device, ("CPU_DEVICE", "device1", "device2")) if d != strict.device
    )
    x = strict_namespace.zeros(2, device=other_device)
    assert backends.backend_of(strict.zeros((2,))) is strict
    assert backends.backend_of(x) is None
    other = backends.get(ArrayAPIBackend(strict_namespace, device=other_device))
    assert backends.backend_of(x) is other and backends.backend_of(strict.zeros((2,))) is strict
    with pytest.raises(errors.MixedBackendsError, match="array_api_strict.*array_api_strict"):
        backends.common_backend([strict, other])


def test_host_arrays_follow_a_device():
    fake, other = Fake(), Fake("other")
    assert backends.common_backend([]) is numpy_backend
    assert backends.common_backend([numpy_backend, numpy_backend]) is numpy_backend
    assert backends.common_backend([numpy_backend, fake, numpy_backend, fake]) is fake
    with pytest.raises(errors.MixedBackendsError, match="fake and other"):
        backends.common_backend([fake, numpy_backend, other])
    with pytest.raises(TypeError):
        backends.common_backend([fake, other])


# ---- JAX's 64-bit mode ----


X64 = """
import numpy as np
import jax.numpy as jnp
from zkynet import backends
jax = backends.get("jax")
try:
    print(jax.asarray(np.ones(2)).dtype, jax.asarray([1, 2]).dtype, jax.result_type(np.float32, 1.0))
except backends.errors.PrecisionError as error:
    print("refused:", error)
"""


def test_selecting_jax_turns_64_bits_on():
    pytest.importorskip("jax", reason="JAX is not installed here: the backend under test")
    assert run(X64) == "float64 int64 float32"
    assert run(X64, JAX_ENABLE_X64="1") == "float64 int64 float32"


def test_64_bits_are_refused_where_the_user_turned_them_off():
    pytest.importorskip("jax", reason="JAX is not installed here: the backend under test")
    said = run(X64, JAX_ENABLE_X64="0")
    assert said.startswith("refused:") and "JAX_ENABLE_X64" in said and "float32" in said


def test_32_bit_jax_takes_what_it_can_hold():
    pytest.importorskip("jax", reason="JAX is not installed here: the backend under test")
    code = """
import numpy as np
from zkynet import backends
jax = backends.get("jax")
print(jax.asarray(1.5).dtype, jax.asarray([1.0, 2.0]).dtype, jax.asarray(np.arange(3)).dtype)
print(jax.check_index(jax.asarray(np.array([-1])), 3), jax.asarray(1j).dtype)
refused = []
f = jax.ones((2,), dtype=jax.float32)
for make in (
    lambda: jax.asarray(1.0, dtype="float64"),
    lambda: jax.asarray(np.array([2**40])),
    lambda: jax.result_type(f, jax.asarray([1])),
    lambda: jax.inexact_dtype(jax.int32),
    lambda: jax.random_bits((1, 2), 0, 4),
):
    try:
        print(make())
    except backends.errors.PrecisionError:
        refused.append(1)
print(len(refused))
"""
    assert run(code, JAX_ENABLE_X64="0").split("\n") == ["float32 float32 int32", "[2] complex64", "5"]


def test_available_leaves_jax_as_it_was():
    pytest.importorskip("jax", reason="JAX is not installed here: the backend under test")
    code = "from zkynet import backends; backends.available(); import jax; print(jax.config.jax_enable_x64)"
    assert run(code) == "False"


# ---- NumPy's memory ----


def test_memory_is_kept_unless_told_otherwise():
    code = "from zkynet import backends; print(backends.memory_kept())"
    assert run(code, ZKYNET_KEEP_MEMORY="0") == "False"
    if sys.platform.startswith("linux") and "glibc" in os.confstr("CS_GNU_LIBC_VERSION"):
        assert run(code) == "True"


# ---- the exception tree ----


def test_errors_derive_from_pythons_own():
    pairs = (
        (errors.BackendNotAvailable, ImportError),
        (errors.MixedBackendsError, TypeError),
        (errors.PrecisionError, TypeError),
        (errors.NotDifferentiableError, TypeError),
        (errors.TrackedValueError, TypeError),
        (errors.VJPShapeError, ValueError),
        (errors.CotangentError, ValueError),
        (errors.MutationError, RuntimeError),
        (errors.JacobianTooLargeError, MemoryError),
        (errors.AxisError, np.exceptions.AxisError),
        (errors.AxisError, IndexError),
        (errors.LinAlgError, np.linalg.LinAlgError),
        (errors.IndexOutOfBoundsError, IndexError),
        (errors.ShapeError, ValueError),
        (errors.GradientCheckError, AssertionError),
    )
    for ours, theirs in pairs:
        assert issubclass(ours, errors.ZkynetError) and issubclass(ours, theirs)
        assert "said" in str(ours("said"))
