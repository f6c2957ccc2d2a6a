"""The blender's promises: complete ticks only, deadlines kept, and nothing that is not finite on its way to the arm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from blender_bench import ACTIONS, ACTIVE, TICK_NS, WEIGHTS, Harness
from ros_rig import Rig
from specs import ACTION_LAYOUT, GRIPPER_CLOSED, GRIPPER_OPEN, ROMAN, SKILLS

from roman_moe.control.blend import blend
from roman_moe.control.guard import GuardStatus
from roman_moe.core.action import to_command
from roman_moe.nodes.base.node import MALFORMED, NOT_FINITE
from roman_moe.nodes.base.topics import CODEC, GATE_WEIGHTS, TICK, TWIST_COMMAND, expert_action
from roman_moe.nodes.control.blender import MISSED_TICKS, SKIPPED_TICKS
from roman_moe.wire.codec import decode_tick, message_stamp


def test_a_complete_tick_is_the_controllers_own_blend(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=True)
    command = harness.whole_tick(0)
    expected = to_command(ROMAN, 0, blend(WEIGHTS, np.where(WEIGHTS[:, None] > 0, ACTIONS, 0.0)), GRIPPER_OPEN)
    assert command.stamp_ns == 0
    np.testing.assert_array_equal(command.linear_velocity, expected.linear_velocity)
    assert command.gripper_opening == expected.gripper_opening
    assert harness.counts[MISSED_TICKS] == 0


def test_messages_may_come_before_their_scene(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=True)
    for expert in ACTIVE:
        harness.action(0, expert)
    harness.weights(0)
    rig.spin_until(lambda: len(harness.node._pending.weights) == 1)
    assert harness.commands == 0
    harness.scene(0)
    assert harness.command(1).stamp_ns == 0


def test_weights_hold_until_the_next_gate_tick_and_are_waited_for_then(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=True)
    harness.whole_tick(0)
    harness.scene(1)
    for expert in ACTIVE:
        harness.action(1, expert)
    assert harness.command(2).stamp_ns == TICK_NS  # weights of tick 0
    harness.scene(2)
    for expert in ACTIVE:
        harness.action(2, expert)
    rig.spin_until(lambda: 2 * TICK_NS in harness.node._pending.actions)
    rig.spin_until(lambda: set(harness.node._pending.actions[2 * TICK_NS]) == set(ACTIVE))
    assert harness.commands == 2
    harness.weights(2)
    assert harness.command(3).stamp_ns == 2 * TICK_NS


def test_at_the_deadline_the_others_are_blended_renormalised(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, deadline=0.3)
    harness.whole_tick(0)
    harness.scene(2)
    harness.weights(2)
    harness.action(2, 0)
    harness.action(2, 1)
    command = harness.command(2)
    expected = to_command(ROMAN, 0, (0.6 * ACTIONS[0] + 0.3 * ACTIONS[1]) / 0.9, GRIPPER_OPEN)
    np.testing.assert_allclose(command.linear_velocity, expected.linear_velocity, rtol=1e-12)
    assert harness.counts[MISSED_TICKS] == 1
    rig.spin_until(lambda: rig.said("blender", "no answer from expert_rotate_open: blended the others"))


def test_without_the_leading_expert_the_arm_holds_and_keeps_its_gripper(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, deadline=0.3)
    close = np.array([0.5, 0.5, 0.5, -1.0])
    harness.scene(0)
    harness.weights(0)
    for expert in ACTIVE:
        harness.action(0, expert, close)
    assert harness.command(1).gripper_opening == GRIPPER_CLOSED
    harness.scene(2)
    harness.weights(2)
    harness.action(2, 1)
    command = harness.command(2)
    np.testing.assert_array_equal(command.linear_velocity, np.zeros(3))
    assert command.gripper_opening == GRIPPER_CLOSED
    assert harness.counts[MISSED_TICKS] == 1


def test_without_weights_the_arm_holds(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, deadline=0.3)
    harness.whole_tick(0)
    harness.scene(2)
    for expert in ACTIVE:
        harness.action(2, expert)
    np.testing.assert_array_equal(harness.command(2).linear_velocity, np.zeros(3))
    rig.spin_until(lambda: rig.said("blender", "no answer from gate: held the arm"))


def test_nothing_is_sent_before_the_first_complete_tick(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, deadline=0.02)
    harness.scene(0)
    harness.weights(0)
    harness.action(0, 0)
    rig.spin_until(lambda: rig.said("blender", "waiting for expert_pick_and_drop, expert_rotate_open"))
    assert harness.commands == 0
    harness.action(0, 1)
    harness.action(0, 2)
    assert harness.command(1).stamp_ns == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.1, -1e300])
def test_actions_not_finite_or_out_of_range_are_dropped_and_counted(rig: Rig, bundle: Path, bad: float) -> None:
    harness = Harness(rig, bundle, deadline=0.3)
    harness.whole_tick(0)
    harness.scene(2)
    harness.weights(2)
    harness.action(2, 0, np.array([0.1, bad, 0.1, 0.1]))
    harness.action(2, 1)
    harness.action(2, 2)
    np.testing.assert_array_equal(harness.command(2).linear_velocity, np.zeros(3))
    assert harness.counts[NOT_FINITE] == 1


def test_in_lockstep_a_refused_action_or_weight_does_not_stop_the_graph(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=True)
    harness.whole_tick(0)
    harness.scene(1)
    harness.action(1, 0, np.full(4, np.nan))
    harness.action(1, 1)
    harness.action(1, 2)
    np.testing.assert_array_equal(harness.command(2).linear_velocity, np.zeros(3))
    harness.scene(2)
    harness.weights(2, np.array([-np.inf, *np.full(6, np.nan)]))
    np.testing.assert_array_equal(harness.command(3).linear_velocity, np.zeros(3))
    assert harness.counts[NOT_FINITE] == 1  # nothing but NaN is how experts and gate say that they have no answer
    harness.scene(4)
    harness.weights(4, np.full(7, np.nan))
    np.testing.assert_array_equal(harness.command(4).linear_velocity, np.zeros(3))
    assert harness.counts[NOT_FINITE] == 1
    assert harness.counts[MISSED_TICKS] == 3


def test_where_the_gate_had_no_answer_its_next_one_serves(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=True)
    harness.whole_tick(0)
    harness.scene(2)
    harness.weights(2, np.full(7, np.nan))
    np.testing.assert_array_equal(harness.command(2).linear_velocity, np.zeros(3))
    harness.scene(3)
    for expert in ACTIVE:
        harness.action(3, expert)
    harness.weights(3)
    assert np.linalg.norm(harness.command(3).linear_velocity) > 0.0


def test_malformed_messages_are_dropped_and_counted(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=True)
    short = CODEC.action(0, ACTION_LAYOUT, ACTIONS[0])
    short.velocity = short.velocity[:3]
    other = CODEC.weights(0, [*SKILLS[:-1], "dance"], WEIGHTS)
    odd_stamp = CODEC.action(0, ACTION_LAYOUT, ACTIONS[0])
    odd_stamp.header.stamp.nanosec = 2**32 - 1
    rig.send(expert_action(SKILLS[0]), short, odd_stamp)
    rig.send(GATE_WEIGHTS, other)
    rig.spin_until(lambda: rig.reported("blender", MALFORMED) == 3)
    assert harness.whole_tick(0).stamp_ns == 0


def test_a_repeated_scene_gets_the_same_command_again(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=True)
    first = harness.whole_tick(0)
    harness.scene(0)
    again = harness.command(2)
    assert again.stamp_ns == first.stamp_ns
    np.testing.assert_array_equal(again.linear_velocity, first.linear_velocity)
    assert again.gripper_opening == first.gripper_opening


def test_a_scene_that_overtakes_its_forerunner_is_told(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, deadline=1.0)
    harness.whole_tick(0)
    harness.scene(1)
    rig.spin_until(lambda: harness.node._pending.stamp == TICK_NS)
    assert harness.whole_tick(2).stamp_ns == 2 * TICK_NS
    assert harness.counts[SKIPPED_TICKS] == 1
    assert [message_stamp(m) for m in rig.heard[TWIST_COMMAND.name]] == [0, 2 * TICK_NS]


def test_a_graph_that_comes_together_late_runs_all_the_same(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, deadline=1.0)
    for tick in range(0, 60, 2):  # one expert is missing for a while
        harness.scene(tick)
        harness.weights(tick)
        harness.action(tick, 0)
        harness.action(tick, 1)
    rig.spin_until(lambda: harness.node._pending.stamp == 58 * TICK_NS)
    assert harness.commands == 0
    assert harness.whole_tick(60).stamp_ns == 60 * TICK_NS


def test_an_earlier_stamp_begins_a_new_episode(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=True)
    harness.scene(2)
    harness.weights(2)
    for expert in ACTIVE:
        harness.action(2, expert, np.array([0.0, 0.0, 0.0, -1.0]))
    assert harness.command(1).gripper_opening == GRIPPER_CLOSED
    harness.scene(0)
    harness.weights(0)
    for expert in ACTIVE:
        harness.action(0, expert, np.zeros(4))  # "hold the gripper's target"
    command = harness.command(2)
    assert command.stamp_ns == 0
    assert command.gripper_opening == GRIPPER_OPEN


def test_a_flood_of_wrong_stamps_neither_fills_the_memory_nor_displaces_the_tick(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=True)
    harness.whole_tick(0)
    for tick in range(4, 300):
        harness.action(tick, 0)
        harness.weights(tick)
    harness.scene(1)
    for expert in ACTIVE:
        harness.action(1, expert)
    assert harness.command(2).stamp_ns == TICK_NS
    assert len(harness.node._pending.actions) <= 8
    assert len(harness.node._pending.weights) <= 8


def test_each_tick_tells_the_weights_that_it_used_its_command_and_the_guard(rig: Rig, bundle: Path) -> None:
    rig.listen(TICK)
    harness = Harness(rig, bundle, deadline=0.3)
    sent = harness.whole_tick(0)
    tick = decode_tick(rig.last(TICK))
    assert tick.skills == SKILLS
    np.testing.assert_array_equal(tick.weights, WEIGHTS)
    np.testing.assert_array_equal(tick.command.twist, sent.twist)
    assert (tick.command.stamp_ns, tick.command.gripper_opening) == (0, sent.gripper_opening)
    assert tick.guard == GuardStatus.NO_WARNING

    harness.scene(2)
    harness.weights(2)
    for expert in (0, 1):  # and the third gives no answer
        harness.action(2, expert)
    tick = decode_tick(rig.last(TICK, 2))
    np.testing.assert_allclose(tick.weights, WEIGHTS * (WEIGHTS > 0.2) / 0.9)
    assert tick.guard == GuardStatus.EXPERTS_MASKED

    harness.scene(4)  # nobody answers
    tick = decode_tick(rig.last(TICK, 3))
    assert not tick.weights.any()
    assert tick.guard == GuardStatus.HALT_GATE_SILENT
    assert tick.command.stamp_ns == 4 * TICK_NS


def test_a_tick_without_experts_that_are_taken_out_shares_their_weight(rig: Rig, bundle: Path) -> None:
    rig.listen(TICK)
    harness = Harness(rig, bundle, lockstep=True, taken_out=[SKILLS[2]])
    harness.whole_tick(0)
    np.testing.assert_allclose(decode_tick(rig.last(TICK)).weights, WEIGHTS * (WEIGHTS > 0.2) / 0.9)
