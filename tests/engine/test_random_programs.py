"""Random programs of operators and nested transforms, against differences of their values and against each other.

First programs whose steps are functions and transforms of all kinds, one backend; then longer ones, of text, over many
more operations, on NumPy and JAX. ``bench/random_programs.py --count 100000`` runs the latter for as long as one likes.
"""

import numpy as np
import pytest
from mutants.mutant import Mutant, planted

import zkynet as zk
from support import backends as backends_here
from support import programs
from support.numeric import directional, gradient
from zkynet.framework import op
from zkynet.framework.operations.reduction import Mean

IDENTITY = np.arange(3.0)


@zk.custom_vjp
def saturated(x, s):
    return op.tanh(x * s)


@saturated.defvjp
def _(g, y, x, s):
    slope = g * (1 - y * y)
    return slope * s, slope * x


class Pair(zk.Operator):
    """Two outputs, no leading axes, no JVP rules: everything by the general ways."""

    outputs = 2
    batched = False

    def forward(self, xp, x):
        return xp.sin(x), xp.sum(xp.cos(x))

    def vjp_x(self, xp, g, x):
        return g[0] * xp.cos(x) - g[1] * xp.sin(x)


def vector(v):
    """A value of shape (), (1,), (3,), (2, 1) or (2, 3) as one of shape (3,)."""
    return (v[0] - v[1] if v.ndim == 2 else v) + np.zeros(3)


def assigned(a, b):
    y = vector(a) * 1.0
    y[1:] = vector(b)[:2] * y[0]
    y[0] += op.sum(b)
    return y


def pulled(a, b):
    _, pull = zk.vjp(lambda y: op.sin(y) * vector(b), vector(a))
    return pull(vector(b))[0] + pull(np.ones(3))[0]


def moved(a, b):
    value, t = zk.jvp(lambda y: op.tanh(y * b), (vector(a),), (vector(b) + 1.0,))
    return value + t


STEPS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: 1.5 - a - b,
    "multiply": lambda a, b: op.tanh(a * b),
    "divide": lambda a, b: a / (1.5 + b * b),
    "square": lambda a, b: op.tanh(a) ** 2 + 2 * b,
    "cube": lambda a, b: a * op.tanh(b) ** 3.0,
    "exp": lambda a, b: op.exp(op.tanh(a)),
    "log": lambda a, b: op.log(1.2 + op.sin(a)),
    "where": lambda a, b: op.where(np.array([True, False, True]), a, op.sin(b)),
    "outer": lambda a, b: vector(a)[:2].reshape((2, 1)) * vector(b),
    "mean": lambda a, b: op.mean(a) * b,
    "sum": lambda a, b: op.tanh(op.sum(a, axis=-1, keepdims=True)) + b if a.ndim else a + b,
    "gather": lambda a, b: vector(a)[np.array([2, 0, 0])] * b,
    "assign": assigned,
    "at": lambda a, b: vector(a).at[np.array([0, 0])].add(vector(b)[1:]),
    "matmul": lambda a, b: np.sin(np.add.outer(IDENTITY, 2 * IDENTITY)) @ vector(a) + b,
    "einsum": lambda a, b: op.tanh(op.einsum("i,j,j->i", vector(a), vector(b), vector(b))),
    "cumulative": lambda a, b: op.tanh(op.cumulative_sum(vector(a))) * b,
    "logsumexp": lambda a, b: op.logsumexp(a) - b,
    "softmax": lambda a, b: op.softmax(vector(a)) * b,
    "concat": lambda a, b: op.concat([vector(a)[1:], vector(b)[:1]]),
    "stack": lambda a, b: op.stack([vector(a), vector(b)]),
    "custom": lambda a, b: saturated(vector(a), vector(b)),
    "pair": lambda a, b: Pair()(vector(a))[0] * b + Pair()(vector(a))[1],
    "checkpoint": lambda a, b: zk.checkpoint(lambda y: op.tanh(y) * b + op.sin(y))(a),
    "grad": lambda a, b: zk.grad(lambda y: op.sum(op.sin(y) * vector(b) * y))(vector(a)),
    "gradient of a number": lambda a, b: zk.grad(lambda y: op.sum(op.sin(y * a) * b))(0.7),
    "jvp": moved,
    "vjp": pulled,
    "hvp": lambda a, b: zk.hvp(lambda y: op.sum(op.sin(y * vector(a))), (vector(b),), (np.ones(3),))[0],
    "jacobian": lambda a, b: op.sum(zk.jacobian(lambda y: op.tanh(y * vector(b)), mode="fwd")(vector(a)), axis=0),
    "value": lambda a, b: zk.value_and_grad(lambda y: op.sum(op.sin(y) * b))(vector(a))[0],
}


