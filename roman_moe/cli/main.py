"""Entry point of `roman-moe`: finds the verb, reads its arguments, runs it, and turns what went wrong into one line.

Nothing but the standard library is imported before a verb is chosen, so `roman-moe --help` answers at once. A verb is
a dataclass in a module of its own name (`demo.Demo`). Its fields are the options, explained by their docstrings or
types; `needs` names the packages that it does not run without, and `main` returns the exit code. One that does several
things has a dataclass for each in `PARTS` (`train.Train`). A verb that has both is its own dataclass unless the first
argument names a part (`evaluate.Evaluate`).

Exit codes are the verb's own (0 done, 1 ran but did not reach its goal) or one of three. 2 is input that cannot be
used, 130 is Ctrl-C, and 141 means that the reader of the output has gone.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import os
import select
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roman_moe import __version__
from roman_moe.cli import quick_stop
from roman_moe.cli.outputs import check_outputs
from roman_moe.cli.parsing import HELP, check_numbers, parse, unknown_word
from roman_moe.cli.ros_args import ROS_ARGS, split
from roman_moe.cli.user_errors import missing, needed_by, reason
from roman_moe.core.errors import ConfigError, MissingDependencyError
from roman_moe.core.signals import interrupts_after_imports

PROGRAM = "roman-moe"
VERBS = (
    "demo",
    "run",
    "status",
    "swap",
    "stop",
    "lifecycle",
    "tasks",
    "teleop",
    "record",
    "evaluate",
    "collect",
    "demos",
    "data",
    "train",
    "teach",
    "ablate",
    "compare",
    "export",
    "calibrate",
    "bench",
    "chaos",
    "doctor",
    "completion",
)
"""Every verb, in the order of the help."""

EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130
EXIT_UNREAD = 141  # as the shell says of a program that wrote to a pipe which nobody read any more

TRACEBACK_VARIABLE = "ROMAN_MOE_TRACEBACK"
"""Environment variable that, when set, lets exceptions through: for those who work on the code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `roman-moe` with these arguments, by default the process's; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        with interrupts_after_imports():
            code = _dispatch(list(arguments))
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return EXIT_UNREAD
        line = reason(error)
        if line is None or os.environ.get(TRACEBACK_VARIABLE):
            raise  # a mistake of ours: the traceback is what helps
        print(f"{PROGRAM}: {line}", file=sys.stderr)
        return EXIT_REFUSED


def _nobody_reads() -> bool:
    """Whether who read the standard output has gone, as `head` does; then nothing more is written there."""
    output, found = sys.stdout.fileno(), select.poll()
    found.register(output, 0)
    if not any(event & select.POLLERR for _, event in found.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)  # for what is still in the buffer
    return True


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        print(help_text())
        return EXIT_REFUSED
    if arguments[0] == "help":
        arguments = [*arguments[1:], HELP[-1]]
    verb, *rest = arguments
    if verb in HELP:
        print(help_text())
        return 0
    if verb == "--version":
        print(f"{PROGRAM} {__version__}")
        return 0
    if verb not in VERBS:
        raise ConfigError(unknown_word("verb", verb, VERBS))
    if verb == "stop" and (code := quick_stop.stop(rest)) is not None:
        return code
    command, program = verb_class(verb), f"{PROGRAM} {verb}"
    parts: Mapping[str, type] = getattr(command, "PARTS", {})
    if rest and rest[0] in parts:
        part, *rest = rest
        command, program = parts[part], f"{program} {part}"
    elif parts and not dataclasses.is_dataclass(command):
        if not rest:
            raise ConfigError(f"{verb}: expected one of {', '.join(parts)} (see {program} --help)")
        if rest[0] in HELP:
            print(parts_text(program, command, parts))
            return 0
        raise ConfigError(f"{unknown_word(f'part of {verb}', rest[0], parts)} (see {program} --help)")
    own, ros_args = split(rest)
    if ROS_ARGS in rest and not hasattr(command, "ros_args"):
        raise ConfigError(f"{verb} takes no ROS arguments: its graph is private, or there is none")
    parsed = parse(command, program, own)
    if parsed is None:
        return 0
    if ros_args:
        parsed = dataclasses.replace(parsed, ros_args=tuple(ros_args))
    return run_verb(parsed)


def run_verb(command: Any) -> int:
    """Run a verb, after what can be known before: packages that are missing, and options that cannot be used."""
    if line := missing(needed_by(command)):
        raise MissingDependencyError(line)
    check_numbers(command)
    check_outputs(command)
    return int(command.main())


def class_name(verb: str) -> str:
    """Name of the dataclass in the verb's module."""
    return verb.capitalize()


def verb_class(verb: str) -> type:
    """A verb's dataclass, or what holds its `PARTS`; imports its module."""
    return getattr(importlib.import_module(f"roman_moe.cli.{verb}"), class_name(verb))


def commands() -> dict[str, type]:
    """Every command line's dataclass, by its words, such as `train all`; imports every verb."""
    found: dict[str, type] = {}
    for verb in VERBS:
        command = verb_class(verb)
        if dataclasses.is_dataclass(command):
            found[verb] = command
        found |= {f"{verb} {part}": options for part, options in getattr(command, "PARTS", {}).items()}
    return found


def help_text() -> str:
    """The help of `roman-moe` itself; every verb has its own."""
    return (
        f"usage: {PROGRAM} [--help] [--version] VERB ...\n\n"
        "A robot arm driven by a learned mixture of experts.\n\n"
        f"verbs:\n{listed({verb: summary(verb) for verb in VERBS})}\n\n"
        f"Options of a verb: {PROGRAM} VERB --help, or {PROGRAM} help VERB."
    )


def parts_text(program: str, command: type, parts: Mapping[str, type]) -> str:
    """The help of a verb that has parts; every part has its own."""
    summaries = {part: first_line(options.__doc__) for part, options in parts.items()}
    return (
        f"usage: {program} [--help] PART ...\n\n"
        f"{first_line(command.__doc__)}\n\n"
        f"parts:\n{listed(summaries)}\n\n"
        f"Options of a part: {program} PART --help."
    )


def listed(summaries: Mapping[str, str]) -> str:
    width = max(map(len, summaries))
    return "\n".join(f"  {name:{width}}  {text}" for name, text in summaries.items())


def first_line(docstring: str | None) -> str:
    return (docstring or "").split("\n", 1)[0]


def summary(verb: str) -> str:
    """First line of a verb's docstring, read from its source: importing all of them would take seconds."""
    tree = ast.parse(Path(__file__).with_name(f"{verb}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name(verb):
            return first_line(ast.get_docstring(node))
    return ""


if __name__ == "__main__":
    sys.exit(main())
