"""The recorder joins a graph's messages by their stamps, keeps what is complete, and overwrites nothing."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from episodes import make_ticks, record
from specs import ROMAN, SKILLS, TURN_KEY

from roman_moe.control.guard import GuardStatus
from roman_moe.core.action import Command
from roman_moe.core.errors import DemonstrationError
from roman_moe.core.spec import GATE
from roman_moe.demos.dataset import dataset_spec
from roman_moe.demos.extras import lab_ticks
from roman_moe.demos.reader import episode_folders, read_episode, read_episodes
from roman_moe.demos.recorder import LEAD_IN, PENDING, Recorder
from roman_moe.demos.unfinished import unfinished
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.wire.codec import BlenderTick, LabTick

SKILL = SKILLS[0]


def recorder(folder: Path, network: str = SKILL, **options: object) -> Recorder:
    return Recorder(folder, ROMAN, network, 20.0, "operator", **options)  # type: ignore[arg-type]


def blended(command: Command, weights: np.ndarray | None = None, guard: int = GuardStatus.NO_WARNING) -> BlenderTick:
    """What the blender says of a tick: the operator drove unless there are weights."""
    used = np.zeros(len(SKILLS)) if weights is None else weights
    return BlenderTick(SKILLS, used, command, guard, weights is None)


def show(to: Recorder, tick: tuple, parts: str = "sac") -> None:
    """Some of a tick's scene, answer and command, in this order."""
    scene, answer, command = tick
    for part in parts:
        if part == "s":
            to.scene(scene)
        elif part == "a":
            to.answer(scene.stamp_ns, answer)
        else:
            to.tick(blended(command))


def drive(to: Recorder, tick: tuple, leads: int) -> None:
    """A tick in which the policy drives, and skill `leads` leads."""
    scene, answer, command = tick
    to.scene(scene)
    to.policy(scene.stamp_ns, answer / 2)
    to.tick(blended(command, np.eye(len(SKILLS))[leads]))


def correct(to: Recorder, tick: tuple) -> None:
    """A tick in which the operator drives in the policy's place."""
    show(to, tick)
    to.policy(tick[0].stamp_ns, tick[1] / 2)


@pytest.mark.parametrize("network", [SKILL, GATE])
@pytest.mark.parametrize("order", ["sac", "cas", "asc"])
def test_what_is_recorded_is_what_was_said_in_whichever_order_it_came(tmp_path, network, order):
    to, ticks = recorder(tmp_path, network), make_ticks(network)
    assert to.start() == to.path == tmp_path / network / "episode_000"
    for tick in ticks:
        show(to, tick, order)
    assert to.stop() == f"{tmp_path / network / 'episode_000'}: 5 ticks at 20.0 Hz, 0 gaps, 0 scenes left out"
    assert (to.path, to.kept) == (None, 1)
    (episode,) = read_episodes(tmp_path, dataset_spec(tmp_path), network)
    np.testing.assert_array_equal(episode.answers, [answer for _, answer, _ in ticks])
    assert [state.stamp_ns for state in episode.states] == [scene.stamp_ns for scene, _, _ in ticks]
    assert [command.gripper_opening for command in episode.commands] == [c.gripper_opening for _, _, c in ticks]
    meta = episode.meta
    assert (meta.source, meta.outcome, meta.rate, meta.task_sha256) == ("operator", "success", 20.0, ROMAN.digest)


def test_incomplete_ticks_are_left_out_and_counted(tmp_path):
    to, ticks = recorder(tmp_path, least_rate=0.5), make_ticks(SKILL, 8)
    to.start()
    for tick, parts in zip(ticks, ("s", "sac", "sc", "sa", "sac", "ssac", "sac", "sa"), strict=True):
        show(to, tick, parts)
    scene, answer, _ = ticks[6]
    to.answer(scene.stamp_ns, answer + 1.0)  # a tick that is there does not change
    assert "4 ticks at 13.3 Hz, 1 gaps, the longest 0.15 s, 2 scenes left out" in to.stop()
    episode = read_episode(tmp_path / SKILL / "episode_000", ROMAN)
    np.testing.assert_array_equal(episode.answers, [ticks[index][1] for index in (1, 4, 5, 6)])


