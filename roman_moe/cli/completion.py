"""`roman-moe completion`: a script with which a shell completes commands and their options."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import io
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from roman_moe.cli.main import PROGRAM, VERBS, verb_class
from roman_moe.core.errors import one_line

NO_PART = "none"  # how tyro calls the missing one of a verb that has a single part


@dataclass(frozen=True)
class Completion:
    """Print a script that completes commands in bash, zsh or fish."""

    shell: Annotated[Literal["bash", "zsh", "fish"], tyro.conf.Positional, tyro.conf.arg(metavar="{bash,zsh,fish}")]
    """The shell (docs/installing.md says where to save its script)."""

    def main(self) -> int:
        print(completion_script(self.shell))
        return 0


def completion_script(shell: str) -> str:
    """The script that tyro makes of all verbs. It holds their options, so that the shell starts none of our code."""
    verbs = _one_of({verb: _with_parts(verb_class(verb)) for verb in VERBS})
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes)
    script = io.StringIO()
    with contextlib.redirect_stdout(script), contextlib.suppress(SystemExit):
        tyro.cli(
            _dataclass("Verbs", verb=verbs),
            prog=PROGRAM,
            args=["--tyro-write-completion", shell, "-"],
            config=config,
        )
    head, spec, rest = re.split("^(COMPLETION_SPEC = .*)$", script.getvalue(), maxsplit=1, flags=re.MULTILINE)
    name, _, text = spec.partition(" = ")
    if shell == "fish":  # whose script has the table within double quotes
        text = re.sub(r"\\([$\"\\])", r"\1", text)
    text = repr(_tidied(ast.literal_eval(text)))
    if shell == "fish":
        text = re.sub(r"([$\"\\])", r"\\\1", text)
    return f"{head}{name} = {text}{rest}"


def _tidied(spec: dict[str, Any]) -> dict[str, Any]:
    """A level of tyro's table of options, with each help on one line: to a shell a line is a candidate."""
    options = [option | {"description": one_line(option["description"])} for option in spec["options"]]
    parts = {name: _tidied(part) for name, part in spec["subcommands"].items() if name != NO_PART}
    return spec | {"options": options, "subcommands": parts}


def _with_parts(command: type) -> type:
    """A verb's dataclass, with one of its parts as one more field if it has any."""
    parts: Mapping[str, type] = getattr(command, "PARTS", {})
    own = (command,) if dataclasses.is_dataclass(command) else ()
    return _dataclass(command.__name__, *own, part=_one_of(parts)) if parts else command


def _dataclass(name: str, *bases: type, **fields: Any) -> type:
    return dataclasses.make_dataclass(name, fields.items(), bases=bases, frozen=True, kw_only=True)


def _one_of(commands: Mapping[str, type]) -> Any:
    """Subcommands, as tyro takes them: a union of at least two types."""
    named = [Annotated[kind, tyro.conf.subcommand(name, prefix_name=False)] for name, kind in commands.items()]
    return functools.reduce(operator.or_, named if len(named) > 1 else [*named, None])
