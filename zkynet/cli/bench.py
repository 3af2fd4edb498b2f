"""``zkynet bench``: how fast zkynet is beside the libraries that are installed."""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from zkynet.cli.parsing import Parser, whole_number

HELP = """\
Times zkynet beside those of torch, jax and autograd that are installed, in rounds: A B C A B C ... Results are compared
before anything is timed. A ratio is zkynet's time over the peer's, so below 1 zkynet is faster: the median of the
rounds. Without --only the table of goals is measured: each workload by zkynet in eager mode (E), by zkynet in graph
mode (R), by torch and by JAX, each in a process of its own with two threads, and each ratio with its quartiles beside
its goal. Tables by name: goals; jax, zkynet on JAX beside JAX by hand; memory; growth, how times grow with size; and
operations. Workloads beside autograd too are shown with the smallest and the largest ratio, and the ratio of the best
times, which other work on the machine disturbs least.
"""
EXAMPLES = """\
examples:
  zkynet bench                             the table of goals, about ten minutes
  zkynet bench --coretype Haswell          with matrix products about as fast as torch's
  zkynet bench --markdown --json r.json    the table for a page, and every single time kept
  zkynet bench --only w3-cnn --only jax    one row of it, and the table of steps on JAX
  zkynet bench --only growth --out plots   depth, batch, width, sequence: a plot and the numbers of each
  zkynet bench --only chain --only scalar  two workloads, beside autograd too
  zkynet bench --only operations           a table: operation by operation, beside autograd
"""
SLOW = 1.5  # the ratio from which a table names an operation at its end
PROCESS_ROUNDS = 7  # whole processes are timed this often at most
GROWTH = "growth"


def fill(parser: Parser, words: Any) -> None:
    """Add what ``bench`` takes to its parser."""
    parser.description = HELP
    parser.epilog = EXAMPLES
    parser.add_argument("--rounds", type=whole_number(1), default=20, metavar="N", help="rounds (default: 20)")
    parser.add_argument(
        "--only", type=_workload, action="append", metavar="NAME", help="this table, row or workload; may be repeated"
    )
    parser.add_argument("--markdown", action="store_true", help="print tables of goals in Markdown too")
    parser.add_argument(
        "--out", type=Path, default=Path("growth"), metavar="DIR", help="the folder of growth's plots (default: growth)"
    )
    parser.add_argument("--json", type=_new_file, metavar="FILE", help="write all times to FILE")
    parser.add_argument(
        "--coretype",
        metavar="KERNEL",
        help="tell OpenBLAS to use this kernel, Haswell say (default: the processor's own)",
    )
    parser.add_argument(
        "--keep-coretype",
        action="store_true",
        help="leave OPENBLAS_CORETYPE as it is, where it is set (default: measure without it, in a process of its own)",
    )
    parser.set_defaults(run=run)


def _workload(text: str) -> str:
    names = _names()
    if text not in names:
        raise argparse.ArgumentTypeError(f"there is no workload {text!r}, only {', '.join(names)}")
    return text


def _names() -> list[str]:
    """What can be measured."""
    from zkynet.bench import goals, growth, workloads

    sweeps = [GROWTH, *(f"{GROWTH}-{name}" for name in growth.SWEEPS)]
    return [*workloads.WORKLOADS, *workloads.TABLES, *goals.TABLES, *sweeps, *goals.ROWS]


def _new_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"cannot write a file {text!r}: it is a folder, or in none")
    return path


def run(args: argparse.Namespace) -> None:
    """Measure and print the tables."""
    from zkynet.bench.machine import CORETYPE

    if os.environ.get(CORETYPE) != args.coretype and not args.keep_coretype:
        _run_with(CORETYPE, args)
        return
    from zkynet.bench.workloads import DifferentResultsError, ProcessError

    report, failures = _head(args), []
    try:
        for name in args.only or ["goals"]:
            found = report["workloads"][name] = _measured(name, args, report)
            failures += found.pop("failures", [])
    except DifferentResultsError as error:
        sys.exit(_fail(f"results differ, so times are not compared: {error}"))
    except ProcessError as error:
        sys.exit(_fail(str(error)))
    if args.json is not None:
        try:
            args.json.write_text(json.dumps(report, indent=1) + "\n")
        except OSError as error:
            sys.exit(_fail(f"cannot write {args.json}: {error.strerror}"))
    if failures:
        sys.exit(_fail("; ".join(failures)))


