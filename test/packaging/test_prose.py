"""The check of the prose: what it finds, what it passes, and that the glossary names files that are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def sentence(words: int) -> str:
    """A sentence of so many words, in a line of three letters a word."""
    return "An" + " an" * (words - 1) + "."


SHORT, LONG = sentence(30), sentence(31)
LONG_LINE = "A word. " * 16


def found(folder: Path, name: str, text: str) -> list[str]:
    """What the check prints of a folder with one file, without the words of a sentence."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    command = [sys.executable, ROOT / "tools" / "prose.py", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr
    assert done.returncode == (1 if done.stdout else 0)
    return [line.rpartition(" words: ")[0] or line for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"# Page\n\n{SHORT}\n\n{LONG}\n", 5),
        (f"- {SHORT}\n- {LONG}\n", 2),
        (f"| a | b |\n|---|---|\n| {SHORT} | {LONG} |\n", 3),
        (f"It ends.\n`a b c` {sentence(30)[1:]}\n", 1),
    ],
    ids=["paragraph", "list", "table", "code"],
)
def test_a_long_sentence_of_a_page_is_found(tmp_path: Path, text: str, line: int):
    assert found(tmp_path, "docs/page.md", text) == [f"docs/page.md:{line}: sentence of 31"]


def test_a_long_line_of_a_page_is_found(tmp_path: Path):
    line = LONG_LINE.strip()
    assert found(tmp_path, "README.md", f"{SHORT}\n\n{line}\n") == ["README.md:3: line of 127 characters"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f'"""Module.\n\n{LONG}\n"""\n', 3),
        (f'class A:\n    """A.\n\n    Attributes:\n        a: {sentence(29)}\n        b: {SHORT}\n    """\n', 6),
        (f'class A:\n    a: int = 0\n    """{LONG}"""\n', 3),
        (f"a = 0\n# {LONG[:60]}\n# {LONG[60:]}\n", 2),
    ],
    ids=["docstring", "entry of a section, with its name", "docstring of a field", "comment"],
)
def test_a_long_sentence_of_code_is_found(tmp_path: Path, text: str, line: int):
    assert found(tmp_path, "roman_moe/module.py", text) == [f"roman_moe/module.py:{line}: sentence of 31"]


def test_short_sentences_and_what_is_no_prose_pass(tmp_path: Path):
    blocks = [f"{SHORT}\n{SHORT}", f"    {LONG_LINE}", f"```\n{LONG}\n```", f"| a |\n|---|\n| {LONG_LINE} |", "a" * 121]
    assert found(tmp_path, "docs/page.md", "\n\n".join(blocks)) == []
    entry = sentence(29)
    docstring = f'"""{SHORT}\n\n    {LONG}\n\nArgs:\n    a: {entry}\n    b: {entry}\n"""'
    assert found(tmp_path, "roman_moe/module.py", f'{docstring}\nA = "{LONG}"\n# {SHORT}\n\n# {SHORT}\n') == []


@pytest.mark.parametrize(
    ("name", "text"),
    [("docs/page.md", "{}\n"), ("roman_moe/module.py", '"""{}"""\n'), ("test/test_it.py", "# {}\n")],
    ids=["page", "docstring", "comment"],
)
def test_a_word_that_the_glossary_rules_out_is_found(tmp_path: Path, name: str, text: str):
    glossary = "# Glossary\n\n| a | b |\n|---|---|\n| ox | an ox |\n\n## Words not used\n\n"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/glossary.md").write_text(f"{glossary}| not | but |\n|---|---|\n| kine, cattle | cow |\n")
    assert found(tmp_path, name, text.format("Cattle, not a box.")) == [f"{name}:1: 'cattle': expected cow"]
    assert found(tmp_path, name, text.format("An ox, `cattle` and the cattleman's.")) == []


def test_the_glossary_rules_out_words(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/glossary.md").write_text((ROOT / "docs" / "glossary.md").read_text())
    line = "docs/page.md:1: 'practice': expected reinforcement learning"
    assert found(tmp_path, "docs/page.md", "Practice makes perfect.\n") == [line]


def test_the_glossary_names_files_that_are_there():
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    where = re.findall(r"`(\w+/[\w/]*(?:\.\w+)?)`", glossary)
    assert len(where) > 50
    assert not [path for path in where if not (ROOT / "roman_moe" / path).exists() and not (ROOT / path).exists()]
