"""`roman-moe demos export` and `import`: demonstrations in LeRobot's and robomimic's formats, and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from roman_moe.cli.options import OptionalFile
from roman_moe.core.errors import ConfigError

LEROBOT = "lerobot"
Format = Literal["lerobot", "robomimic"]
Out = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]


def _needs(form: str) -> tuple[str, ...]:
    return ("rosbags", "mcap", "pyarrow" if form == LEROBOT else "h5py")


@dataclass(frozen=True)
class Export:
    """Write demonstrations as a LeRobot dataset or as robomimic's HDF5."""

    demos: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """A dataset, the folder of a network in it, or an episode."""

    out: Out
    """Folder (lerobot) or file (robomimic) to write, not there yet."""

    to: Format
    """LeRobotDataset v3.0, or robomimic's HDF5."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Packages that it does not run without."""
        return _needs(self.to)

    @property
    def folder(self) -> Path:
        """Where it writes."""
        return self.out if self.to == LEROBOT else self.out.parent

    def main(self) -> int:
        """0 when it is written; what is left out is said."""
        from roman_moe.demos.edit import images
        from roman_moe.demos.survey import survey

        found = survey(self.demos)
        if self.to == LEROBOT:
            from roman_moe.demos.convert.lerobot import write_lerobot as write
        else:
            from roman_moe.demos.convert.robomimic import write_robomimic as write
        notes = write(found, self.out)
        seen = sum(bool(images(episode)) for episode in found.episodes)
        notes += [f"images of {seen} episodes: they are not converted"] if seen else []
        for note in notes:
            print(f"left out: {note}")
        print(f"{self.out}: written for {self.to}")
        return 0


@dataclass(frozen=True)
class Import:
    """Make demonstrations of a LeRobot dataset or robomimic's HDF5."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """What was exported: folder (lerobot) or file (robomimic); with --mapping anybody's LeRobot dataset."""

    out: Out
    """Folder of the dataset to write, not there yet."""

    from_: Annotated[Format, tyro.conf.arg(name="from")]
    """LeRobotDataset v3.0, or robomimic's HDF5."""

    mapping: OptionalFile = None
    """YAML file that says which columns are what of a task (docs/demonstrations.md)."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Packages that it does not run without."""
        return _needs(self.from_)

    def main(self) -> int:
        """0 when it is written."""
        if self.from_ != LEROBOT:
            from roman_moe.demos.convert.robomimic import read_robomimic

            if self.mapping:
                raise ConfigError("--mapping: expected it with --from lerobot alone")
            count = read_robomimic(self.source, self.out)
        elif self.mapping:
            from roman_moe.demos.convert.foreign import read_foreign

            count = read_foreign(self.source, self.out, self.mapping)
        else:
            from roman_moe.demos.convert.lerobot import read_lerobot

            count = read_lerobot(self.source, self.out)
        print(f"{self.out}: {count} episodes")
        return 0
