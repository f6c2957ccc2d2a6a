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
    """Folder of a run, as `roman-moe train all` leaves it, or of a bundle."""

    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """Folder to write; an older bundle there is replaced. It may be the source itself."""

    evaluation: Path | None = None
    """Report of `roman-moe evaluate SOURCE --json FILE` to keep in the manifest."""

    def main(self) -> int:
        """Export; 0 when the bundle is written."""
        from roman_moe.learning.shipping import ship_bundle, summary_of

        if self.evaluation is not None:
            summary_of(self.evaluation)  # before anything is replaced
        if (self.source / "run.json").is_file():
            from roman_moe.learning.hybrid.run import bundle_of

            bundle_of(self.source, self.out)
            source = self.out
        else:
            source = self.source
        if source != self.out or self.evaluation is not None:
            ship_bundle(source, self.out, self.evaluation)
        print(f"{self.out}: written")
        return 0
