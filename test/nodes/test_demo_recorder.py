"""The demo recorder in a graph: a lab's judge ends episodes; corrections are kept with the policy's own answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blender_bench import ACTIONS, TICK_NS, WEIGHTS, Harness
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from ros_rig import Rig
from specs import ACTION_LAYOUT, ROMAN, SKILLS
from std_msgs.msg import Bool
from worlds import TASK, roman_world

from roman_moe.cli.main import main
from roman_moe.core.action import Command, hold
from roman_moe.core.errors import DemonstrationError
from roman_moe.demos.reader import read_episodes
from roman_moe.evaluation.replay import replay
from roman_moe.nodes.arms.lab_node import LabNode
from roman_moe.nodes.base import topics
from roman_moe.nodes.teleop.demo_recorder import DemoRecorder
from roman_moe.wire.codec import BlenderTick

ANSWER = np.array([0.5, 0.0, -0.25, 1.0])


class Recorded(Harness):
    """A blender in lockstep, its gate and experts played by hand, and a recorder; an operator answers some scenes."""

    def __init__(self, rig: Rig, bundle: Path, demos: Path, **parameters: Any) -> None:
        super().__init__(rig, bundle, lockstep=True)
        self.demos = demos
        self.recorder = rig.add(DemoRecorder, bundle=str(bundle), demos=str(demos), **parameters)

    def judge(self, outcome: str, seed: int = 0, first_ns: int = 0) -> None:
        values = [KeyValue(key="seed", value=str(seed)), KeyValue(key="first_ns", value=str(first_ns))]
        self.rig.send(topics.OUTCOME, DiagnosticStatus(name="scenario_2", message=outcome, values=values))

    def begins(self, seed: int, first_ns: int = 0) -> None:
        self.judge("running", seed, first_ns)
        self.rig.spin_until(lambda: self.recorder._origin.get("seed") == seed)

    def operator(self, tick: int, answer: np.ndarray = ANSWER) -> None:
        self.rig.send(topics.OPERATOR_ACTION, topics.CODEC.action(tick * TICK_NS, ACTION_LAYOUT, answer))

    def driven_tick(self, tick: int) -> None:
        before = self.commands
        self.operator(tick)
        self.scene(tick)
        self.command(before + 1)

    def has(self, ticks: int) -> None:
        self.rig.spin_until(lambda: self.recorder._here.ticks == ticks)

    def verdict(self, outcome: str) -> str:
        self.judge(outcome)
        self.rig.spin_until(lambda: self.recorder.told)
        return self.recorder.told.pop()


def test_a_judge_keeps_what_is_solved_and_discards_the_rest(rig: Rig, bundle: Path, tmp_path: Path) -> None:
    graph = Recorded(rig, bundle, tmp_path, teach=SKILLS[1])
    graph.begins(7)
    assert rig.trigger("demo_recorder/start").success
    for tick in range(3):
        graph.driven_tick(tick)
    graph.has(3)
    assert "success: kept" in graph.verdict("success")
    assert rig.trigger("demo_recorder/start").success
    graph.driven_tick(3)
    graph.has(1)
    graph.begins(8, 5 * TICK_NS)  # the lab has begun anew: what was recorded was of the episode before
    graph.driven_tick(4)
    graph.driven_tick(5)
    graph.has(1)
    assert "time_limit: discarded" in graph.verdict("time_limit")
    (episode,) = read_episodes(tmp_path, ROMAN, SKILLS[1])
    assert (episode.meta.start, episode.meta.seed, episode.meta.outcome) == ("scenario_2", 7, "success")
    np.testing.assert_array_equal(episode.answers, [ANSWER] * 3)
    assert (episode.policy, episode.taught.all()) == (None, True)


def test_a_correction_is_kept_with_its_outcome_and_what_the_policy_would_have_done(
    rig: Rig, bundle: Path, tmp_path: Path
) -> None:
    graph = Recorded(rig, bundle, tmp_path, policy=True, corrects=True)
    graph.begins(3)
    assert rig.trigger("demo_recorder/start").success
    graph.whole_tick(0)
    graph.operator(1)
    for tick in (1, 2):
        graph.operator(tick)
        graph.whole_tick(tick)
    graph.operator(3, np.full(4, np.nan))
    graph.whole_tick(3)
    graph.has(4)
    assert f"object_dropped: kept {tmp_path / SKILLS[0] / 'episode_000'}: 4 ticks" in graph.verdict("object_dropped")
    (episode,) = read_episodes(tmp_path, ROMAN, SKILLS[0])
    assert episode.meta.outcome == "object_dropped"
    assert episode.taught.tolist() == [False, True, True, False]
    assert episode.policy is not None
    assert episode.weights is not None
    np.testing.assert_allclose(episode.policy, [WEIGHTS @ ACTIONS] * 4)
    np.testing.assert_array_equal(episode.answers[1:3], [ANSWER] * 2)
    np.testing.assert_array_equal(episode.weights, [WEIGHTS, 0 * WEIGHTS, 0 * WEIGHTS, WEIGHTS])


def test_a_clock_that_goes_back_is_told_and_the_next_episode_is_recorded(
    rig: Rig, bundle: Path, tmp_path: Path
) -> None:
    graph = Recorded(rig, bundle, tmp_path, teach=SKILLS[1])
    assert rig.trigger("demo_recorder/start").success
    graph.driven_tick(50)
    graph.has(1)
    graph.scene(10)
    rig.spin_until(lambda: graph.recorder.told)
    assert "the clock went back by 2.000 s: discarded" in graph.recorder.told.pop()
    assert not graph.recorder.recording
    assert rig.trigger("demo_recorder/start").success
    graph.driven_tick(11)
    graph.has(1)


def test_a_labs_recording_is_replayed_exactly_by_what_its_arm_has_followed(
    rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = rig.add(DemoRecorder, task="roman", teach=SKILLS[1], demos=str(tmp_path))
    lab = rig.add(LabNode, task="roman", start=SKILLS[1], seed=3, lockstep=True)
    rig.spin_until(lambda: recorder._origin)
    assert rig.trigger("demo_recorder/start").success
    world = roman_world()
    state = world.reset(TASK.start(SKILLS[1]), np.random.default_rng([3, 0]))
    for tick in range(8):
        rig.spin_until(lambda state=state: lab._state.stamp_ns == state.stamp_ns and lab._shown)
        stopped = tick == 4
        rig.send(topics.STOPPED, Bool(data=stopped))
        rig.spin_until(lambda stopped=stopped: lab._stopped == stopped)
        command = Command(lab._stamp, np.array([0.05, 0.0, -0.05]), ROMAN.gripper.open)
        rig.send(topics.OPERATOR_ACTION, topics.CODEC.action(lab._stamp, ACTION_LAYOUT, ANSWER))
        rig.send(
            topics.TICK,
            topics.CODEC.tick(lab._stamp, SKILLS, BlenderTick(SKILLS, 0 * WEIGHTS, command, 0, True).numbers),
        )
        rig.send(topics.SCENE, topics.CODEC.scene(replace(state, stamp_ns=lab._stamp)))
        rig.spin_until(lambda tick=tick: recorder.ticks == tick + 1)
        rig.send(topics.GRIPPER_COMMAND, topics.CODEC.gripper(command))
        rig.send(topics.TWIST_COMMAND, topics.CODEC.twist(command))
        state = world.step(hold(0, ROMAN.gripper.open) if stopped else command)
    rig.spin_until(lambda: len(recorder._here._lab[1]) == 8)
    assert rig.trigger("demo_recorder/stop").success
    (episode,) = read_episodes(tmp_path, ROMAN, SKILLS[1])
    again = replay(episode, TASK)
    np.testing.assert_array_equal(again.errors, np.zeros(8))
    assert (again.from_lab, again.judged) == (True, False)
    assert np.linalg.norm(episode.states[-1].hand_position - episode.states[0].hand_position) > 0.005
    assert main(["demos", "replay", str(tmp_path)]) == 0
    assert "0.00 mm at most, over 8 ticks; ended by the operator, recorded was" in capsys.readouterr().out


@pytest.mark.parametrize("teach", ["", "dance"])
def test_what_there_is_not_to_teach_is_named(rig: Rig, bundle: Path, tmp_path: Path, teach: str) -> None:
    with pytest.raises(DemonstrationError, match=f"unknown skill {teach!r}: expected one of"):
        rig.add(DemoRecorder, bundle=str(bundle), demos=str(tmp_path), teach=teach)
