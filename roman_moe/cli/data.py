"""`roman-moe data`: labelled images of a task's scenes, the training data of a pose estimator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.console import Console

from roman_moe.cli.options import Cluster, Count, Folder, Natural, Task, Workers, say, workers_of
from roman_moe.cli.progress import CountProgress

SHEET = "sheet.jpg"


@dataclass(frozen=True)
class Images:
    """Draw images of a task's scenes with random appearance, with the truth."""

    needs = ("mujoco", "cv2")

    out: Folder = Path("images")
    """Folder for the images."""

    task: Task = "roman"
    count: Count = 20000
    """Number of images of all cameras together; existing ones are kept."""

    seed: Natural = 0
    """Seed of the scenes and their appearance."""

    workers: Workers = 2
    cluster: Cluster = ""

    def main(self) -> int:
        from roman_moe.evaluation.images import ImageRequest, draw_images
        from roman_moe.perception.contact_sheet import write_sheet
        from roman_moe.perception.image_set import ImageSet
        from roman_moe.sim.randomisation import Ranges
        from roman_moe.sim.registry import load_sim_task

        task = load_sim_task(self.task)
        console = Console()
        with workers_of(console, self.cluster, self.workers, [task.folder], [self.out]) as workers:
            request = ImageRequest(task, self.out, self.count, self.seed, workers, Ranges())
            with CountProgress(console, str(self.out), request.scenes, "scenes") as progress:
                draw_images(request, progress.advance)
        write_sheet(ImageSet(self.out), self.out / SHEET)
        say(console, f"{self.out}: {request.scenes} scenes; some of them in {SHEET}")
        return 0


class Data:
    """Make training data for an estimator of object poses."""

    PARTS: ClassVar[Mapping[str, type]] = {"images": Images}
