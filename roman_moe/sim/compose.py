"""One MuJoCo model of a scene and an arm. The arm comes first: its joints and actuators are the model's first ones.

Physics options, cameras and lights are the scene's. Each actuator of an arm's joint becomes a velocity servo. It
integrates its control value into a position reference and follows that with the gains of the arm's file. The arm's own
weight is compensated.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np

from roman_moe.core.errors import ConfigError, one_line
from roman_moe.sim.arm_spec import ARM_FILE, ArmSpec

PAD_RADIUS = 0.1  # [m] of the zone in which contacts of a finger's body count, if the arm has no touch sensors


def compose(scene: mujoco.MjSpec, arm: ArmSpec, where: str) -> mujoco.MjModel:
    """Model of a scene with an arm at its base frame.

    Args:
        where: the scene's file, for errors.

    Raises:
        ConfigError: if the arm lacks what its arm.yaml names, or MuJoCo refuses the two together.
    """
    spec = arm_mjcf(arm)
    for section in ("option", "visual", "stat"):
        _copy(getattr(scene, section), getattr(spec, section))
    spec.memory = scene.memory
    try:
        with _without_warnings():
            spec.attach(scene, frame=spec.worldbody.add_frame(), prefix="")
            return spec.compile()
    except ValueError as error:
        raise ConfigError(f"{where} with the arm {arm.name}: {one_line(error)}") from error


def arm_mjcf(arm: ArmSpec) -> mujoco.MjSpec:
    """An arm alone, with velocity servos and touch sensors.

    Raises:
        ConfigError: if it lacks what its arm.yaml names, or MuJoCo refuses it.
    """
    path = arm.folder / arm.model
    try:
        spec = mujoco.MjSpec.from_file(os.fspath(path))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: {one_line(error)}") from error
    _check(spec, arm)
    for body in spec.bodies:
        body.gravcomp = 1.0  # as the controllers of real arms do
    for name, joint in arm.joints.items():
        _serve(_actuator_of(spec, arm, name), spec.joint(name), joint.speed)
    if not arm.gripper.sensors:
        for side, finger in zip(("left", "right"), arm.gripper.fingers, strict=True):
            site = spec.joint(finger).parent.add_site(name=f"pad_zone_{side}", size=[PAD_RADIUS] * 3, group=5)
            spec.add_sensor(
                name=f"pad_force_{side}",
                type=mujoco.mjtSensor.mjSENS_TOUCH,
                objtype=mujoco.mjtObj.mjOBJ_SITE,
                objname=site.name,
            )
    return spec


def touch_sensors(arm: ArmSpec) -> tuple[str, ...]:
    """Names of the sensors of the left and the right pad."""
    return arm.gripper.sensors or ("pad_force_left", "pad_force_right")


def _check(spec: mujoco.MjSpec, arm: ArmSpec) -> None:
    kinds = {
        "body": (spec.body, spec.bodies, (arm.root,)),
        "site": (spec.site, spec.sites, (arm.site,)),
        "joint": (spec.joint, spec.joints, (*arm.joints, *arm.gripper.fingers)),
        "actuator": (spec.actuator, spec.actuators, arm.gripper.actuators),
        "sensor": (spec.sensor, spec.sensors, arm.gripper.sensors),
    }
    for kind, (find, there, names) in kinds.items():
        for name in names:
            if find(name) is None:
                known = ", ".join(each.name for each in there if each.name and each.name != "world") or "none"
                raise ConfigError(
                    f"{arm.folder / ARM_FILE}: {kind} {name!r}: {arm.model} has no such {kind}: expected one of {known}"
                )


def _actuator_of(spec: mujoco.MjSpec, arm: ArmSpec, joint: str) -> Any:
    for actuator in spec.actuators:
        if actuator.trntype == mujoco.mjtTrn.mjTRN_JOINT and actuator.target == joint:
            return actuator
    raise ConfigError(f"{arm.folder / ARM_FILE}: joint {joint!r}: {arm.model} has no actuator of it: expected a servo")


def _serve(actuator: Any, joint: Any, speed: float) -> None:
    """Make a position servo one whose control value is a velocity."""
    if actuator.dyntype == mujoco.mjtDyn.mjDYN_INTEGRATOR:
        return
    actuator.dyntype = mujoco.mjtDyn.mjDYN_INTEGRATOR
    actuator.actlimited = True
    actuator.actrange = joint.range
    actuator.ctrllimited = True
    actuator.ctrlrange = [-speed, speed]


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """MuJoCo warns that a model whose names have no prefix may not be saved: ours is not."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        mujoco.set_mju_user_warning(before)


def _copy(source: Any, target: Any) -> None:
    """Copy all numbers of one of MuJoCo's structures."""
    for name in dir(source):
        value = None if name.startswith("_") else getattr(source, name)
        if isinstance(value, np.ndarray):
            getattr(target, name)[:] = value
        elif isinstance(value, int | float):
            with contextlib.suppress(AttributeError):
                setattr(target, name, value)
        elif value is not None and not callable(value):
            _copy(value, getattr(target, name))