def test_answers_that_are_none_are_left_out(tmp_path):
    to, ticks = recorder(tmp_path, least_rate=0.5), make_ticks(SKILL, 3)
    to.start()
    for (scene, answer, command), share in zip(ticks, (1.0, np.nan, 1.0), strict=True):
        show(to, (scene, answer * share, command))
    assert "2 ticks at 20.0 Hz, 1 gaps, the longest 0.10 s, 1 scenes left out" in to.stop()


def test_an_answer_that_came_too_late_to_move_the_arm_is_left_out(tmp_path):
    to, ticks = recorder(tmp_path, least_rate=0.5), make_ticks(SKILL, 3)
    to.start()
    for index, (scene, answer, command) in enumerate(ticks):
        to.scene(scene)
        to.answer(scene.stamp_ns, answer)
        to.tick(BlenderTick(SKILLS, np.zeros(len(SKILLS)), command, GuardStatus.HALT_GATE_SILENT, drove=index != 1))
    assert "1 scenes left out" in to.stop()


def test_a_long_pause_does_not_fill_the_memory(tmp_path):
    to, ticks = recorder(tmp_path, least_rate=0.01), make_ticks(SKILL, PENDING + 10)
    to.start()
    show(to, ticks[0])
    for tick in ticks[1:-1]:
        show(to, tick, "sc")
    show(to, ticks[-1])
    assert f"{PENDING + 8} scenes left out" in to.stop()


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


def test_an_episode_below_its_rate_is_refused_by_name_with_its_rate_and_gaps(tmp_path):
    to, ticks = recorder(tmp_path), make_ticks(SKILL, 40)
    to.start()
    for index, tick in enumerate(ticks):
        show(to, tick, "s" if index in (9, 20, 21) else "sac")
    wrong = "episode_000: 37 ticks at 18.5 Hz, 2 gaps, the longest 0.15 s, 3 scenes left out: expected 19 Hz at least"
    with pytest.raises(DemonstrationError, match=wrong):
        to.stop()
    assert (list((tmp_path / SKILL).iterdir()), to.kept) == ([], 0)


def test_what_a_stop_held_up_is_no_gap(tmp_path):
    to, ticks = recorder(tmp_path), make_ticks(SKILL, 20)
    to.start()
    for index, (scene, answer, command) in enumerate(ticks):
        to.scene(scene)
        to.answer(scene.stamp_ns, answer)
        to.tick(blended(command, guard=GuardStatus.STOPPED if 5 <= index < 15 else GuardStatus.NO_WARNING))
    assert "10 ticks at 20.0 Hz" in to.stop()


def test_a_clock_that_goes_back_ends_the_episode_by_name(tmp_path):
    to, ticks = recorder(tmp_path), make_ticks(SKILL)
    to.start()
    show(to, ticks[4])
    with pytest.raises(DemonstrationError, match=r"episode_000: the clock went back by 0.050 s: discarded"):
        show(to, ticks[3])
    assert (to.path, list((tmp_path / SKILL).iterdir())) == (None, [])


@pytest.mark.parametrize("where", ["add", "close"])
def test_a_full_disk_ends_recording_in_one_line_and_keeps_what_was_whole(tmp_path, monkeypatch, where):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    to, ticks = recorder(tmp_path), make_ticks(SKILL)
    for attempt in range(2):
        to.start()
        show(to, ticks[0])
        if attempt:
            monkeypatch.setattr(EpisodeWriter, where, full)
            wrong = "cannot be written: No space left on device: recording has ended; all 1 episodes that were kept are"
            with pytest.raises(DemonstrationError, match=wrong):
                show(to, ticks[1]) if where == "add" else to.stop()
        else:
            to.stop()
    assert to.path is None
    assert "recording has ended" in to.fault
    assert [file.name for file in (tmp_path / SKILL).iterdir()] == ["episode_000"]


