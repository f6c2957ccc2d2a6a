"""The table over several trainings of one recipe: rates of each, all episodes together, and nothing that differs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def report(solved: int, disturbed: int, of: int = 100) -> dict[str, Any]:
    """Of scenario 6 with two bounds of noise: the second in no episode; and disturbed."""
    plain, poor, moved = (
        {"scenarios": {"6": {"successes": found, "episodes": of}}, "skills": {}} for found in (solved, 0, disturbed)
    )
    return {**plain, "noise": {"0.005": plain, "0.02": poor}, "disturbed": moved}


def pooled(folder: Path, *reports: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    files = [folder / f"run{number}.json" for number in range(len(reports))]
    for file, content in zip(files, reports, strict=True):
        file.write_text(json.dumps(content))
    command = [sys.executable, ROOT / "tools" / "pooled.py", *files]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_each_training_and_all_of_them_together(tmp_path):
    done = pooled(tmp_path, report(100, 90), report(95, 80), report(99, 100))
    assert done.stdout.splitlines() == [
        "| condition | start | run0 [%] | run1 [%] | run2 [%] | together | 95 % interval |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| plain | scenario 6 | 100.0 | 95.0 | 99.0 | 294 of 300 | 95.7 to 99.1 % |",
        "| noise 0.02 | scenario 6 | 0.0 | 0.0 | 0.0 | 0 of 300 | 0.0 to 1.3 % |",
        "| disturbed | scenario 6 | 90.0 | 80.0 | 100.0 | 270 of 300 | 86.1 to 92.9 % |",
    ]


@pytest.mark.parametrize("key", ("noise", "disturbed"))
def test_reports_on_other_conditions_are_not_pooled(key, tmp_path):
    other = report(100, 90)
    del other[key]
    done = pooled(tmp_path, report(100, 90), other)
    assert (done.returncode, done.stdout) == (2, "")
    what = "other conditions, scenarios or skills than in run0.json"
    assert done.stderr == f"run1.json: {what}: give `roman-moe evaluate` the same options\n"


@pytest.mark.parametrize("content", [None, "no JSON", "[]", '{"noise": {"0.005": 1, "0.02": 2}}'])
def test_what_is_no_report_is_refused(content, tmp_path):
    file = tmp_path / "run.json"
    if content is not None:
        file.write_text(content)
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "pooled.py", file], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "pooled.py: error: expected reports of `roman-moe evaluate --json`: " in done.stderr.splitlines()[-1]
