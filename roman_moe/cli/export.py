"""`roman-moe export`: copies a trained bundle, or adds metadata to a network that was trained elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from roman_moe.cli.options import SILENT, Flag, OptionalFile
from roman_moe.control.identity import identify
from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import find_shipped
from roman_moe.core.spec import GATE, TaskSpec

Place = Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(help_behavior_hint=SILENT)]
RUN_NEEDS = ("torch", "stable_baselines3", "tensorboard", "onnx", "onnxruntime", "mujoco", "gymnasium", "rosbags")
"""Packages with which a run is read: it is by the code that trained it."""


@dataclass(frozen=True)
class Export:
    """Check a trained bundle and copy it; with --from, import a network."""

    source: Annotated[Place, tyro.conf.arg(metavar="SOURCE")] = None
    """Folder of a run of `roman-moe train all` or `train multitask`, or of a bundle."""

    out: Annotated[Place, tyro.conf.arg(metavar="OUT")] = None
    """Folder to write; with --force it may contain a bundle, or be the source itself."""

    evaluation: OptionalFile = None
    """Report of `roman-moe evaluate SOURCE --json FILE` to keep in the manifest."""

    force: Flag = False
    """Replace an existing bundle in OUT, or the file or network of --to."""

    gate: Annotated[str, tyro.conf.arg(metavar="BUNDLE", help_behavior_hint=SILENT)] = ""
    """With a run of `train multitask`: bundle whose gate weighs its experts; the task's shipped one if not given."""

    from_: Annotated[Path | None, tyro.conf.arg(name="from", metavar="FILE", help_behavior_hint=SILENT)] = None
    """A network trained elsewhere: a .onnx file, or a .zip of Stable-Baselines3 (PPO, A2C or SAC with an MlpPolicy)."""

    skill: Annotated[str, tyro.conf.arg(metavar="SKILL", help_behavior_hint=SILENT)] = ""
    """With --from: the expert's skill, such as push, or gate."""

    to: Annotated[Path | None, tyro.conf.arg(metavar="OUT", help_behavior_hint=SILENT)] = None
    """With --from: file to write, SKILL.onnx if not given; or folder of a bundle in which the network is replaced."""

    features: Annotated[str, tyro.conf.arg(metavar="NAMES", help_behavior_hint=SILENT)] = ""
    """With --from: observed features, in order; the task's if not given."""

    rate: Annotated[float | None, tyro.conf.arg(metavar="HZ", help_behavior_hint=SILENT)] = None
    """With --from: rate at which the network runs; the task's, 20 for an expert of roman, if not given."""

    top_speed: Annotated[float | None, tyro.conf.arg(metavar="M/S", help_behavior_hint=SILENT)] = None
    """With --from: hand speed of an expert's action of 1; the task's if not given."""

    task: Annotated[str, tyro.conf.arg(metavar="TASK", help_behavior_hint=SILENT)] = ""
    """With --from: name or folder of the task; by default that of the bundle in --to, or roman."""

    normalization: OptionalFile = None
    """With --from policy.zip: file of VecNormalize.save, if the policy was trained with one."""

    @property
    def needs(self) -> tuple[str, ...]:
        if self.from_ is not None:
            return ("onnx", "onnxruntime", *(("torch",) if self.from_.suffix == ".zip" else ()))
        if self.source is None:
            return ("onnxruntime",)
        if _is_run(self.source):
            return RUN_NEEDS
        if _is_multitask(self.source):
            return ("torch", "onnx", "onnxruntime", "mujoco", "gymnasium")
        return ("onnxruntime",)

    @property
    def new_bundle(self) -> Path | None:
        """Folder that is replaced as a whole."""
        return self.to if self.from_ is not None and self.to is not None and self.to.is_dir() else self.out

    def main(self) -> int:
        if self.from_ is not None:
            return self._import(self.from_)
        if self.source is None or self.out is None:
            raise ConfigError("export: expected SOURCE and OUT, or --from FILE --skill SKILL")
        if self.skill or self.to or self.features or self.rate or self.top_speed or self.task or self.normalization:
            raise ConfigError("--skill, --to, --features, --rate, --top-speed, --task and --normalization: for --from")
        if _is_multitask(self.source):
            self._write_multitask(self.source, self.out)
        elif self.gate:
            raise ConfigError("--gate: only valid with a folder of `roman-moe train multitask`")
        else:
            self._ship(self.source, self.out)
        print(f"{identify(self.out.absolute())}: written")
        return 0

    def _ship(self, source: Path, out: Path) -> None:
        from roman_moe.control.bundle_writer import check_replaceable
        from roman_moe.learning.runs.shipping import ship_bundle, summary_of

        if self.evaluation is not None:
            summary_of(self.evaluation)  # before anything is replaced
        check_replaceable(out, self.force)
        source = find_shipped(source)
        if _is_run(source):
            from roman_moe.learning.runs.run import bundle_of

            bundle_of(source, out, self.evaluation)
        else:
            print(f"source: {identify(source)}")
            ship_bundle(source, out, self.evaluation)

    def _write_multitask(self, source: Path, out: Path) -> None:
        from roman_moe.control.bundle_writer import check_replaceable
        from roman_moe.learning.runs.multitask_bundle import write_multitask_bundle

        if self.evaluation is not None:
            raise ConfigError("--evaluation: only valid with a bundle: evaluate OUT, then export it with its report")
        check_replaceable(out, self.force)
        write_multitask_bundle(source, out, self.gate)

    def _import(self, file: Path) -> int:
        if self.source is not None or self.evaluation is not None:
            raise ConfigError("--from: takes --skill and --to, and no SOURCE, OUT or --evaluation")
        spec = self._spec()
        if self.skill not in spec.networks:
            raise ConfigError(f"--skill {self.skill!r}: expected one of {', '.join(spec.networks)}")
        rate = self.rate if self.rate is not None else spec.gate_rate if self.skill == GATE else spec.control_rate
        top_speed = self.top_speed if self.top_speed is not None else spec.action.top_speed
        for name, value in (("rate", rate), ("top-speed", top_speed)):
            if not 0.0 < value < float("inf"):
                raise ConfigError(f"--{name} {value}: expected more than 0")
        to = self.to or Path(f"{self.skill}.onnx")
        if not to.is_dir() and to.suffix != ".onnx":
            raise ConfigError(f"--to {to}: expected a file .onnx, or the folder of a bundle that is there")
        if to.exists() and not self.force:
            raise ConfigError(f"{to}: is there already: choose another --to, or replace it with --force")
        from roman_moe.cli.outputs import check_file
        from roman_moe.core.files import write_file
        from roman_moe.learning.external_networks import metadata_of, network_content, replace_network

        if not to.is_dir():
            check_file(to)
        features = tuple(name.strip() for name in self.features.split(",")) if self.features else ()
        metadata = metadata_of(spec, self.skill, features, rate, top_speed)
        content = network_content(spec, file, metadata, self.normalization)
        if to.is_dir():
            replace_network(to, self.skill, content, file)
        else:
            write_file(to, content)
        print(f"{to}: written, for task {spec.name}")
        return 0

    def _spec(self) -> TaskSpec:
        from roman_moe.control.manifest import load_manifest
        from roman_moe.core.tasks import load_spec

        if self.to is not None and self.to.is_dir() and not self.task:
            return load_manifest(self.to).task
        return load_spec(self.task or "roman")


def _is_multitask(folder: Path) -> bool:
    return (folder / "multitask.json").is_file()


def _is_run(folder: Path) -> bool:
    return (find_shipped(folder) / "run.json").is_file()
