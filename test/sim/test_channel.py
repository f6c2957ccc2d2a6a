"""The channel to the arm: what comes late comes late by so many ticks, and where nothing comes the arm is told to
rest."""

from __future__ import annotations

import numpy as np
import pytest
from specs import GRIPPER_CLOSED
from worlds import TASK, roman_world

from roman_moe.core.action import Command
from roman_moe.core.errors import ConfigError
from roman_moe.evaluation.controllers import make_controller
from roman_moe.sim.channel import ChannelQuality, CommandChannel
from roman_moe.sim.env import SkillEnv
from roman_moe.sim.episode import run_episode
from roman_moe.sim.pose_source import TruthPoses

TICK_NS = 50_000_000


def carried(quality: ChannelQuality, count: int, seed: int = 0) -> list[Command]:
    """What arrives of commands whose speed and opening are their number."""
    channel = CommandChannel(quality, GRIPPER_CLOSED, np.random.default_rng(seed))
    return [channel.carry(Command(i * TICK_NS, np.full(3, 1.0 + i), 0.001 * i)) for i in range(count)]


def test_a_good_link_changes_nothing():
    channel = CommandChannel(ChannelQuality(), GRIPPER_CLOSED, np.random.default_rng(0))
    command = Command(TICK_NS, np.ones(3), 0.02)
    assert channel.carry(command) is command


@pytest.mark.parametrize("delay", (1, 2, 5))
def test_a_late_command_arrives_whole_and_in_order(delay):
    arrived = carried(ChannelQuality(delay), 8)
    assert [c.stamp_ns for c in arrived] == [i * TICK_NS for i in range(8)]
    assert [c.linear_velocity[0] for c in arrived] == [0.0] * delay + [1.0 + i for i in range(8 - delay)]
    assert [c.gripper_opening for c in arrived] == [GRIPPER_CLOSED] * delay + [0.001 * i for i in range(8 - delay)]


def test_a_lost_command_is_rest_and_leaves_the_gripper_as_it_was():
    arrived, opening = carried(ChannelQuality(0, 0.3), 2000), GRIPPER_CLOSED
    lost = 0
    for i, command in enumerate(arrived):
        if command.linear_velocity.any():
            opening = command.gripper_opening
            assert (command.linear_velocity == 1.0 + i).all()  # what was lost never comes later
        else:
            lost += 1
            assert command.gripper_opening == opening
    assert lost / len(arrived) == pytest.approx(0.3, abs=0.03)
    assert [c.gripper_opening for c in carried(ChannelQuality(0, 0.3), 50)] == [c.gripper_opening for c in arrived[:50]]


@pytest.mark.parametrize(
    ("delay", "share", "expected"),
    (
        (-1, 0.0, "delay is -1"),
        (0, -0.1, "lost_share is -0.1"),
        (0, 1.1, "1.1"),
        (0, float("nan"), "nan"),
        (1.5, 0.0, "delay is 1.5"),
    ),
)
def test_a_link_that_cannot_be_is_refused(delay, share, expected):
    with pytest.raises(ConfigError, match=expected):
        ChannelQuality(delay, share)


def test_an_environment_draws_one_link_for_a_whole_episode():
    """The hand follows the first command at once, or three ticks later."""
    env, kinds = (
        SkillEnv("roman", "push", poses=TruthPoses(0.0), channels=(ChannelQuality(0), ChannelQuality(3))),
        set(),
    )
    for seed in range(12):
        env.reset(seed=seed)
        moved = []
        for _ in range(5):
            env.step(np.array([0.0, 0.0, 1.0, 1.0], np.float32))
            moved.append(bool(env.world.state.hand_velocity[2] > 0.02))
        assert moved in ([True] * 5, [False] * 3 + [True] * 2)
        kinds.add(moved[0])
    assert kinds == {True, False}


def test_an_episode_over_a_poor_channel_follows_from_its_seed():
    def episode(channel: ChannelQuality):
        seen, hands = [], []
        result = run_episode(
            roman_world(),
            make_controller("oracle", TASK, "button"),
            TASK.start("button"),
            5,
            TruthPoses(0.005),
            channel=channel,
            on_tick=lambda scene, step: (seen.append(scene.position("drop_zone")), hands.append(scene.hand_position)),
        )
        return result, np.array(seen), np.array(hands)

    good, poor, again = episode(ChannelQuality()), episode(ChannelQuality(1, 0.3)), episode(ChannelQuality(1, 0.3))
    assert poor[0] == again[0]
    np.testing.assert_array_equal(poor[2], again[2])
    assert poor[0].success
    assert not np.array_equal(good[2][:20], poor[2][:20])
    count = min(len(good[1]), len(poor[1]))
    np.testing.assert_array_equal(good[1][:count], poor[1][:count])  # no number of the noise's is drawn for the channel
