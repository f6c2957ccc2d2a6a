"""The recorder joins a graph's messages by their stamps, keeps what is complete, and overwrites nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from episodes import make_ticks
from specs import ROMAN, SKILLS, TURN_KEY

from roman_moe.core.errors import DemonstrationError
from roman_moe.core.spec import GATE
from roman_moe.demos.dataset import dataset_spec
from roman_moe.demos.reader import read_episode, read_episodes
from roman_moe.demos.recorder import PENDING, Recorder

SKILL = SKILLS[0]


def recorder(folder: Path, network: str = SKILL) -> Recorder:
    return Recorder(folder, ROMAN, network, 20.0, "operator")


def show(to: Recorder, tick: tuple, parts: str = "sac") -> None:
    """Some of a tick's scene, answer and command, in this order."""
    scene, answer, command = tick
    for part in parts:
        if part == "s":
            to.scene(scene)
        elif part == "a":
            to.answer(scene.stamp_ns, answer)
        else:
            to.command(command)


@pytest.mark.parametrize("network", [SKILL, GATE])
@pytest.mark.parametrize("order", ["sac", "cas", "asc"])
def test_what_is_recorded_is_what_was_said_in_whichever_order_it_came(tmp_path, network, order):
    to, ticks = recorder(tmp_path, network), make_ticks(network)
    assert to.start() == to.path == tmp_path / network / "episode_000"
    for tick in ticks:
        show(to, tick, order)
    assert to.stop() == f"{tmp_path / network / 'episode_000'}: 5 ticks, 0 scenes left out"
    assert (to.path, to.kept) == (None, 1)
    (episode,) = read_episodes(tmp_path, dataset_spec(tmp_path), network)
    np.testing.assert_array_equal(episode.answers, [answer for _, answer, _ in ticks])
    assert [state.stamp_ns for state in episode.states] == [scene.stamp_ns for scene, _, _ in ticks]
    assert [command.gripper_opening for command in episode.commands] == [c.gripper_opening for _, _, c in ticks]
    meta = episode.meta
    assert (meta.source, meta.outcome, meta.rate, meta.task_sha256) == ("operator", "success", 20.0, ROMAN.digest)


def test_incomplete_ticks_are_left_out_and_counted(tmp_path):
    to, ticks = recorder(tmp_path), make_ticks(SKILL, 8)
    to.start()
    for tick, parts in zip(ticks, ("s", "sac", "sc", "sa", "sac", "ssac", "sac", "sa"), strict=True):
        show(to, tick, parts)
    scene, answer, _ = ticks[6]
    to.answer(scene.stamp_ns, answer + 1.0)  # a tick that is there does not change
    assert "4 ticks, 2 scenes left out" in to.stop()
    episode = read_episode(tmp_path / SKILL / "episode_000", ROMAN)
    np.testing.assert_array_equal(episode.answers, [ticks[index][1] for index in (1, 4, 5, 6)])


def test_answers_that_are_none_are_left_out(tmp_path):
    to, ticks = recorder(tmp_path), make_ticks(SKILL, 3)
    to.start()
    for (scene, answer, command), share in zip(ticks, (1.0, np.nan, 1.0), strict=True):
        show(to, (scene, answer * share, command))
    assert "2 ticks, 1 scenes left out" in to.stop()


def test_a_long_pause_does_not_fill_the_memory(tmp_path):
    to, ticks = recorder(tmp_path), make_ticks(SKILL, PENDING + 10)
    to.start()
    show(to, ticks[0])
    for tick in ticks[1:-1]:
        show(to, tick, "sc")
    show(to, ticks[-1])
    assert f"2 ticks, {PENDING + 8} scenes left out" in to.stop()


def test_nothing_is_overwritten_and_discarded_episodes_leave_no_gap(tmp_path):
    to, ticks = recorder(tmp_path), make_ticks(SKILL)
    for keep in (True, False, True):
        to.start()
        show(to, ticks[0])
        to.stop() if keep else to.discard()
    another = recorder(tmp_path)
    assert another.start().name == "episode_002"
    another.discard()
    assert sorted(file.name for file in (tmp_path / SKILL).iterdir()) == ["episode_000", "episode_001"]


def test_what_comes_in_between_is_of_no_episode(tmp_path):
    to, ticks = recorder(tmp_path), make_ticks(SKILL)
    show(to, ticks[0])
    to.start()
    show(to, ticks[1])
    assert "1 ticks" in to.stop()


def test_what_cannot_be_meant_is_one_line(tmp_path):
    to = recorder(tmp_path)
    for act in (to.stop, to.discard):
        with pytest.raises(DemonstrationError, match="no episode is being recorded: start one"):
            act()
    to.start()
    with pytest.raises(DemonstrationError, match="episode_000: is being recorded: stop or discard it first"):
        to.start()
    with pytest.raises(DemonstrationError, match="no tick was recorded"):
        to.stop()
    assert to.path is None
    assert not list((tmp_path / SKILL).iterdir())
    with pytest.raises(DemonstrationError, match="unknown skill 'dance': expected one of"):
        recorder(tmp_path, "dance")
    (tmp_path / "task.yaml").write_text(TURN_KEY)
    with pytest.raises(DemonstrationError, match="holds demonstrations of another task or version"):
        recorder(tmp_path)
