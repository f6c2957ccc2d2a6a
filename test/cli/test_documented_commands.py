"""Every command line in README and docs is one that `roman-moe` takes; each is run, or has a reason not to be."""

from __future__ import annotations

import re

import pytest
from documented import IN_PARTS, NOT_RUN, PAGES, SLOW, SMALLER, documented, lines_of, parsed, smaller, walks, words_of

from roman_moe.cli.main import VERBS

TEXTS = [line for page in PAGES for line in lines_of(page.read_text(encoding="utf-8"))]


def test_the_lines_are_found():
    found = documented()
    assert {line.split()[1] for _, line in found} >= set(VERBS)
    assert ("README.md", "roman-moe bench endurance") in found


@pytest.mark.parametrize(("page", "line"), documented())
def test_a_documented_command_line_can_be_typed(page, line, capsys):
    arguments = words_of(line)
    if arguments[0] != "VERB":
        parsed(arguments)
    assert not capsys.readouterr().err  # says which options have former names


@pytest.mark.parametrize("line", sorted({line for _, line in documented()}))
def test_a_command_line_can_be_typed_as_a_test_makes_it_smaller(line):
    arguments = words_of(line)
    if arguments[0] != "VERB":
        parsed(smaller(arguments))


def test_every_line_is_run_or_stands_in_the_table_of_what_is_not():
    run = [line.text for walk in walks() for line in walk.lines]
    left_out = {line.text for line in TEXTS if line.why_not}
    assert {*run, *left_out} == {line.text for line in TEXTS}
    assert not left_out & set(run)


def test_every_entry_of_the_tables_is_of_use():
    for pattern in NOT_RUN:
        assert any(re.search(pattern, line.text) for line in TEXTS), pattern
    assert set(IN_PARTS) <= {page.name for page in PAGES}
    assert set(SLOW) <= {walk.name for walk in walks()}
    begun = [line.text.partition(" ")[2] for walk in walks() for line in walk.lines]
    for command in SMALLER:
        words, _, option = command.partition(" --")
        assert any(text.startswith(words) and option in text for text in begun), command
