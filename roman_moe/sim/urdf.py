"""A simulated arm as URDF, for RViz, MoveIt and robot_state_publisher: made from its MuJoCo model, so that both agree.

`python -m roman_moe.sim.urdf ARM` prints it. Links, joints, ranges, inertias and shapes are the model's. The root is
`base`, the frame of all messages; `hand_tcp` is the point between the fingertips, which `hand_state` gives.
"""

from __future__ import annotations

import math
import sys
from xml.etree import ElementTree as ET

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import RomanError
from roman_moe.core.rotation import matrix
from roman_moe.sim.arm_spec import ArmSpec, load_arm
from roman_moe.sim.compose import arm_mjcf
from roman_moe.wire.codec import BASE_FRAME

TCP = "hand_tcp"


def arm_urdf(arm: ArmSpec) -> str:
    model = arm_mjcf(arm).compile()
    robot = ET.Element("robot", name=f"roman_moe_{arm.name}")
    ET.SubElement(robot, "link", name=BASE_FRAME)
    root = model.body(arm.root).id
    for body in map(int, np.flatnonzero(model.body_rootid == root)):  # parents come first
        _add_link(robot, model, body)
        _add_joint(robot, arm, model, body)
    ET.SubElement(robot, "link", name=TCP)
    fixed = ET.SubElement(robot, "joint", name=f"{TCP}_joint", type="fixed")
    site = model.site(arm.site)
    _connect(fixed, model.body(int(site.bodyid[0])).name, TCP, site.pos, site.quat)
    ET.indent(robot)
    return ET.tostring(robot, encoding="unicode", xml_declaration=True) + "\n"


def joint_names(arm: ArmSpec) -> tuple[str, ...]:
    """Names of the arm's joints, then of the fingers'."""
    return (*arm.joints, *arm.gripper.fingers)


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
    """One geom; a capsule, which URDF lacks, as a cylinder between two spheres. Meshes are left out."""
    kind, size = mujoco.mjtGeom(int(model.geom_type[geom])), model.geom_size[geom]
    position, quaternion = model.geom_pos[geom], model.geom_quat[geom]
    radius = {"radius": _numbers(size[0])}
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        shapes = [("box", {"size": _numbers(2.0 * size)}, position)]
    elif kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        shapes = [("sphere", radius, position)]
    elif kind in (mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE):
        shapes = [("cylinder", {**radius, "length": _numbers(2.0 * size[1])}, position)]
    else:
        return
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        half = _rotation(quaternion)[:, 2] * size[1]
        shapes += [("sphere", radius, end) for end in (position - half, position + half)]
    material = int(model.geom_matid[geom])
    for name, attributes, centre in shapes:
        element = ET.SubElement(link, use)
        _add_origin(element, centre, quaternion)
        ET.SubElement(ET.SubElement(element, "geometry"), name, attributes)
        if use == "visual" and material >= 0:
            look = ET.SubElement(element, "material", name=model.material(material).name)
            ET.SubElement(look, "color", rgba=_numbers(model.mat_rgba[material].astype(float)))


def _add_joint(robot: ET.Element, arm: ArmSpec, model: mujoco.MjModel, body: int) -> None:
    name, above = model.body(body).name, int(model.body_parentid[body])
    parent = model.body(above).name if above else BASE_FRAME
    placed = (parent, name, model.body_pos[body], model.body_quat[body])
    if not model.body_jntnum[body]:
        _connect(ET.SubElement(robot, "joint", name=f"{name}_joint", type="fixed"), *placed)
        return
    index = int(model.body_jntadr[body])
    joint_name = model.joint(index).name
    hinge = model.jnt_type[index] == mujoco.mjtJoint.mjJNT_HINGE
    joint = ET.SubElement(robot, "joint", name=joint_name, type="revolute" if hinge else "prismatic")
    _connect(joint, *placed)
    ET.SubElement(joint, "axis", xyz=_numbers(model.jnt_axis[index]))
    speed = arm.joints[joint_name].speed if joint_name in arm.joints else arm.gripper.fingers.get(joint_name, 0.0)
    ET.SubElement(
        joint,
        "limit",
        lower=_numbers(model.jnt_range[index, 0]),
        upper=_numbers(model.jnt_range[index, 1]),
        effort=_numbers(_effort(arm, model, index)),
        velocity=_numbers(speed),
    )
    leading, geared = arm.gripper.fingers
    if joint_name == geared:
        ET.SubElement(joint, "mimic", joint=leading)


def _effort(arm: ArmSpec, model: mujoco.MjModel, joint: int) -> float:
    """Of the joint's own actuator, else of the gripper's [N m or N]."""
    own = (model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT) & (model.actuator_trnid[:, 0] == joint)
    actuators = np.flatnonzero(own)
    actuator = int(actuators[0]) if len(actuators) else model.actuator(arm.gripper.actuators[0]).id
    return float(model.actuator_forcerange[actuator, 1])


def _connect(
    joint: ET.Element, parent: str, child: str, position: NDArray[np.float64], quaternion: NDArray[np.float64]
) -> None:
    _add_origin(joint, position, quaternion)
    ET.SubElement(joint, "parent", link=parent)
    ET.SubElement(joint, "child", link=child)


def _add_origin(element: ET.Element, position: NDArray[np.float64], quaternion: NDArray[np.float64]) -> None:
    ET.SubElement(element, "origin", xyz=_numbers(position), rpy=_numbers(roll_pitch_yaw(_rotation(quaternion))))


def _rotation(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    return matrix(np.roll(quaternion, -1))  # MuJoCo's are w, x, y, z


def roll_pitch_yaw(rotation: NDArray[np.float64]) -> tuple[float, float, float]:
    """URDF's angles: about the fixed axes x, then y, then z [rad]."""
    pitch = math.atan2(-rotation[2, 0], math.hypot(rotation[0, 0], rotation[1, 0]))
    if abs(rotation[2, 0]) > 1.0 - 1e-9:  # straight up or down: roll and yaw turn about one axis
        return 0.0, pitch, math.atan2(-rotation[0, 1], rotation[1, 1])
    return math.atan2(rotation[2, 1], rotation[2, 2]), pitch, math.atan2(rotation[1, 0], rotation[0, 0])


def _numbers(values: float | NDArray[np.float64] | tuple[float, ...]) -> str:
    return " ".join(f"{value:.10g}" for value in np.atleast_1d(values))


if __name__ == "__main__":
    try:
        print(arm_urdf(load_arm(sys.argv[1] if len(sys.argv) > 1 else "")), end="")
    except RomanError as error:
        sys.exit(str(error))
