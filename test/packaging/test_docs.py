"""The documentation: pages, links, what is generated from the program, and the site that `make docs` builds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest
from tool_scripts import load_tool

from roman_moe.control.guard import GuardStatus
from roman_moe.wire.topics import CAMERA_TYPES, MESSAGE_TYPES

markdown_it = pytest.importorskip("markdown_it", reason="markdown-it-py is not installed: pip install '.[dev]'")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "models").rglob("*.md")])
NAMES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
"""Pages of the site, by their paths in docs/."""
MARKDOWN = markdown_it.MarkdownIt("commonmark").enable("table")


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """tools/reference.py."""
    pytest.importorskip("rclpy")
    return load_tool("reference")


def test_every_page_is_in_the_table_of_contents_once():
    blocks = re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(encoding="utf-8"), re.DOTALL)
    listed = [line for block in blocks for line in block.splitlines() if line and not line.startswith(":")]
    assert sorted(f"{name}.md" for name in [*listed, "index"]) == NAMES


def links(text: str) -> Iterator[str]:
    """Targets of a Markdown text's links and images."""
    for block in MARKDOWN.parse(text):
        for token in block.children or ():
            yield from (str(token.attrs[name]) for name in ("href", "src") if name in token.attrs)


def anchors(text: str) -> set[str]:
    """Anchors of a Markdown text's headings, as GitHub and MyST make them."""
    found: list[str] = []
    for opening, heading in pairwise(MARKDOWN.parse(text)):
        if opening.type == "heading_open":
            text = "".join(part.content for part in heading.children or ())
            anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return set(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path):
    for link in links(page.read_text(encoding="utf-8")):
        target = urlsplit(link)
        if target.scheme:
            continue
        file = page.parent / unquote(target.path) if target.path else page
        assert file.is_file(), f"{link}: no such file"
        assert not target.fragment or target.fragment in anchors(file.read_text(encoding="utf-8")), (
            f"{link}: no such heading"
        )


@pytest.fixture(scope="module")
def filled(reference: ModuleType) -> dict[str, str]:
    """The site's pages by name, with what is generated."""
    return {name: reference.fill((DOCS / name).read_text(encoding="utf-8")) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_generated_can_be_made_and_links_to_pages_of_the_site(
    name: str, filled: dict[str, str], reference: ModuleType
):
    text = filled[name]
    assert "<!-- generated:" not in text
    assert len(text) > 100
    assert len(reference.with_docstrings(text)) >= len(text)
    for link in links(text):
        target = urlsplit(link)
        if not target.scheme and target.path.endswith(".md"):
            page = os.path.normpath(Path(name).parent / target.path)
            assert page in filled, f"{link}: no page of the site"
            assert not target.fragment or target.fragment in anchors(filled[page]), f"{link}: no such heading"


def test_the_reference_describes_every_topic(reference: ModuleType):
    assert {name for _, name, _ in reference.described_names()} == {*MESSAGE_TYPES, *CAMERA_TYPES}


def test_the_reference_has_every_node_with_its_own_parameters(reference: ModuleType):
    text = reference.parameters()
    for executable, parameter in {"blender": "deadline", "expert": "skill", "lab_node": "episodes"}.items():
        section = text.partition(f"## {executable}\n")[2].partition("\n## ")[0]
        assert f"| `{parameter}` |" in section, executable
    services = re.findall(r"^\| `~/(\w+)` \| (.*) \|$", text, re.MULTILINE)
    assert {name for name, _ in services} == {"stop", "rearm", "restart", "start", "discard"}
    assert all(what for _, what in services), "a service's method has no docstring"


def test_safety_explains_every_code_of_the_guard():
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", (DOCS / "safety.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {(int(code), name) for code, name in rows} == {(int(status), status.name) for status in GuardStatus}


class Page(HTMLParser):
    """Ids of a page's elements, and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {given["id"] or ""} if "id" in given else set()
        self.targets += [given[name] or "" for name in ("href", "src") if name in given]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs make here, without the variables of the make that runs the tests."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=clean, capture_output=True, text=True, check=False)


def test_the_site_builds_without_warnings_or_broken_links(tmp_path: Path):
    if shutil.which("make") is None or make("--question", ".venv-docs/.stamps/docs").returncode:
        pytest.skip("no up-to-date .venv-docs: run `make docs` once")
    done = make("docs", f"SITE={tmp_path}")
    assert done.returncode == 0, done.stderr
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in tmp_path.rglob("*.html")}
    assert len(pages) > len(NAMES)
    checked = 0
    for path, page in pages.items():
        for link in page.targets:
            target = urlsplit(link)
            if target.scheme:
                continue
            file = Path(os.path.normpath(path.parent / unquote(target.path))) if target.path else path
            assert file.is_file(), f"{path.name}: {link}"
            assert not target.fragment or unquote(target.fragment) in pages[file].ids, f"{path.name}: {link}"
            checked += 1
    assert checked > 1000
    listed = re.findall(r"\]\(([\w/]+\.md)\): (\w)?", (tmp_path / "llms.txt").read_text(encoding="utf-8"))
    assert {name for name, _ in listed} == {*NAMES} - {"index.md"}
    assert all(first for _, first in listed), "a page begins with no sentence"
    assert all((tmp_path / name).is_file() for name, _ in listed)
