"""`roman-moe export`: from where a bundle was trained to where it is shipped, checked, with its evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Export:
    """Check a trained bundle in full and copy it, with its evaluation written into its manifest."""

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SOURCE")]
    """Folder of the bundle, as `roman-moe train` leaves it."""

    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """Folder to write; an older bundle there is replaced. It may be the source itself."""

    evaluation: Path | None = None
    """Report of `roman-moe evaluate SOURCE --json FILE` to keep in the manifest."""

    def main(self) -> int:
        """Export; 0 when the bundle is written."""
        from roman_moe.learning.shipping import ship_bundle

        ship_bundle(self.source, self.out, self.evaluation)
        print(f"{self.out}: written")
        return 0
