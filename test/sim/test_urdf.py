"""An arm's URDF, read by MuJoCo's own reader, is the simulated arm: kinematics, ranges, inertias and shapes."""

import subprocess
import sys
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest
from worlds import TASK

from roman_moe.sim.arm_spec import known_arms, load_arm
from roman_moe.sim.urdf import TCP, arm_urdf, joint_names, roll_pitch_yaw
from roman_moe.sim.world import World
from roman_moe.wire.codec import BASE_FRAME

KEEP = '<mujoco><compiler fusestatic="false" discardvisual="false" strippath="false"/></mujoco></robot>'
LIMITS = {
    "panda": ([2.175] * 4 + [2.61] * 3, [87.0] * 4 + [12.0] * 3),
    "ur5e": ([3.1416] * 6, [150.0] * 3 + [28.0] * 3),
}
"""Top speeds and torques of the data sheets, by arm."""


@pytest.fixture(scope="module", params=LIMITS)
def lab(request):
    return World(TASK, arm=request.param)


def links(lab):
    """Names of the arm's links."""
    model = lab.model
    root = model.body(lab.arm.arm.root).id
    return [model.body(body).name for body in np.flatnonzero(model.body_rootid == root)]


def test_all_of_our_arms_are_here():
    assert set(known_arms()) == set(LIMITS)


@pytest.fixture(scope="module")
def read(lab):
    """The URDF as MuJoCo reads it, with every link and shape kept."""
    return mujoco.MjModel.from_xml_string(arm_urdf(lab.arm.arm).replace("</robot>", KEEP))


def test_links_are_where_the_labs_are_for_any_joint_positions(lab, read):
    rng, ours, theirs = np.random.default_rng(0), mujoco.MjData(lab.model), mujoco.MjData(read)
    low, high = lab.model.jnt_range[: read.njnt].T
    for _ in range(50):
        for name, value in zip(joint_names(lab.arm.arm), rng.uniform(low, high), strict=True):
            ours.joint(name).qpos[0] = theirs.joint(name).qpos[0] = value
        mujoco.mj_kinematics(lab.model, ours)
        mujoco.mj_kinematics(read, theirs)
        for link in links(lab):
            np.testing.assert_allclose(theirs.body(link).xpos, ours.body(link).xpos, atol=1e-7)
            np.testing.assert_allclose(theirs.body(link).xmat, ours.body(link).xmat, atol=1e-7)
        np.testing.assert_allclose(theirs.body(TCP).xpos, ours.site("hand").xpos, atol=1e-7)
        np.testing.assert_allclose(theirs.body(TCP).xmat, ours.site("hand").xmat, atol=1e-7)


def test_ranges_axes_and_inertias_are_the_labs(lab, read):
    assert [read.joint(i).name for i in range(read.njnt)] == list(joint_names(lab.arm.arm))
    np.testing.assert_allclose(read.jnt_range, lab.model.jnt_range[: read.njnt], atol=1e-9)
    np.testing.assert_allclose(read.jnt_axis, lab.model.jnt_axis[: read.njnt], atol=1e-9)
    for link in links(lab):
        one, other = read.body(link), lab.model.body(link)
        np.testing.assert_allclose(one.mass, other.mass, rtol=1e-9)
        np.testing.assert_allclose(one.ipos, other.ipos, atol=1e-9)
        np.testing.assert_allclose(tensor(one), tensor(other), atol=1e-8)


def tensor(body):
    """Inertia in the link's own axes."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, body.iquat)
    return matrix.reshape(3, 3) @ np.diag(body.inertia) @ matrix.reshape(3, 3).T


def test_velocity_and_effort_limits_are_the_labs(lab):
    arm = lab.arm.arm
    joints = {joint.get("name"): joint for joint in ElementTree.fromstring(arm_urdf(arm)).iter("joint")}
    limits = [joints[name].find("limit") for name in arm.joints]
    speeds, efforts = LIMITS[arm.name]
    assert [float(limit.get("velocity")) for limit in limits] == speeds
    assert [float(limit.get("effort")) for limit in limits] == efforts
    assert joints["finger_right"].find("mimic").get("joint") == "finger_left"
    assert joints["finger_left"].find("mimic") is None


def test_every_shape_is_drawn_and_what_collides_in_the_lab_collides(lab, read):
    """In the URDF as MuJoCo reads it, group 1 is drawn; what is not only drawn collides."""
    for link in links(lab):
        body = read.body(link).id
        shapes = {True: [], False: []}
        for geom in np.flatnonzero(read.geom_bodyid == body):
            shapes[bool(read.geom_group[geom] == 1)].append(shape(read, geom))
        geoms = np.flatnonzero(lab.model.geom_bodyid == lab.model.body(link).id)
        for drawn, found in shapes.items():
            there = [geom for geom in geoms if drawn or lab.model.geom_contype[geom]]
            assert_same_shapes(found, [part for geom in there for part in parts(lab.model, geom)])


def assert_same_shapes(found, expected):
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


def test_its_root_is_the_frame_of_the_messages(lab):
    robot = ElementTree.fromstring(arm_urdf(lab.arm.arm))
    links = {link.get("name") for link in robot.iter("link")}
    children = {child.get("link") for child in robot.iter("child")}
    assert links - children == {BASE_FRAME}
    assert {parent.get("link") for parent in robot.iter("parent")} <= links


def test_the_module_prints_it():
    done = subprocess.run(
        [sys.executable, "-m", "roman_moe.sim.urdf", "ur5e"], capture_output=True, text=True, check=True
    )
    assert done.stdout == arm_urdf(load_arm("ur5e"))
