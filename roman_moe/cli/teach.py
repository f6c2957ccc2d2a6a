"""`roman-moe teach`: trains a skill's new expert, and swaps it into the running graph if it is no worse."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.prompt import Confirm

from roman_moe.cli import options as opt
from roman_moe.cli.evaluate import report_table
from roman_moe.cli.graph_options import GraphOptions
from roman_moe.cli.parsing import unknown_word
from roman_moe.cli.progress import CountProgress
from roman_moe.cli.record import Record
from roman_moe.cli.swap import Swap, expert_of, running_expert
from roman_moe.cli.teleop import KEYBOARD
from roman_moe.core.errors import ConfigError, DemonstrationError, RomanError
from roman_moe.core.paths import config_path

if TYPE_CHECKING:
    from roman_moe.core.spec import TaskSpec
    from roman_moe.learning.demonstration_sets import DemonstrationSet
    from roman_moe.sim.task import SimTask


CORRECTIONS_ALONE = (
    "these are corrections alone: an expert that is shown nothing else forgets what it could; give the old "
    "demonstrations with them, such as --demos fixes,demos=2"
)


@dataclass(frozen=True, kw_only=True)
class Teach(GraphOptions):
    """Teach a skill: demonstrations, training, comparison, swap."""

    skill: tyro.conf.Positional[str]
    """The skill; `roman-moe tasks info TASK` lists them."""

    demos: Annotated[str, tyro.conf.arg(metavar="FOLDER[=WEIGHT],...")] = "demos"
    """Datasets of demonstrations and corrections, each with its weight, such as fixes,demos=1."""

    record: opt.Natural = 0
    """Record this many episodes first into the first dataset, as `roman-moe record` does; a lab of its own leaves a
    running graph alone."""

    intervene: opt.Flag = False
    """With --record: record corrections of the bundle's policy, as `record --intervene` does."""

    device: Annotated[str, tyro.conf.arg(metavar="{keyboard,gamepad,spacemouse,joy}")] = KEYBOARD
    """With --record: the operator's device (docs/teleop.md)."""

    bundle: Annotated[Path, tyro.conf.arg(metavar="BUNDLE")] = Path("models/roman")
    """Bundle whose expert is trained further, by the bundle's own recipe."""

    anew: opt.Flag = False
    """Start from random weights, not from the old expert's."""

    out: opt.OptionalFolder = None
    """Folder of the new bundle; runs/teach_SKILL if not given."""

    task: opt.Simulation = ""
    """Folder of the task's simulation; by default the installed task that the demonstrations name."""

    episodes: opt.Count = 200
    """Episodes for the comparison of the old and the new expert, each alone, from the same starts."""

    noise_bound: opt.Metres = 0.005
    """Clip bound of the noise on object positions in the comparison; sigma is a third of it."""

    swap: Literal["ask", "yes", "no"] = "ask"
    """Whether to swap the new expert into the running graph, if it is no worse."""

    seed: opt.Natural = 0
    """Seed of the training and of the comparison."""

    workers: opt.Workers = 2
    json: opt.Report = None

    @property
    def needs(self) -> tuple[str, ...]:
        trained = ("torch", "onnx", "onnxruntime", "mujoco", "rosbags", "mcap")
        return (*trained, "rclpy") if self.record or self.swap == "yes" else trained

    @property
    def new_bundle(self) -> Path:
        return self.out or Path("runs") / f"teach_{self.skill}"

    def main(self) -> int:
        """0 when the new expert is no worse, whether it changed over or not; 1 if it is worse."""
        from roman_moe.control.bundle_writer import check_replaceable
        from roman_moe.control.manifest import load_manifest
        from roman_moe.evaluation.controllers import simulation_of
        from roman_moe.learning.demonstration_sets import parse_sets, sets_spec

        skills = load_manifest(self.bundle).skills
        if self.skill not in skills:
            raise ConfigError(unknown_word("skill", self.skill, skills))
        check_replaceable(self.new_bundle, force=False)
        if self.swap == "yes":
            self._check_running()
        times = Stopwatch()
        if self.record and self._record(Path(self.demos.split(",")[0].partition("=")[0])):
            return 1  # it was ended before
        times.lap("record")
        sets = parse_sets(self.demos, self.skill, "--demos")
        spec = sets_spec(sets)
        task, console = simulation_of(spec, self.task), Console()
        found = [checked(each.dataset / self.skill, each.weight) for each in sets]
        for line, _ in found:
            opt.say(console, line)
        if all(corrects for _, corrects in found):
            opt.say(console, CORRECTIONS_ALONE)
        self._train(spec, sets)
        times.lap("train")
        opt.say(console, f"{self.new_bundle}: trained; the old and the new expert do {self.episodes} episodes each")
        old, new = (self._evaluate(console, task, bundle) for bundle in (self.bundle, self.new_bundle))
        times.lap("compare")
        try:
            if is_worse(old["skills"][self.skill], new["skills"][self.skill]):
                opt.say(console, f"the new expert is worse: it is not swapped in, and stays in {self.new_bundle}")
                return 1
            return self._offer(console, self.new_bundle / f"{self.skill}.onnx")
        finally:
            times.lap("swap")
            opt.write_report(self.json, {"old": old, "new": new, "seconds": times.seconds})
            opt.say(console, str(times))

    def _check_running(self) -> None:
        """Refuse, before minutes of work, what could not change over in the end."""
        from roman_moe.nodes.bringup.graph_client import graph_client

        with graph_client(self.ros_arguments) as client:
            running = running_expert(client, self.skill)
        if running.sha256 != expert_of(self.bundle, self.skill).sha256:
            raise ConfigError(
                f"--swap yes: {self.skill} runs {running}: expected the expert of --bundle {self.bundle}, with which "
                "the new one is compared: give the bundle whose expert runs"
            )

    def _record(self, dataset: Path) -> int:
        return Record(
            namespace=self.namespace,
            ros_args=self.ros_args,
            skill=self.skill,
            intervene=self.bundle if self.intervene else None,
            bundle=self.bundle,
            task=self.task,
            device=self.device,
            episodes=self.record,
            out=dataset,
            start=self.skill,
            private=self.device != "joy",  # which is another node
        ).main()

    def _train(self, spec: TaskSpec, sets: Sequence[DemonstrationSet]) -> None:
        from roman_moe.control.manifest import load_manifest
        from roman_moe.learning.recipes.cloning import Recipe
        from roman_moe.learning.recipes.hybrid import bundles_recipe, load_hybrid_recipe
        from roman_moe.learning.runs.clone import clone_bundle

        manifest = load_manifest(self.bundle)
        hybrid = bundles_recipe(manifest, load_hybrid_recipe(config_path("training/fast.yaml"), spec))
        recipe = Recipe(manifest.rates, {name: network.clone for name, network in hybrid.networks.items()})
        networks = (self.skill,)
        clone_bundle(sets, self.new_bundle, recipe, self.seed, 1, networks, base=self.bundle, anew=self.anew)

    def _evaluate(self, console: Console, task: SimTask, bundle: Path) -> dict[str, Any]:
        from roman_moe.evaluation.evaluate import Evaluation, evaluate
        from roman_moe.sim.pose_source import TruthPoses

        poses = TruthPoses(self.noise_bound)
        evaluation = Evaluation(str(bundle), task, (), (self.skill,), self.episodes, poses, self.seed, self.workers)
        with CountProgress(console, str(bundle), self.episodes, "episodes", solved=True) as progress:
            report = evaluate(evaluation, lambda result: progress.advance(solved=result.success))
        console.print(report_table(f"{bundle}, noise of {100 * self.noise_bound:g} cm, seed {self.seed}", report))
        return report

    def _offer(self, console: Console, model: Path) -> int:
        """Change over in the running graph, if that is wanted."""
        asks = self.swap == "ask" and sys.stdin.isatty()
        options = f" --namespace {self.namespace}" if self.namespace else ""
        later = f"roman-moe swap {self.skill} {model}{options} lets the running graph change over"
        if self.swap != "yes" and not (asks and Confirm.ask(f"swap {self.skill} in the running graph?")):
            opt.say(console, later)
            return 0
        try:
            return Swap(namespace=self.namespace, ros_args=self.ros_args, network=self.skill, model=model).main()
        except RomanError:
            opt.say(console, later)
            raise