ANOTHER = """
import sys
from pathlib import Path
import numpy as np
from roman_moe.core.tasks import load_spec
from roman_moe.demos.recorder import Recorder
from roman_moe.testing.scenes import driven_tick

spec = load_spec("roman")
recorder = Recorder(Path(sys.argv[1]), spec, sys.argv[2], 20.0, "operator")
for word in sys.stdin:
    if word == "start\\n":
        print(recorder.start().name, flush=True)
        scene, action, tick = driven_tick(spec, 0, np.random.default_rng(0))
        recorder.scene(scene)
        recorder.answer(0, action)
        recorder.tick(tick)
    else:
        print(recorder.stop().partition(": ")[0], flush=True)
"""


@pytest.fixture
def others(tmp_path):
    """Two processes that record into one folder, and do what they are told."""
    command = [sys.executable, "-c", ANOTHER, str(tmp_path), SKILL]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first, subprocess.Popen(command, **pipes) as second:
        yield first, second
        first.kill()
        second.kill()


def ask(word, *processes):
    """Tell processes a word, all at once; what each answers."""
    for process in processes:
        process.stdin.write(f"{word}\n")
        process.stdin.flush()
    return [Path(process.stdout.readline().strip()).name for process in processes]


def test_processes_that_record_at_once_lose_nothing_and_what_a_killed_one_leaves_is_removed(tmp_path, others):
    first, second = others
    assert sorted(ask("start", first, second)) == ["episode_000", "episode_001"]
    assert sorted(ask("stop", first, second)) == ["episode_000", "episode_001"]
    assert len(read_episodes(tmp_path, ROMAN, SKILL)) == 2

    assert ask("start", first) + ask("start", second) == ["episode_002", "episode_003"]
    first.kill()
    first.wait()
    told = unfinished(tmp_path)
    assert [Path(line.partition(":")[0]).name for line in told] == [".episode_002", ".episode_003"]
    assert "removes it" in told[0]
    assert "is being recorded" in told[1]
    recorder(tmp_path)
    assert len(unfinished(tmp_path)) == 1, "what a recorder holds stays"
    assert ask("stop", second) == ["episode_003"]
    assert (unfinished(tmp_path), len(read_episodes(tmp_path, ROMAN, SKILL))) == ([], 3)


def test_what_a_killed_recorder_has_left_whole_gets_its_name_and_only_if_that_is_free(tmp_path):
    record(tmp_path / SKILL / "episode_000", SKILL)
    for name in (".episode_007", ".episode_008", ".episode_009-ab12cd34", ".episode_notes"):
        shutil.copytree(tmp_path / SKILL / "episode_000", tmp_path / SKILL / name / "episode_000")
    (tmp_path / SKILL / "episode_008").mkdir()
    (tmp_path / SKILL / "episode_008" / "mine").touch()
    assert "names it" in unfinished(tmp_path / SKILL)[0]
    recorder(tmp_path)
    names = {path.name for path in (tmp_path / SKILL).iterdir()}
    whole = {"episode_000", "episode_007", "episode_009-ab12cd34"}
    assert names == {*whole, "episode_008", ".episode_008", ".episode_notes"}
    assert {path.name for path in episode_folders(tmp_path)} == whole
    assert len(read_episode(tmp_path / SKILL / "episode_007", ROMAN).states) == 5
    assert recorder(tmp_path).start().name == "episode_009"


def test_what_the_labs_arm_followed_is_kept_from_the_labs_start_and_of_the_recorded_episode_alone(tmp_path):
    to, ticks = recorder(tmp_path), make_ticks(SKILL, 5)
    followed = [LabTick(n % 2, command, paused=n == 2) for n, (_, _, command) in enumerate(ticks)]  # three episodes
    for tick in followed[:3]:
        to.lab_tick(tick)
    to.start()
    for tick in ticks[2:4]:
        show(to, tick)
    to.lab_tick(followed[3])
    to.lab_tick(followed[4])  # the next one has begun before the recorded one is kept
    to.stop()
    kept = lab_ticks(read_episode(tmp_path / SKILL / "episode_000", ROMAN))
    assert [(tick.number, tick.paused, tick.command.stamp_ns) for tick in kept] == [
        (0, True, 100_000_000),
        (1, False, 150_000_000),
    ]
    np.testing.assert_array_equal(kept[1].command.twist, ticks[3][2].twist)