def program(seed, length=9):
    """A function from (3,) to numbers: ``length`` random steps, each on two earlier values."""
    rng = np.random.default_rng(seed)
    names = rng.choice(list(STEPS), length)
    places = [(int(rng.integers(k + 1)), int(rng.integers(max(0, k - 2), k + 1))) for k in range(length)]

    def run(x):
        values = [x]
        for name, (i, j) in zip(names, places, strict=True):
            values.append(op.asarray(STEPS[name](values[i], values[j])))  # outside of transforms some are numbers
        return op.sum(op.sin(values[-1])) + op.sum(values[-2] * values[length // 2])

    run.__name__ = " ".join(names)
    return run


def close(found, expected, tolerance, scale, what):
    assert np.max(np.abs(found - expected)) <= tolerance * scale, f"{what}: {found}, expected {expected}"


def close_to_differences(found, differences, tolerance, scale, what):
    """Equal to the differences of one of several steps: fast functions need a small one, flat ones a large one."""
    tried = [differences(h) for h in (2e-3, 3e-4, 5e-5)]
    close(found, min(tried, key=lambda d: np.max(np.abs(d - found))), tolerance, scale, what)


@pytest.mark.parametrize("seed", range(60))
def test_gradients_of_every_kind(seed):
    f = program(seed)
    what = f.__name__
    rng = np.random.default_rng(seed + 1000)
    x, v = rng.uniform(-1, 1, 3), rng.uniform(-1, 1, 3)

    def value(x):
        return np.asarray(op.asarray(f(op.asarray(x))).value)

    found = zk.grad(f)(x)
    scale = max(1.0, np.abs(found).max())
    close_to_differences(found, lambda h: gradient(value, [x], h)[0], 1e-7, scale, what)
    close(zk.jvp(f, (x,), (v,))[1], found @ v, 1e-10, scale, what)
    close(zk.grad(zk.checkpoint(f))(x), found, 1e-10, scale, what)
    hessian = zk.hessian(f)(x)
    scale = max(1.0, np.abs(hessian).max())
    close_to_differences(hessian @ v, lambda h: directional(lambda x: zk.grad(f)(x), [x], [v], h), 1e-6, scale, what)
    close(hessian, hessian.T, 1e-9, scale, what)
    close(zk.hvp(f, (x,), (v,))[0], hessian @ v, 1e-9, scale, what)
    close(zk.grad(lambda x: zk.jvp(f, (x,), (v,))[1])(x), hessian @ v, 1e-9, scale, what)
    close(zk.jacobian(zk.grad(f), mode="rev")(x), hessian, 1e-9, scale, what)


# ---- programs of text, on two backends ----

NUMPY = zk.backends.get("numpy")
ON_NUMPY, ON_BOTH, CHUNK = 250, 1000, 50  # on JAX about a minute, half of it compiling


@pytest.mark.parametrize("first", range(0, ON_NUMPY, CHUNK))
def test_gradients_and_jvps_agree(first):
    for seed in range(first, first + CHUNK):
        program = programs.generate(seed)
        assert programs.disagreement(program, [NUMPY]) is None, programs.report(program, [NUMPY])


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, ON_BOTH, CHUNK))
def test_numpy_and_jax_agree(first):
    both = [NUMPY, backends_here.get("jax")]
    for seed in range(first, first + CHUNK):
        program = programs.generate(seed)
        assert programs.disagreement(program, both) is None, programs.report(program, both)


def test_programs_are_what_their_seeds_say():
    lengths = [len(programs.generate(seed).lines) for seed in range(300)]
    assert min(lengths) == 2 and max(lengths) == 40
    assert programs.generate(7) == programs.generate(7) != programs.generate(8)


def test_every_line_of_the_table_runs_by_itself():
    """A value of the type that it says, tracked; so no program fails for a line that means nothing."""
    arrays = {t: x for t, x in zip(programs.INPUTS, programs.generate(0).inputs()[0])}
    for reads, kind, code in programs.TABLE:
        names = {"op": op, "zk": zk, **programs.CONSTANTS}

        def line(*values, names=names, code=code):
            return eval(code, {**names, **dict(zip("abc", values))})

        value, _ = zk.vjp(line, *[arrays[t] for t in reads])
        assert np.shape(value) == programs.SHAPES[kind], code
        assert np.abs(value).max() < 20, code


def test_a_wrong_rule_is_found_and_shrunk():
    right = Mean.vjp_x

    def wrong(self, xp, g, x_spec, y_spec):
        return 1.001 * right(self, xp, g, x_spec, y_spec)

    with planted(Mutant("a mean's gradient is too large", Mean, "vjp_x", wrong, lambda: None)):
        found_and_shrunk()


def found_and_shrunk():
    failing = [p for p in map(programs.generate, range(40)) if programs.disagreement(p, [NUMPY])]
    assert len(failing) > 2
    for program in failing[:3]:
        small = programs.shrink(program, lambda p: programs.disagreement(p, [NUMPY]) is not None)
        assert len(small.lines) <= 2 and any("mean" in line.code.lower() for line in small.lines)
    said = programs.report(failing[0], [NUMPY])
    assert said.startswith(f"program {failing[0].seed}, ") and "gradient along the tangent" in said


def test_the_script_of_a_program_runs(capsys):
    script = programs.generate(3, 4).script().replace('("numpy", "jax")', '("numpy",)')
    exec(compile(script, "script", "exec"), {})
    assert capsys.readouterr().out.startswith("numpy (")


def test_another_result_is_found():
    """A backend whose numbers come out a little different."""

    class Off:
        name = "off"

        def __getattr__(self, asked):
            return getattr(NUMPY, asked)

        def to_numpy(self, x):
            return NUMPY.to_numpy(x) * (1 + 1e-7)

    assert "on numpy" in programs.disagreement(programs.generate(1), [NUMPY, Off()])
