"""Collection: reproducible bit for bit, only solved episodes, clean answers under disturbed commands."""

from __future__ import annotations

import dataclasses
import itertools
import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from specs import ROMAN, TOP_SPEED, TURN_KEY
from worlds import TASK

from roman_moe.cli.collect import Collect
from roman_moe.cli.main import main, run_verb
from roman_moe.control.controller import ControlStep
from roman_moe.control.rates import Rates
from roman_moe.core.action import Command, to_command
from roman_moe.core.errors import ConfigError, DemonstrationError, NotMovedError
from roman_moe.core.spec import GATE, read_spec
from roman_moe.core.state import SceneState
from roman_moe.demos.dataset import dataset_hash
from roman_moe.demos.reader import episode_folders, read_episode, read_episodes
from roman_moe.evaluation import collect as module
from roman_moe.evaluation.collect import Collection, Group, PerturbedController, bursts, collect
from roman_moe.learning.samples import samples_of
from roman_moe.sim.camera_poses import CameraPoses
from roman_moe.sim.channel import GOOD_CHANNEL, POOR_CHANNEL
from roman_moe.sim.episode import EpisodeResult
from roman_moe.sim.pose_source import TruthPoses


def small(out: Path, **changes: object) -> Collection:
    collection = Collection(
        TASK,
        out,
        2,
        1,
        TruthPoses(0.005),
        perturbation=0.0,
        disturbed_share=0.0,
        poor_channel_share=0.0,
        seed=4,
        workers=1,
    )
    return dataclasses.replace(collection, **changes)  # type: ignore[arg-type]


@pytest.fixture
def quick(monkeypatch):
    """Only the shortest skill and scenario."""
    wanted = lambda collection: [  # noqa: E731
        Group("button", TASK.start("button"), collection.episodes),
        Group(GATE, TASK.start(0), collection.gate_episodes),
    ]
    monkeypatch.setattr(module, "groups", wanted)


def test_all_skills_and_scenarios_are_asked_for(tmp_path):
    wanted = [(group.network, group.start.name, group.wanted) for group in module.groups(small(tmp_path))]
    assert wanted[0] == ("pull", "pull", 2)
    assert wanted[7:] == [(GATE, f"scenario_{number}", 1) for number in range(7)]


def test_collection_is_reproducible_and_independent_of_workers(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(module, "git_commit", lambda: "0123")  # others may commit meanwhile
    for name, workers in (("a", 1), ("b", 2)):
        collect(small(tmp_path / name, workers=workers, perturbation=0.2, disturbed_share=1.0))
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert sorted(path.as_posix() for path in files) == [
        "button/episode_000/episode_000.mcap",
        "button/episode_000/metadata.yaml",
        "button/episode_001/episode_001.mcap",
        "button/episode_001/metadata.yaml",
        "gate/scenario_0_episode_000/metadata.yaml",
        "gate/scenario_0_episode_000/scenario_0_episode_000.mcap",
        "task.yaml",
    ]
    collect(small(tmp_path / "c", seed=5))
    for network in ("button", GATE):
        first, second, other = (dataset_hash(tmp_path / name, ROMAN, network) for name in "abc")
        assert first == second != other


def test_an_episode_says_where_it_comes_from_and_answers_every_scene(tmp_path, quick):
    kept = collect(small(tmp_path))
    assert kept == {
        "button/button": {"kept": 2, "failed": [], "failed_seeds": []},
        "gate/scenario_0": {"kept": 1, "failed": [], "failed_seeds": []},
    }
    episode = read_episode(tmp_path / "button" / "episode_000", ROMAN, "button")
    assert (episode.meta.source, episode.meta.outcome, episode.meta.start) == ("oracle", "success", "button")
    assert (episode.meta.noise_bound, episode.meta.rate) == (0.005, 20.0)
    assert np.all(np.diff([state.stamp_ns for state in episode.states]) == 50_000_000)
    gate = read_episode(tmp_path / GATE / "scenario_0_episode_000", ROMAN, GATE)
    assert gate.answers.shape == (len(gate.states), 7)
    np.testing.assert_allclose(gate.answers.sum(axis=1), 1.0, atol=1e-6)


def test_disturbed_commands_leave_the_recorded_answer_clean(tmp_path, quick):
    collect(small(tmp_path, perturbation=0.4, poses=TruthPoses(0.0), episodes=1, gate_episodes=0))
    episode = read_episode(tmp_path / "button" / "episode_000", ROMAN)
    assert episode.meta.perturbation == 0.4
    oracle, disturbed = TASK.skills["button"], 0
    for state, answer, command in zip(episode.states, episode.answers, episode.commands, strict=True):
        np.testing.assert_array_equal(answer, oracle.demonstrate(state))  # without noise the scene is the truth
        clean = to_command(ROMAN, state.stamp_ns, answer, 0.0).linear_velocity
        disturbed += not np.array_equal(clean, command.linear_velocity)
        assert np.abs(command.linear_velocity).max() <= TOP_SPEED
    assert 0 < disturbed < len(episode.states)


def test_an_episode_says_what_disturbed_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "groups", lambda collection: [Group("push", TASK.start("push"), collection.episodes)])
    kept = collect(small(tmp_path, disturbed_share=0.5))
    assert kept == {"push/push": {"kept": 2, "failed": [], "failed_seeds": []}}
    episodes = [read_episode(tmp_path / "push" / f"episode_00{index}", ROMAN) for index in range(2)]
    assert [episode.meta.disturbance for episode in episodes] == ["", "shove_rack"]


