"""Places objects at the starts of a task.yaml, by their free joint, hinge or slide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.conditions import PlacementSpec, Range
from roman_moe.core.config import place_of
from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TASK_FILE
from roman_moe.core.state import rotated

if TYPE_CHECKING:
    from roman_moe.sim.world import World

NUMBERS = 4
"""Random numbers that a placement takes: for x, y, z and yaw; a joint takes the first."""


def place_object(world: World, name: str, placement: PlacementSpec, numbers: NDArray[np.float64]) -> None:
    """Put an object somewhere, and bring the scene's kinematics up to it.

    Args:
        world: before its physics goes on.
        numbers: random ones in [0, 1), (4,).

    Raises:
        ConfigError: if the scene has no joint by which it could be put there.
    """
    model, data = world.model, world.data
    body, joint = joint_of(world, name)
    wanted = "a joint with one degree of freedom" if placement.joint else "a free joint"
    is_free = joint >= 0 and model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE
    if joint < 0 or is_free == bool(placement.joint):
        raise ConfigError(
            f"{place_of(world.task.folder / TASK_FILE, f'objects.{name}')}: has starts, but no joint that fits in "
            f"{world.task.scene}: expected {wanted} on the body of its site"
        )
    address = int(model.jnt_qposadr[joint])
    if placement.joint:
        data.qpos[address] = _drawn(placement.joint, numbers[0], 0.0)
    else:
        _put(world, name, body, address, placement, numbers)
    world.update_kinematics()


def _put(
    world: World, name: str, body: int, address: int, placement: PlacementSpec, numbers: NDArray[np.float64]
) -> None:
    """The body goes where its site is at the position and has the heading; it stays as upright as it was."""
    data, site, yaw = world.data, world.site(name), world.site_yaw(name)
    beside = placement.at
    origin, heading = (world.site(beside), world.site_yaw(beside)) if beside else (np.zeros(3), 0.0)
    here, now = (np.zeros(3), 0.0) if beside else (site, yaw)
    ranges = (placement.x, placement.y, placement.z)
    position = origin + [_drawn(*each) for each in zip(ranges, numbers[:3], here, strict=True)]
    turn = heading + _drawn(placement.yaw, numbers[3], now) - yaw
    x, y, z = data.xpos[body] - site
    cosine, sine = np.cos(turn), np.sin(turn)
    w, *axis = data.xquat[body]
    *axis, w = rotated(np.array([*axis, w]), np.array([0.0, 0.0, turn]))
    offset = [cosine * x - sine * y, sine * x + cosine * y, z]
    data.qpos[address : address + 7] = [*(position + offset), w, *axis]


def _drawn(between: Range, number: float, otherwise: float) -> float:
    return between[0] + number * (between[1] - between[0]) if between else otherwise


def joint_of(world: World, name: str) -> tuple[int, int]:
    """Body that carries an object's site and has a joint, and that joint; -1 if there is none."""
    model = world.model
    body = int(model.site_bodyid[model.site(name).id])
    while body and not model.body_jntnum[body]:
        body = int(model.body_parentid[body])
    one = model.body_jntnum[body] == 1 and model.jnt_type[model.body_jntadr[body]] != mujoco.mjtJoint.mjJNT_BALL
    return body, int(model.body_jntadr[body]) if one else -1
