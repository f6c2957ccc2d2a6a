"""`roman-moe tasks`: what there is, what one is, a new one that is right at once, and every mistake with its place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from specs import ROMAN, TURN_KEY

from roman_moe.cli import main as entry
from roman_moe.core.tasks import load_spec


@pytest.fixture
def new(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "block"
    assert entry.main(["tasks", "new", str(folder)]) == 0
    assert f"roman-moe tasks check {folder}" in capfd.readouterr().out
    return folder


def change(folder: Path, file: str, old: str, with_: str) -> int:
    """Change a file of a task; the line of the change."""
    path = folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, with_, 1))
    return text[: text.index(old)].count("\n") + 1


def check(folder: Path, capfd: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    """Exit code, and the lines about mistakes."""
    code = entry.main(["tasks", "check", str(folder), "--episodes", "2", *options])
    captured = capfd.readouterr()
    lines = (captured.out + captured.err).splitlines()
    return code, [line for line in lines if not line.startswith("checking ")]


def test_tasks_are_listed_with_what_they_are(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "40")
    file = tmp_path / "tasks.json"
    assert entry.main(["tasks", "list", "--json", str(file)]) == 0
    shown = capfd.readouterr().out
    rows = {row["name"]: row for row in json.loads(file.read_text())["tasks"]}
    assert rows["roman"]["skills"] == list(ROMAN.skills)
    assert rows["roman"]["title"] == ROMAN.title
    assert f"roman: {ROMAN.title}\n" in shown
    assert all(f"folder: {row['folder']}\n" in shown for row in rows.values())  # whole, however narrow the screen
    assert Path(rows["roman"]["folder"]).joinpath("task.yaml").is_file()


def test_a_task_is_shown_in_full(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "task.yaml").write_text(TURN_KEY)
    file = tmp_path / "info.json"
    assert entry.main(["tasks", "info", str(tmp_path), "--json", str(file)]) == 0
    shown = capfd.readouterr().out
    spec = load_spec(tmp_path)
    words = (*spec.objects, *spec.flags, *spec.skills, *spec.action.layout, spec.title, spec.digest, "lid.x_axis.x")
    for word in words:
        assert word in shown
    found = json.loads(file.read_text())
    assert found["sha256"] == spec.digest
    assert found["features"]["turn"][-2:] == ["locked", "home_distance"]


def test_a_new_task_is_right_at_once(new: Path, capfd: pytest.CaptureFixture[str]):
    assert load_spec(new).name == "block"
    code, lines = check(new, capfd)
    assert (code, lines) == (0, [f"{new}: task 'block' is right"])


def test_a_folder_that_is_there_or_has_no_name_for_a_task_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    for name, expected in ((".", "exists already"), ("My-Task", "'My-Task' is not a valid task name")):
        assert entry.main(["tasks", "new", str(tmp_path / name)]) == 2
        captured = capfd.readouterr().err
        assert expected in captured
        assert captured.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_description_alone_is_a_task(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    (tmp_path / "task.yaml").write_text(TURN_KEY)
    code, lines = check(tmp_path, capfd)
    assert code == 0
    assert "without simulation" in " ".join(lines)
    line = change(tmp_path, "task.yaml", "observes: [key, lock]", "observes: [key, locker]")
    code, lines = check(tmp_path, capfd)
    assert code == 2
    (message,) = lines
    assert f"{tmp_path / 'task.yaml'}, line {line}: skills.insert.observes[1]: 'locker'" in message


def test_every_mistake_of_the_description_is_named(new: Path, capfd: pytest.CaptureFixture[str]):
    changes = (
        ("top_speed: 0.2", "top_sped: 0.2", "unknown key 'top_sped'"),
        ("block: {x: [0.40, 0.50]", "block: {x: [0.50, 0.40]", "expected the lowest and the highest number"),
        ("- within: {object: block, target: end", "- witin: {object: block, target: end", "unknown key 'witin'"),
    )
    lines = [change(new, "task.yaml", old, with_) for old, with_, _ in changes]
    code, found = check(new, capfd)
    assert code == 2
    for line, (_, _, expected) in zip(lines, changes, strict=True):
        (message,) = [each for each in found if expected in each]
        assert f"task.yaml, line {line}: " in message
    assert sum("task.yaml" in each for each in found) == len(found)


@pytest.mark.parametrize(
    ("file", "old", "with_", "expected"),
    [
        ("task.yaml", "top_speed: 0.2", "top_sped: 0.2", "unknown key 'top_sped': did you mean 'top_speed'?"),
        ("scene.xml", "<worldbody>", "<worldbod>", "scene.xml"),
        ("place.py", "class Place(SimSkill)", "class Place(SimSkil)", "NameError: name 'SimSkil' is not defined"),
    ],
)
def test_what_cannot_be_loaded_is_one_line_with_its_place(
    new: Path, capfd: pytest.CaptureFixture[str], file: str, old: str, with_: str, expected: str
):
    line = change(new, file, old, with_)
    code, lines = check(new, capfd)
    assert code == 2
    (message,) = lines
    assert str(new / file) in message
    assert expected in message
    if file != "scene.xml":
        assert f", line {line}: " in message


def test_an_object_without_a_site_is_named_with_its_line(new: Path, capfd: pytest.CaptureFixture[str]):
    line = change(new, "task.yaml", "  end: {moves", "  ende: {moves")
    text = (new / "task.yaml").read_text()
    (new / "task.yaml").write_text(re.sub(r"\bend\b(?=[,\]])", "ende", text))
    code, lines = check(new, capfd)
    assert code == 1
    (message,) = lines
    assert message.startswith(f"{new / 'task.yaml'}, line {line}: objects.ende: ")
    assert "has no site of this name" in message


@pytest.mark.parametrize(
    ("file", "old", "with_", "expected"),
    [
        ("task.yaml", "x: [-0.03, 0.03], y: [-0.25, 0.015]", "y: [-0.25, 0.5]", "success holds already"),
        ("task.yaml", "x: [-0.008, 0.008], y", "x: [0.1, 0.1], y", "success of 'place' does not hold there"),
        (
            "task.yaml",
            "at: mark, x: [-0.008, 0.008]",
            "joint: [0, 1]} #",
            "expected a joint with one degree of freedom",
        ),
        ("push.py", "< FAR_ENOUGH", "< 1.0", "demonstrator, start push: solves 0 of 2"),
        ("push.py", "def demonstrate", "def demonstrat", "skill 'push' has no demonstrator"),
        ("place.py", "return to_action(self.spec, *self._motion", "return self.spac, (self._motion", "AttributeError"),
        ("push.py", "self._velocity(state), CLOSE)", "self._velocity(state), CLOSE)[1:]", "action has shape (3,)"),
        ("push.py", "self._velocity(state), CLOSE)", "self._velocity(state), np.nan)", "action is not finite"),
        ("task.yaml", "[0.45, 0.0, 0.25]", "[0.95, 0.0, 0.25]", "out of the reach of the arm panda"),
        ("scene.xml", 'solref="0.01 1"', 'solref="0.3 1"', "mm in each other at rest"),
    ],
)
def test_what_is_wrong_in_the_simulation_is_named_with_its_place(
    new: Path, capfd: pytest.CaptureFixture[str], file: str, old: str, with_: str, expected: str
):
    change(new, file, old, with_)
    code, lines = check(new, capfd)
    assert code == 1
    found = [line for line in lines if expected in line]
    assert found, lines
    assert len(set(found)) == len(found)
    assert found[0].startswith((f"{new / file}, line ", f"{new / 'task.yaml'}, line ", f"{new / 'scene.xml'}: "))


@pytest.mark.parametrize(
    ("key", "old", "with_"),
    [
        ("skills.place.starts.block", "block: {x: [0.40, 0.50]", "block: {x: [0.40, 0.95]"),  # at one end alone
        ("skills.place.done.block", "block: {at: mark, x: [-0.008, 0.008]", "block: {at: mark, x: [-0.008, 0.6]"),
    ],
)
def test_a_start_beyond_the_arms_reach_is_named_once_with_its_line(
    new: Path, capfd: pytest.CaptureFixture[str], key: str, old: str, with_: str
):
    change(new, "task.yaml", "target: mark, x: [-0.03, 0.03], ", "target: mark, ")
    line = change(new, "task.yaml", old, with_)
    code, lines = check(new, capfd)
    assert code == 1
    (message,) = lines
    where = f"{new / 'task.yaml'}, line {line}: {key}: start of '{'push' if 'done' in key else 'place'}': "
    assert message.startswith(f"{where}hand position [")
    assert message.endswith("out of the reach of the arm panda: place it within reach")


def test_a_start_that_python_puts_beyond_the_arms_reach_is_named_with_its_line(
    new: Path, capfd: pytest.CaptureFixture[str]
):
    far = "def place(self, world, rng, when):\n        world.put('block', [0.95, 0.2, 0.02])\n\n    def demonstrate"
    line = change(new, "place.py", "def demonstrate", far)
    code, lines = check(new, capfd)
    assert code == 1
    assert any(each.startswith(f"{new / 'place.py'}, line {line}: start of 'place': hand position") for each in lines)
