"""Entry point of `roman-moe`: finds the verb, reads its arguments, runs it, and turns what went wrong into one line.

Nothing but the standard library is imported before a verb is chosen, so `roman-moe --help` answers at once. A verb is
a dataclass in a module of its own name (`demo.Demo`): its fields with their docstrings are the options, `main` returns
the exit code.

Exit codes: the verb's own (0 done, 1 ran but did not reach its goal), 2 for input that cannot be used, 130 for Ctrl-C.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roman_moe import __version__
from roman_moe.cli.outputs import check_outputs
from roman_moe.cli.reach import ROS_ARGS, split
from roman_moe.cli.refusal import one_line, reason
from roman_moe.core.errors import ConfigError

PROGRAM = "roman-moe"
VERBS = ("demo", "run", "status", "swap", "stop", "evaluate", "collect", "train", "ablate", "export", "bench", "chaos")
"""Every verb, in the order of the help."""

EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130

TRACEBACK_VARIABLE = "ROMAN_MOE_TRACEBACK"
"""Environment variable that, when set, lets exceptions through: for those who work on the code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `roman-moe` with these arguments, by default the process's; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return _dispatch(list(arguments))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        if interrupted(error):
            return EXIT_INTERRUPTED
        line = reason(error)
        if line is None or os.environ.get(TRACEBACK_VARIABLE):
            raise  # a mistake of ours: the traceback is what helps
        print(f"{PROGRAM}: {line}", file=sys.stderr)
        return EXIT_REFUSED


def interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C is behind an error: a compiled module makes ImportError of it while it is imported."""
    cause = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt) or (cause is not None and interrupted(cause))


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        print(help_text())
        return EXIT_REFUSED
    verb, *rest = arguments
    if verb in ("-h", "--help"):
        print(help_text())
        return 0
    if verb == "--version":
        print(f"{PROGRAM} {__version__}")
        return 0
    if verb not in VERBS:
        raise ConfigError(unknown_verb(verb))
    command = getattr(importlib.import_module(f"roman_moe.cli.{verb}"), class_name(verb))
    own, ros_args = split(rest)
    if ROS_ARGS in rest and not hasattr(command, "ros_args"):
        raise ConfigError(f"{verb} takes no ROS arguments: its graph is private, or there is none")
    parsed = parse(command, f"{PROGRAM} {verb}", own)
    if parsed is None:
        return 0
    if ros_args:
        parsed = dataclasses.replace(parsed, ros_args=tuple(ros_args))
    check_outputs(parsed)
    return int(parsed.main())


def class_name(verb: str) -> str:
    """Name of the dataclass in the verb's module."""
    return verb.capitalize()


def parse(command: type, program: str, arguments: Sequence[str]) -> Any:
    """An instance of a verb's dataclass from its arguments; None if they asked for help, which is printed.

    Raises:
        ConfigError: with what tyro found wrong, less its frame.
    """
    import tyro

    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(command, prog=program, args=arguments)
    except SystemExit as ended:
        if not ended.code:
            return None
        raise ConfigError(f"{unframed(complaint.getvalue())} (see {program} --help)") from None


def unframed(box: str) -> str:
    """The message in the first section of one of tyro's framed errors, on one line."""
    message: list[str] = []
    for line in box.splitlines():
        text = line.strip("│ \t")
        if text.startswith("─"):
            break
        if text and not text.startswith(("╭", "╰")):
            message.append(text)
    return one_line(" ".join(message)) or "the arguments cannot be used"


def unknown_verb(verb: str) -> str:
    """What to say to a verb that there is none of."""
    import difflib

    close = difflib.get_close_matches(verb, VERBS, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown verb {verb!r}: {hint}expected one of {', '.join(VERBS)}"


def help_text() -> str:
    """The help of `roman-moe` itself; every verb has its own."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {summary(verb)}" for verb in VERBS)
    return (
        f"usage: {PROGRAM} [--help] [--version] VERB ...\n\n"
        "A robot arm driven by a learned mixture of experts.\n\n"
        f"verbs:\n{verbs}\n\n"
        f"{PROGRAM} VERB --help tells a verb's options."
    )


def summary(verb: str) -> str:
    """First line of a verb's docstring, read from its source: importing all of them would take seconds."""
    tree = ast.parse(Path(__file__).with_name(f"{verb}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name(verb):
            return (ast.get_docstring(node) or "").split("\n", 1)[0]
    return ""


if __name__ == "__main__":
    sys.exit(main())
