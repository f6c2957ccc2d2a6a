"""MoveIt Servo's status codes by name. Servo's message changed its numbers when it got a type of its own."""

from __future__ import annotations

from collections.abc import Mapping

SERVO_STATUS: Mapping[int, str] = {
    -1: "INVALID",
    0: "NO_WARNING",
    1: "DECELERATE_FOR_APPROACHING_SINGULARITY",
    2: "HALT_FOR_SINGULARITY",
    3: "DECELERATE_FOR_LEAVING_SINGULARITY",
    4: "DECELERATE_FOR_COLLISION",
    5: "HALT_FOR_COLLISION",
    6: "JOINT_BOUND",
}
"""Of moveit_msgs/ServoStatus."""

INT8_STATUS: Mapping[int, str] = {
    -1: "INVALID",
    0: "NO_WARNING",
    1: "DECELERATE_FOR_APPROACHING_SINGULARITY",
    2: "HALT_FOR_SINGULARITY",
    3: "DECELERATE_FOR_COLLISION",
    4: "HALT_FOR_COLLISION",
    5: "JOINT_BOUND",
    6: "DECELERATE_FOR_LEAVING_SINGULARITY",
}
"""Of std_msgs/Int8, as Servo sent it up to ROS 2 Humble."""

CLEAR = "NO_WARNING"


def status_name(code: int, kind: str) -> str:
    """Name of a code in a message of type `kind`, "ServoStatus" or "Int8"."""
    return (SERVO_STATUS if kind == "ServoStatus" else INT8_STATUS).get(code, f"UNKNOWN_{code}")