class Stopwatch:
    """Wall time of the steps of a whole.

    Attributes:
        seconds: of each step by its name, and "total" [s].
    """

    def __init__(self) -> None:
        self._began = self._lap = time.monotonic()
        self.seconds: dict[str, float] = {}

    def lap(self, step: str) -> None:
        now = time.monotonic()
        self.seconds.pop("total", None)  # it comes last
        self.seconds |= {step: round(now - self._lap, 1), "total": round(now - self._began, 1)}
        self._lap = now

    def __str__(self) -> str:
        return ", ".join(f"{step} {seconds:.0f} s" for step, seconds in self.seconds.items())


def checked(folder: Path, weight: float) -> tuple[str, bool]:
    """Check the demonstrations in a folder, and say what they are, and whether they are corrections alone.

    Raises:
        DemonstrationError: with the first thing that is wrong, and how much more there is.
    """
    from roman_moe.demos.survey import problems, survey

    found = survey(folder)
    wrong = [*found.damaged.values()]
    wrong += [f"{episode.path}: {line}" for episode in found.episodes for line in problems(episode, found.spec)]
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise DemonstrationError(f"{wrong[0]}{more}: `roman-moe demos check {folder}` lists them, `demos edit` mends")
    ticks = sum(int(episode.taught.sum()) for episode in found.episodes)
    line = f"{folder}: {len(found.episodes)} episodes, {ticks} ticks that teach, weight {weight:g}"
    return line, all(episode.policy is not None for episode in found.episodes)


def is_worse(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a new expert solves a smaller share than the old one's 95 % interval allows: then it is not offered.

    One failure more or less of 200 would be chance.
    """
    return bool(new["rate"] < old["ci95"][0])
