"""Pictures of README and docs: there, of the kind that their names say, drawn by what stands beside them."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from tool_scripts import load_tool

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
COMMAND = re.compile(r"(?:^ {4,}|`)(?:(?:\S*/)?roman-moe|make|python tools/)", re.MULTILINE)
KINDS = {".png": "PNG", ".jpg": "JPEG", ".gif": "GIF", ".webp": "WEBP"}

PICTURES = [
    (page, match[1], (page.parent / match[2]).resolve(), match.start())
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    for match in PICTURE.finditer(page.read_text())
]


@pytest.mark.parametrize(("page", "said", "file", "place"), PICTURES, ids=lambda value: getattr(value, "name", ""))
def test_a_picture_is_there_is_described_and_stands_beside_its_command(page, said, file, place):
    assert len(said) > 20
    if file.suffix == ".svg":
        assert file.name in load_tool("diagrams").DIAGRAMS
        assert ElementTree.parse(file).getroot().tag.endswith("svg")
    else:
        with Image.open(file) as image:
            assert image.format == KINDS[file.suffix]
            assert min(image.size) >= 200
        text = page.read_text()
        begin, end = text.rfind("\n#", 0, place), text.find("\n#", place)
        assert COMMAND.search(text[max(0, begin) : end if end > 0 else len(text)]), "no command in its section"
    assert file.stat().st_size < 3e6


def test_every_picture_is_shown_somewhere():
    shown = {file for _, _, file, _ in PICTURES}
    assert {file for file in IMAGES.iterdir() if file not in shown} == set()


@pytest.mark.parametrize("name", load_tool("diagrams").DIAGRAMS)
def test_a_diagram_is_what_its_command_draws(name):
    assert (IMAGES / name).read_text() == load_tool("diagrams").DIAGRAMS[name]().svg()
