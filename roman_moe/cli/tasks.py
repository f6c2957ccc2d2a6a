"""`roman-moe tasks`: lists, shows, checks and creates tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro
from rich.console import Console
from rich.table import Table

from roman_moe.cli.options import Count, OptionalFile, SimulatedArm, say, write_report
from roman_moe.cli.user_errors import missing
from roman_moe.core.errors import ConfigError, MissingDependencyError
from roman_moe.core.features import feature_layout
from roman_moe.core.files import write_json
from roman_moe.core.spec import TaskSpec
from roman_moe.core.tasks import known_tasks, load_spec, new_task, task_folder

Task = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]


@dataclass(frozen=True)
class List:
    """List the tasks that are shipped or installed."""

    json: OptionalFile = None
    """Write the list to this file."""

    def main(self) -> int:
        """0 when it is shown; a task that cannot be read is shown with the reason."""
        rows: list[dict[str, Any]] = []
        for name, folder in known_tasks().items():
            try:
                spec = load_spec(folder)
                rows.append({"name": name, "title": title_of(spec), "skills": list(spec.skills), "folder": str(folder)})
            except ConfigError as error:
                rows.append({"name": name, "title": str(error), "skills": [], "folder": str(folder)})
        for row in rows:
            print(f"{row['name']}: {row['title']}")
            if row["skills"]:
                print(f"  skills: {', '.join(row['skills'])}")
            print(f"  folder: {row['folder']}")
        write_report(self.json, {"tasks": rows})
        return 0


@dataclass(frozen=True)
class Info:
    """Show a task: objects, skills, scenarios, actions and features."""

    task: Task
    """The task, by its name or folder."""

    json: OptionalFile = None
    """Write it to this file."""

    def main(self) -> int:
        spec = load_spec(self.task)
        console = Console()
        say(console, f"{spec.name}: {title_of(spec)}")
        for table in info_tables(spec):
            console.print(table)
        say(console, f"sha256 {spec.digest}")
        if self.json:
            features = {name: list(found) for name, found in feature_layout(spec).observations.items()}
            write_json(self.json, {"task": spec.to_dict(), "sha256": spec.digest, "features": features})
        return 0


@dataclass(frozen=True)
class Check:
    """Check a task: description, arm, starts and demonstrators."""

    task: Task
    """The task, by its name or folder."""

    episodes: Count = 5
    """Number of starts of each kind to try, and of demonstrations."""

    arm: SimulatedArm = ""
    """Name or folder of the arm to check with; the task's own if not given."""

    def main(self) -> int:
        """0 if nothing is wrong; 1 if something is, 2 if task.yaml cannot be read: one line a mistake."""
        folder = task_folder(self.task)
        console = Console()
        try:
            spec = load_spec(folder)
        except ConfigError as error:
            for mistake in error.others:
                say(console, mistake)
            raise
        if not any(folder.glob("*.py")) and not any(folder.rglob("*.xml")):
            console.print(f"{folder}: task {spec.name!r} is right: a description alone, without simulation")
            return 0
        if line := missing(["mujoco"]):
            raise MissingDependencyError(line)
        from roman_moe.evaluation.task_check import check_task

        problems = check_task(
            folder, self.episodes, self.arm, lambda step: console.print(f"checking {step}", style="dim")
        )
        for problem in problems:
            say(console, problem)
        if not problems:
            say(console, f"{folder}: task {spec.name!r} is right")
        return 1 if problems else 0


@dataclass(frozen=True)
class New:
    """Write the smallest complete task, a template for your own."""

    path: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder to write; its name becomes the task's."""

    def main(self) -> int:
        folder = new_task(self.path)
        print(f"{folder}: written; next: roman-moe tasks check {folder}")
        return 0


class Tasks:
    """List, show, check and create tasks."""

    PARTS: ClassVar[Mapping[str, type]] = {part.__name__.lower(): part for part in (List, Info, Check, New)}


def title_of(spec: TaskSpec) -> str:
    return spec.title or spec.name


def info_tables(spec: TaskSpec) -> list[Table]:
    objects = Table("object", "moves", "orientation", "symmetry", title="Objects", title_justify="left")
    for name, each in spec.objects.items():
        objects.add_row(name, "yes" if each.moves else "no", each.orientation, str(each.symmetry))
    skills = Table("skill", "observes", "time limit", title="Skills", title_justify="left")
    for name, skill in spec.skills.items():
        skills.add_row(name, ", ".join(skill.observes), f"{skill.time_limit:g} s")
    skills.add_row("gate", ", ".join(spec.gate.observes), "")
    scenarios = Table("scenario", "begins with", "time limit", title="Scenarios", title_justify="left")
    for number, scenario in enumerate(spec.scenarios):
        scenarios.add_row(str(number), scenario.first, f"{scenario.time_limit:g} s")
    action = Table("number", "full scale", title="Action", title_justify="left")
    for name in spec.action.layout:
        turns = name in spec.action.angular
        top = f"{spec.action.top_angular_speed:g} rad/s" if turns else f"{spec.action.top_speed:g} m/s"
        action.add_row(name, top if name != "gripper" else f"{spec.gripper.closed:g} to {spec.gripper.open:g} m")
    features = Table("network", "numbers", "features", title="Features", title_justify="left")
    for name, observed in feature_layout(spec).observations.items():
        features.add_row(name, str(len(observed)), ", ".join(observed))
    flags = [Table("flag", title="Flags", title_justify="left")] if spec.flags else []
    for name in spec.flags:
        flags[0].add_row(name)
    return [objects, *flags, skills, scenarios, action, features]