def _measured(name: str, args: argparse.Namespace, report: dict[str, Any]) -> dict[str, Any]:
    """Measure what is called so, print it, and return all of it for the report."""
    from zkynet.bench import goals
    from zkynet.bench.workloads import TABLES, WORKLOADS

    if name.startswith(GROWTH):
        return _measure_growth(name, args, report)
    if name in goals.TABLES:
        return _measure_goals(goals.TABLES[name], args, report)
    if name in goals.ROWS:
        table, row = goals.ROWS[name]
        return _measure_goals(table._replace(rows=[row]), args, report)
    if name in TABLES:
        return _measure_table(name, TABLES[name], args.rounds)
    return _measure(WORKLOADS[name], args.rounds)


def _measure_goals(table: Any, args: argparse.Namespace, report: dict[str, Any]) -> dict[str, Any]:
    """Measure the rows of a table of goals, and print each when it is done."""
    from zkynet.bench import tables

    rows, equal = [], report["warning"] is not None
    print(f"\n{table.title}{', by the goals for a narrower kernel' if equal else ''}")
    for row in table.rows:
        rows.append(tables.measure(table, row, args.rounds, equal))
        print(tables.text(table, rows[-1]), flush=True)
    print(f"\n{tables.summary(rows)}")
    if args.markdown:
        print(f"\n{tables.markdown(table, rows)}")
    failures = [failure for row in rows for failure in row.failures]
    return {**{row.row.name: row.as_json() for row in rows}, "failures": failures}


def _measure_growth(name: str, args: argparse.Namespace, report: dict[str, Any]) -> dict[str, Any]:
    """Measure the sweeps, or one of them; each leaves a plot and its numbers in the folder ``--out``."""
    from zkynet.bench import growth

    chosen = growth.SWEEPS if name == GROWTH else [name.removeprefix(f"{GROWTH}-")]
    found: dict[str, Any] = {"failures": []}
    for each in chosen:
        sweep = found[each] = growth.run(each, growth.SWEEPS[each], args.rounds, args.out)
        found["failures"] += sweep.pop("failures")
        head = {key: value for key, value in report.items() if key != "workloads"}
        (args.out / f"growth-{each}.json").write_text(json.dumps({**head, **sweep}, indent=1) + "\n")
    return found


def _fail(message: str) -> int:
    print(f"zkynet: error: {message}", file=sys.stderr)
    return 1


def _run_with(variable: str, args: argparse.Namespace) -> None:
    """Run the same command in a process with ``variable`` as wanted: BLAS has read it in this one."""
    environment = {name: value for name, value in os.environ.items() if name != variable}
    if args.coretype is None:
        print(f"{variable}={os.environ[variable]} is set: measured without it, by a process of its own", flush=True)
    else:
        environment[variable] = args.coretype
    command = [sys.executable, "-P", "-m", "zkynet", "bench", "--rounds", str(args.rounds), "--out", str(args.out)]
    command += ["--markdown"] * args.markdown
    for option, values in (("--only", args.only or ()), ("--json", [args.json]), ("--coretype", [args.coretype])):
        for value in values:
            command += [] if value is None else [option, str(value)]
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
    absent = {library for library in libraries if importlib.util.find_spec(library) is None}
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
        "warning": machine.preset_kernel(machine.blas_facts()),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "peers": machine.versions(present),
        "workloads": {},
    }
    print(f"zkynet {report['zkynet']}, {report['date']}, {args.rounds} rounds ({PROCESS_ROUNDS} at most of processes)")
    print(f"on {report['processor']}; Python {report['python']}, NumPy {report['numpy']}")
    print(f"BLAS: {report['blas']}; {machine.CORETYPE} {'unset' if coretype is None else '= ' + coretype}")
    if report["load"] is not None:
        print(f"load of the machine in the last minute: {report['load']} processes")
    print(f"peers: {report['peers'] or 'none'}{'; torch with ' + str(THREADS) + ' threads' if present else ''}")
    if report["warning"] is not None:
        print(f"warning: {report['warning']}")
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
