"""An arm of a user's own: any number of joints, ordinary position servos, no touch sensors; mistakes are one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from specs import GRIPPER_CLOSED, GRIPPER_OPEN
from worlds import TASK

from roman_moe.core.action import Command
from roman_moe.core.errors import ConfigError
from roman_moe.sim.arm_spec import load_arm
from roman_moe.sim.world import World

YAML = """\
model: scara.xml
root: column
site: tip
joints:
  lift: {speed: 0.5, posture: 0.0, lead: 0.02}
  shoulder: {speed: 3.0, posture: 0.6}
  elbow: {speed: 3.0, posture: -1.2}
  wrist: {speed: 6.0, posture: 0.6}
gripper: {fingers: {left: 0.2, right: 0.2}, actuators: [grip], stroke: 0.08, open: 255}
"""
MJCF = """\
<mujoco model="scara">
  <compiler angle="radian" autolimits="true"/>
  <default><joint damping="2" armature="0.05"/></default>
  <worldbody>
    <body name="column" gravcomp="1">
      <geom type="cylinder" size="0.05 0.3" pos="0 0 0.2" contype="0" conaffinity="0"/>
      <body name="carriage" pos="0 0 0.46" gravcomp="1">
        <joint name="lift" type="slide" axis="0 0 1" range="-0.5 0.3"/>
        <geom type="box" size="0.06 0.06 0.03" mass="1"/>
        <body name="upper" gravcomp="1">
          <joint name="shoulder" axis="0 0 1" range="-2.5 2.5"/>
          <geom type="capsule" fromto="0 0 0 0.35 0 0" size="0.04" mass="2"/>
          <body name="fore" pos="0.35 0 0" gravcomp="1">
            <joint name="elbow" axis="0 0 1" range="-2.6 2.6"/>
            <geom type="capsule" fromto="0 0 0 0.35 0 0" size="0.03" mass="1"/>
            <body name="palm" pos="0.35 0 0" quat="0 1 0 0" gravcomp="1">
              <joint name="wrist" axis="0 0 -1" range="-3 3"/>
              <geom type="box" size="0.02 0.06 0.02" mass="0.3"/>
              <site name="tip" pos="0 0 0.15"/>
              <body name="left_finger" gravcomp="1">
                <joint name="left" type="slide" axis="0 1 0" range="0 0.04"/>
                <geom type="box" size="0.01 0.005 0.04" pos="0 0.005 0.12" mass="0.05" contype="2" conaffinity="3"/>
              </body>
              <body name="right_finger" gravcomp="1">
                <joint name="right" type="slide" axis="0 -1 0" range="0 0.04"/>
                <geom type="box" size="0.01 0.005 0.04" pos="0 -0.005 0.12" mass="0.05" contype="2" conaffinity="3"/>
              </body>
            </body>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
  <tendon>
    <fixed name="grip"><joint joint="left" coef="0.5"/><joint joint="right" coef="0.5"/></fixed>
  </tendon>
  <equality><joint joint1="left" joint2="right" solref="0.005 1"/></equality>
  <actuator>
    <position name="a" joint="lift" kp="8000" kv="800" ctrlrange="-0.5 0.3"/>
    <position name="b" joint="shoulder" kp="3000" kv="100" ctrlrange="-2.5 2.5"/>
    <position name="c" joint="elbow" kp="2000" kv="60" ctrlrange="-2.6 2.6"/>
    <position name="d" joint="wrist" kp="500" kv="10" ctrlrange="-3 3"/>
    <general name="grip" tendon="grip" ctrlrange="0 255" gainprm="0.3137255" biastype="affine" biasprm="0 -2000 -60"/>
  </actuator>
</mujoco>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "scara"
    folder.mkdir()
    (folder / "arm.yaml").write_text(YAML)
    (folder / "scara.xml").write_text(MJCF)
    return folder


def drive(world: World, velocity: list[float], opening: float, ticks: int = 20):
    for _ in range(ticks):
        state = world.step(Command(world.stamp_ns, np.array(velocity), opening))
    return state


def test_an_arm_of_four_joints_with_ordinary_servos_goes_where_it_is_told(folder: Path) -> None:
    world = World(TASK, arm=str(folder))
    world.reset(TASK.start("button"), np.random.default_rng(0))
    assert len(world.data.qpos[world.arm.joints]) == 4
    drive(world, [0.0, 0.0, 0.0], GRIPPER_OPEN)
    for axis in range(3):
        for sign in (-1.0, 1.0):
            velocity = np.zeros(3)
            velocity[axis] = 0.08 * sign
            before = world.state.hand_position
            moved = drive(world, velocity.tolist(), GRIPPER_OPEN).hand_position - before
            drive(world, [0.0, 0.0, 0.0], GRIPPER_OPEN)
            assert moved[axis] * sign == pytest.approx(0.075, abs=0.01)
            assert np.abs(np.delete(moved, axis)).max() < 0.01


def test_its_gripper_opens_and_closes_and_feels_without_sensors_of_its_own(folder: Path) -> None:
    world = World(TASK, arm=str(folder))
    world.reset(TASK.start("button"), np.random.default_rng(0))
    state = drive(world, [0.0, 0.0, 0.0], GRIPPER_OPEN)
    assert state.finger_opening == pytest.approx(0.08, abs=0.004)
    np.testing.assert_array_equal(state.finger_forces, 0.0)
    state = drive(world, [0.0, 0.0, 0.0], GRIPPER_CLOSED, 40)
    assert state.finger_opening == pytest.approx(0.0, abs=0.004)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("site: tip", "site: tool0", r"arm\.yaml: site 'tool0': scara\.xml has no such site: expected one of tip"),
        (
            "  elbow:",
            "  elbo:",
            r"arm\.yaml: joint 'elbo': .* expected one of lift, shoulder, elbow, wrist, left, right",
        ),
        ("[grip]", "[close]", r"arm\.yaml: actuator 'close': .* expected one of a, b, c, d, grip"),
        ("root: column", "root: base", r"arm\.yaml: body 'base'"),
        ("model: scara.xml", "model: none.xml", r"none\.xml"),
        ("speed: 0.5", "speed: fast", r"arm\.yaml.*speed"),
        ("posture: 0.0, ", "", r"arm\.yaml.*posture"),
        ("right: 0.2", "", r"arm\.yaml.*expected two fingers"),
    ],
)
def test_a_mistake_in_an_arm_is_one_line(folder: Path, old: str, new: str, expected: str) -> None:
    assert old in YAML
    (folder / "arm.yaml").write_text(YAML.replace(old, new))
    with pytest.raises(ConfigError, match=expected) as caught:
        World(TASK, arm=str(folder))
    assert "\n" not in str(caught.value)


def test_a_joint_without_a_servo_is_refused(folder: Path) -> None:
    (folder / "scara.xml").write_text(
        MJCF.replace('<position name="c" joint="elbow"', '<position name="c" joint="wrist"')
    )
    with pytest.raises(ConfigError, match=r"joint 'elbow': scara\.xml has no actuator of it"):
        World(TASK, arm=str(folder))


def test_names_that_scene_and_arm_share_are_one_line(folder: Path) -> None:
    (folder / "scara.xml").write_text(MJCF.replace('name="palm"', 'name="rack"'))
    with pytest.raises(ConfigError, match=r"scene\.xml with the arm scara: .*rack"):
        World(TASK, arm=str(folder))


def test_an_unknown_arm_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"unknown arm 'pandas': .*arm\.yaml, or one of panda, ur5e"):
        load_arm("pandas")
