"""What brings the arm to rest: the software stop until it is re-armed, and every fault that has a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from ros_rig import Rig
from scenes import scene_at
from specs import ACTION_LAYOUT, GRIPPER_CLOSED, GRIPPER_OPEN, OBJECTS, SKILLS
from std_srvs.srv import Trigger

from roman_moe.control.guard import GuardStatus
from roman_moe.control.limits import load_limits
from roman_moe.nodes.base.diagnostics import ERROR, OK, STATUS, WARN
from roman_moe.nodes.base.managed_node import CALLBACK_FAULTS
from roman_moe.nodes.base.node import FUTURE
from roman_moe.nodes.base.peers import names_of
from roman_moe.nodes.base.topics import CODEC, GATE_WEIGHTS, GRIPPER_COMMAND, SCENE, TWIST_COMMAND, Topic, expert_action
from roman_moe.nodes.base.topics import STOPPED as IS_STOPPED
from roman_moe.nodes.control.blender import CONFLICTS, MISSED_TICKS, Blender
from roman_moe.wire.codec import decode_gripper, message_stamp

TICK_NS = 50_000_000
LIMITS = load_limits()
FORWARD = np.array([0.5, 0.0, 0.0, 0.0])  # slow enough for the workspace's edge, the gripper as it is
HOLDING = {"finger_opening": 0.6 * GRIPPER_OPEN, "finger_forces": np.array([3.0, 3.0])}
PATIENT = LIMITS.max_command_age / 60.0
"""As `speed`: the blender takes a minute without a scene for silence, and a test that is not about that has time."""


class Harness:
    """A blender under the shipped limits; gate, experts and arm are played by hand. One expert has all the weight."""

    def __init__(self, rig: Rig, bundle: Path, expert: int = 0, **parameters: Any) -> None:
        self.rig, self.expert = rig, expert
        self.weights = np.eye(len(SKILLS))[expert]
        self.parameters = {"bundle": str(bundle), "lockstep": True, "speed": PATIENT, **parameters}
        self.node = rig.add(Blender, **self.parameters)
        rig.listen(TWIST_COMMAND)
        rig.listen(GRIPPER_COMMAND)
        self.tick = -1

    def scene(self, tick: int, **fields: Any) -> None:
        self.tick = tick
        self.rig.send(SCENE, CODEC.scene(scene_at(tick * TICK_NS, **fields)))

    def send_nothing(self, topic: Topic) -> None:
        """Publish a topic, and say nothing."""
        self.rig.send(topic)

    def gate(self, weights: np.ndarray | None = None) -> None:
        self.rig.send(
            GATE_WEIGHTS, CODEC.weights(self.tick * TICK_NS, SKILLS, self.weights if weights is None else weights)
        )

    def answer(self, action: np.ndarray = FORWARD) -> None:
        self.rig.send(expert_action(SKILLS[self.expert]), CODEC.action(self.tick * TICK_NS, ACTION_LAYOUT, action))

    def step(self, action: np.ndarray = FORWARD, **fields: Any) -> float:
        """One whole tick; the command's speed [m/s]."""
        before = self.commands
        self.tick += 1
        self.gate()  # before the scene: with a deadline, it is no race
        self.answer(action)
        self.scene(self.tick, **fields)
        return self.speed(before + 1)

    def speed(self, count: int) -> float:
        """Of the command once there have been `count` [m/s]."""
        self.rig.last(GRIPPER_COMMAND, count)
        self.rig.last(TWIST_COMMAND, count)
        linear = self.rig.heard[TWIST_COMMAND.name][count - 1].twist.linear
        return float(np.linalg.norm([linear.x, linear.y, linear.z]))

    def run(self, ticks: int = 20) -> float:
        """Ticks until it moves at its full speed, which is returned [m/s]."""
        return [self.step() for _ in range(ticks)][-1]

    @property
    def commands(self) -> int:
        return len(self.rig.heard[TWIST_COMMAND.name])

    @property
    def gripper(self) -> float:
        return decode_gripper(self.rig.heard[GRIPPER_COMMAND.name][-1])

    def says(self, status: GuardStatus, level: bytes) -> None:
        """The blender's next reports give this status."""
        self.rig.spin_until(lambda: self.rig.fact("blender", STATUS) == f"{status.value} {status.name}")
        self.rig.spin_until(lambda: self.rig.report("blender").level == level)


