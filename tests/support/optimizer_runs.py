"""One small problem, optimized by PyTorch and by zkynet, with the settings of both side by side.

``PYTHONPATH=tests python tests/support/optimizer_runs.py`` runs PyTorch and writes tests/optim/trajectories.json, the
numbers that the tests compare with where PyTorch is not installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

RECORDED = Path(__file__).parents[1] / "optim" / "trajectories.json"
STEPS = (1, 10, 100)

X = np.sin(np.arange(30.0).reshape(6, 5) ** 2)
Y = np.cos(np.arange(18.0).reshape(6, 3))
W = np.cos(np.arange(15.0).reshape(5, 3) * 1.7)
B = np.array([0.5, -1.0, 2.0])


class Run(NamedTuple):
    """An optimizer of zkynet with its settings, and PyTorch's name for it with its own, where they differ."""

    name: str
    settings: dict[str, Any]
    torch_settings: dict[str, Any]
    torch_name: str = ""


def run(name: str, settings: dict, torch_name: str = "", **renamed: Any) -> Run:
    """``renamed``: settings by PyTorch's name; one that is None is left out there."""
    theirs = {key: value for key, value in {**settings, **renamed}.items() if value is not None}
    return Run(name, settings, theirs, torch_name or name)


RUNS = {
    "sgd": run("SGD", {"lr": 0.1}),
    "sgd decay": run("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    "momentum": run("SGD", {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.05}),
    "dampening": run("SGD", {"lr": 0.1, "momentum": 0.8, "dampening": 0.4}),
    "nesterov": run("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    "adam": run("Adam", {"lr": 0.1}),
    "adam decay": run("Adam", {"lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 0.1}),
    "amsgrad": run("Adam", {"lr": 0.1, "betas": (0.9, 0.9), "amsgrad": True}),
    "adamw": run("AdamW", {"lr": 0.1, "weight_decay": 0.2}),
    "adamw amsgrad": run("AdamW", {"lr": 0.05, "betas": (0.7, 0.8), "amsgrad": True}),
    "nadam": run("NAdam", {"lr": 0.05}),
    "nadam decay": run("NAdam", {"lr": 0.05, "weight_decay": 0.1, "momentum_decay": 0.1}),
    "nadamw": run(
        "NAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled": True}, decoupled=None, decoupled_weight_decay=True
    ),
    "rmsprop": run("RMSprop", {"lr": 0.02}),
    "rmsprop centered": run("RMSprop", {"lr": 0.01, "alpha": 0.9, "centered": True, "weight_decay": 0.1}),
    "rmsprop momentum": run("RMSprop", {"lr": 0.005, "momentum": 0.8, "eps": 1e-3}),
    "rmsprop all": run("RMSprop", {"lr": 0.005, "momentum": 0.8, "centered": True}),
    "adagrad": run("Adagrad", {"lr": 0.2}),
    "adagrad decay": run(
        "Adagrad",
        {"lr": 0.5, "lr_decay": 0.01, "weight_decay": 0.1, "initial": 0.3},
        initial=None,
        initial_accumulator_value=0.3,
    ),
    "adadelta": run("Adadelta", {"lr": 0.3}),
    "adadelta decay": run("Adadelta", {"lr": 2.0, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
    "muon": run("Muon", {"lr": 0.004, "size": "ratio"}, size=None),
    "muon rms": run(
        "Muon",
        {"lr": 0.01, "momentum": 0.8, "nesterov": False, "weight_decay": 0.5},
        adjust_lr_fn="match_rms_adamw",
    ),
    "muon three steps": run("Muon", {"lr": 0.006, "steps": 3, "size": "ratio"}, steps=None, size=None, ns_steps=3),
}
LBFGS_RUNS = {
    "lbfgs": {"lr": 1.0, "steps": 3, "line_search": True},
    "lbfgs short history": {"lr": 0.5, "steps": 4, "history": 3, "line_search": True},
    "lbfgs without search": {"lr": 0.2, "steps": 3, "line_search": False},
}
LBFGS_CALLS = 8


def gradients(w: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """Of half the mean squared error of X w + b against Y, and a third of the sum of -cos(3 w) and b^4."""
    r = (X @ w + b - Y) / len(X)
    return {"w": X.T @ r + np.sin(3 * w), "b": r.sum(axis=0) + 4 / 3 * b**3}


def loss(xp: Any, w: Any, b: Any, x: Any, y: Any) -> Any:
    """The loss of those gradients, in any library with NumPy's names."""
    r = xp.matmul(x, w) + b - y
    return xp.sum(r * r) / (2 * len(X)) - xp.sum(xp.cos(3 * w)) / 3 + xp.sum(b * b * b * b) / 3


def torch_run(name: str, steps: int = 100) -> list[dict[str, np.ndarray]]:
    """The parameters after every step of PyTorch's optimizer, in float64."""
    import torch

    kind = RUNS[name]
    is_muon = kind.torch_name == "Muon"  # its matrices are (outputs, inputs), and its arithmetic is bfloat16's
    w = torch.tensor(W.T.copy() if is_muon else W, requires_grad=True)
    b = torch.tensor(B, requires_grad=True)
    optimizers = [getattr(torch.optim, kind.torch_name)([w] if is_muon else [w, b], **kind.torch_settings)]
    if is_muon:
        decay = kind.torch_settings.get("weight_decay", 0.1)
        optimizers.append(torch.optim.AdamW([b], lr=kind.torch_settings["lr"], weight_decay=decay))
    points = []
    with mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone):
        for _ in range(steps):
            now = w.detach().numpy()
            grads = gradients(now.T if is_muon else now, b.detach().numpy())
            w.grad = torch.tensor(grads["w"].T.copy() if is_muon else grads["w"])
            b.grad = torch.tensor(grads["b"])
            for each in optimizers:
                each.step()
            now = w.detach().numpy().copy()
            points.append({"w": now.T if is_muon else now, "b": b.detach().numpy().copy()})
    return points


def torch_lbfgs(name: str) -> list[dict[str, np.ndarray]]:
    """The parameters after every call of PyTorch's LBFGS, in float64."""
    import torch

    settings = LBFGS_RUNS[name]
    w, b = (torch.tensor(array, requires_grad=True) for array in (W, B))
    x, y = torch.tensor(X), torch.tensor(Y)
    optimizer = torch.optim.LBFGS(
        [w, b],
        lr=settings["lr"],
        max_iter=settings["steps"],
        history_size=settings.get("history", 100),
        line_search_fn="strong_wolfe" if settings["line_search"] else None,
    )

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss(torch, w, b, x, y)
        value.backward()
        return value

    points = []
    for _ in range(LBFGS_CALLS):
        optimizer.step(closure)
        points.append({"w": w.detach().numpy().copy(), "b": b.detach().numpy().copy()})
    return points


def recorded() -> dict[str, dict[int, dict[str, np.ndarray]]]:
    """The parameters by run and number of steps (of calls, for L-BFGS), as PyTorch had them."""
    runs = json.loads(RECORDED.read_text())["runs"]
    return {
        name: {int(step): {key: np.array(x) for key, x in point.items()} for step, point in points.items()}
        for name, points in runs.items()
    }


def _rounded(x: np.ndarray) -> Any:
    return [_rounded(row) for row in x] if x.ndim else float(f"{x:.12g}")


def main() -> None:
    """Write the file."""
    import torch

    runs = {name: {step: torch_run(name)[step - 1] for step in STEPS} for name in RUNS}
    runs |= {name: dict(enumerate(torch_lbfgs(name), start=1)) for name in LBFGS_RUNS}
    shown = {
        name: {step: {key: _rounded(x) for key, x in point.items()} for step, point in points.items()}
        for name, points in runs.items()
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(points)}" for name, points in shown.items()]
    RECORDED.write_text(
        f'{{"torch": {json.dumps(torch.__version__)}, "runs": {{\n' + ",\n".join(lines) + "\n}}\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
