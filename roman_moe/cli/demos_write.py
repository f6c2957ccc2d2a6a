"""`roman-moe demos edit`, `export` and `import`: verbs that write demonstrations, always to a new place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from roman_moe.cli.options import SILENT, OptionalFile, check_choice
from roman_moe.core.errors import ConfigError
from roman_moe.report.palette import label

if TYPE_CHECKING:
    from roman_moe.demos.survey import Survey

LEROBOT = "lerobot"
Format = Literal["lerobot", "robomimic"]
Name = Annotated[str, tyro.conf.arg(metavar="TEXT", help_behavior_hint=SILENT)]
EpisodeNames = Annotated[str, tyro.conf.arg(metavar="NAMES", help_behavior_hint=SILENT)]
Out = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]


def _needs(form: str) -> tuple[str, ...]:
    return ("rosbags", "mcap", *(("pyarrow", "cv2", "imageio_ffmpeg") if form == LEROBOT else ("h5py",)))


@dataclass(frozen=True)
class OnDemos:
    """A verb that reads existing demonstrations."""

    demos: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """A dataset, the folder of a network in it, or an episode."""

    def survey(self) -> Survey:
        """What is there. Raises as `demos.survey.survey`."""
        from roman_moe.demos.survey import survey

        return survey(self.demos)


@dataclass(frozen=True)
class Edit(OnDemos):
    """Delete, split and label episodes, into a new folder."""

    needs = ("rosbags", "mcap")

    out: Out
    """New folder to write; damaged episodes are left out. DIR stays unchanged."""

    delete: EpisodeNames = ""
    """Episodes to leave out, such as push/episode_003,push/episode_007."""

    split: EpisodeNames = ""
    """Episodes to cut in two, each with the time since its first scene [s], such as push/episode_003=4.5."""

    only: EpisodeNames = ""
    """Episodes to label; all if not given."""

    outcome: Name = ""
    """Label: outcome, such as success or time_limit."""

    network: Name = ""
    """Label: the skill that they teach."""

    notes: Name = ""
    """Label: notes in free text."""

    def main(self) -> int:
        from roman_moe.demos import edit

        found = self.survey()
        split = {}
        for item in _listed(self.split):
            name, _, moment = item.partition("=")
            try:
                split[name] = float(moment)
            except ValueError:
                raise ConfigError(f"--split {item}: expected an episode and a time, such as {name}=4.5") from None
        labels = {key: text for key in ("outcome", "network", "notes") if (text := getattr(self, key))}
        if self.network:
            check_choice("--network", self.network, {name: label(found.spec, name) for name in found.spec.networks})
        wanted = edit.Edit(_listed(self.delete), split, labels, _listed(self.only))
        count = edit.edit(found, self.out, wanted)
        for error in found.damaged.values():
            print(f"left out: {error}")
        print(f"{self.out}: {count} episodes")
        return 0


@dataclass(frozen=True)
class Export(OnDemos):
    """Write demonstrations as a LeRobot dataset or as robomimic's HDF5."""

    out: Out
    """New folder (lerobot) or file (robomimic) to write."""

    to: Format
    """LeRobotDataset v3.0, or robomimic's HDF5."""

    @property
    def needs(self) -> tuple[str, ...]:
        return _needs(self.to)

    @property
    def folder(self) -> Path:
        return self.out if self.to == LEROBOT else self.out.parent

    def main(self) -> int:
        if self.to == LEROBOT:
            from roman_moe.demos.convert.lerobot import write_lerobot as write
        else:
            from roman_moe.demos.convert.robomimic import write_robomimic as write
        for note in write(self.survey(), self.out):
            print(f"left out: {note}")
        print(f"{self.out}: written for {self.to}")
        return 0


@dataclass(frozen=True)
class Import:
    """Import a LeRobot dataset or robomimic's HDF5."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """Exported folder (lerobot) or file (robomimic); with --mapping, any LeRobot dataset."""

    out: Out
    """New folder for the dataset."""

    from_: Annotated[Format, tyro.conf.arg(name="from")]
    """LeRobotDataset v3.0, or robomimic's HDF5."""

    mapping: OptionalFile = None
    """YAML file that maps columns to parts of a task (docs/demonstrations.md)."""

    @property
    def needs(self) -> tuple[str, ...]:
        return _needs(self.from_)

    def main(self) -> int:
        if self.from_ != LEROBOT:
            from roman_moe.demos.convert.robomimic import read_robomimic

            if self.mapping:
                raise ConfigError("--mapping: only valid with --from lerobot")
            count = read_robomimic(self.source, self.out)
        elif self.mapping:
            from roman_moe.demos.convert.lerobot_mapping import read_foreign

            count = read_foreign(self.source, self.out, self.mapping)
        else:
            from roman_moe.demos.convert.lerobot import read_lerobot

            count = read_lerobot(self.source, self.out)
        print(f"{self.out}: {count} episodes")
        return 0


def _listed(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())
