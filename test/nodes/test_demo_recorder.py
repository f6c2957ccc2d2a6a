"""The demo recorder in a graph: a lab's judge ends episodes; corrections are kept with the policy's own answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blender_bench import ACTIONS, TICK_NS, WEIGHTS, Harness
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from ros_rig import Rig
from specs import ACTION_LAYOUT, ROMAN, SKILLS

from roman_moe.core.errors import DemonstrationError
from roman_moe.demos.reader import read_episodes
from roman_moe.nodes.base.topics import CODEC, OPERATOR_ACTION, OUTCOME
from roman_moe.nodes.teleop.demo_recorder import DemoRecorder

ANSWER = np.array([0.5, 0.0, -0.25, 1.0])


class Recorded(Harness):
    """A blender in lockstep, its gate and experts played by hand, and a recorder; an operator answers some scenes."""

    def __init__(self, rig: Rig, bundle: Path, demos: Path, **parameters: Any) -> None:
        super().__init__(rig, bundle, lockstep=True)
        self.demos = demos
        self.recorder = rig.add(DemoRecorder, controller=str(bundle), demos=str(demos), **parameters)

    def judge(self, outcome: str, seed: int = 0, first_ns: int = 0) -> None:
        values = [KeyValue(key="seed", value=str(seed)), KeyValue(key="first_ns", value=str(first_ns))]
        self.rig.send(OUTCOME, DiagnosticStatus(name="scenario_2", message=outcome, values=values))

    def begins(self, seed: int, first_ns: int = 0) -> None:
        self.judge("running", seed, first_ns)
        self.rig.spin_until(lambda: self.recorder._origin.get("seed") == seed)

    def operator(self, tick: int, answer: np.ndarray = ANSWER) -> None:
        self.rig.send(OPERATOR_ACTION, CODEC.action(tick * TICK_NS, ACTION_LAYOUT, answer))

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


@pytest.mark.parametrize("teach", ["", "dance"])
def test_what_there_is_not_to_teach_is_named(rig: Rig, bundle: Path, tmp_path: Path, teach: str) -> None:
    with pytest.raises(DemonstrationError, match=f"unknown skill {teach!r}: expected one of"):
        rig.add(DemoRecorder, controller=str(bundle), demos=str(tmp_path), teach=teach)
