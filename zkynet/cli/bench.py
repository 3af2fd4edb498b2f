"""``zkynet bench``: how fast zkynet is beside the libraries that are installed."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from zkynet.cli.parsing import Parser, whole_number

HELP = """\
Times zkynet and those of torch, jax and autograd that are installed side by side, in rounds: A B C A B C ... Results
are compared before anything is timed. The ratio is zkynet's time over the peer's, so below 1 zkynet is faster: the
median of the rounds, with the smallest and the largest; "best" is the ratio of the best times, which other work on the
machine disturbs least.
"""
EXAMPLES = """\
examples:
  zkynet bench                             everything, one to two minutes
  zkynet bench --only chain --only scalar  two workloads
  zkynet bench --only operations           a table: operation by operation, beside autograd
  zkynet bench --rounds 60 --json r.json   longer, and every single time kept
"""
SLOW = 1.5  # the ratio from which a table names an operation at its end
PROCESS_ROUNDS = 7  # whole processes are timed this often at most


def fill(parser: Parser, words: Any) -> None:
    """Add what ``bench`` takes to its parser."""
    parser.description = HELP
    parser.epilog = EXAMPLES
    parser.add_argument("--rounds", type=whole_number(1), default=20, metavar="N", help="rounds (default: 20)")
    parser.add_argument(
        "--only", type=_workload, action="append", metavar="NAME", help="this workload alone; may be repeated"
    )
    parser.add_argument("--json", type=_new_file, metavar="FILE", help="write all times to FILE")
    parser.add_argument(
        "--keep-coretype",
        action="store_true",
        help="leave OPENBLAS_CORETYPE as it is, where it is set (default: measure without it, in a process of its own)",
    )
    parser.set_defaults(run=run)


def _workload(text: str) -> str:
    from zkynet.bench.workloads import TABLES, WORKLOADS

    if text not in WORKLOADS and text not in TABLES:
        raise argparse.ArgumentTypeError(f"there is no workload {text!r}, only {', '.join([*WORKLOADS, *TABLES])}")
    return text


def _new_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"cannot write a file {text!r}: it is a folder, or in none")
    return path


def run(args: argparse.Namespace) -> None:
    """Measure and print the table."""
    from zkynet.bench.machine import CORETYPE

    if CORETYPE in os.environ and not args.keep_coretype:
        _run_without(CORETYPE, args)
        return
    from zkynet.bench.workloads import TABLES, WORKLOADS, DifferentResultsError, ProcessError

    report = _head(args)
    try:
        for name in args.only or WORKLOADS:
            if name in TABLES:
                report["workloads"][name] = _measure_table(name, TABLES[name], args.rounds)
            else:
                report["workloads"][name] = _measure(WORKLOADS[name], args.rounds)
    except DifferentResultsError as error:
        sys.exit(_fail(f"results differ, so times are not compared: {error}"))
    except ProcessError as error:
        sys.exit(_fail(str(error)))
    if args.json is not None:
        try:
            args.json.write_text(json.dumps(report, indent=1) + "\n")
        except OSError as error:
            sys.exit(_fail(f"cannot write {args.json}: {error.strerror}"))


def _fail(message: str) -> int:
    print(f"zkynet: error: {message}", file=sys.stderr)
    return 1


def _run_without(variable: str, args: argparse.Namespace) -> None:
    """Run the same command in a process without ``variable``: BLAS has read it in this one."""
    print(f"{variable}={os.environ[variable]} is set: measured without it, by a process of its own", flush=True)
    command = [sys.executable, "-P", "-m", "zkynet", "bench", "--rounds", str(args.rounds)]
    for name in args.only or ():
        command += ["--only", name]
    if args.json is not None:
        command += ["--json", str(args.json)]
    environment = {name: value for name, value in os.environ.items() if name != variable}
    status = subprocess.run(command, env=environment, check=False).returncode
    if status:
        sys.exit(status)


def _head(args: argparse.Namespace) -> dict[str, Any]:
    """Print what was measured where; return it as the head of the report."""
    import numpy

    import zkynet
    from zkynet.bench import machine, workloads
    from zkynet.bench.networks import THREADS

    libraries = dict.fromkeys(workloads.LIBRARIES.values())
    absent = {workloads.LIBRARIES[peer] for peer in workloads.LIBRARIES if workloads.missing(peer)}
    present = [library for library in libraries if library not in absent]
    coretype = os.environ.get(machine.CORETYPE)
    report: dict[str, Any] = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "rounds": args.rounds,
        "zkynet": zkynet.__version__,
        "processor": machine.processor(),
        "python": sys.version.split()[0],
        "numpy": numpy.__version__,
        "blas": machine.blas(),
        "openblas_coretype": coretype,
        "peers": machine.versions(present),
        "workloads": {},
    }
    print(f"zkynet {report['zkynet']}, {report['date']}, {args.rounds} rounds ({PROCESS_ROUNDS} at most of processes)")
    print(f"on {report['processor']}; Python {report['python']}, NumPy {report['numpy']}")
    print(f"BLAS: {report['blas']}; {machine.CORETYPE} {'unset' if coretype is None else '= ' + coretype}")
    print(f"peers: {report['peers'] or 'none'}{'; torch with ' + str(THREADS) + ' threads' if present else ''}")
    if absent:
        print(f"not installed, so not compared: {', '.join(sorted(absent))}")
    return report


def _measure(workload: Any, rounds: int) -> dict[str, Any]:
    """Time one workload by all peers, print its lines, and return all times."""
    from zkynet.bench.race import median, race, ratio
    from zkynet.bench.workloads import compare, missing

    reason = missing("zkynet", workload)
    if reason is not None:
        print(f"\n{workload.name}: left out, {reason}")
        return {}
    peers = []
    for peer in workload.makers:
        if missing(peer, workload) is None:
            compare(workload, peer)
            peers.append(peer)
    times = race(workload, peers, min(rounds, PROCESS_ROUNDS) if workload.process else rounds)
    ours = times["zkynet"]
    print(f"\n{workload.name}: {workload.title}; zkynet {_time(median(ours))}")
    if len(peers) > 1:
        print(f"  {'peer':<14} {'time':>9}  {'ratio':>7}  {'min':>7} {'max':>7}  {'best':>7}")
    for peer in peers[1:]:
        r = ratio(ours, times[peer])
        numbers = f"{_ratio(r.median)}  {_ratio(r.low)} {_ratio(r.high)}  {_ratio(r.best)}"
        print(f"  {peer:<14} {_time(median(times[peer])):>9}  {numbers}", flush=True)
    return {peer: {"seconds": each, **ratio(ours, each)._asdict()} for peer, each in times.items()}


def _measure_table(name: str, workloads: list[Any], rounds: int) -> dict[str, Any]:
    """Time many small workloads by zkynet and autograd, print a line each and what is slow, and return all times."""
    from zkynet.bench.race import median, race, ratio
    from zkynet.bench.workloads import compare, missing

    reason = missing("autograd")
    if reason is not None:
        print(f"\n{name}: left out, {reason}")
        return {}
    print(f"\n{name}: value and gradient of the sum, beside autograd")
    print(f"  {'operation, axes':<26} {'zkynet':>9} {'autograd':>9}  {'ratio':>7}  {'min':>7} {'max':>7}  {'best':>7}")
    found, slow = {}, []
    for workload in workloads:
        compare(workload, "autograd")
        times = race(workload, ["zkynet", "autograd"], rounds)
        r = ratio(times["zkynet"], times["autograd"])
        both = " ".join(f"{_time(median(each)):>9}" for each in times.values())
        numbers = f"{_ratio(r.median)}  {_ratio(r.low)} {_ratio(r.high)}  {_ratio(r.best)}"
        print(f"  {workload.name:<26} {both}  {numbers}", flush=True)
        found[workload.name] = {"seconds": times, **r._asdict()}
        if r.best > SLOW:
            slow.append(workload.name)
    print(f"  slower than {SLOW} times autograd by the best times: {'; '.join(slow) or 'none'} (of {len(workloads)})")
    return found


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def _ratio(x: float) -> str:
    return f"{x:7.2f}" if x < 100 else f"{x:7.0f}"
