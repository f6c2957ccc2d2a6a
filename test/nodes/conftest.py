"""Fixtures of the nodes' tests: a controller with random weights, and the rig."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bundles import write_tiny_bundle

pytest.importorskip("rclpy")

if TYPE_CHECKING:
    from ros_rig import Rig


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A controller with random weights."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny", seed=1)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    from ros_rig import Rig

    from roman_moe.nodes.base.process import ros_context

    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    with ros_context() as context:
        rig = Rig(context)
        yield rig
        rig.close()


@pytest.fixture
def shared_rig(own_domain: int) -> Iterator[Rig]:
    """A rig whose graph the processes that the test starts are part of, and nobody else."""
    from ros_rig import Rig

    from roman_moe.nodes.base.process import ros_context

    with ros_context() as context:
        rig = Rig(context)
        yield rig
        rig.close()
