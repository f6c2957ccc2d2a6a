"""The arm's URDF, read by MuJoCo's own URDF reader, is the arm of the lab: kinematics, ranges, inertias and shapes."""

import subprocess
import sys
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest
from worlds import roman_world

from roman_moe.core.messages import BASE_FRAME
from roman_moe.sim.arm import ARM_JOINTS, VELOCITY_LIMITS
from roman_moe.sim.urdf import TCP, arm_urdf, joint_names, roll_pitch_yaw

KEEP = '<mujoco><compiler fusestatic="false" discardvisual="false" strippath="false"/></mujoco></robot>'
LINKS = (*(f"link{i}" for i in range(8)), "hand", "finger_left", "finger_right")


@pytest.fixture(scope="module")
def lab():
    return roman_world()


@pytest.fixture(scope="module")
def read(lab):
    """The URDF as MuJoCo reads it, with every link and shape kept."""
    return mujoco.MjModel.from_xml_string(arm_urdf(lab.model).replace("</robot>", KEEP))


def test_links_are_where_the_labs_are_for_any_joint_positions(lab, read):
    rng, ours, theirs = np.random.default_rng(0), mujoco.MjData(lab.model), mujoco.MjData(read)
    low, high = lab.model.jnt_range[: ARM_JOINTS + 2].T
    for _ in range(50):
        for name, value in zip(joint_names(lab.model), rng.uniform(low, high), strict=True):
            ours.joint(name).qpos[0] = theirs.joint(name).qpos[0] = value
        mujoco.mj_kinematics(lab.model, ours)
        mujoco.mj_kinematics(read, theirs)
        for link in LINKS:
            np.testing.assert_allclose(theirs.body(link).xpos, ours.body(link).xpos, atol=1e-7)
            np.testing.assert_allclose(theirs.body(link).xmat, ours.body(link).xmat, atol=1e-7)
        np.testing.assert_allclose(theirs.body(TCP).xpos, ours.site("hand").xpos, atol=1e-7)
        np.testing.assert_allclose(theirs.body(TCP).xmat, ours.site("hand").xmat, atol=1e-7)


def test_ranges_axes_and_inertias_are_the_labs(lab, read):
    assert [read.joint(i).name for i in range(read.njnt)] == list(joint_names(lab.model))
    np.testing.assert_allclose(read.jnt_range, lab.model.jnt_range[: read.njnt], atol=1e-9)
    np.testing.assert_allclose(read.jnt_axis, lab.model.jnt_axis[: read.njnt], atol=1e-9)
    for link in LINKS:
        one, other = read.body(link), lab.model.body(link)
        np.testing.assert_allclose(one.mass, other.mass, rtol=1e-9)
        np.testing.assert_allclose(one.ipos, other.ipos, atol=1e-9)
        np.testing.assert_allclose(tensor(one), tensor(other), atol=1e-8)


def tensor(body):
    """Inertia in the link's own axes."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, body.iquat)
    return matrix.reshape(3, 3) @ np.diag(body.inertia) @ matrix.reshape(3, 3).T


def test_velocity_and_effort_limits_are_the_labs():
    joints = {joint.get("name"): joint for joint in ElementTree.fromstring(arm_urdf()).iter("joint")}
    limits = [joints[f"joint{i + 1}"].find("limit") for i in range(ARM_JOINTS)]
    assert [float(limit.get("velocity")) for limit in limits] == VELOCITY_LIMITS.tolist()
    assert [float(limit.get("effort")) for limit in limits] == [87.0] * 4 + [12.0] * 3
    assert joints["finger_right"].find("mimic").get("joint") == "finger_left"
    assert joints["finger_left"].find("mimic") is None


@pytest.mark.parametrize("link", LINKS)
def test_every_shape_is_drawn_and_what_collides_in_the_lab_collides(lab, read, link):
    """In the URDF as MuJoCo reads it, group 1 is drawn; what is not only drawn collides."""
    body = read.body(link).id
    shapes = {True: [], False: []}
    for geom in np.flatnonzero(read.geom_bodyid == body):
        shapes[bool(read.geom_group[geom] == 1)].append(shape(read, geom))
    for drawn, found in shapes.items():
        geoms = np.flatnonzero(lab.model.geom_bodyid == lab.model.body(link).id)
        expected = [part for geom in geoms if drawn or lab.model.geom_contype[geom] for part in parts(lab.model, geom)]
        assert len(found) == len(expected)
        for (kind, size, place, turn), (kind_too, size_too, place_too, turn_too) in zip(found, expected, strict=True):
            assert kind == kind_too
            np.testing.assert_allclose(size, size_too, atol=1e-9)
            np.testing.assert_allclose(place, place_too, atol=1e-9)
            np.testing.assert_allclose(turn, turn_too, atol=1e-8)


def shape(model, geom):
    """Kind, sizes, position and axes of a geom."""
    kind = mujoco.mjtGeom(int(model.geom_type[geom]))
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, model.geom_quat[geom])
    numbers = {mujoco.mjtGeom.mjGEOM_BOX: 3, mujoco.mjtGeom.mjGEOM_SPHERE: 1}.get(kind, 2)
    return kind, model.geom_size[geom][:numbers], model.geom_pos[geom], matrix.reshape(3, 3)


def parts(model, geom):
    """A geom in URDF's shapes: a capsule is a cylinder and two spheres."""
    kind, size, place, turn = shape(model, geom)
    if kind != mujoco.mjtGeom.mjGEOM_CAPSULE:
        return [(kind, size, place, turn)]
    ends = [(mujoco.mjtGeom.mjGEOM_SPHERE, size[:1], place + side * size[1] * turn[:, 2], turn) for side in (-1, 1)]
    return [(mujoco.mjtGeom.mjGEOM_CYLINDER, size, place, turn), *ends]


@pytest.mark.parametrize("pitch", (-np.pi / 2, -1.0, 0.0, 1.0, np.pi / 2))
def test_roll_pitch_and_yaw_give_the_rotation_again(pitch):
    def turned(roll, pitch, yaw):
        quaternion, matrix = np.zeros(4), np.zeros(9)
        mujoco.mju_euler2Quat(quaternion, np.array([roll, pitch, yaw]), "XYZ")
        mujoco.mju_quat2Mat(matrix, quaternion)
        return matrix.reshape(3, 3)

    for roll, yaw in np.random.default_rng(0).uniform(-np.pi, np.pi, (20, 2)):
        np.testing.assert_allclose(
            turned(*roll_pitch_yaw(turned(roll, pitch, yaw))), turned(roll, pitch, yaw), atol=1e-7
        )


def test_its_root_is_the_frame_of_the_messages():
    robot = ElementTree.fromstring(arm_urdf())
    links = {link.get("name") for link in robot.iter("link")}
    children = {child.get("link") for child in robot.iter("child")}
    assert links - children == {BASE_FRAME}
    assert {parent.get("link") for parent in robot.iter("parent")} <= links


def test_the_module_prints_it():
    done = subprocess.run([sys.executable, "-m", "roman_moe.sim.urdf"], capture_output=True, text=True, check=True)
    assert done.stdout == arm_urdf()
