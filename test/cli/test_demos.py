"""`roman-moe demos`: real demonstrations are listed, drawn, checked, replayed and edited, and damage is named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from episodes import make_meta, make_ticks
from specs import ROMAN
from worlds import TASK

from roman_moe.cli.main import main
from roman_moe.demos.dataset import dataset_hash, write_spec
from roman_moe.demos.extras import lab_ticks
from roman_moe.demos.reader import read_episode
from roman_moe.demos.survey import survey
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.evaluation.collect import Collection, Group, demonstrate
from roman_moe.evaluation.replay import recorded_states
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.sim.world import World
from roman_moe.wire.codec import LabTick


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two demonstrations of pull: bursts, disturbances, and the second over a poor channel."""
    out = tmp_path_factory.mktemp("dataset") / "demos"
    write_spec(out, ROMAN)
    collection = Collection(TASK, out, 2, 0, TruthPoses(0.005), 0.5, 1.0, 1.0, seed=3)
    group = Group("pull", TASK.start("pull"), 2)
    assert all(demonstrate(group.attempt(collection, index, "0123abc")).success for index in range(2))
    return out


@pytest.fixture
def damaged(dataset, tmp_path):
    """The same, with a third that is cut off."""
    shutil.copytree(dataset, tmp_path / "demos")
    broken = tmp_path / "demos" / "pull" / "episode_900"
    shutil.copytree(dataset / "pull" / "episode_000", broken)
    file = broken / "episode_000.mcap"
    file.write_bytes(file.read_bytes()[:2000])
    return tmp_path / "demos"


def test_list_shows_every_episode_and_names_the_damaged_one(damaged, tmp_path, capsys):
    assert main(["demos", "list", str(damaged), "--json", str(tmp_path / "list.json")]) == 0
    text = capsys.readouterr().out
    assert "pull/episode_001" in text
    assert f"{damaged}/pull/episode_900: cannot be read as a bag: episode_000.mcap" in text
    rows = json.loads((tmp_path / "list.json").read_text())["episodes"]
    assert [(row["network"], row["outcome"], row["rate"]) for row in rows] == [("pull", "success", 20.0)] * 2
    assert [row["corrected_share"] for row in rows] == [None, None]


def test_info_says_what_an_episode_and_a_set_are(dataset, tmp_path, capsys):
    assert main(["demos", "info", str(dataset / "pull" / "episode_001")]) == 0
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert (said["seed"], said["gaps"], said["lost_share"]) == (
        str(read_episode(dataset / "pull" / "episode_001", ROMAN).meta.seed),
        "none",
        "0.3",
    )
    assert main(["demos", "info", str(dataset)]) == 0
    assert f"pull sha256: {dataset_hash(dataset, ROMAN, 'pull')}\n" in capsys.readouterr().out


def test_plot_draws_one_episode_or_a_set(dataset, tmp_path):
    for folder in (dataset, dataset / "pull" / "episode_000"):
        picture = tmp_path / f"{folder.name}.png"
        assert main(["demos", "plot", str(folder), "--plot", str(picture)]) == 0
        assert picture.stat().st_size > 20_000


def test_commands_in_open_loop_come_back_exactly_with_disturbances_and_a_poor_channel(dataset, tmp_path, capsys):
    assert main(["demos", "replay", str(dataset), "--json", str(tmp_path / "replay.json")]) == 0
    assert "commands in open loop: hand 0.00 mm off on average" in capsys.readouterr().out
    for row in json.loads((tmp_path / "replay.json").read_text())["episodes"]:
        assert (row["largest_error_mm"], row["outcome"]) == (0.0, "success")


def test_a_labs_recording_of_which_ticks_are_missing_is_not_replayed_and_a_split_keeps_what_is_there(tmp_path, capsys):
    write_spec(tmp_path / "demos", ROMAN)
    with EpisodeWriter(tmp_path / "demos" / "pull" / "episode_000", ROMAN, "pull") as writer:
        for number, (scene, answer, command) in enumerate(make_ticks("pull")):
            writer.add(scene, answer, command)
            if number != 1:
                writer.add_lab_tick(LabTick(number, command))
        writer.close(make_meta("pull"))
    assert main(["demos", "replay", str(tmp_path / "demos")]) == 1
    assert "cannot be replayed: of 5 ticks of the lab 4 are there; its scenes can be shown" in capsys.readouterr().out
    assert (
        main(["demos", "edit", str(tmp_path / "demos"), str(tmp_path / "two"), "--split", "pull/episode_000=0.1"]) == 0
    )
    assert [[tick.number for tick in lab_ticks(half)] for half in survey(tmp_path / "two").episodes] == [
        [0],
        [0, 2, 3, 4],
    ]


def test_recorded_scenes_are_shown_as_they_were(dataset):
    episode = read_episode(dataset / "pull" / "episode_000", ROMAN)
    world = World(TASK, episode.meta.rate)
    rows = [0, 60, len(episode.states) - 1]
    shown = recorded_states(episode, TASK)
    for row in rows:
        world.set_physics_state(shown[row])
        np.testing.assert_allclose(world.hand_position, episode.states[row].hand_position, atol=1e-3)
        handle = ROMAN.skills["pull"].observes[0]
        np.testing.assert_allclose(world.site(handle), episode.states[row].position(handle), atol=0.02)


def test_states_without_a_video_are_refused(dataset, capsys):
    assert main(["demos", "replay", str(dataset), "--states"]) == 2
    assert "--states shows the scenes as a video: name it" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--states"]])
def test_replay_draws_a_video_and_says_of_what(dataset, tmp_path, capsys, options):
    video = tmp_path / "replay.mp4"
    assert main(["demos", "replay", str(dataset / "pull" / "episode_000"), "--out", str(video), *options]) == 0
    assert video.stat().st_size > 50_000
    assert ("recorded scenes, no physics" if options else "commands in open loop") in capsys.readouterr().out