def test_a_correction_of_one_second_is_kept_whole_for_the_skill_that_led(tmp_path):
    to, ticks = recorder(tmp_path, "", policy=True, corrects=True), make_ticks(SKILL, 200)
    to.start()
    for index, tick in enumerate(ticks):
        if 120 <= index < 140:
            correct(to, tick)
        else:
            drive(to, tick, leads=3)
    assert "at 20.0 Hz" in to.stop(outcome="time_limit", start="scenario_6")
    (episode,) = read_episodes(tmp_path, ROMAN, SKILLS[3])
    assert (episode.meta.outcome, episode.meta.start) == ("time_limit", "scenario_6")
    lead_in = round(LEAD_IN * 20)
    assert len(episode.states) == lead_in + 80
    assert np.flatnonzero(episode.taught).tolist() == list(range(lead_in, lead_in + 20))
    answers = np.array([answer for _, answer, _ in ticks])[20:]
    np.testing.assert_array_equal(episode.answers[episode.taught], answers[lead_in : lead_in + 20])
    np.testing.assert_array_equal(episode.policy, answers / 2)
    np.testing.assert_array_equal(episode.answers[~episode.taught], answers[~episode.taught] / 2)


def test_corrections_of_two_skills_in_a_row_are_two_episodes(tmp_path):
    to, ticks = recorder(tmp_path, "", policy=True, corrects=True), make_ticks(SKILL, 60)
    to.start()
    for index, tick in enumerate(ticks):
        if 10 <= index < 20 or 40 <= index < 50:
            correct(to, tick)
        else:
            drive(to, tick, leads=1 if index < 30 else 4)
    to.stop()
    assert to.kept == 2
    first, second = (read_episodes(tmp_path, ROMAN, SKILLS[skill])[0] for skill in (1, 4))
    assert (len(first.states), len(second.states)) == (40, 20)
    assert first.taught.sum() == second.taught.sum() == 10


def test_a_disk_that_fills_up_while_two_corrections_are_kept_is_one_line(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    to = recorder(tmp_path, "", policy=True, corrects=True)
    to.start()
    for index, tick in enumerate(make_ticks(SKILL, 8)):
        correct(to, tick) if index % 4 > 1 else drive(to, tick, leads=index // 4)
    monkeypatch.setattr(EpisodeWriter, "close", full)
    with pytest.raises(DemonstrationError, match="No space left on device: recording has ended; all 0 episodes"):
        to.stop()
    assert [list(folder.iterdir()) for folder in tmp_path.iterdir() if folder.is_dir()] == [[], []]


def test_the_operator_may_name_the_skill_that_is_corrected(tmp_path):
    to, ticks = recorder(tmp_path, SKILLS[5], policy=True, corrects=True), make_ticks(SKILL, 3)
    to.start()
    drive(to, ticks[0], leads=1)
    correct(to, ticks[1])
    correct(to, ticks[2])
    to.stop()
    assert read_episodes(tmp_path, ROMAN, SKILLS[5])[0].taught.tolist() == [False, True, True]


def test_an_attempt_without_a_correction_keeps_nothing(tmp_path):
    to, ticks = recorder(tmp_path, "", policy=True, corrects=True), make_ticks(SKILL, 3)
    to.start()
    for tick in ticks:
        drive(to, tick, leads=1)
    with pytest.raises(DemonstrationError, match="no correction was made: nothing is kept"):
        to.stop()
    to.start()
    to.discard()
    assert [file.name for file in tmp_path.iterdir()] == ["task.yaml"]