def test_an_episode_over_a_poor_channel_says_so_and_keeps_the_oracles_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "groups", lambda collection: [Group("push", TASK.start("push"), 1)])
    oracle, rests = TASK.skills["push"], []
    for share, channel in ((0.0, (0, 0.0)), (1.0, (1, 0.3))):
        collect(small(tmp_path / f"{share}", poor_channel_share=share, poses=TruthPoses(0.0)))
        episode = read_episode(tmp_path / f"{share}" / "push" / "episode_000", ROMAN)
        assert (episode.meta.delay, episode.meta.lost_share) == channel
        for state, answer in zip(episode.states, episode.answers, strict=True):
            np.testing.assert_allclose(answer, oracle.demonstrate(state), atol=1e-6)
        # The hand stands still, and the answer is to go on.
        pairs = zip(episode.states, episode.answers, strict=True)
        rests.append(sum(np.linalg.norm(a[:3]) > 0.3 and np.linalg.norm(s.hand_velocity) < 0.01 for s, a in pairs))
    assert rests[0] <= 2 < 10 < rests[1]


@pytest.mark.parametrize(("share", "disturbed"), [(0.0, 0), (0.3, 6), (0.5, 10), (1.0, 20)])
def test_attempts_are_disturbed_at_even_steps(tmp_path, share, disturbed):
    group, collection = Group("push", TASK.start("push"), 20), small(tmp_path, disturbed_share=share)
    flags = [group.attempt(collection, index, "").disturbed for index in range(20)]
    assert sum(flags) == disturbed
    assert abs(sum(flags[:10]) - disturbed / 2) <= 0.5


def test_poor_channels_and_disturbances_meet_in_every_combination(tmp_path):
    collection = small(tmp_path, disturbed_share=0.5, poor_channel_share=0.5)
    attempts = [Group("push", TASK.start("push"), 20).attempt(collection, index, "") for index in range(20)]
    assert Counter((attempt.disturbed, attempt.channel) for attempt in attempts) == {
        (disturbed, channel): 5 for disturbed in (False, True) for channel in (GOOD_CHANNEL, POOR_CHANNEL)
    }


def test_bursts_take_their_share_and_then_end():
    offsets = np.array(list(itertools.islice(bursts(np.full(3, 0.1), np.random.default_rng(0)), 40_000)))
    active = offsets.any(axis=1)
    assert active.mean() == pytest.approx(module.BURST_SHARE, abs=0.02)
    assert offsets[active].std() == pytest.approx(0.1, rel=0.05)


