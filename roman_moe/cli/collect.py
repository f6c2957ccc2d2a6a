"""`roman-moe collect`: scripted demonstrations, reproducible from one seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from roman_moe.cli import options as opt
from roman_moe.cli.progress import CountProgress
from roman_moe.cli.selections import ALL, parse_names
from roman_moe.core.errors import ConfigError
from roman_moe.core.files import write_json
from roman_moe.core.ranges import AT_LEAST_0, SHARE

if TYPE_CHECKING:
    from roman_moe.sim.pose_source import PoseSource

OptionalNumber = Annotated[float | None, tyro.conf.arg(metavar="DEVIATION", help_behavior_hint=opt.SILENT), AT_LEAST_0]
OptionalShare = Annotated[float | None, tyro.conf.arg(metavar="SHARE", help_behavior_hint=opt.SILENT), SHARE]

GATE_DEMONSTRATIONS = 42  # ROMAN's number for the gate, over all scenarios


@dataclass(frozen=True)
class Collect:
    """Record scripted demonstrations, solved ones only."""

    out: opt.Folder = Path("demos")
    """Folder for the demonstrations, with a subfolder for each network."""

    task: opt.Task = "roman"
    source: Literal["oracle", "keyboard"] = "oracle"
    """Source: the scripted oracle, or a scripted operator that presses keys as a person does."""

    skills: opt.Names = ALL
    """Skills to demonstrate: all, or some with commas between."""

    intervene: Annotated[str, tyro.conf.arg(metavar="BUNDLE", help_behavior_hint=opt.SILENT)] = ""
    """With --source keyboard: this bundle's experts drive, and the operator takes over to correct their mistakes."""

    episodes: opt.Count = 20
    """Demonstrations per skill."""

    gate_episodes: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint=opt.SILENT), AT_LEAST_0] = None
    """Demonstrations for the gate per scenario of the task; by default enough for 42 or more in all, and none with
    --source keyboard.
    """

    poses: opt.PoseSources = "truth"
    """Source of the recorded poses: the truth, or cameras' images, as in `roman-moe evaluate`."""

    estimator: opt.Estimator = ""
    noise_bound: opt.Metres = 0.005
    """Clip bound of the noise on the recorded object positions; its sigma is a third of that. With synthetic poses it
    applies to a single frame set, without clipping.
    """

    noise_kind: opt.NoiseKind = "clipped"
    perturbation: OptionalNumber = None
    """Standard deviation of bursts added to the executed, not the recorded, actions, in units of a full action; 0.5 by
    default, 0 with --source keyboard, whose operator makes mistakes.
    """

    disturbed_share: OptionalShare = None
    """Share of the episodes with a disturbance, which moves something so that a skill has to be done again; 1 by
    default, 0 with --source keyboard.
    """

    poor_channel_share: OptionalShare = None
    """Share of the attempts over a poor channel, with commands a tick late and 30 % of them lost; 0.5 by default, 0
    with --source keyboard.
    """

    seed: opt.Natural = 0
    """Seed of the starts, the noise, the bursts, the disturbances and the lost commands."""

    workers: opt.Workers = 2
    cluster: opt.Cluster = ""
    json: opt.OptionalFile = None
    """Write the kept and the failed attempts to this file."""

    @property
    def needs(self) -> tuple[str, ...]:
        seen = {"truth": (), "camera": ("cv2", "onnxruntime")}.get(self.poses, ("cv2",))
        return ("mujoco", "rosbags", "mcap", *seen)

    def main(self) -> int:
        from roman_moe.control.identity import identify
        from roman_moe.demos.dataset import dataset_hash
        from roman_moe.evaluation.collect import Collection, collect, groups
        from roman_moe.sim.registry import load_sim_task

        task = load_sim_task(self.task)
        poses = self._pose_source()
        files = [task.folder]
        if self.poses == "camera":
            from roman_moe.evaluation.poses import usable_estimator

            files.append(usable_estimator(task, self.estimator))
        if self.intervene:
            files.append(identify(self.intervene).path)
        each = math.ceil(GATE_DEMONSTRATIONS / len(task.spec.scenarios)) if self.source == "oracle" else 0
        collection = Collection(
            task=task,
            out=self.out,
            episodes=self.episodes,
            gate_episodes=each if self.gate_episodes is None else self.gate_episodes,
            poses=poses,
            perturbation=self._share(self.perturbation, 0.5),
            disturbed_share=self._share(self.disturbed_share, 1.0),
            poor_channel_share=self._share(self.poor_channel_share, 0.5),
            seed=self.seed,
            source=self.source,
            skills=parse_names(self.skills, task.spec.skill_names, "--skills"),
            intervene=self.intervene,
        )
        console, wanted = Console(), sum(group.wanted for group in groups(collection))
        with (
            opt.workers_of(console, self.cluster, self.workers, files, [self.out]) as workers,
            CountProgress(console, str(self.out), wanted, "demonstrations") as progress,
        ):
            collection = replace(collection, workers=workers)
            kept = collect(collection, lambda result: progress.advance(int(result.success)))

        title = f"Demonstrations of task {task.spec.name} in {self.out}"
        table = Table("demonstrations", "kept", "failed attempts", title=title, title_justify="left")
        for name, row in kept.items():
            failed = zip(row["failed"], row["failed_seeds"], strict=True)
            table.add_row(
                name, str(row["kept"]), ", ".join(f"{outcome} (seed {seed})" for outcome, seed in failed) or "-"
            )
        console.print(table)
        if self.json:
            networks = sorted({name.split("/")[0] for name in kept})
            hashes = {network: dataset_hash(self.out, task.spec, network) for network in networks}
            write_json(self.json, {"seed": self.seed, "demonstrations": kept, "sha256": hashes})
        return 0

    def _share(self, given: float | None, usual: float) -> float:
        """What was given, or what is usual of the source."""
        return given if given is not None else usual if self.source == "oracle" else 0.0

    def _pose_source(self) -> PoseSource:
        from roman_moe.sim.pose_source import TruthPoses

        if self.estimator and self.poses != "camera":
            raise ConfigError("--estimator: only valid with --poses camera")
        if self.poses == "truth":
            return TruthPoses(self.noise_bound, self.noise_kind)
        from roman_moe.sim.camera_poses import CameraPoses

        return CameraPoses(self.poses, noise_bound=self.noise_bound, file=self.estimator)