def test_check_finds_nothing_wrong_with_real_demonstrations(dataset, tmp_path):
    assert main(["demos", "check", str(dataset), "--json", str(tmp_path / "check.json")]) == 0
    found = json.loads((tmp_path / "check.json").read_text())
    assert (found["episodes"], found["problems"], found["outcomes_judged"]) == (2, [], 2)


def test_check_names_what_is_unfinished_and_counts_nothing_of_it_as_wrong(dataset, tmp_path, capsys):
    demos = tmp_path / "demos"
    shutil.copytree(dataset, demos)
    (demos / "pull" / ".episode_002" / "episode_002").mkdir(parents=True)
    with EpisodeWriter(demos / "pull" / "episode_003", ROMAN, "pull"):
        assert main(["demos", "check", str(demos), "--quick", "--json", str(tmp_path / "check.json")]) == 0
    lines = [f"{demos}/pull/.episode_002: left by a recorder that was killed: the next recording into this dataset"]
    lines += [f"{demos}/pull/.episode_003: is being recorded"]
    text, found = capsys.readouterr().out, json.loads((tmp_path / "check.json").read_text())
    for line, note in zip(lines, found["notes"][:2], strict=True):
        assert f"note: {line}" in text
        assert note.startswith(line)


def test_check_names_damage_and_an_outcome_that_the_judge_does_not_share(damaged, tmp_path, capsys):
    edited = tmp_path / "edited"
    assert main(["demos", "edit", str(damaged), str(edited), "--split", "pull/episode_000=3"]) == 0
    assert f"left out: {damaged}/pull/episode_900: " in capsys.readouterr().out
    assert main(["demos", "check", str(edited)]) == 1
    text = capsys.readouterr().out
    assert f"{edited}/pull/episode_000_1: outcome success: replayed, the task's judge says running\n" in text
    assert "3 episodes: 0 damaged, 1 problems, 2 outcomes judged" in text
    assert main(["demos", "check", str(damaged), "--quick"]) == 1
    text = capsys.readouterr().out
    assert f"{damaged}/pull/episode_900: cannot be read as a bag" in text
    assert "3 episodes: 1 damaged, 1 problems, 0 outcomes judged" in text


def test_edit_deletes_and_labels_into_a_new_folder_and_leaves_the_old(dataset, tmp_path, capsys):
    before = dataset_hash(dataset, ROMAN, "pull")
    labels = ["--outcome", "time_limit", "--notes", "too slow", "--only", "pull/episode_001"]
    assert main(["demos", "edit", str(dataset), str(tmp_path / "a"), *labels]) == 0
    meta = read_episode(tmp_path / "a" / "pull" / "episode_001", ROMAN).meta
    assert (meta.outcome, meta.notes) == ("time_limit", "too slow")
    for name in ("episode_000.mcap", "metadata.yaml"):  # byte for byte
        untouched = tmp_path / "a" / "pull" / "episode_000" / name
        assert untouched.read_bytes() == (dataset / "pull" / "episode_000" / name).read_bytes()

    arguments = [str(tmp_path / "b"), "--delete", "pull/episode_000", "--network", "push"]
    assert main(["demos", "edit", str(dataset), *arguments]) == 0
    found = survey(tmp_path / "b")
    assert [(found.name(one), one.meta.network) for one in found.episodes] == [("push/episode_001", "push")]
    np.testing.assert_array_equal(
        found.episodes[0].answers, read_episode(dataset / "pull" / "episode_001", ROMAN).answers
    )
    capsys.readouterr()
    assert main(["demos", "edit", str(dataset), *arguments]) == 2
    assert f"{tmp_path}/b: exists already: name a folder that is not there" in capsys.readouterr().err
    assert dataset_hash(dataset, ROMAN, "pull") == before


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--delete", "pull/episode_007"], "no episode 'pull/episode_007': did you mean 'pull/episode_00"),
        (["--split", "pull/episode_000"], "--split pull/episode_000: expected an episode and a time"),
        (["--split", "pull/episode_000=900"], "pull/episode_000: split at 900 s: expected more than 0 and at most"),
        (["--network", "shove"], "--network shove: expected one of pull (Pull), "),
        (["--network", "gate"], "teaches 'pull', not 'gate': actions are no weights"),
    ],
)
def test_an_edit_that_cannot_be_made_is_one_line_and_leaves_nothing(dataset, tmp_path, capsys, options, line):
    assert main(["demos", "edit", str(dataset), str(tmp_path / "new"), *options]) == 2
    assert line in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_without_demonstrations_and_another_task_are_one_line_each(dataset, tmp_path, capsys):
    assert main(["demos", "list", str(tmp_path)]) == 2
    assert f"{tmp_path}: no demonstration there" in capsys.readouterr().err
    assert main(["demos", "check", str(tmp_path / "nothing")]) == 2
    assert "nothing: no such folder" in capsys.readouterr().err
    assert main(["demos", "check", str(dataset), "--task", "kitting"]) == 2
    assert "expected 'roman'" in capsys.readouterr().err
    with EpisodeWriter(tmp_path / "other" / "pull" / "episode_000", ROMAN, "pull") as writer:
        state = read_episode(dataset / "pull" / "episode_000", ROMAN)
        writer.add(state.states[0], state.answers[0], state.commands[0])
        writer.close(make_meta("pull"))
    (tmp_path / "other" / "task.yaml").write_text(ROMAN.to_yaml().replace("top_speed: 0.2", "top_speed: 0.3"))
    assert main(["demos", "check", str(tmp_path / "other")]) == 1
    assert "is of another version of task 'roman'" in capsys.readouterr().out
