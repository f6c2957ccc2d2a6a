"""Fixtures of the nodes' tests: a controller with random weights, and the rig."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from bundles import write_tiny_bundle

pytest.importorskip("rclpy")

if TYPE_CHECKING:
    from camera_cell import Cell
    from ros_rig import Rig


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A controller with random weights."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny", seed=1)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    from ros_rig import open_rig

    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    with open_rig() as rig:
        yield rig


@pytest.fixture
def shared_rig(own_domain: int) -> Iterator[Rig]:
    """A rig whose graph the processes that the test starts are part of, and nobody else."""
    from ros_rig import open_rig

    with open_rig() as rig:
        yield rig


@pytest.fixture(scope="session")
def cell_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task with two cameras and markers."""
    from camera_cell import TASK

    folder = tmp_path_factory.mktemp("cell") / "cell"
    folder.mkdir()
    (folder / "task.yaml").write_text(TASK)
    return folder


@pytest.fixture(scope="session")
def cell_images(cell_task: Path) -> dict[str, np.ndarray]:
    """Grey images of it by camera."""
    from camera_cell import drawn_cell

    from roman_moe.core.spec import read_spec

    return drawn_cell(read_spec(cell_task / "task.yaml"))


@pytest.fixture
def cell(rig: Rig, cell_task: Path, cell_images: dict[str, np.ndarray]) -> Cell:
    """The cell, with an estimator by markers that runs."""
    from camera_cell import Cell

    cell = Cell(rig, cell_task, cell_images)
    cell.place()
    cell.calibrate()
    return cell
