"""``zkynet train``: train a model, watch it, keep it, go on with it."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from zkynet.backends.errors import BackendError
from zkynet.cli.parsing import Parser, add_options, fail, given, reason, sentence
from zkynet.train.tasks import TASKS, find

HELP = """\
Trains a model for a task. With --out DIR everything is kept in a folder: settings, log, curves, checkpoints, weights.
Ctrl-C ends a run early, and what there is by then is saved; --resume DIR goes on with it as if nothing had happened.
"""
AFTER = """\
`zkynet train TASK --help` explains a task and its options. To begin: zkynet train digits
"""
END = """
With --out DIR the run is kept: config.toml (settings), log.jsonl (figures of each epoch), curves.svg (a picture of
them), checkpoints/ (to go on from) and model.safetensors (the weights). Ctrl-C or SIGTERM ends a run early and saves.
"""


def fill(parser: Parser, words: Sequence[str]) -> None:
    """Add the tasks to the parser of ``train``, and the options of the one that is among ``words``."""
    parser.description, parser.epilog = HELP, AFTER
    tasks = parser.add_subparsers(dest="task", metavar="TASK", title="tasks", required=True)
    for name, (_, text) in TASKS.items():
        chosen = tasks.add_parser(name, help=text)
        if name in words:
            _fill_task(chosen, find(name))


def _fill_task(parser: Parser, task: Any) -> None:
    from zkynet.train.tasks.config import options_of

    parser.description = task.help.rstrip() + "\n" + END
    parser.epilog = f"examples:\n{task.examples}"
    add_options(parser, options_of(task))
    parser.add_argument(
        "--config",
        metavar="FILE.toml",
        help="settings from a file, such as the config.toml of another run; the command line comes before it",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="DIR",
        help="go on with the run in DIR (default: --out DIR) from its newest checkpoint, with its settings",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an unfinished run in --out DIR")
    parser.set_defaults(run=run, about=task, parser=parser)


def run(args: argparse.Namespace) -> None:
    """Train, and print the progress; the last line is the result, such as ``test accuracy 0.9777``."""
    task = args.about
    try:
        config = _settings(args)
        folder = _folder(args, config)
        print(_trained(args, config, folder))
    except (BackendError, BrokenPipeError):
        raise
    except OSError as error:
        # Where a run was going on, its last whole checkpoint is still there.
        out = getattr(args, "kept", None)
        fail(reason(error) + (f"; to go on: {_resume_command(task.name, out)}" if out else ""))
    except (ImportError, ValueError) as error:
        fail(sentence(error))


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of the run; those of an earlier one where it is resumed."""
    from zkynet.train.tasks.config import CONFIG, differences, merged, options_of, read_settings
    from zkynet.train.tasks.task import TaskError

    task = args.about
    chosen = given(args, options_of(task))
    file = {} if args.config is None else read_settings(task, args.config)
    if args.resume is None:
        return merged(task, chosen, file)
    usual = next(option.default for option in options_of(task) if option.name == "out")
    out = args.resume or chosen.get("out") or file.get("out") or usual
    if not out:
        raise TaskError("--resume needs the folder of the run: --resume DIR")
    if chosen.get("out", out) != out:
        raise TaskError(f"--resume {out} and --out {chosen['out']} are two folders; a run goes on in its own")
    path = os.path.join(out, CONFIG)
    if not os.path.isfile(path):
        raise TaskError(f"there is no run to go on with in {out}: it has no {CONFIG}")
    before = read_settings(task, path)
    config = merged(task, {**chosen, "out": out}, before | file)
    differing = differences(task, before, config)
    if (config["epochs"] or 0) > (before.get("epochs") or 0):
        differing.pop("epochs", None)  # it may become longer; see run_task
    if differing:
        raise TaskError(
            f"the run in {out} has other settings: {'; '.join(differing.values())}; leave them out to go on"
        )
    return config


def _folder(args: argparse.Namespace, config: dict[str, Any]) -> Any:
    """The folder of the run, made where it is missing; None where nothing is to be kept."""
    out = config["out"]
    if out is None:
        for name in ("tensorboard", "checkpoint_every"):
            if config[name]:
                fail(f"--{name.replace('_', '-')} writes into the folder of the run, and there is none: give --out DIR")
        return None
    from zkynet.train.record import RunFolder
    from zkynet.train.tasks.run import is_unfinished

    try:
        folder = RunFolder(out)
    except OSError as error:
        fail(f"cannot make the folder {out}: {error.strerror}")
    if args.resume is None and not args.overwrite and is_unfinished(folder):
        command = _resume_command(args.about.name, out)
        fail(f"{out} holds an unfinished run; {command} goes on with it, --overwrite replaces it")
    return folder


def _trained(args: argparse.Namespace, config: dict[str, Any], folder: Any) -> str:
    """Run it, say where it is kept, and return what it came to."""
    from zkynet.train.interrupt import Interrupted
    from zkynet.train.tasks.run import is_unfinished, run_task

    task = args.about
    lines = None
    if not config["quiet"]:
        from zkynet.train.callbacks import Progress

        lines = Progress()

    def announce(plan: Any) -> None:
        args.kept = None if folder is None else config["out"]
        if lines is not None:
            lines.names = {"loss": "train loss", **plan.names}
            lines.shown = None if plan.shown is None else (*plan.shown, "seconds")
            optimizer = type(plan.optimizer).__name__.lower()
            print(
                f"{task.name}: {plan.headline} on {config['backend']}, {optimizer}, seed {config['seed']}", flush=True
            )
            if args.resume is not None and not is_unfinished(folder, config["epochs"]):
                longer = getattr(plan.optimizer, "schedule", None) is None
                hint = ": --epochs N, with more of them, goes on with it" if longer else ""
                print(f"the run in {config['out']} is finished{hint}")

    callbacks = [] if lines is None else [lines]
    resume = args.resume is not None
    try:
        done = run_task(task, config, folder=folder, resume=resume, callbacks=callbacks, announce=announce)
    except Interrupted as stop:
        _say_interrupted(task.name, config["out"], folder, stop)
        sys.exit(stop.exit_code)
    if folder is not None and lines is not None:
        print(f"saved {_where(folder)}")
    return done.result


def _say_interrupted(task: str, out: str | None, folder: Any, stop: Any) -> None:
    if folder is None:
        print("\nzkynet: interrupted; nothing was to be kept (--out DIR keeps a run)", file=sys.stderr)
        return
    print(f"\nzkynet: interrupted; saved what there is so far {_where(folder)}", file=sys.stderr)
    print(f"zkynet: to go on: {_resume_command(task, str(out))}", file=sys.stderr)


def _resume_command(task: str, out: str) -> str:
    return f"zkynet train {task} --resume {shlex.quote(out)}"


def _where(folder: Any) -> str:
    """The folder and what is in it; files that are numbered once, with how many there are."""
    kinds: dict[str, list[str]] = {}
    for name in folder.contents:
        kinds.setdefault(re.sub(r"\d+", "*", name), []).append(name)
    shown = [names[0] if len(names) == 1 else f"{kind} ({len(names)})" for kind, names in kinds.items()]
    return f"in {folder.path}: {', '.join(shown)}"
