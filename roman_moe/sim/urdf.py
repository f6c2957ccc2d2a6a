"""The lab's arm as URDF, for RViz, MoveIt and robot_state_publisher: made from the MuJoCo model, so that both agree.

`python -m roman_moe.sim.urdf` prints it. Links, joints, ranges, inertias and shapes are the model's. The root is
`base`, the frame of all messages; `hand_tcp` is the point between the fingertips, which `hand_state` gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.messages import BASE_FRAME
from roman_moe.sim.arm import ARM_JOINTS, VELOCITY_LIMITS
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.world import World

ROBOT = "roman_moe_lab"
TCP = "hand_tcp"
ROOT_BODY, HAND_BODY = "link0", "hand"
LEADING_FINGER, GEARED_FINGER = "finger_left", "finger_right"
FINGER_SPEED = 0.2  # [m/s] franka_description's limit of its finger joints


def arm_urdf(model: mujoco.MjModel | None = None) -> str:
    """URDF of the arm in a lab's model, which is loaded if None."""
    model = model or World(load_sim_task("roman")).model
    robot = ET.Element("robot", name=ROBOT)
    ET.SubElement(robot, "link", name=BASE_FRAME)
    for body in _arm_bodies(model):
        _add_link(robot, model, body)
        _add_joint(robot, model, body)
    ET.SubElement(robot, "link", name=TCP)
    fixed = ET.SubElement(robot, "joint", name=f"{TCP}_joint", type="fixed")
    _connect(fixed, HAND_BODY, TCP, model.site(HAND_BODY).pos, model.site(HAND_BODY).quat)
    ET.indent(robot)
    return ET.tostring(robot, encoding="unicode", xml_declaration=True) + "\n"


def joint_names(model: mujoco.MjModel) -> tuple[str, ...]:
    """Names of the arm's joints, then of the fingers', in the order of `qpos`."""
    return tuple(model.joint(index).name for index in range(ARM_JOINTS + 2))


def _arm_bodies(model: mujoco.MjModel) -> Iterator[int]:
    """The arm's bodies, parents first."""
    root = model.body(ROOT_BODY).id
    yield from (body for body in range(model.nbody) if model.body_rootid[body] == root)


def _add_link(robot: ET.Element, model: mujoco.MjModel, body: int) -> None:
    link = ET.SubElement(robot, "link", name=model.body(body).name)
    inertial = ET.SubElement(link, "inertial")
    _add_origin(inertial, model.body_ipos[body], model.body_iquat[body])
    ET.SubElement(inertial, "mass", value=_numbers(model.body_mass[body]))
    xx, yy, zz = (_numbers(value) for value in model.body_inertia[body])
    ET.SubElement(inertial, "inertia", ixx=xx, iyy=yy, izz=zz, ixy="0", ixz="0", iyz="0")
    first = int(model.body_geomadr[body])
    for geom in range(first, first + int(model.body_geomnum[body])):
        for use in ("visual", "collision") if model.geom_contype[geom] else ("visual",):
            _add_shapes(link, use, model, geom)


def _add_shapes(link: ET.Element, use: str, model: mujoco.MjModel, geom: int) -> None:
    """One geom; a capsule, which URDF lacks, as a cylinder between two spheres."""
    kind, size = model.geom_type[geom], model.geom_size[geom]
    position, quaternion = model.geom_pos[geom], model.geom_quat[geom]
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        shapes = [("box", {"size": _numbers(2.0 * size)}, position)]
    else:
        shapes = [("cylinder", {"radius": _numbers(size[0]), "length": _numbers(2.0 * size[1])}, position)]
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        half = _rotation(quaternion)[:, 2] * size[1]
        shapes += [("sphere", {"radius": _numbers(size[0])}, end) for end in (position - half, position + half)]
    material = model.geom_matid[geom]
    for name, attributes, centre in shapes:
        element = ET.SubElement(link, use)
        _add_origin(element, centre, quaternion)
        ET.SubElement(ET.SubElement(element, "geometry"), name, attributes)
        if use == "visual":
            look = ET.SubElement(element, "material", name=model.material(material).name)
            ET.SubElement(look, "color", rgba=_numbers(model.mat_rgba[material].astype(float)))


def _add_joint(robot: ET.Element, model: mujoco.MjModel, body: int) -> None:
    name, above = model.body(body).name, int(model.body_parentid[body])
    parent = model.body(above).name if above else BASE_FRAME
    placed = (parent, name, model.body_pos[body], model.body_quat[body])
    if not model.body_jntnum[body]:
        _connect(ET.SubElement(robot, "joint", name=f"{name}_joint", type="fixed"), *placed)
        return
    index = int(model.body_jntadr[body])
    hinge = model.jnt_type[index] == mujoco.mjtJoint.mjJNT_HINGE
    joint = ET.SubElement(robot, "joint", name=model.joint(index).name, type="revolute" if hinge else "prismatic")
    _connect(joint, *placed)
    ET.SubElement(joint, "axis", xyz=_numbers(model.jnt_axis[index]))
    ET.SubElement(
        joint,
        "limit",
        lower=_numbers(model.jnt_range[index, 0]),
        upper=_numbers(model.jnt_range[index, 1]),
        effort=_numbers(model.actuator(model.joint(index).name).forcerange[1]),
        velocity=_numbers(VELOCITY_LIMITS[index] if index < ARM_JOINTS else FINGER_SPEED),
    )
    if model.joint(index).name == GEARED_FINGER:
        ET.SubElement(joint, "mimic", joint=LEADING_FINGER)


def _connect(
    joint: ET.Element, parent: str, child: str, position: NDArray[np.float64], quaternion: NDArray[np.float64]
) -> None:
    _add_origin(joint, position, quaternion)
    ET.SubElement(joint, "parent", link=parent)
    ET.SubElement(joint, "child", link=child)


def _add_origin(element: ET.Element, position: NDArray[np.float64], quaternion: NDArray[np.float64]) -> None:
    ET.SubElement(element, "origin", xyz=_numbers(position), rpy=_numbers(roll_pitch_yaw(_rotation(quaternion))))


def _rotation(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def roll_pitch_yaw(rotation: NDArray[np.float64]) -> tuple[float, float, float]:
    """URDF's angles: about the fixed axes x, then y, then z [rad]."""
    pitch = math.atan2(-rotation[2, 0], math.hypot(rotation[0, 0], rotation[1, 0]))
    if abs(rotation[2, 0]) > 1.0 - 1e-9:  # straight up or down: roll and yaw turn about one axis
        return 0.0, pitch, math.atan2(-rotation[0, 1], rotation[1, 1])
    return math.atan2(rotation[2, 1], rotation[2, 2]), pitch, math.atan2(rotation[1, 0], rotation[0, 0])


def _numbers(values: float | NDArray[np.float64] | tuple[float, ...]) -> str:
    return " ".join(f"{value:.10g}" for value in np.atleast_1d(values))


if __name__ == "__main__":
    print(arm_urdf(), end="")
