"""`roman-moe export`: from where a bundle was trained to where it is shipped, checked, with its evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from roman_moe.cli.options import Flag, OptionalFile
from roman_moe.control.identity import identify
from roman_moe.core.paths import find_shipped


@dataclass(frozen=True)
class Export:
    """Check a trained bundle in full and copy it, with its evaluation."""

    needs = ("torch", "onnx", "onnxruntime")

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SOURCE")]
    """Folder of a run, as `roman-moe train all` leaves it, or of a bundle."""

    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """Folder to write; with --force it may hold a bundle already, or be the source itself."""

    evaluation: OptionalFile = None
    """Report of `roman-moe evaluate SOURCE --json FILE` to keep in the manifest."""

    force: Flag = False
    """Replace the bundle that is in OUT already."""

    def main(self) -> int:
        """Export; 0 when the bundle is written."""
        from roman_moe.learning.export import check_replaceable
        from roman_moe.learning.shipping import ship_bundle, summary_of

        if self.evaluation is not None:
            summary_of(self.evaluation)  # before anything is replaced
        check_replaceable(self.out, self.force)
        source = find_shipped(self.source)
        if (source / "run.json").is_file():
            from roman_moe.learning.hybrid.run import bundle_of

            bundle_of(source, self.out, self.evaluation)
        else:
            print(f"source: {identify(source)}")
            ship_bundle(source, self.out, self.evaluation)
        print(f"{identify(self.out.absolute())}: written")
        return 0
