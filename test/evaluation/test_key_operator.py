"""The scripted operator: keys as people press them, and demonstrations and corrections from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from specs import ROMAN
from worlds import TASK

from roman_moe.cli.main import main
from roman_moe.control.identity import KEYBOARD
from roman_moe.core.action import hold
from roman_moe.core.errors import ConfigError
from roman_moe.demos.reader import read_episodes
from roman_moe.evaluation import collect as module
from roman_moe.evaluation.collect import NOT_NEEDED, Collection, collect
from roman_moe.evaluation.controllers import OracleController
from roman_moe.evaluation.corrections import TAKE_OVER_DELAY
from roman_moe.evaluation.evaluate import EpisodeJob, run_job
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.teleop.steering import SPEEDS


def collection(out, **changes):
    plain = {"perturbation": 0.0, "disturbed_share": 0.0, "poor_channel_share": 0.0, "seed": 4, "source": KEYBOARD}
    return Collection(TASK, out, 1, 0, TruthPoses(0.0), **{**plain, **changes})


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    kept = collect(collection(folder, skills=("button",)))
    return folder, kept


def test_its_demonstrations_are_solved_and_say_who_gave_them(demonstrated):
    folder, kept = demonstrated
    assert kept["button/button"]["kept"] == 1
    assert list(kept) == ["button/button"]  # the skill that was asked for alone
    (episode,) = read_episodes(folder, ROMAN, "button")
    assert (episode.meta.source, episode.meta.outcome) == (KEYBOARD, "success")
    assert episode.taught.all()


def test_a_key_is_down_or_up_at_one_of_the_speeds(demonstrated):
    (episode,) = read_episodes(demonstrated[0], ROMAN, "button")
    motion = episode.answers[:, :3]
    assert {round(abs(share), 6) for share in motion.ravel().tolist()} <= {0.0, *SPEEDS}
    still = ~motion.any(axis=1)
    assert 0.05 < still.mean() < 0.95  # it rests between, as an oracle never does


def test_the_same_seed_gives_the_same_keys():
    job = EpisodeJob(KEYBOARD, TASK.start("button"), 7, TruthPoses(0.0), time_limit=2.0)
    other = EpisodeJob(KEYBOARD, TASK.start("button"), 8, TruthPoses(0.0), time_limit=2.0)
    run_job(other)  # what was before changes nothing
    assert run_job(job) == run_job(job)


class Idle(OracleController):
    """A policy that never starts: it rests as long as the hand is high."""

    def step(self, state):
        step = super().step(state)
        if state.hand_position[2] < 0.2:
            return step
        return replace(step, action=np.zeros(4), command=hold(state.stamp_ns, step.command.gripper_opening))


def test_corrections_teach_only_where_the_operator_drove(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "make_controller", lambda name, task, skill: Idle(task, skill))
    kept = collect(collection(tmp_path, skills=("button",), intervene="idle"))
    assert kept["button/button"]["kept"] == 1
    (episode,) = read_episodes(tmp_path, ROMAN, "button")
    taught = episode.taught
    assert 0 < taught.sum() < len(taught)
    assert not taught[: int(20 * TAKE_OVER_DELAY) - 1].any()  # nobody takes over before that
    stood_still = ~episode.policy[:, :3].any(axis=1)
    assert taught[stood_still].any()
    np.testing.assert_array_equal(episode.answers[~taught], episode.policy[~taught])


def test_an_episode_without_a_correction_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "make_controller", lambda name, task, skill: OracleController(task, skill))
    group = module.groups(collection(tmp_path, skills=("button",), intervene="x"))[0]
    result = module.demonstrate(group.attempt(collection(tmp_path, intervene="x"), 0, ""))
    assert (result.success, result.outcome) == (False, NOT_NEEDED)
    assert not list(tmp_path.rglob("*.mcap"))


def test_an_oracle_does_not_intervene(capsys):
    with pytest.raises(ConfigError, match="--intervene"):
        collection("x", source="oracle", intervene="models/roman")
    assert main(["collect", "--intervene", "models/roman", "--out", "x"]) != 0
    assert "--source keyboard" in capsys.readouterr().err
