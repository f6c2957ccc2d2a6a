"""The documentation's reference, made from the program itself: commands, parameters, topics, errors and public names.

A page of docs/ has a line `<!-- generated: NAME -->`; `fill` puts what the function NAME makes in its place. Every
function returns Markdown. The topics' classes and the nodes need rclpy, or a mock of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import importlib
import inspect
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from roman_moe.cli import main as entry
from roman_moe.control.guard import GuardStatus
from roman_moe.core import errors as exceptions
from roman_moe.core.outcome import Outcome
from roman_moe.nodes.bringup.graph import EXECUTABLES, load_description, module_of
from roman_moe.wire import topics as names

ROOT = Path(__file__).resolve().parents[1]
MARK = re.compile(r"^<!-- generated: (\w+)(?: (.+))? -->$", re.MULTILINE)
DIRECTIVE = re.compile(r"^\.\. auto(?:class|function):: (\S+)$(?:\n   :members:$)?", re.MULTILINE)
HELP_WIDTH = "100"  # [columns] of a command's help
ROS_TYPES = {"bool": "bool", "int": "integer", "float": "double", "str": "string", "tuple[str, ...]": "string array"}
PAGES = {"README": "try_it", "CHANGELOG": "changelog", "CONTRIBUTING": "contributing", "AGENTS": "contributing"}
"""Pages of the site for the Markdown beside docs/."""
PUBLIC = ("core", "control", "demos", "sim")
"""Packages whose exported names are public (docs/library.md)."""


def fill(text: str) -> str:
    """A page with what its lines `<!-- generated: NAME -->` stand for, and links to pages of the site alone.

    Raises:
        KeyError: for a name that nothing is made for.
    """
    filled = MARK.sub(lambda found: MAKERS[found[1]](*filter(None, [found[2]])), text)
    return re.sub(r"\]\(\.\./([A-Z]+)\.md(#[^)]*)?\)", lambda found: f"]({PAGES[found[1]]}.md{found[2] or ''})", filled)


def commands() -> str:
    """Each command with the help that it prints."""
    return "\n\n".join(
        f"{'###' if ' ' in name else '##'} {name}\n\n```text\n{help_of(name)}\n```" for name in command_names()
    )


def command_names() -> Iterator[str]:
    """Verbs, each followed by its parts, such as `train all`."""
    for verb in entry.VERBS:
        yield verb
        yield from (f"{verb} {part}" for part in getattr(entry.verb_class(verb), "PARTS", {}))


def help_of(name: str) -> str:
    """What `roman-moe NAME --help` prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), mock.patch.dict(os.environ, COLUMNS=HELP_WIDTH):
        code = entry.main([*name.split(), "--help"])
    if code:
        raise RuntimeError(f"roman-moe {name} --help: exit code {code}")
    return printed.getvalue().strip()


def arguments() -> str:
    """The launch file's arguments."""
    described = load_description().arguments
    rows = (
        (f"`{name}`", code(argument.default), ", ".join(map(code, argument.choices)), argument.description)
        for name, argument in described.items()
    )
    return table(("argument", "default", "one of", "meaning"), rows)


def parameters() -> str:
    """Each node's parameters, and services, with what the node declares about them."""
    return "\n\n".join(parameters_of(executable) for executable in EXECUTABLES)


def parameters_of(executable: str) -> str:
    """Parameters and services of one executable of the graph."""
    module = importlib.import_module(module_of(executable))
    (node,) = (found for found in vars(module).values() if own_node(found, module.__name__))
    text = f"## {executable}\n\n{first_sentence(module.__doc__)}\n\n"
    rows = (
        (
            f"`{field.name}`",
            ROS_TYPES[str(field.type)],
            "required" if field.default is dataclasses.MISSING else code(field.default),
            " to ".join(map(str, field.metadata["bounds"] or ())),
            "" if field.metadata["fixed"] else "yes",
            field.metadata["description"],
        )
        for field in dataclasses.fields(node.PARAMETERS)
        if field.name != "autostart"  # every node has it
    )
    text += table(("parameter", "type", "default", "range", "while it runs", "meaning"), rows)
    services = re.findall(r'self\.trigger_service\("(\w+)", self\.(\w+)\)', inspect.getsource(module))
    if services:
        described = ((f"`~/{name}`", first_sentence(getattr(node, method).__doc__)) for name, method in services)
        text += "\n\n" + table(("service, std_srvs/Trigger", "what it does"), described)
    return text


def own_node(found: Any, module: str) -> bool:
    """Whether this is the node's class that a module defines."""
    return inspect.isclass(found) and found.__module__ == module and "PARAMETERS" in vars(found)


def topics() -> str:
    """The graph's topics: type, direction and quality of service."""
    base = importlib.import_module("roman_moe.nodes.base.topics")
    rows = [
        (f"`{name}`", f"`{names.MESSAGE_TYPES[name]}`", who, service_of(getattr(base, constant, None)))
        for constant, name, who in described_names()
        if name in names.MESSAGE_TYPES
    ]
    rows.append(
        ("`expert/<skill>/action`", f"`{names.JOINT_STATE}`", "expert -> blender", service_of(base.expert_action("x")))
    )
    rows += [
        (f"`{names.camera('<name>', part)}`", f"`{names.CAMERA_TYPES[part]}`", who, service_of(base.camera("x", part)))
        for _, part, who in described_names()
        if part in names.CAMERA_TYPES
    ]
    return table(("topic", "type", "from -> to", "quality of service"), rows)


