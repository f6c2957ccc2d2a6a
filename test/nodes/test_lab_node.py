"""The lab node's promises: one command a tick, a held arm without one, and nothing that is not finite followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from ros_rig import Rig

from roman_moe.core.action import GRIPPER_CLOSED, GRIPPER_OPEN, Command
from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.core.messages import decode_hand_state
from roman_moe.core.skills import SKILLS
from roman_moe.lab.lab import Lab
from roman_moe.lab.starts import scenario_start, skill_start
from roman_moe.nodes.base import MALFORMED, NOT_FINITE
from roman_moe.nodes.lab_node import HELD_TICKS, LabNode, start_named
from roman_moe.nodes.record import EpisodeRecord
from roman_moe.nodes.topics import (
    CODEC,
    GATE_WEIGHTS,
    GRIPPER_COMMAND,
    HAND_STATE,
    JOINT_STATES,
    OUTCOME,
    ROBOT_DESCRIPTION,
    TWIST_COMMAND,
)

TICK_NS = 50_000_000
FORWARD = np.array([0.05, 0.0, 0.0])


class Harness:
    """A lab, commanded by hand."""

    def __init__(self, rig: Rig, **parameters: Any) -> None:
        self.rig = rig
        rig.listen(HAND_STATE)
        rig.listen(OUTCOME)
        self.node = rig.add(LabNode, **{"start": "push", "lockstep": True, **parameters})

    def command(self, tick: int, velocity: np.ndarray = FORWARD, gripper: float = GRIPPER_OPEN) -> None:
        command = Command(tick * TICK_NS, velocity, gripper)
        self.rig.send(GRIPPER_COMMAND, CODEC.gripper(command))
        self.rig.send(TWIST_COMMAND, CODEC.twist(command))

    @property
    def stamps(self) -> list[int]:
        return [decode_hand_state(message).stamp_ns for message in self.rig.heard[HAND_STATE.name]]

    def reach(self, tick: int) -> Any:
        """The state of a tick."""
        self.rig.spin_until(lambda: tick * TICK_NS in self.stamps)
        return decode_hand_state(self.rig.heard[HAND_STATE.name][self.stamps.index(tick * TICK_NS)])


def test_lockstep_takes_one_command_a_tick_and_moves_as_the_lab_does(rig: Rig) -> None:
    harness = Harness(rig, seed=3)
    lab = Lab()
    expected = [lab.reset(skill_start("push"), np.random.default_rng([3, 0]))]
    for tick in range(5):
        harness.reach(tick)
        harness.command(tick)
        expected.append(lab.step(Command(tick * TICK_NS, FORWARD, GRIPPER_OPEN)))
    for tick, state in enumerate(expected):
        np.testing.assert_array_equal(harness.reach(tick).hand_position, state.hand_position)


def test_description_and_joint_states_say_where_the_hand_is(rig: Rig) -> None:
    """What RViz and MoveIt draw from the two is where `hand_state` says that the hand is, fingers included."""
    rig.listen(JOINT_STATES)
    harness = Harness(rig)
    harness.reach(0)
    harness.command(0)
    hand = harness.reach(1)
    assert hand.finger_opening > 0.001  # else the fingers prove nothing
    rig.listen(ROBOT_DESCRIPTION)  # late: it is latched
    stamp = CODEC.time(TICK_NS)
    rig.spin_until(lambda: any(joints.header.stamp == stamp for joints in rig.heard[JOINT_STATES.name]))
    joints = next(joints for joints in rig.heard[JOINT_STATES.name] if joints.header.stamp == stamp)
    description = rig.last(ROBOT_DESCRIPTION).data
    model = mujoco.MjModel.from_xml_string(
        description.replace("</robot>", '<mujoco><compiler fusestatic="false"/></mujoco></robot>')
    )
    data = mujoco.MjData(model)
    assert sorted(joints.name) == sorted(model.joint(i).name for i in range(model.njnt))
    assert len(joints.position) == len(joints.velocity) == len(joints.name)
    for name, position in zip(joints.name, joints.position, strict=True):
        data.joint(name).qpos[0] = position
    mujoco.mj_kinematics(model, data)
    np.testing.assert_allclose(data.body("hand_tcp").xpos, hand.hand_position, atol=1e-6)
    apart = data.body("finger_left").xpos - data.body("finger_right").xpos
    assert np.linalg.norm(apart) == pytest.approx(hand.finger_opening, abs=1e-6)


def test_an_unanswered_state_is_sent_again(rig: Rig) -> None:
    harness = Harness(rig)
    rig.spin_until(lambda: harness.stamps.count(0) >= 2)
    harness.command(0)
    rig.spin_until(lambda: harness.stamps.count(TICK_NS) >= 2)


def test_commands_that_are_not_finite_malformed_or_of_another_tick_are_not_followed(rig: Rig) -> None:
    harness = Harness(rig)
    harness.reach(0)
    harness.command(0, np.array([np.nan, 0.0, 0.0]), gripper=np.inf)
    rig.spin_until(lambda: rig.reported("lab", NOT_FINITE) == 2)
    turning = CODEC.twist(Command(0, FORWARD, 0.0))
    turning.twist.angular.z = 1.0
    rig.send(TWIST_COMMAND, turning)
    rig.spin_until(lambda: rig.reported("lab", MALFORMED) == 1)
    for tick in (-1, 1, 7):
        harness.command(tick)
    rig.spin_until(lambda: harness.node._velocity is not None and harness.node._velocity[0] == 7 * TICK_NS)
    assert set(harness.stamps) == {0}
    harness.command(0)
    harness.reach(1)


def test_in_real_time_the_first_tick_waits_and_later_ones_hold_the_arm(rig: Rig) -> None:
    harness = Harness(rig, lockstep=False, speed=10.0)
    rig.spin_until(lambda: harness.stamps.count(0) >= 2)  # asked again: time does not run yet
    assert set(harness.stamps) == {0}
    harness.command(0, np.array([0.1, 0.0, 0.0]), GRIPPER_CLOSED)
    moved, rested = harness.reach(1), harness.reach(40)
    assert np.linalg.norm(moved.hand_velocity) > 0.01
    assert np.linalg.norm(rested.hand_velocity) < 0.01
    assert rested.finger_opening < 0.01  # the gripper kept its last target
    rig.spin_until(lambda: rig.reported("lab", HELD_TICKS) >= 30)


def test_in_real_time_a_twist_alone_keeps_the_gripper(rig: Rig) -> None:
    harness = Harness(rig, lockstep=False, speed=0.5)  # a tick of 0.1 s
    harness.reach(0)
    harness.command(0, gripper=GRIPPER_CLOSED)
    harness.reach(1)
    rig.send(TWIST_COMMAND, CODEC.twist(Command(TICK_NS, FORWARD, GRIPPER_OPEN)))
    harness.reach(2)
    assert harness.node._target == GRIPPER_CLOSED
    assert harness.node._held_ticks == 0


def test_an_episode_ends_with_its_outcome_and_record(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roman_moe.lab.judge.SKILL_TIME_LIMIT", 0.2)
    file = tmp_path / "episode.npz"
    harness = Harness(rig, seed=9, record=str(file))
    weights = np.eye(len(SKILLS))
    for tick in range(4):
        harness.reach(tick)
        if tick % 2 == 0:
            rig.send(GATE_WEIGHTS, CODEC.weights(tick * TICK_NS, SKILLS, weights[tick]))
            rig.spin_until(lambda tick=tick: tick * TICK_NS in harness.node._recorder._weights)
        harness.command(tick)
    rig.spin_until(lambda: rig.heard[OUTCOME.name][-1].message == "time_limit")
    rig.listen(OUTCOME)  # whoever comes late is told too
    rig.spin_until(lambda: len(rig.heard[OUTCOME.name]) == 4)
    assert [m.message for m in rig.heard[OUTCOME.name]] == ["running", "time_limit"] * 2

    record = EpisodeRecord.load(file)
    assert (record.start, record.seed, record.outcome, record.time_s) == ("push", 9, "time_limit", 0.2)
    np.testing.assert_array_equal(record.stamps_ns, np.arange(4) * TICK_NS)
    np.testing.assert_array_equal(record.weights, weights[[0, 0, 2, 2]])
    np.testing.assert_array_equal(record.commands, np.tile([*FORWARD, GRIPPER_OPEN], (4, 1)))
    lab = Lab()
    lab.reset(skill_start("push"), np.random.default_rng([9, 0]))
    np.testing.assert_array_equal(record.physics_states[0], lab.physics_state())


def test_it_may_go_on_with_further_seeds(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roman_moe.lab.judge.SKILL_TIME_LIMIT", 0.05)
    harness = Harness(rig, seed=4, episodes=2)
    for count in (1, 2):
        rig.spin_until(lambda count=count: len(rig.heard[OUTCOME.name]) == 2 * count - 1)
        rig.spin_until(lambda: harness.node._running)
        harness.command(0)
        rig.spin_until(lambda: not harness.node._running)
    rig.spin_until(lambda: len(rig.heard[OUTCOME.name]) == 4)
    seeds = [v.value for m in rig.heard[OUTCOME.name] for v in m.values if v.key == "seed"]
    assert seeds == ["4", "4", "5", "5"]


def test_a_viewer_without_a_display_is_one_line(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RomanError, match="viewer cannot open: .*display"):
        rig.add(LabNode, viewer=True)


def test_starts_have_names() -> None:
    assert start_named("push") == skill_start("push")
    assert start_named("6") == start_named("scenario_6") == scenario_start(6)
    for wrong in ("7", "dance", "", "scenario_", "-1"):
        with pytest.raises(ConfigError, match="unknown"):
            start_named(wrong)
