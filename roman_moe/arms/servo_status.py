"""MoveIt Servo's status codes by name. Servo's message changed its numbers when it got a type of its own."""

from __future__ import annotations

_BOTH = ("INVALID", "NO_WARNING", "DECELERATE_FOR_APPROACHING_SINGULARITY", "HALT_FOR_SINGULARITY")  # from -1 on
_LEAVING, _COLLISION = "DECELERATE_FOR_LEAVING_SINGULARITY", ("DECELERATE_FOR_COLLISION", "HALT_FOR_COLLISION")

SERVO_STATUS = dict(enumerate((*_BOTH, _LEAVING, *_COLLISION, "JOINT_BOUND"), start=-1))
"""Of moveit_msgs/ServoStatus."""
INT8_STATUS = dict(enumerate((*_BOTH, *_COLLISION, "JOINT_BOUND", _LEAVING), start=-1))
"""Of std_msgs/Int8, as Servo sent it up to ROS 2 Humble."""

CLEAR = "NO_WARNING"


def status_name(code: int, kind: str) -> str:
    """Name of a code in a message of type `kind`, "ServoStatus" or "Int8"."""
    return (SERVO_STATUS if kind == "ServoStatus" else INT8_STATUS).get(code, f"UNKNOWN_{code}")