def described_names() -> list[tuple[str, str, str]]:
    """Constant, value and comment of the lines of wire/topics.py that name a topic."""
    return re.findall(r'^([A-Z_]+) = _\w+\("([^"]+)", .+\)  # (.+)$', inspect.getsource(names), re.MULTILINE)


def service_of(topic: Any) -> str:
    """Quality of service of a `Topic` in words: what its publisher offers, and what is requested if that differs."""
    if topic is None:
        return ""
    offered, requested = topic.qos, topic.requested_qos
    text = f"{words(offered.reliability)}, {words(offered.durability)}, depth {offered.depth}"
    if requested is not None and words(requested.reliability) != words(offered.reliability):
        text += f"; requested {words(requested.reliability)}"
    return text


def words(policy: Any) -> str:
    """A policy of rclpy, or of its mock, in words: "best effort"."""
    name = policy.name if isinstance(policy, enum.Enum) else str(policy).rpartition(".")[2]
    return name.lower().replace("_", " ")


def errors() -> str:
    """The exceptions that become one line."""
    found = (kind for kind in vars(exceptions).values() if inspect.isclass(kind))
    return table(("exception", "what"), ((f"`{kind.__name__}`", first_sentence(kind.__doc__)) for kind in found))


def guard() -> str:
    """The guard's codes, in groups by what the arm does."""
    halts = [status for status in GuardStatus if status.halts and status is not GuardStatus.STOPPED]
    follows = [status for status in GuardStatus if not status.halts]
    rows = (
        ("follows", listed(follows)),
        ("halts until the cause is gone", listed(halts)),
        ("stops until it is re-armed", listed([GuardStatus.STOPPED])),
    )
    return table(("the arm", "codes"), rows)


def listed(statuses: Iterable[GuardStatus]) -> str:
    """Codes with their names."""
    return ", ".join(f"{int(status)} `{status.name}`" for status in statuses)


def outcomes() -> str:
    """The words with which an episode ends, or goes on."""
    return ", ".join(f"`{outcome.value}`" for outcome in Outcome)


def api() -> str:
    """Directives for the public names, package by package."""
    text = []
    for package in PUBLIC:
        module = importlib.import_module(f"roman_moe.{package}")
        text.append(f"## roman_moe.{package}\n\n{module.__doc__}\n\n```{{eval-rst}}")
        for name in module.__all__:
            kind = "class" if inspect.isclass(getattr(module, name)) else "function"
            members = "\n   :members:" if kind == "class" else ""
            text.append(f".. auto{kind}:: roman_moe.{package}.{name}{members}\n")
        text.append("```\n")
    return "\n".join(text)


def with_docstrings(text: str) -> str:
    """A page with the signature and the docstring of what its autodoc directives name, for readers of the Markdown."""

    def said(found: re.Match[str]) -> str:
        module, _, name = found[1].rpartition(".")
        documented = getattr(importlib.import_module(module), name)
        names = ", ".join(inspect.signature(documented).parameters)
        return f"{found[1]}({names})\n\n{inspect.getdoc(documented)}\n"

    return DIRECTIVE.sub(said, text).replace("```{eval-rst}", "```text")


def readme(heading: str = "") -> str:
    """README's section of this heading, or `FIRST to LAST`, the latter left out; without one, what comes before all."""
    first, _, last = heading.partition(" to ")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    begin = rf"^## {re.escape(first)}$" if first else r"\A# [^\n]*$"
    end = rf"^## {re.escape(last)}$" if last else r"^## |\Z"
    found = re.search(f"(?:{begin})(.*?)(?={end})", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise KeyError(f"README.md: no section {heading!r}")
    return from_docs(found[1])


def page(path: str) -> str:
    """Another Markdown file of the repository, without its title; links count from docs/."""
    return from_docs((ROOT / path).read_text(encoding="utf-8").partition("\n")[2])


def from_docs(text: str) -> str:
    """Markdown whose relative links count from the repository's root, with links that count from docs/."""

    def relative(found: re.Match[str]) -> str:
        target = found[1]
        return f"]({target.removeprefix('docs/') if target.startswith('docs/') else f'../{target}'})"

    return re.sub(r"\]\((?![a-z]+:|#)([^)\s]+)\)", relative, text)


MAKERS: dict[str, Callable[..., str]] = {
    made.__name__: made
    for made in (commands, arguments, parameters, topics, errors, guard, outcomes, api, readme, page)
}


def first_sentence(docstring: str | None) -> str:
    """What a docstring begins with, up to its first full stop."""
    text = " ".join((docstring or "").partition("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", text)[0].replace("|", "\\|")


def code(value: Any) -> str:
    """A value as code, as YAML writes it; nothing for an empty one."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`" if value not in ("", ()) else ""


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    header = tuple(header)
    lines = [header, ("---",) * len(header), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
