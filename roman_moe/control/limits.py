"""`config/limits.yaml`: the limits that the guard enforces, as a data class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from roman_moe.core.config import build, read_yaml
from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import config_path
from roman_moe.core.ranges import Positive, Vector, check_ranges


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of an arm's motion, and of the ages of commands and poses.

    Attributes:
        speed: of the hand, norm of its linear velocity [m/s].
        acceleration: its norm [m/s^2]; stops keep to it too.
        jerk: its norm [m/s^3]; stops do not keep to it.
        angular_speed: of the hand, norm of its angular velocity [rad/s].
        angular_acceleration: its norm [rad/s^2].
        angular_jerk: its norm [rad/s^3].
        workspace_low: lowest hand position in the base frame, three numbers [m].
        workspace_high: highest hand position, three numbers [m].
        slow_down: distance from a face of the workspace within which the speed towards it shrinks to nothing [m]. At
            least speed^2 / acceleration: then slowing down there keeps to the acceleration, and a stop ends inside.
        ramp: from rest to full speed after a start or re-arm [s].
        max_command_age: of a command, by its stamp and since its receipt [s].
        max_pose_age: of an object that an expert observes [s].

    Raises:
        ValueError: naming the first that cannot be a limit.
    """

    speed: Positive
    acceleration: Positive
    jerk: Positive
    angular_speed: Positive
    angular_acceleration: Positive
    angular_jerk: Positive
    workspace_low: Vector
    workspace_high: Vector
    slow_down: Positive
    ramp: Positive
    max_command_age: Positive
    max_pose_age: Positive

    def __post_init__(self) -> None:
        check_ranges(self)
        for axis, low, high in zip("xyz", self.workspace_low, self.workspace_high, strict=True):
            if high - low <= 2.0 * self.slow_down:
                raise ValueError(f"workspace from {low} to {high} along {axis}: expected more than twice slow_down")
        least = self.speed * self.speed / self.acceleration
        if self.slow_down < least * (1.0 - 1e-9):
            raise ValueError(f"slow_down {self.slow_down}: expected speed^2 / acceleration, {least:.3g} m, or more")


def load_limits(path: str | Path = "") -> Limits:
    """Limits of a file; the shipped ones, config/limits.yaml, if none is named.

    Raises:
        ConfigError: naming file and key.
    """
    file = Path(path) if path else config_path("limits.yaml")
    return build(Limits, read_yaml(file, ConfigError), str(file), ConfigError)
