"""`roman-moe train bc`: from demonstrations to a controller bundle by behaviour cloning."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from roman_moe.core.errors import ConfigError
from roman_moe.core.files import write_json
from roman_moe.core.paths import config_path
from roman_moe.core.skills import SKILLS

if TYPE_CHECKING:
    from roman_moe.learning.clone import ClonedNetwork


@dataclass(frozen=True)
class Train:
    """Train the networks of a controller from demonstrations and export them as a bundle, complete or not at all."""

    method: tyro.conf.Positional[Literal["bc"]]
    """How: bc is behaviour cloning."""

    demos: Path = Path("demos")
    """Folder with the demonstrations, as `roman-moe collect` makes it."""

    out: Path = Path("models/roman")
    """Folder of the bundle; an older bundle there is replaced when all went well."""

    recipe: Path | None = None
    """YAML file with every number of the training; config/training/bc.yaml if not given."""

    networks: str = "all"
    """Which to train: all, or some, such as push,gate; the others stay as they are in the bundle."""

    seed: int = 0
    """Seed of initial weights, batches, noise, and of which demonstrations are held out."""

    workers: int = 2
    """Processes, a network each at a time; the result does not depend on it."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the errors of the networks on their demonstrations to this file."""

    def main(self) -> int:
        """Train; 0 when the bundle is written."""
        from roman_moe.learning.clone import clone_bundle
        from roman_moe.learning.recipe import load_recipe

        for name, value, least in (("seed", self.seed, 0), ("workers", self.workers, 1)):
            if value < least:
                raise ConfigError(f"--{name} {value}: expected {least} or more")
        names = parse_networks(self.networks)
        recipe = load_recipe(self.recipe or config_path("training/bc.yaml"))
        console = Console()
        began = time.monotonic()
        report: dict[str, object] = {}
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("networks"),
            TimeElapsedColumn(),
            console=console,
        )
        with progress:
            bar = progress.add_task(str(self.out), total=len(names))

            def done(cloned: ClonedNetwork) -> None:
                report[cloned.network] = cloned.provenance
                errors = (
                    f"{name.replace('_', ' ')} {value:.3f}" for name, value in cloned.provenance["errors"].items()
                )
                progress.console.print(f"{cloned.network:16} {', '.join(errors)}", highlight=False, soft_wrap=True)
                progress.advance(bar)

            clone_bundle(self.demos, self.out, recipe, self.seed, self.workers, names, done)
        console.print(f"{self.out}: written after {time.monotonic() - began:.0f} s", soft_wrap=True)
        if self.json:
            write_json(self.json, {"bundle": str(self.out), "networks": report})
        return 0


def parse_networks(text: str) -> tuple[str, ...]:
    """Names in text such as "push,gate", or all of them for "all".

    Raises:
        ConfigError: naming the first that is no network.
    """
    known = (*SKILLS, "gate")
    names = known if text == "all" else tuple(dict.fromkeys(text.replace(" ", "").split(",")))
    for name in names:
        if name not in known:
            raise ConfigError(f"--networks: unknown network {name!r}: expected all, or some of {', '.join(known)}")
    return names
