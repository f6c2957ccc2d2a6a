"""Finds sentences over 30 words and words that the glossary rules out in docs, docstrings and comments.

In docs it finds lines of prose over 120 characters, too.

An item of a list, a cell of a table and an entry of a docstring's section are sentences of their own. A piece of code
counts as one word, a link's target as none. Ruff measures the lines of Python.

Usage: prose.py [FOLDER], the checkout by default. Prints `path:line: what`; the exit code is 1 if it finds any.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping
from itertools import chain, pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

MOST_WORDS, LONGEST_LINE = 30, 120
DOCS = ("*.md", "docs/**/*.md", "models/**/*.md")
GLOSSARY = "docs/glossary.md"
CODE = ("roman_moe/**/*.py", "launch/**/*.py", "tools/**/*.py", "test/**/*.py")
SENTENCE_END = re.compile(r"""(?<=[.!?])[)"'*_\]]*\s+(?=[("'*_\[]*[A-Z0-9])""")
SECTION = re.compile(r"(?:Args|Returns|Raises|Yields|Attributes|Parameters):$")
MARKDOWN = MarkdownIt("commonmark").enable("table")


def main(folder: Path) -> int:
    """Print what is found below `folder`; returns the exit code."""
    glossary = folder / GLOSSARY
    unused = words_not_used(glossary.read_text()) if glossary.exists() else {}
    found = [
        f"{path.relative_to(folder)}:{line}: {what}"
        for patterns, check in ((DOCS, of_docs), (CODE, of_code))
        for path in sorted(set(chain.from_iterable(map(folder.glob, patterns))))
        for line, what in check(path, {} if path == glossary else unused)
    ]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def words_not_used(glossary: str) -> dict[str, str]:
    """What to write, by the words that the last table of the glossary rules out."""
    _, _, section = glossary.partition("## Words not used")
    rows = re.findall(r"^\| (?!not )([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
    return {word: instead for words, instead in rows for word in words.split(", ")}


def of_docs(path: Path, unused: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Line number and fault of each long line, long sentence and unused word of a Markdown file."""
    text = path.read_text()
    yield from long_lines(text)
    yield from faults(text, unused)


def of_code(path: Path, unused: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Line number and fault of each sentence in a module's docstrings, those of its fields, and its comments."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from faults(as_markdown(node.value.value), unused, node.lineno)
    for line, comment in comments(path):
        yield from faults(comment, unused, line)


def long_lines(text: str) -> Iterator[tuple[int, str]]:
    """The paragraphs' lines that are too long; tables and code are none, and a link alone cannot be broken."""
    lines = text.splitlines()
    for token in prose(text, cells=False):
        assert token.map is not None  # prose() gives none without
        for number in range(*token.map):
            if len(lines[number]) > LONGEST_LINE and " " in lines[number].strip():
                yield number + 1, f"line of {len(lines[number])} characters"


def faults(text: str, unused: Mapping[str, str], first: int = 1) -> Iterator[tuple[int, str]]:
    """Sentences with too many words, and unused words, of a Markdown text whose first line is number `first`."""
    for token in prose(text):
        assert token.map is not None
        line, words = first + token.map[0], plain(token)
        for sentence in SENTENCE_END.split(words):
            count = len([word for word in sentence.split() if re.search(r"\w", word)])
            if count > MOST_WORDS:
                yield line, f"sentence of {count} words: {' '.join(sentence.split()[:10])} ..."
        for word, instead in unused.items():
            if re.search(rf"\b[{word[0]}{word[0].upper()}]{re.escape(word[1:])}s?\b", words):
                yield line, f"{word!r}: expected {instead}"


def prose(text: str, cells: bool = True) -> Iterator[Token]:
    """The paragraphs, headings and, if wanted, tables' cells of a Markdown text, with their lines."""
    tokens = MARKDOWN.parse(text)
    for opening, token in pairwise(tokens):
        if token.type == "inline" and token.map and (cells or opening.type not in ("th_open", "td_open")):
            yield token


def plain(token: Token) -> str:
    """A paragraph's words, without marks and links' targets, and with "Code" for each piece of code."""
    kinds = {"code_inline": "Code", "softbreak": " ", "hardbreak": " "}
    return "".join(kinds.get(part.type, part.content) for part in token.children or [] if part.type != "html_inline")


def as_markdown(docstring: str) -> str:
    """A docstring with the entries of its sections as items of a list; the lines keep their numbers."""
    lines = inspect.cleandoc(docstring).splitlines()
    indent: str | None = None  # of the entries, where there are some
    for number, line in enumerate(lines):
        if SECTION.search(line):
            indent = "    " if number else ""  # cleandoc takes no notice of the first line
        elif not line:
            indent = None
        elif indent is not None and re.match(rf"{indent}\S", line):
            lines[number] = f"- {line.strip()}"
    return "\n".join(lines)


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Number of the first line and text of each comment, over all its lines: those that begin in one column."""
    block: list[str] = []
    first, last = (0, 0), (-1, 0)
    with tokenize.open(path) as file:
        tokens = [token for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT]
    for token in tokens:
        line, column = token.start
        goes_on = last == (line - 1, column) and not token.line[:column].strip()
        if block and not goes_on:
            yield first[0], "\n".join(block)
        if not goes_on:
            block, first = [], token.start
        block.append(token.string.removeprefix("#").strip())
        last = token.start
    if block:
        yield first[0], "\n".join(block)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]))
