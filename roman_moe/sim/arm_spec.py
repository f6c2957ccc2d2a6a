"""ArmSpec: what an arm in simulation is, beside its MJCF. Ours are in `arms/`; any folder with an `arm.yaml` will do.

Joints may be any in number. A task's skills command the hand's velocity, so that an arm is a choice
like any other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from roman_moe.core.config import build, read_yaml
from roman_moe.core.errors import ConfigError
from roman_moe.core.ranges import Checked, Finite, Positive, check_ranges

ARM_FILE = "arm.yaml"
ARMS = Path(__file__).resolve().parent / "arms"


@dataclass(frozen=True)
class JointSpec(Checked):
    """A joint of the arm.

    Attributes:
        speed: that it reaches at most [rad/s].
        posture: position that the null space is drawn to [rad].
        lead: by which its servo's reference may be ahead of it [rad]: it bounds the push against what does not move.
    """

    speed: Positive
    posture: Finite
    lead: Positive = 0.05


@dataclass(frozen=True)
class ArmGripperSpec:
    """A parallel gripper.

    Attributes:
        fingers: joints whose positions add up to the opening, with their top speeds [m/s].
        actuators: that are all set to the same control value.
        stroke: the largest distance between the pads [m].
        open: control value at which it is that far open.
        closed: control value at which it is closed.
        sensors: touch sensors of the left and the right pad; one is made for each finger's body if there are none.
    """

    fingers: Mapping[str, float]
    actuators: tuple[str, ...]
    stroke: Positive
    open: float
    closed: float = 0.0
    sensors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_ranges(self)
        if len(self.fingers) != 2 or not self.actuators or len(self.sensors) not in (0, 2):
            raise ValueError(
                "fingers, actuators, sensors: expected two fingers, one actuator or more, no or two sensors"
            )
        if self.open == self.closed:
            raise ValueError(f"open {self.open}, closed {self.closed}: expected two different control values")


@dataclass(frozen=True)
class ArmFile:
    """Content of an arm.yaml.

    Attributes:
        model: its MJCF, a file of the folder.
        root: body that everything else of it hangs on.
        site: the hand, the point between the fingertips: z leaves the hand, the fingers move along y.
        joints: by name, from the base on. Each has an actuator: a servo of its position.
    """

    model: str
    root: str
    site: str
    joints: Mapping[str, JointSpec]
    gripper: ArmGripperSpec


@dataclass(frozen=True)
class ArmSpec(ArmFile):
    """An arm; `folder` is where its arm.yaml is."""

    folder: Path

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.folder.name


def known_arms() -> tuple[str, ...]:
    return tuple(sorted(file.parent.name for file in ARMS.glob(f"*/{ARM_FILE}")))


def load_arm(arm: str | os.PathLike[str]) -> ArmSpec:
    """An arm, given by its name or its folder.

    Raises:
        ConfigError: if there is none, or naming the mistake in its arm.yaml.
    """
    folder = Path(arm)
    if not (folder / ARM_FILE).is_file():
        if str(arm) not in known_arms():
            known = ", ".join(known_arms())
            raise ConfigError(f"unknown arm {str(arm)!r}: expected a folder with an {ARM_FILE}, or one of {known}")
        folder = ARMS / str(arm)
    file = folder / ARM_FILE
    content = build(ArmFile, read_yaml(file, ConfigError), str(file), ConfigError)
    return ArmSpec(**vars(content), folder=folder.resolve())
