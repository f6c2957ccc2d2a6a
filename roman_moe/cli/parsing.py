"""Arguments of a verb, read by tyro: help fits the terminal, and an error is one plain line."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from roman_moe.core.environment import environment
from roman_moe.core.errors import ConfigError, one_line
from roman_moe.core.ranges import ranges_of

HELP = ("-h", "--help")
UNFOLDED = "10000"  # [columns] a message that is folded cannot be put together again: words are cut, too

NUMBERS = {"invalid literal for int()": "a whole number", "could not convert string to float": "a number"}
"""How Python's complaints about a number begin, and what was expected."""


RENAMED = {"--controller": "--bundle", "--poor-link-share": "--poor-channel-share", "--looks": "--frame-sets"}
"""Present names of options by former ones, which the present version alone understands."""


def parse(command: type, program: str, arguments: Sequence[str]) -> Any:
    """An instance of a verb's dataclass from its arguments; None if they asked for help, which is printed.

    Raises:
        ConfigError: with what tyro found wrong, less its frame.
    """
    import tyro

    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.PositionalMetavarFromFieldName)
    arguments = present_names(arguments, command)
    text, complaint = io.StringIO(), io.StringIO()  # which have no encoding: tyro draws no frames into them
    helps = any(argument in HELP for argument in arguments)
    try:
        with (
            contextlib.redirect_stdout(text),
            contextlib.redirect_stderr(complaint),
            environment({} if helps else {"COLUMNS": UNFOLDED}),
        ):
            return tyro.cli(command, prog=program, args=arguments, config=config)
    except SystemExit as ended:
        if not ended.code:
            print(fitted(text.getvalue()))
            return None
        raise ConfigError(f"{plain(unframed(complaint.getvalue()), command)} (see {program} --help)") from None


def present_names(arguments: Sequence[str], command: type) -> list[str]:
    """The arguments with former names of the command's options replaced by the present ones, which is said."""
    known, found = option_names(command), []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option not in known and RENAMED.get(option) in known:
            print(f"{option} is now {RENAMED[option]}: the former name goes with the next version", file=sys.stderr)
            option = RENAMED[option]
        found.append(option + equals + value)
    return found


def option_names(command: type) -> list[str]:
    """Of a verb: --name for each of its fields."""
    return [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(command)]


def check_numbers(command: Any) -> None:
    """Refuse numbers that are outside of the last range in their option's type.

    Raises:
        ConfigError: naming the option, what was found and what was expected.
    """
    for name, allowed in ranges_of(type(command)).items():
        value = getattr(command, name)
        if value is not None and value not in allowed:
            raise ConfigError(f"--{name.replace('_', '-')} {value}: expected {allowed}")


def fitted(text: str) -> str:
    """A help text with what tyro does not fold made to fit: the usage and the description."""
    width = shutil.get_terminal_size().columns
    lines: list[str] = []
    for line in map(str.rstrip, text.splitlines()):
        if line.startswith("usage:") and len(line) > width:
            line = re.sub(r"(?: \[-[^]]*\])+", " [OPTIONS]", line)
        lines += textwrap.wrap(line, width) if len(line) > width else [line]
    return "\n".join(lines).rstrip()


def unframed(box: str) -> str:
    """The message of one of tyro's errors, on one line: title, rule, message, rule, and what else there is to say."""
    title, *sections = re.split(r"^\s*-{3,}\s*$", box, flags=re.MULTILINE)
    return one_line(sections[0] if sections else title) or "the arguments cannot be used"


def plain(message: str, command: type) -> str:
    if found := re.match(r"Unrecognized options: ([^,]+)", message):
        return unknown_argument(found[1], command)
    if found := re.match(r"Error parsing (\S+): (.*?)(?: with base 10)?: (.*)", message):
        option, why, value = found.groups()
        return f"{option} {value}: expected {NUMBERS.get(why, why)}"
    if found := re.match(r"Missing value for argument '(.+?)'", message):
        return f"{found[1]}: expected a value after it"
    if found := re.match(r"Missing from .+?: (\S+) (.*?) ?\(required\)", message):
        return f"{found[1]} is missing: {found[2][:1].lower()}{found[2][1:].rstrip('.')}"
    if found := re.match(r"invalid choice '(.*)' for argument '(.+?)'. Expected one of \((.*?),?\)", message):
        return f"{found[2]} {found[1]!r}: expected one of {found[3].replace(chr(39), '')}"
    return message


def unknown_argument(token: str, command: type) -> str:
    """What to say to an argument that the verb does not have."""
    if not token.startswith("-"):
        return f"{token!r} is one argument too many"
    option = token.partition("=")[0]
    return f"unknown option {option}{did_you_mean(option, option_names(command))}"


def unknown_word(what: str, word: str, known: Iterable[str]) -> str:
    """What to say to a verb, or a part of one, that there is none of."""
    known = tuple(known)
    hint = did_you_mean(word, known) or ":"
    return f"unknown {what} {word!r}{hint} expected one of {', '.join(known)}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ ": did you mean ...?", or nothing if no word is near."""
    close = difflib.get_close_matches(word, tuple(known), n=1)
    quoted = close[0] if close and close[0].startswith("-") else repr("".join(close))
    return f": did you mean {quoted}?" if close else ""
