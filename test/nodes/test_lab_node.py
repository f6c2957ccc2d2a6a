"""The lab node's promises: one command a tick, a held arm without one, and nothing that is not finite followed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from bundles import write_tiny_bundle
from messages import decode_hand
from rclpy.node import Node
from ros_rig import Rig
from scenes import limit_time
from specs import GRIPPER_CLOSED, GRIPPER_OPEN, SKILLS
from std_msgs.msg import Bool
from worlds import TASK, roman_world

from roman_moe.control.rates import Rates
from roman_moe.core.action import Command
from roman_moe.core.errors import RomanError
from roman_moe.core.state import begins_anew
from roman_moe.nodes.arms.lab_node import LabNode
from roman_moe.nodes.base import topics
from roman_moe.nodes.base.diagnostics import readable
from roman_moe.nodes.base.node import MALFORMED, NOT_FINITE
from roman_moe.nodes.bringup.episode_record import EpisodeRecord
from roman_moe.nodes.control.commanders import REFUSED
from roman_moe.wire.codec import message_stamp

TICK_NS = 50_000_000
FORWARD = np.array([0.05, 0.0, 0.0])


class Harness:
    """A lab, commanded by hand."""

    def __init__(self, rig: Rig, **parameters: Any) -> None:
        self.rig = rig
        rig.listen(topics.HAND_STATE)
        rig.listen(topics.OUTCOME)
        self.node = rig.add(LabNode, **{"task": "roman", "start": "push", "lockstep": True, **parameters})

    def stamp(self, tick: int) -> int:
        """Of a tick of the running episode [ns]."""
        self.rig.spin_until(lambda: self.node._shown)
        return self.node._stamp - self.node._state.stamp_ns + tick * TICK_NS

    def command(self, tick: int, velocity: np.ndarray = FORWARD, gripper: float = GRIPPER_OPEN) -> None:
        command = Command(self.stamp(tick), velocity, gripper)
        self.rig.send(topics.GRIPPER_COMMAND, topics.CODEC.gripper(command))
        self.rig.send(topics.TWIST_COMMAND, topics.CODEC.twist(command))

    @property
    def stamps(self) -> list[int]:
        return [decode_hand(message).stamp_ns for message in self.rig.heard[topics.HAND_STATE.name]]

    def reach(self, tick: int) -> Any:
        """The state of a tick."""
        self.rig.spin_until(lambda: self.stamp(tick) in self.stamps)
        return decode_hand(self.rig.heard[topics.HAND_STATE.name][self.stamps.index(self.stamp(tick))])


def test_lockstep_takes_one_command_a_tick_and_moves_as_the_lab_does(rig: Rig) -> None:
    harness = Harness(rig, seed=3)
    lab = roman_world()
    expected = [lab.reset(TASK.start("push"), np.random.default_rng([3, 0]))]
    for tick in range(5):
        harness.reach(tick)
        harness.command(tick)
        expected.append(lab.step(Command(tick * TICK_NS, FORWARD, GRIPPER_OPEN)))
    for tick, state in enumerate(expected):
        np.testing.assert_array_equal(harness.reach(tick).hand_position, state.hand_position)


def test_description_and_joint_states_say_where_the_hand_is(rig: Rig) -> None:
    """What RViz and MoveIt draw from the two is where `hand_state` says that the hand is, fingers included."""
    rig.listen(topics.JOINT_STATES)
    harness = Harness(rig)
    harness.reach(0)
    harness.command(0)
    hand = harness.reach(1)
    assert hand.finger_opening > 0.001  # else the fingers prove nothing
    rig.listen(topics.ROBOT_DESCRIPTION)  # late: it is latched
    stamp = topics.CODEC.time(harness.stamp(1))
    rig.spin_until(lambda: any(joints.header.stamp == stamp for joints in rig.heard[topics.JOINT_STATES.name]))
    joints = next(joints for joints in rig.heard[topics.JOINT_STATES.name] if joints.header.stamp == stamp)
    description = rig.last(topics.ROBOT_DESCRIPTION).data
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
    rig.spin_until(lambda: harness.stamps.count(harness.stamp(0)) >= 2)
    harness.command(0)
    rig.spin_until(lambda: harness.stamps.count(harness.stamp(1)) >= 2)


def test_commands_that_are_not_finite_malformed_or_of_another_tick_are_not_followed(rig: Rig) -> None:
    harness = Harness(rig)
    harness.reach(0)
    harness.command(0, np.array([np.nan, 0.0, 0.0]), gripper=np.inf)
    rig.spin_until(lambda: rig.reported("lab", NOT_FINITE) == 2)
    elsewhere, turning = (topics.CODEC.twist(Command(harness.stamp(0), FORWARD, 0.0)) for _ in range(2))
    elsewhere.header.frame_id = "tool0"
    turning.twist.angular.z = 1.0  # which no action of the task does
    rig.send(topics.TWIST_COMMAND, elsewhere, turning)
    rig.spin_until(lambda: rig.reported("lab", MALFORMED) == 2)
    for tick in (-1, 1, 7):
        harness.command(tick)
    rig.spin_until(lambda: rig.reported("lab", REFUSED) == 6)
    assert set(harness.stamps) == {harness.stamp(0)}
    harness.command(0)
    harness.reach(1)


def test_in_real_time_the_first_tick_waits_and_later_ones_hold_the_arm(rig: Rig) -> None:
    harness = Harness(rig, lockstep=False, speed=10.0)
    rig.spin_until(lambda: harness.stamps.count(harness.stamp(0)) >= 2)  # asked again: time does not run yet
    assert set(harness.stamps) == {harness.stamp(0)}
    harness.command(0, np.array([0.1, 0.0, 0.0]), GRIPPER_CLOSED)
    moved, rested = harness.reach(1), harness.reach(40)
    assert np.linalg.norm(moved.hand_velocity) > 0.01
    assert np.linalg.norm(rested.hand_velocity) < 0.01
    assert rested.finger_opening < 0.01  # the gripper kept its last target
    rig.spin_until(lambda: rig.reported("lab", topics.HELD_TICKS) >= 30)


def test_in_real_time_a_twist_alone_keeps_the_gripper(rig: Rig) -> None:
    harness = Harness(rig, lockstep=False, speed=0.5)  # a tick of 0.1 s
    harness.reach(0)
    harness.command(0, gripper=GRIPPER_CLOSED)
    harness.reach(1)
    rig.send(topics.TWIST_COMMAND, topics.CODEC.twist(Command(harness.stamp(1), FORWARD, GRIPPER_OPEN)))
    harness.reach(2)
    assert harness.node._target == GRIPPER_CLOSED
    assert harness.node._held_ticks == 0


def test_an_episode_ends_with_its_outcome_and_record(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_time(monkeypatch, 0.2)
    file = tmp_path / "episode.npz"
    harness = Harness(rig, seed=9, episode_file=str(file))
    weights = np.eye(len(SKILLS))
    for tick in range(4):
        harness.reach(tick)
        if tick % 2 == 0:
            rig.send(topics.GATE_WEIGHTS, topics.CODEC.weights(harness.stamp(tick), SKILLS, weights[tick]))
            rig.spin_until(lambda tick=tick: harness.stamp(tick) in harness.node._recorder._weights)
        harness.command(tick)
    rig.spin_until(lambda: rig.heard[topics.OUTCOME.name][-1].message == "time_limit")
    rig.listen(topics.OUTCOME)  # whoever comes late is told too
    rig.spin_until(lambda: len(rig.heard[topics.OUTCOME.name]) == 4)
    assert [m.message for m in rig.heard[topics.OUTCOME.name]] == ["running", "time_limit"] * 2

    record = EpisodeRecord.load(file)
    assert (record.start, record.seed, record.outcome, record.time_s) == ("push", 9, "time_limit", 0.2)
    np.testing.assert_array_equal(record.stamps_ns, np.arange(4) * TICK_NS)
    np.testing.assert_array_equal(record.weights, weights[[0, 0, 2, 2]])
    np.testing.assert_array_equal(record.commands, np.tile([*FORWARD, 0.0, 0.0, 0.0, GRIPPER_OPEN], (4, 1)))
    lab = roman_world()
    lab.reset(TASK.start("push"), np.random.default_rng([9, 0]))
    np.testing.assert_array_equal(record.physics_states[0], lab.physics_state())


def test_it_may_go_on_with_further_seeds(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_time(monkeypatch, 0.05)
    harness = Harness(rig, seed=4, episodes=2)
    for count in (1, 2):
        rig.spin_until(lambda count=count: len(rig.heard[topics.OUTCOME.name]) == 2 * count - 1)
        rig.spin_until(lambda: harness.node._running)
        harness.command(0)
        rig.spin_until(lambda: not harness.node._running)
    rig.spin_until(lambda: len(rig.heard[topics.OUTCOME.name]) == 4)
    seeds = [v.value for m in rig.heard[topics.OUTCOME.name] for v in m.values if v.key == "seed"]
    assert seeds == ["4", "4", "5", "5"]


def test_a_restart_leaves_the_episode_and_begins_the_next(rig: Rig) -> None:
    harness = Harness(rig, episodes=0)
    harness.reach(0)
    harness.command(0)
    last = harness.reach(1).stamp_ns
    assert rig.trigger("lab/restart").message == "episode 1 begins"
    rig.spin_until(lambda: outcomes(rig) == ["running", "running"])
    assert harness.reach(0).stamp_ns > last


def outcomes(rig: Rig) -> list[str]:
    return [message.message for message in rig.heard[topics.OUTCOME.name]]


def test_no_stamp_goes_back_over_episodes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_time(monkeypatch, 0.15)
    rig.listen(topics.CLOCK)
    rig.listen(topics.JOINT_STATES)
    harness = Harness(rig, episodes=3)
    for episode in range(3):
        rig.spin_until(lambda episode=episode: harness.node._episode == episode and harness.node._running)
        for tick in range(3):
            harness.command(tick)
            rig.spin_until(lambda tick=tick: harness.node._lab.stamp_ns > tick * TICK_NS)
    rig.spin_until(lambda: len(outcomes(rig)) == 6)
    stamps = harness.stamps
    assert stamps == sorted(stamps)
    assert sum(begins_anew(later, earlier) for earlier, later in pairwise(stamps)) == 2
    clock = [m.clock.sec * 10**9 + m.clock.nanosec for m in rig.heard[topics.CLOCK.name]]
    joints = [message_stamp(m) for m in rig.heard[topics.JOINT_STATES.name]]
    assert set(clock) == set(joints) == set(stamps)
    assert clock == sorted(clock)


def test_in_real_time_stamps_are_the_nodes_clock(rig: Rig) -> None:
    harness = Harness(rig, lockstep=False)
    for tick in range(3):
        rig.spin_until(lambda tick=tick: harness.node._state.stamp_ns == tick * TICK_NS and harness.node._shown)
        age = harness.node.get_clock().now().nanoseconds - harness.node._stamp
        assert 0 <= age < 10 * 10**9  # a busy machine's; the time of day is 1.8e9 s from an episode's
        harness.command(tick)


def test_a_teleoperators_command_that_is_stamped_now_is_followed(rig: Rig) -> None:
    harness = Harness(rig, lockstep=False)
    lab = harness.node
    first = harness.reach(0).hand_position
    teleop = rig.join(lambda context: Node("teleop", context=context))
    twists = teleop.create_publisher(topics.TWIST_COMMAND.kind, topics.TWIST_COMMAND.name, topics.TWIST_COMMAND.qos)
    grippers = teleop.create_publisher(
        topics.GRIPPER_COMMAND.kind, topics.GRIPPER_COMMAND.name, topics.GRIPPER_COMMAND.qos
    )

    def command() -> None:
        for publisher, make in ((grippers, topics.CODEC.gripper), (twists, topics.CODEC.twist)):
            now = teleop.get_clock().now().nanoseconds  # each its own, as a joystick's driver does it
            publisher.publish(make(Command(now, 2.0 * FORWARD, GRIPPER_CLOSED)))

    teleop.create_timer(0.01, command)
    rig.spin_until(lambda: lab._state.hand_position[0] - first[0] > 0.02)
    rig.spin_until(lambda: lab._target == GRIPPER_CLOSED)


@pytest.mark.parametrize(("ahead", "amount"), [(-3.0, "is 3.0"), (3.1, "in the future")])
def test_a_refused_stamp_is_named_with_the_amount(rig: Rig, ahead: float, amount: str) -> None:
    harness = Harness(rig, lockstep=False)
    harness.reach(0)
    stamp = harness.stamp(0) + round(ahead * 1e9)
    rig.send(topics.TWIST_COMMAND, topics.CODEC.twist(Command(stamp, FORWARD, GRIPPER_OPEN)))
    rig.spin_until(lambda: rig.reported("lab", REFUSED) == 1)
    said = rig.fact("lab", "last_fault")
    assert readable(f"delta_twist_cmds at {stamp} ns") in said
    assert amount in said
    assert harness.node._lab.stamp_ns == 0


def test_what_comes_late_in_real_time_is_reported_with_what_to_do(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    harness, said = Harness(rig, lockstep=False), []
    monkeypatch.setattr(harness.node.diagnostics, "count", lambda kind, detail: said.append((kind, detail)))
    harness.reach(0)
    harness.command(0)
    harness.reach(3)
    harness.command(1)
    rig.spin_until(lambda: {topics.HELD_TICKS, REFUSED} <= {kind for kind, _ in said})
    assert all("end other programs, or let the lab wait for commands (roman-moe demo" in detail for _, detail in said)


def test_a_stop_pauses_the_episode(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_time(monkeypatch, 0.2)
    file = tmp_path / "episode.npz"
    harness = Harness(rig, episode_file=str(file), episodes=2)
    for tick in range(2):
        harness.reach(tick)
        harness.command(tick)
    rig.send(topics.STOPPED, Bool(data=True))
    rig.spin_until(lambda: harness.node._stopped)
    for tick in range(2, 12):  # far beyond the time limit
        harness.reach(tick)
        harness.command(tick, np.zeros(3))
    harness.reach(12)
    assert outcomes(rig) == ["running"]
    rig.send(topics.STOPPED, Bool(data=False))
    rig.spin_until(lambda: not harness.node._stopped)
    harness.command(12)
    harness.reach(13)
    rig.send(topics.STOPPED, Bool(data=True))  # before the end, so that the next episode has to wait
    rig.spin_until(lambda: harness.node._stopped)
    harness.command(13, np.zeros(3))
    harness.reach(14)
    rig.send(topics.STOPPED, Bool(data=False))
    rig.spin_until(lambda: not harness.node._stopped)
    harness.command(14)
    rig.spin_until(lambda: outcomes(rig)[:2] == ["running", "time_limit"])
    record = EpisodeRecord.load(file)
    assert record.time_s == 0.2
    np.testing.assert_array_equal(record.stamps_ns, np.arange(4) * TICK_NS)  # without the pauses
    values = {v.key: v.value for v in rig.heard[topics.OUTCOME.name][1].values}
    assert values["time_ns"] == str(4 * TICK_NS)


def test_the_world_is_not_set_up_anew_while_the_arm_is_stopped(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_time(monkeypatch, 0.05)
    harness = Harness(rig, episodes=2)
    harness.reach(0)
    harness.command(0)
    rig.spin_until(lambda: not harness.node._running)
    harness.node._on_stopped(True)  # between the end and the next beginning
    rig.spin_until(lambda: harness.node._awaits_rearm)
    assert harness.node._episode == 0
    rig.send(topics.STOPPED, Bool(data=False))
    rig.spin_until(lambda: harness.node._episode == 1)


@pytest.mark.parametrize("rate", [10.0, 40.0])
def test_it_steps_at_the_controllers_rate(rig: Rig, tmp_path: Path, rate: float) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle", rates=Rates(rate, 10.0))
    harness = Harness(rig, bundle=str(bundle))
    first = harness.stamp(0)
    harness.command(0)
    rig.spin_until(lambda: len(set(harness.stamps)) == 2)
    assert max(harness.stamps) - first == round(1e9 / rate)
    assert harness.node._lab.data.time == pytest.approx(1.0 / rate)


def test_a_rate_that_it_cannot_step_at_is_one_line(rig: Rig, tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle", rates=Rates(30.0, 10.0))
    with pytest.raises(RomanError, match="control rate 30 Hz: the simulation steps at rates"):
        rig.add(LabNode, bundle=str(bundle))


def test_a_viewer_without_a_display_is_one_line(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RomanError, match="viewer cannot open: .*display"):
        rig.add(LabNode, task="roman", viewer=True)