def test_failed_attempts_are_counted_and_made_up_for(tmp_path, quick, monkeypatch):
    real = module.demonstrate

    def failing(job: module.DemonstrationJob) -> EpisodeResult:
        if job.path.name == "episode_000":
            return EpisodeResult(job.start.name, job.seed, "time_limit", 80.0)
        return real(job)

    monkeypatch.setattr(module, "demonstrate", failing)
    seen: list[EpisodeResult] = []
    kept = collect(small(tmp_path, gate_episodes=0), seen.append)
    (failed,) = [result.seed for result in seen if not result.success]
    assert kept["button/button"] == {"kept": 2, "failed": ["time_limit"], "failed_seeds": [failed]}
    assert [path.name for path in episode_folders(tmp_path, "button")] == ["episode_001", "episode_002"]
    assert len(seen) == 3


def test_an_oracle_that_keeps_failing_is_an_error(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(
        module, "demonstrate", lambda job: EpisodeResult(job.start.name, job.seed, "object_dropped", 1.0)
    )
    with pytest.raises(DemonstrationError, match="solved 0 of 6 attempts"):
        collect(small(tmp_path, gate_episodes=0))


def test_demonstrations_are_never_mixed_with_older_ones(tmp_path, quick):
    collect(small(tmp_path, gate_episodes=0))
    with pytest.raises(DemonstrationError, match="exists already"):
        collect(small(tmp_path, gate_episodes=0))


@pytest.fixture
def other_disk(tmp_path):
    """A folder on another file system than `tmp_path`."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize("exists", [True, False])
def test_the_folder_may_be_a_link_to_another_disk(tmp_path, quick, other_disk, exists):
    place = other_disk / "demos"
    if exists:
        place.mkdir()
    (tmp_path / "link").symlink_to(place)
    collect(small(tmp_path / "link", episodes=1))
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in place.iterdir()) == ["button", GATE, "task.yaml"]
    assert len(episode_folders(tmp_path / "link", "button")) == 1
    assert [path.name for path in (*tmp_path.iterdir(), *other_disk.iterdir())] == ["link", "demos"]


def test_demonstrations_that_cannot_be_moved_into_the_folder_are_kept(tmp_path, quick):
    out = tmp_path / "demos"
    with pytest.raises(NotMovedError, match="demos/button: cannot be written: Not a directory") as caught:
        collect(small(out, episodes=1), lambda result: out.touch())  # something else appears in its place
    (kept,) = tmp_path.glob(".demos-*/new")
    assert str(kept) in str(caught.value)
    assert len(episode_folders(kept, "button")) == 1


def test_the_command_reports_what_it_kept(tmp_path, quick, capsys):
    command = Collect(tmp_path / "demos", episodes=1, gate_episodes=1, workers=1, json=tmp_path / "kept.json")
    assert command.main() == 0
    report = json.loads((tmp_path / "kept.json").read_text())
    assert report["demonstrations"]["button/button"]["kept"] == 1
    assert set(report["sha256"]) == {"button", GATE}
    assert "gate/scenario_0" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="--gate-episodes -1"):
        run_verb(Collect(tmp_path, gate_episodes=-1))


def test_the_gate_gets_as_many_demonstrations_whatever_the_number_of_scenarios(tmp_path, monkeypatch):
    asked = []

    def collect(collection, _):
        asked.append(collection.gate_episodes)
        return {}

    monkeypatch.setattr("roman_moe.evaluation.collect.collect", collect)
    for task in ("roman", "kitting"):
        assert Collect(tmp_path / "demos", task=task).main() == 0
    assert asked == [6, 14]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize("option", ["perturbation", "noise_bound", "disturbed_share", "poor_channel_share"])
def test_numbers_that_training_would_refuse_are_refused_before_collecting(tmp_path, option, value):
    with pytest.raises(ConfigError, match=f"{option.replace('_', '.')}.* {value}: expected"):
        run_verb(Collect(tmp_path / "demos", **{option: value}))
    assert not (tmp_path / "demos").exists()


class Constant:
    """A driver that always answers the same."""

    skills = ("turn",)
    control_rate = 20.0
    reads_truth = True

    def reset(self) -> None: ...

    def step(self, state: SceneState) -> ControlStep:
        action = np.array([0.5, 0.0, 0.0, -0.5, 1.0])
        command = Command(0, np.array([0.05, 0.0, 0.0]), 0.06, np.array([0.0, 0.0, -1.0]))
        return ControlStep(action, np.ones(1), action[None], command)


def test_bursts_turn_the_hand_too_about_the_axes_that_the_task_has(tmp_path):
    (tmp_path / "task.yaml").write_text(TURN_KEY)
    spec = read_spec(tmp_path / "task.yaml")
    driver = PerturbedController(Constant(), spec.action, 5.0, np.random.default_rng(0))
    steps = [driver.step(None) for _ in range(400)]  # type: ignore[arg-type]
    turns = np.array([step.command.angular_velocity for step in steps])
    assert all((step.action == steps[0].action).all() for step in steps)
    assert (turns[:, :2] == 0.0).all()
    assert 0 < (turns[:, 2] != -1.0).sum() < 200
    assert np.abs(turns[:, 2]).max() == spec.action.top_angular_speed


def test_scenes_are_what_cameras_gave_and_answers_follow_from_the_truth(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "groups", lambda _: [Group("pull", TASK.start("pull"), 1)])
    collect(small(tmp_path / "truth", poses=TruthPoses()))
    kept = collect(small(tmp_path / "seen", poses=CameraPoses("synthetic", noise_bound=0.006)))
    assert kept["pull/pull"]["kept"] == 1
    (true,), (seen,) = (read_episodes(tmp_path / name, ROMAN, "pull") for name in ("truth", "seen"))
    assert (seen.meta.noise_kind, seen.meta.noise_bound) == ("synthetic", 0.0)
    stamps = [state.stamp_ns for state in seen.states]
    assert stamps[0] >= 100_000_000  # before the first image is there, nothing is known
    by_stamp = {state.stamp_ns: number for number, state in enumerate(true.states)}
    rows = [by_stamp[stamp] for stamp in stamps]
    assert len(rows) > 0.8 * len(true.states)
    np.testing.assert_array_equal(seen.answers, true.answers[rows])
    handle, vial = ROMAN.object_index["drawer_handle"], ROMAN.object_index["vial"]
    offsets = [
        np.linalg.norm(state.object_positions[handle] - true.states[row].object_positions[handle])
        for state, row in zip(seen.states, rows, strict=True)
    ]
    assert 0.0 < np.median(offsets) < 0.02
    assert not any(state.object_valid[vial] for state in seen.states)  # in its drawer, under the cover
    samples = samples_of(ROMAN, "pull", [seen], Rates(20.0, 10.0))
    assert np.isfinite(samples.observations).all()
    assert len(samples.observations) == len(stamps)


def test_an_episode_in_which_nothing_is_seen_is_tried_again_and_counted(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(module, "is_teachable", lambda scene, network: False)
    monkeypatch.setattr(module, "groups", lambda _: [Group("button", TASK.start("button"), 1)])
    results = []
    with pytest.raises(DemonstrationError, match="the oracle solved 0 of 3 attempts"):
        collect(small(tmp_path / "demos"), results.append)
    assert [result.outcome for result in results] == ["not_seen"] * 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--estimator", "x.onnx"], "--estimator: only valid with --poses camera"),
        (["--poses", "camera", "--estimator", "{tmp}/x.onnx"], "x.onnx: cannot be read"),
        (["--poses", "synthetic", "--noise-bound", "0"], "noise_bound is 0.0: expected more than 0"),
        (["--poses", "eyes"], "--poses 'eyes': expected one of truth, camera, markers, synthetic"),
    ],
)
def test_poses_that_cannot_be_collected_are_refused_in_one_line(tmp_path, capsys, arguments, complaint):
    given = [each.format(tmp=tmp_path) for each in arguments]
    assert main(["collect", "--out", str(tmp_path / "demos"), *given]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
