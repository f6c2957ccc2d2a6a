"""Pools the reports of `roman-moe evaluate` on several trainings of one recipe: `python tools/pooled.py a.json b.json`.

Prints a Markdown table with a row for each condition and each scenario or skill. It says what each training solved of
it, and what all of them solved together, with the 95 % interval of all their episodes. That interval says nothing of
trainings that were not made: for that, look at how far the columns lie apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roman_moe.evaluation.statistics import wilson_interval

VARIED = ("noise", "bias", "calibration")
"""Keys of a report under which an error has several values."""


def conditions_of(report: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Conditions of a report, by their names, and what was solved under each: scenarios and skills."""
    yield "plain", report
    for varied in VARIED:
        for value, found in list(report.get(varied, {}).items())[1:]:  # the first is the plain one
            yield f"{varied} {value}", found
    if "disturbed" in report:
        yield "disturbed", report["disturbed"]


Solved = dict[tuple[str, str, str], tuple[int, int]]
"""By condition, kind of start and start: episodes that were solved, and all of them."""


def solved_of(report: Mapping[str, Any]) -> Solved:
    """What a report says of every condition and start."""
    return {
        (condition, kind.removesuffix("s"), start): (row["successes"], row["episodes"])
        for condition, found in conditions_of(report)
        for kind in ("scenarios", "skills")
        for start, row in found[kind].items()
    }


def pooled_rows(tables: Sequence[Solved]) -> list[list[str]]:
    """Rows of the table, without its head."""
    rows = []
    for condition, kind, start in tables[0]:
        each = [table[condition, kind, start] for table in tables]
        solved, episodes = (sum(counts) for counts in zip(*each, strict=True))
        low, high = wilson_interval(solved, episodes)
        rates = [f"{100 * found / count:.1f}" for found, count in each]
        pooled = [f"{solved} of {episodes}", f"{100 * low:.1f} to {100 * high:.1f} %"]
        rows.append([condition, f"{kind} {start}", *rates, *pooled])
    return rows


def main() -> int:
    """Print the table of the reports that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", metavar="REPORT.json", nargs="+", type=Path)
    files = parser.parse_args().files
    try:
        tables = [solved_of(json.loads(file.read_text(encoding="utf-8"))) for file in files]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        parser.error(f"expected reports of `roman-moe evaluate --json`: {type(error).__name__}: {error}")
    for file, table in zip(files, tables, strict=True):
        if table.keys() != tables[0].keys():
            other = f"other conditions, scenarios or skills than in {files[0].name}"
            print(f"{file.name}: {other}: give `roman-moe evaluate` the same options", file=sys.stderr)
            return 2
    head = ["condition", "start", *(f"{file.stem} [%]" for file in files), "together", "95 % interval"]
    for row in (head, ["---"] * len(head), *pooled_rows(tables)):
        print("|", " | ".join(row), "|")
    return 0


if __name__ == "__main__":
    sys.exit(main())
