"""From `zkynet train digits` typed to its result, beside the same training by scikit-learn and by PyTorch.

    python bench/train_digits.py                      the default number of epochs, 7 rounds
    python bench/train_digits.py --epochs 5 --rounds 15
    python bench/train_digits.py --seeds 0 1 2 3 4    the median accuracy of each over these seeds, one round

Whole processes, from their start to their end, in turns: zkynet, scikit-learn, PyTorch, zkynet, ... All of them train
the network 64-128-64-10 (ReLU) with Adam, the same rate, batch size, number of epochs and split, in float32, and print
the accuracy on the same 359 test digits. Peers read the arrays from a file that NumPy wrote, and load no zkynet. A
ratio is zkynet's time over the peer's. Run it on a machine that does nothing else; one that has work to do slows all of
them, and those with more threads most.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SIZES, BATCH, LR = (64, 128, 64, 10), 32, 2e-3
GOALS = {"scikit-learn": 0.27, "PyTorch": 0.15}
PAUSE = 0.3  # seconds between two processes: threads of BLAS that still wait have gone to sleep

SCIKIT_LEARN = """
import sys, warnings
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
path, epochs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with np.load(path) as data:
    x, y, x_test, y_test = (data[name] for name in ("x", "y", "x_test", "y_test"))
warnings.simplefilter("ignore", ConvergenceWarning)  # it says that max_iter was reached, which is what is wanted
model = MLPClassifier(
    (128, 64), solver="adam", learning_rate_init=2e-3, batch_size=32, max_iter=epochs, random_state=seed, alpha=0.0,
    tol=0.0, n_iter_no_change=epochs + 1,
)
model.fit(x, y)
print(f"test accuracy {model.score(x_test, y_test):.4f}")
"""

PYTORCH = """
import sys
import numpy as np
import torch
path, epochs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with np.load(path) as data:
    x, y, x_test, y_test = (torch.from_numpy(data[name]) for name in ("x", "y", "x_test", "y_test"))
torch.manual_seed(seed)
nn = torch.nn
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loss_function = nn.CrossEntropyLoss()
for _ in range(epochs):
    for rows in torch.randperm(len(x)).split(32):
        optimizer.zero_grad()
        loss_function(model(x[rows]), y[rows]).backward()
        optimizer.step()
with torch.no_grad():
    accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
print(f"test accuracy {accuracy:.4f}")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, help="(default: as `zkynet train digits`)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seeds", type=int, nargs="*", help="measure accuracies over these seeds, not times")
    parser.add_argument("--peers", nargs="+", choices=GOALS, default=list(GOALS), help="(default: both)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all times to FILE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.npz"
        usual = prepare(path)
        epochs = usual if args.epochs is None else args.epochs
        peers = programs(path, epochs, args.peers)
        if args.seeds:
            accuracies(peers, args.seeds, epochs)
        else:
            times(peers, args, epochs)


def prepare(path: Path) -> int:
    """Write the arrays for the peers; return zkynet's own number of epochs."""
    import numpy as np

    from zkynet.train.digits import split_digits
    from zkynet.train.tasks import find
    from zkynet.train.tasks.config import merged

    (x, y), (x_test, y_test) = split_digits()
    np.savez(path, x=x, y=y, x_test=x_test, y_test=y_test)
    return merged(find("digits"), {})["epochs"]


def programs(path: Path, epochs: int, peers: list[str]) -> dict[str, list[str]]:
    """The command of each that is installed; the seed comes behind it."""
    import importlib.util

    script = Path(sys.executable).with_name("zkynet")
    ours = [str(script)] if script.exists() else [sys.executable, "-m", "zkynet"]
    found = {"zkynet": [*ours, "train", "digits", "--epochs", str(epochs), "--seed"]}
    for name, module, program in (("scikit-learn", "sklearn", SCIKIT_LEARN), ("PyTorch", "torch", PYTORCH)):
        if name not in peers:
            continue
        if importlib.util.find_spec(module) is not None:
            found[name] = [sys.executable, "-c", program, str(path), str(epochs)]
        else:
            print(f"{name} is not installed, so not compared")
    return found


def run(command: list[str], seed: int) -> tuple[float, float, float]:
    """Seconds on the clock, seconds of processor time, and the accuracy that the last line says."""
    time.sleep(PAUSE)
    # Where Python is told not to write bytecode it would compile edited files in every run.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, start = os.times(), time.perf_counter()
    done = subprocess.run([*command, str(seed)], cwd="/", env=environment, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - start, os.times()
    if done.returncode:
        sys.exit(f"{command[:2]} failed:\n{done.stderr}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, used, float(done.stdout.split()[-1])


def accuracies(peers: dict[str, list[str]], seeds: list[int], epochs: int) -> None:
    print(f"test accuracy after {epochs} epochs, seeds {' '.join(map(str, seeds))}")
    for name, command in peers.items():
        found = [run(command, seed)[2] for seed in seeds]
        print(f"  {name:<13} median {median(found):.4f}   {' '.join(f'{each:.4f}' for each in found)}", flush=True)


def times(peers: dict[str, list[str]], args: argparse.Namespace, epochs: int) -> None:
    for command in peers.values():
        run(command, 0)  # files into memory
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in peers}
    for seed in range(args.rounds):
        for name, command in peers.items():
            found[name].append(run(command, seed))
    print(f"{'-'.join(map(str, SIZES))}, Adam {LR}, batch {BATCH}, {epochs} epochs; {args.rounds} rounds, medians")
    print(
        f"  {'':<13} {'clock':>8} {'least':>9} {'processor':>10} {'accuracy':>9} {'ratio':>7} {'least':>7} {'goal':>5}"
    )
    ours = list(zip(*found["zkynet"], strict=True))
    for name, rounds in found.items():
        clock, used, right = zip(*rounds, strict=True)
        line = f"  {name:<13} {median(clock):6.3f} s {min(clock):7.3f} s {median(used):8.3f} s {median(right):9.4f}"
        if name != "zkynet":
            ratio, best = median(a / b for a, b in zip(ours[0], clock, strict=True)), min(ours[0]) / min(clock)
            line += f" {ratio:7.2f} {best:7.2f} {GOALS[name]:5.2f}"
        print(line)
    if args.json is not None:
        args.json.write_text(json.dumps({"epochs": epochs, "seconds_processor_accuracy": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