def test_a_stop_holds_until_it_is_rearmed_and_then_the_arm_ramps_in(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    full = harness.run()
    assert full == pytest.approx(0.1)  # half of the top speed that the bundle was made for
    assert rig.trigger("blender/stop").success
    stopping = [harness.step() for _ in range(5)]
    assert stopping[-1] == 0.0
    assert all(later <= earlier for earlier, later in zip([full, *stopping], stopping, strict=False))
    harness.says(GuardStatus.STOPPED, ERROR)
    assert rig.trigger("blender/stop").success  # twice is once
    answer = rig.trigger("blender/rearm")
    assert answer.success
    assert "from rest" in answer.message
    again = [harness.step() for _ in range(20)]
    period, limit = TICK_NS * 1e-9, LIMITS.speed
    ramp = [limit * min(1.0, (i + 1) * period / LIMITS.ramp) for i in range(len(again))]
    assert all(speed <= most + 1e-9 for speed, most in zip(again, ramp, strict=True))
    assert again[0] < full
    assert again[-1] == pytest.approx(full)
    harness.says(GuardStatus.NO_WARNING, OK)
    assert "was not stopped" in rig.trigger("blender/rearm").message


def test_a_stop_waits_for_no_tick(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    assert harness.run() > 0.0
    before = harness.commands
    assert rig.trigger("blender/stop").success
    assert harness.speed(before + 1) == 0.0, "without another scene"
    assert message_stamp(rig.last(TWIST_COMMAND)) == harness.tick * TICK_NS
    harness.says(GuardStatus.STOPPED, ERROR)
    assert rig.trigger("blender/stop").success  # it was at rest: nothing more is to be said
    assert harness.step() == 0.0
    assert harness.commands == before + 2


def test_a_stop_answers_a_scene_that_waits_for_its_experts(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    assert harness.run() > 0.0
    before = harness.commands
    harness.scene(harness.tick + 1)
    harness.gate()
    rig.spin_until(lambda: harness.node._open)
    assert rig.trigger("blender/stop").success
    assert harness.speed(before + 1) == 0.0
    assert message_stamp(rig.last(TWIST_COMMAND)) == harness.tick * TICK_NS
    harness.answer()  # comes too late
    assert harness.step() == 0.0
    assert harness.commands == before + 2
    assert rig.reported("blender", MISSED_TICKS) == 0


def test_a_stop_at_an_episodes_first_scene_drops_nothing(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    harness.run(3)
    harness.scene(0, finger_opening=GRIPPER_CLOSED)
    rig.spin_until(lambda: harness.node._open)
    assert rig.trigger("blender/stop").success
    assert harness.speed(4) == 0.0
    assert harness.gripper == GRIPPER_CLOSED


def test_the_first_motion_of_all_ramps_in(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    speeds = [harness.step(np.array([1.0, 0.0, 0.0, 0.0])) for _ in range(3)]
    for i, speed in enumerate(speeds):
        assert 0.0 < speed <= LIMITS.speed * (i + 1) * TICK_NS * 1e-9 / LIMITS.ramp + 1e-9


def test_a_stop_outlives_another_episode_and_another_configuration(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    harness.run(3)
    assert rig.trigger("blender/stop").success
    harness.scene(0)  # another episode
    harness.gate()
    harness.answer()
    assert harness.speed(4) == 0.0
    for transition in ("deactivate", "activate", "deactivate", "cleanup", "configure", "activate"):
        assert rig.change_state("blender", transition)
    harness.tick = 99
    assert harness.step() == 0.0
    harness.says(GuardStatus.STOPPED, ERROR)
    assert rig.trigger("blender/rearm").success
    assert harness.step() > 0.0


def test_a_stopped_arm_that_asks_again_does_not_get_its_last_motion(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    assert harness.run() > 0.0
    assert rig.trigger("blender/stop").success
    before = harness.commands
    harness.scene(harness.tick)
    assert harness.speed(before + 1) == 0.0


def test_a_stop_that_crosses_a_deactivation_ends_no_executor_and_holds(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    harness.run(2)
    assert "was not stopped" in rig.trigger("blender/rearm").message
    wanted = Transition(id=Transition.TRANSITION_DEACTIVATE)
    deactivated = rig.call(ChangeState, "blender/change_state", ChangeState.Request(transition=wanted))
    stopped = rig.call(Trigger, "blender/stop", Trigger.Request())  # is there before the first has been answered
    assert rig.answer(deactivated).success
    assert rig.answer(stopped).success
    assert rig.change_state("blender", "activate")
    assert harness.step() == 0.0


def test_a_stop_counts_before_the_node_is_configured(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, autostart=False)
    assert rig.trigger("blender/stop").success
    for transition in ("configure", "activate"):
        assert rig.change_state("blender", transition)
    assert harness.step() == 0.0
    assert "from rest" in rig.trigger("blender/rearm").message
    assert harness.step() > 0.0


def test_who_is_deactivated_in_motion_tells_the_arm_to_rest(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    assert harness.run() > 0.0
    before = harness.commands
    assert rig.change_state("blender", "deactivate")
    assert harness.speed(before + 1) == 0.0
    assert rig.change_state("blender", "activate")
    assert harness.step() > 0.0
    rig.remove(harness.node)
    assert harness.speed(before + 3) == 0.0


def test_without_scenes_the_arm_is_told_to_rest_once(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=False, speed=1.0)
    assert harness.step() > 0.0
    assert harness.speed(2) == 0.0
    assert [message_stamp(m) for m in rig.heard[TWIST_COMMAND.name]] == [0, 0]
    harness.says(GuardStatus.HALT_OBSERVER_SILENT, WARN)
    assert harness.node._watchdog.is_canceled()
    harness.scene(0)  # the arm asks again: still at rest
    assert harness.speed(3) == 0.0
    assert harness.step() > 0.0  # and goes on with the next scene


def test_a_stop_is_still_told_when_the_scenes_end(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=False, speed=1.0)
    harness.step()
    assert rig.trigger("blender/stop").success
    harness.says(GuardStatus.STOPPED, ERROR)


@pytest.mark.parametrize(
    ("alive", "status"),
    [(Harness.answer, GuardStatus.HALT_GATE_SILENT), (Harness.gate, GuardStatus.HALT_EXPERTS_SILENT)],
    ids=["gate", "experts"],
)
def test_a_dead_gate_or_dead_experts_halt_the_arm(rig: Rig, bundle: Path, alive: Any, status: GuardStatus) -> None:
    harness = Harness(rig, bundle, lockstep=False)
    harness.run(3)
    before = harness.commands
    harness.scene(4)
    alive(harness)
    assert harness.speed(before + 1) == 0.0
    harness.says(status, WARN)
    assert harness.node.diagnostics.counts[MISSED_TICKS] == 1


def test_an_expert_without_its_objects_halts_the_arm(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    harness.run(3)
    ages = np.full(len(OBJECTS), 3.0 * LIMITS.max_pose_age)
    assert harness.step(np.full(4, np.nan), object_ages=ages) == 0.0
    harness.says(GuardStatus.HALT_OBJECTS_STALE, WARN)
    assert "invalid or too old" in rig.fact("blender", "last_fault")
    assert harness.step() > 0.0


def test_a_scene_that_is_not_finite_halts_the_arm(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    harness.run(3)
    assert harness.step(hand_position=np.array([np.nan, 0.0, 0.0])) == 0.0
    harness.says(GuardStatus.HALT_SCENE_NOT_FINITE, WARN)


def test_a_second_gate_and_a_second_expert_are_counted_and_not_followed(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    full = harness.run(20)
    harness.scene(20)  # an even one, with new weights
    counts = harness.node.diagnostics.counts
    harness.gate()
    harness.gate(np.eye(len(SKILLS))[1])
    rig.spin_until(lambda: counts[CONFLICTS] == 1)
    rig.spin_until(lambda: "is there a second gate?" in rig.fact("blender", "last_fault"))
    harness.gate()  # the same again is no conflict
    for action in (FORWARD, -FORWARD):
        rig.send(expert_action(SKILLS[1]), CODEC.action(20 * TICK_NS, ACTION_LAYOUT, action))
    rig.spin_until(lambda: counts[CONFLICTS] == 2)
    rig.spin_until(lambda: "is there a second expert?" in rig.fact("blender", "last_fault"))
    before = harness.commands
    harness.answer()
    assert harness.speed(before + 1) == pytest.approx(full)
    assert counts[CALLBACK_FAULTS] == 0


@pytest.mark.parametrize("topic", [SCENE, GATE_WEIGHTS, expert_action(SKILLS[1])])
def test_between_two_nodes_that_say_the_same_the_arm_rests(rig: Rig, bundle: Path, topic: Topic) -> None:
    harness = Harness(rig, bundle)
    assert harness.run() > 0.0
    harness.send_nothing(expert_action(SKILLS[1]))
    other = rig.join(lambda context: Node("forgotten", context=context))
    other.create_publisher(topic.kind, topic.name, topic.qos)
    rig.spin_until(lambda: harness.node._twice == [f"{topic.name} by forgotten, probe"])
    assert [harness.step() for _ in range(6)][-1] == 0.0
    rig.spin_until(lambda: rig.said("blender", f"HALT_TWO_COMMANDERS: {topic.name} by forgotten, probe"))
    harness.tick += 40  # an episode begins
    harness.step(**HOLDING)
    assert harness.gripper == GRIPPER_CLOSED
    rig.remove(other)
    rig.spin_until(lambda: not harness.node._twice)
    assert harness.step() > 0.0


def test_a_blender_that_is_started_again_keeps_the_gripper_closed_on_what_it_holds(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    harness.step(np.array([0.0, 0.0, 0.0, -1.0]), **HOLDING)
    assert harness.gripper == GRIPPER_CLOSED
    rig.remove(harness.node)
    harness.node = rig.join(lambda context: Blender(context=context, parameters=harness.parameters))
    rig.spin_until(lambda: not harness.node.publishers_of(TWIST_COMMAND))
    harness.node.start()
    harness.tick = 40
    harness.step(**HOLDING)  # its action says nothing about the gripper
    assert harness.gripper == GRIPPER_CLOSED


def test_a_second_commander_does_not_become_active_until_the_first_gives_the_arm_away(rig: Rig, bundle: Path) -> None:
    first = rig.add(Blender, bundle=str(bundle))
    second = rig.add(Blender, "teleop", bundle=str(bundle), autostart=False)
    assert rig.change_state("teleop", "configure")
    rig.spin_until(lambda: names_of(second.publishers_of(TWIST_COMMAND)) == ["blender"])
    assert not rig.change_state("teleop", "activate")
    rig.spin_until(lambda: rig.said("teleop", "gripper_cmd is published by blender: deactivate or end it first"))
    assert rig.change_state("blender", "deactivate")
    rig.spin_until(lambda: second.publishers_of(TWIST_COMMAND) == [])
    assert rig.change_state("teleop", "activate")
    rig.spin_until(lambda: names_of(first.publishers_of(TWIST_COMMAND)) == ["teleop"])
    assert not rig.change_state("blender", "activate")


def test_who_listens_is_told_of_a_stop_at_once_and_later(rig: Rig, bundle: Path) -> None:
    rig.add(Blender, bundle=str(bundle))
    rig.listen(IS_STOPPED)
    rig.spin_until(lambda: [m.data for m in rig.heard[IS_STOPPED.name]] == [False])
    assert rig.trigger("blender/stop").success
    assert rig.trigger("blender/rearm").success
    rig.spin_until(lambda: [m.data for m in rig.heard[IS_STOPPED.name]] == [False, True, False])


def test_a_scene_from_the_future_is_refused_with_the_amount(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=False, speed=1.0)
    now = harness.node.get_clock().now().nanoseconds
    harness.scene(now // TICK_NS + 72_000)
    rig.spin_until(lambda: rig.reported("blender", FUTURE) == 1)
    assert "s in the future: expected at most 0.1 s" in rig.fact("blender", "last_fault")
    assert harness.commands == 0
    assert harness.node._pending.stamp == -1


def test_a_scene_after_a_long_gap_takes_the_gripper_as_it_is(rig: Rig, bundle: Path) -> None:
    """As the first one of an episode: the world may have been set up anew."""
    harness = Harness(rig, bundle)
    harness.step(np.array([0.0, 0.0, 0.0, -1.0]))
    assert harness.gripper == GRIPPER_CLOSED
    harness.tick += 40
    harness.step()
    assert harness.gripper == GRIPPER_OPEN
