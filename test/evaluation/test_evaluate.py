"""Evaluation: the same report for any number of workers, the agreed keys, bad input refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bundles import write_tiny_bundle
from specs import GRIPPER_OPEN, OBJECT_INDEX, ROMAN, SKILLS
from worlds import TASK, roman_world

from roman_moe.cli.evaluate import Evaluate, errors_title, link_title, parse_groups, report_table
from roman_moe.cli.main import main, run_verb
from roman_moe.control.controller import ControlStep
from roman_moe.control.manifest import task_of_bundle
from roman_moe.core.action import Command
from roman_moe.core.errors import BundleError, ConfigError
from roman_moe.core.paths import find_shipped
from roman_moe.core.tasks import load_spec, new_task
from roman_moe.evaluation.controllers import OracleController, make_controller, simulation_of, task_of
from roman_moe.evaluation.evaluate import Evaluation, evaluate, report, shared_world
from roman_moe.evaluation.statistics import summarize
from roman_moe.sim.arm_spec import ARMS
from roman_moe.sim.channel import GOOD_CHANNEL, ChannelQuality
from roman_moe.sim.episode import EpisodeResult, run_episode
from roman_moe.sim.pose_source import TRUTH, TruthPoses
from roman_moe.sim.streams import episode_seed
from roman_moe.sim.world import World


class Still:
    """Never moves, and keeps what it was shown."""

    reads_truth = False
    skills = SKILLS
    control_rate = 20.0

    def __init__(self) -> None:
        self.scenes: list[np.ndarray] = []

    def reset(self) -> None:
        self.scenes.clear()

    def step(self, state):
        self.scenes.append(state.object_positions)
        command = Command(state.stamp_ns, np.zeros(3), GRIPPER_OPEN)
        return ControlStep(np.zeros(4), np.zeros(7), np.zeros((7, 4)), command)


@pytest.fixture(scope="module")
def lab() -> World:
    return roman_world()


def test_seeds_differ_by_run_start_and_index_only():
    seeds = {episode_seed(seed, f"evaluate/{name}", index) for seed in (0, 1) for name in SKILLS for index in range(50)}
    assert len(seeds) == 2 * 7 * 50
    assert max(seeds) < 2**31
    assert episode_seed(1, "evaluate/push", 3) == episode_seed(1, "evaluate/push", 3)
    assert episode_seed(1, "evaluate/push", 3) != episode_seed(1, "collect/push", 3)


def test_an_episode_follows_from_its_seed(lab):
    def commands(seed: int) -> tuple[EpisodeResult, np.ndarray]:
        sent = []
        result = run_episode(
            lab,
            OracleController(TASK, "button"),
            TASK.start("button"),
            seed,
            TruthPoses(0.005),
            on_tick=lambda scene, step: sent.append(step.command.linear_velocity),
        )
        return result, np.array(sent)

    first, again, other = commands(1), commands(1), commands(2)
    assert first[0] == again[0]
    np.testing.assert_array_equal(first[1], again[1])
    assert first[0].success
    assert not np.array_equal(first[1][:20], other[1][:20])


def test_a_controller_sees_noise_within_the_bound_unless_it_reads_the_truth(lab):
    still, start = Still(), TASK.start("push")
    result = run_episode(lab, still, start, 5, TruthPoses(0.005))
    assert (result.outcome, result.time_s) == ("time_limit", 80.0)
    noisy = np.array(still.scenes)
    still.reads_truth = True
    run_episode(lab, still, start, 5, TruthPoses(0.005))
    noise = noisy - np.array(still.scenes)
    assert np.abs(noise).max() <= 0.005 + 1e-12
    assert noise.std() == pytest.approx(0.005 / 3, rel=0.05)


def test_a_disturbed_episode_follows_from_its_seed_and_is_the_undisturbed_one_until_then(lab):
    def scenes(disturbed: bool) -> tuple[EpisodeResult, np.ndarray]:
        seen = []
        result = run_episode(
            lab,
            OracleController(TASK, "push"),
            TASK.start("push"),
            7,
            TruthPoses(0.005),
            disturbed=disturbed,
            on_tick=lambda scene, step: seen.append(scene.object_positions),
        )
        return result, np.array(seen)

    first, again, alone = scenes(True), scenes(True), scenes(False)
    assert (first[0].disturbance, alone[0].disturbance) == ("shove_rack", "")
    assert first[0] == again[0]
    np.testing.assert_array_equal(first[1], again[1])
    # The disturbance draws no number of the noise's: what it does not move is seen alike to the end.
    button = OBJECT_INDEX["button"]
    np.testing.assert_array_equal(first[1][:140, button], alone[1][:140, button])
    same = (first[1][:100] == alone[1][:100]).all(axis=(1, 2))
    begin = int(np.argmin(same))
    assert 0 < begin < 60
    assert not same[begin:].any()


def test_an_episode_that_is_cut_short_is_lost(lab):
    result = run_episode(lab, Still(), TASK.start("push"), 5, TruthPoses(0.0), time_limit=1.5)
    assert (result.outcome, result.time_s) == ("time_limit", 1.5)
    whole = run_episode(lab, OracleController(TASK, "button"), TASK.start("button"), 5, TRUTH, time_limit=30.0)
    assert whole.success


def test_every_condition_has_the_same_starts_and_seeds():
    noises = {"noise": {str(bound): TruthPoses(bound) for bound in (0.0, 0.005, 0.02)}}
    evaluation = Evaluation("oracle", TASK, [0], ["push"], 3, TRUTH, seed=3, disturbed=True, variants=noises)
    episodes: dict[tuple[float, bool], list[tuple[str, int]]] = {}
    for job in evaluation.jobs():
        episodes.setdefault((job.poses.noise_bound, job.disturbed), []).append((job.start.name, job.seed))
    assert list(episodes) == [(0.0, False), (0.005, False), (0.02, False), (0.0, True)]
    assert len(set(map(tuple, episodes.values()))) == 1
    assert len(set(episodes[0.0, False])) == 6


def test_every_condition_is_reported_under_its_own_key():
    poses, noisier = TruthPoses(0.005), TruthPoses(0.02)
    noises = {"noise": {"0.005": poses, "0.02": noisier}}
    evaluation = Evaluation("x", TASK, [0], ["push"], 2, poses, seed=3, disturbed=True, variants=noises)
    solved = iter([2, 1, 0, 2, 1, 0])  # of two episodes, start by start within each condition
    results = []
    for jobs in zip(*[iter(evaluation.jobs())] * 2, strict=True):
        count = next(solved)
        ends = ["success"] * count + ["time_limit"] * (2 - count)
        results += [EpisodeResult(job.start.name, job.seed, end, 9.0) for job, end in zip(jobs, ends, strict=True)]
    content = report(evaluation, results)

    def successes(condition: dict) -> tuple[int, int]:
        return condition["scenarios"]["0"]["successes"], condition["skills"]["push"]["successes"]

    assert successes(content) == (2, 1)
    assert {bound: successes(condition) for bound, condition in content["noise"].items()} == {
        "0.005": (2, 1),
        "0.02": (0, 2),
    }
    assert successes(content["disturbed"]) == (1, 0)
    assert content["noise_bound_m"] == 0.005


def test_the_commands_go_over_the_link_that_was_asked_for_and_the_report_says_so():
    evaluation = Evaluation("oracle", TASK, [], ["button"], 2, TruthPoses(0.005), seed=3, time_limit=12.0)
    for channel, solved in (
        (GOOD_CHANNEL, 2),
        (ChannelQuality(2, 0.1), 2),
        (ChannelQuality(0, 1.0), 0),
        (ChannelQuality(300), 0),
    ):
        content = evaluate(dataclasses.replace(evaluation, channel=channel))
        assert content["skills"]["button"]["successes"] == solved, channel
        assert (content["delay_ticks"], content["lost_share"]) == (channel.delay, channel.lost_share)


@pytest.mark.parametrize(
    ("late", "lost", "title"),
    [
        (0, 0.0, ""),
        (1, 0.0, ", commands 1 tick late"),
        (0, 0.3, ", 30 % of the commands lost"),
        (2, 0.004, ", commands 2 ticks late, 0.4 % of the commands lost"),
    ],
)
def test_a_tables_title_says_how_the_commands_got_through(late, lost, title):
    assert link_title({"delay_ticks": late, "lost_share": lost}) == title


def test_the_report_does_not_depend_on_the_number_of_workers():
    noises = {"noise": {"0": TRUTH}}
    evaluation = Evaluation(
        "oracle", TASK, [0], ["button"], 2, TruthPoses(0.005), seed=3, disturbed=True, variants=noises
    )
    reports = [evaluate(dataclasses.replace(evaluation, workers=workers)) for workers in (1, 2)]
    assert reports[0] == reports[1]
    alone = evaluate(dataclasses.replace(evaluation, scenarios=[]))
    assert alone["skills"] == reports[0]["skills"]


def test_the_command_writes_the_agreed_keys(tmp_path, capsys):
    file = tmp_path / "report.json"
    command = Evaluate("oracle", scenarios="0", skills="button", episodes=2, seed=1, workers=1, json=file)
    assert command.main() == 0
    report = json.loads(file.read_text())
    assert set(report["scenarios"]) == {"0"}
    assert set(report["skills"]) == {"button"}
    keys = set(summarize([EpisodeResult("button", 0, "success", 9.0)]))
    assert set(report["scenarios"]["0"]) == set(report["skills"]["button"]) == keys
    assert (report["noise_bound_m"], report["seed"], report["controller"]) == (0.005, 1, "oracle")
    assert report["git_commit"]
    shown = capsys.readouterr().out
    assert "4 of 4 episodes, 4 solved" in shown
    assert "scenario 0" in shown
    assert "button" in shown
    assert not {"noise", "disturbed"} & set(report)


def test_the_command_tells_each_noise_and_the_disturbed_episodes_apart(tmp_path, capsys):
    file = tmp_path / "report.json"
    options = {"skills": "push", "episodes": 2, "workers": 1, "json": file}
    assert Evaluate("oracle", noise_bound="0.005, 0.02", disturb=True, **options).main() == 0
    shown = capsys.readouterr().out
    assert "6 of 6 episodes, 6 solved" in shown
    for title in ("clipped noise of 0.5 cm", "clipped noise of 2 cm", "one disturbance per episode"):
        assert title in shown
    report = json.loads(file.read_text())
    assert set(report["noise"]) == {"0.005", "0.02"}
    assert report["noise"]["0.005"] == {"scenarios": report["scenarios"], "skills": report["skills"]}
    row = report["disturbed"]["skills"]["push"]
    assert row["disturbances"] == {"shove_rack": {"episodes": 2, "successes": 2}}
    assert row["seeds"] == report["noise"]["0.02"]["skills"]["push"]["seeds"] == report["skills"]["push"]["seeds"]
    assert Evaluate("oracle", **options).main() == 0
    assert json.loads(file.read_text())["skills"] == report["skills"]  # the other conditions change nothing


def test_the_table_names_what_the_failures_had_met():
    row = summarize(
        [EpisodeResult("push", 0, "time_limit", 80.0, "shove_rack"), EpisodeResult("push", 1, "success", 9.0)]
    )
    table = report_table("", {"scenarios": {}, "skills": {"push": row}})
    assert list(table.columns[-1].cells) == ["time limit 1 (shove rack 1)"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"skills": "pushh"}, ConfigError, "found 'pushh'"),
        ({"scenarios": "0-7"}, ConfigError, "found '0-7'"),
        ({"episodes": 0}, ConfigError, "--episodes 0"),
        ({"seed": -1}, ConfigError, "--seed -1"),
        ({"workers": 0}, ConfigError, "--workers 0"),
        ({"noise_bound": "-0.1"}, ConfigError, "noise_bound is -0.1"),
        ({"noise_bound": "0.005,nan"}, ConfigError, "noise_bound is nan"),
        ({"noise_bound": ""}, ConfigError, "--noise-bound: ''"),
        ({"noise_bound": "0.005,,0.02"}, ConfigError, "--noise-bound: ''"),
        ({"bias_bound": "5 mm"}, ConfigError, "--bias-bound: '5 mm'"),
        ({"bias_bound": "-1"}, ConfigError, "bias_bound is -1.0"),
        ({"calibration_error": "0.5"}, ConfigError, "--calibration-error: '0.5': expected degrees:metres"),
        ({"calibration_error": "-1:0"}, ConfigError, "rotation_error is -1.0: expected 0 or more"),
        ({"plot": Path("a.png")}, ConfigError, "--plot: expected several values of an error"),
        ({"plot": Path("a.bmp"), "bias_bound": "0,1"}, ConfigError, "--plot a.bmp: expected .* .png, .pdf, .svg"),
        ({"plot": Path("/proc/a.png"), "bias_bound": "0,1"}, ConfigError, "/proc/a.png: cannot be written"),
        ({"noise_kind": "pink"}, ConfigError, "unknown noise kind 'pink'"),
        ({"controller": "models/none"}, BundleError, "models/none"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(changes, error, message):
    with pytest.raises(error, match=message):
        run_verb(Evaluate(**{"controller": "oracle", **changes}))


def test_noise_bounds_come_in_the_order_given_and_once():
    assert parse_groups("0.02, 0,5e-3", "--bias-bound", 1, "metres") == [(0.02,), (0.0,), (0.005,)]
    for again in ("0.005,0.005", "0,0.0", "0.005,0.0050000001"):  # the last two would share a key of the report
        with pytest.raises(ConfigError, match="^--bias-bound: .* is given twice"):
            parse_groups(again, "--bias-bound", 1, "metres")


def test_calibration_errors_are_degrees_and_metres_and_each_is_there_once():
    assert parse_groups("0:0, 0.5:5e-3", "--calibration-error", 2, "both") == [(0.0, 0.0), (0.5, 0.005)]
    with pytest.raises(ConfigError, match="--calibration-error: 0.50:0.005 is given twice"):
        parse_groups("0.5:0.005,0.50:0.005", "--calibration-error", 2, "both")


def test_a_tables_title_says_what_errors_the_poses_have():
    report = {"poses": "truth", "noise_kind": "clipped", "noise_bound_m": 0.005}
    assert errors_title(report) == "clipped noise of 0.5 cm"
    assert errors_title({"poses": "markers"}) == "poses by markers"
    report |= {"bias_bound_m": 0.0075, "rotation_error_deg": 0.5, "translation_error_m": 0.0}
    assert errors_title(report) == (
        "clipped noise of 0.5 cm, bias of up to 7.5 mm, calibration off by 0.5 degrees and 0 mm"
    )


def test_the_command_tells_each_bias_and_calibration_error_apart_and_draws_them(tmp_path, capsys):
    file, plot = tmp_path / "report.json", tmp_path / "errors.png"
    options = {"skills": "push", "episodes": 1, "workers": 1, "json": file}
    errors = {"bias_bound": "0,0.01", "calibration_error": "0:0,0.5:0.005"}
    assert Evaluate("oracle", plot=plot, **errors, **options).main() == 0
    shown = capsys.readouterr().out
    assert "3 of 3 episodes" in shown  # the first errors are tried once
    for title in ("noise of 0.5 cm, seed 0", "bias of up to 10 mm", "calibration off by 0.5 degrees and 5 mm"):
        assert title in " ".join(shown.split())
    report = json.loads(file.read_text())
    assert (list(report["bias"]), list(report["calibration"])) == (["0", "0.01"], ["0:0", "0.5:0.005"])
    usual = {"scenarios": report["scenarios"], "skills": report["skills"]}
    assert report["bias"]["0"] == report["calibration"]["0:0"] == usual
    assert "bias_bound_m" not in report
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_constant_error_changes_what_a_controller_sees_and_nothing_else(lab):
    errors = (TruthPoses(0.005), TruthPoses(0.005, bias_bound=0.02), TruthPoses(0.005, rotation_error=1.0))
    seen = []
    for poses in errors:
        still = Still()
        run_episode(lab, still, TASK.start("push"), 5, poses, time_limit=0.5)
        seen.append(np.array(still.scenes))
    for moved in (seen[1] - seen[0], seen[2] - seen[0]):  # nothing moves, so it is the same offset in each scene
        assert np.abs(moved - moved[0]).max() < 1e-4
        assert np.abs(moved).max() > 2e-3


def test_a_skill_alone_has_all_the_weight():
    lab = roman_world()
    state = lab.reset(TASK.start("push"), np.random.default_rng(0))
    step = make_controller("models/roman", TASK, "push").step(state)
    assert step.weights.tolist() == [1.0]
    whole = make_controller("models/roman", TASK).step(state)
    np.testing.assert_array_equal(step.action, whole.expert_actions[SKILLS.index("push")])
    for skill in SKILLS:
        controller = make_controller("oracle", TASK, skill)
        assert controller.reads_truth


def test_a_bundle_brings_its_task_and_the_oracle_has_to_be_told(tmp_path):
    assert task_of("models/roman").folder == TASK.folder
    assert task_of("oracle", "roman").folder == TASK.folder
    with pytest.raises(ConfigError, match="oracle: has no task of its own: add --task"):
        task_of("oracle")
    tiny = write_tiny_bundle(tmp_path / "tiny", spec=dataclasses.replace(ROMAN, name="elsewhere"))
    with pytest.raises(ConfigError, match="is for task 'elsewhere', which is neither here nor installed: give its"):
        task_of(str(tiny))


def test_a_task_is_found_by_its_name_in_the_folder_where_the_command_runs(tmp_path, monkeypatch):
    tiny = write_tiny_bundle(tmp_path / "tiny", spec=dataclasses.replace(ROMAN, name="block"))
    with pytest.raises(ConfigError, match="task 'block' is neither here nor installed: give its folder with --task"):
        simulation_of(dataclasses.replace(ROMAN, name="block"))
    monkeypatch.chdir(tmp_path)
    new_task(Path("block"))
    assert task_of(str(tiny)).spec.name == "block"
    assert simulation_of(load_spec("block")).spec == load_spec("block")
    assert task_of_bundle(tiny).name == "block"


def test_a_bundle_of_another_version_of_the_task_is_refused(tmp_path):
    spec = dataclasses.replace(ROMAN, home=dataclasses.replace(ROMAN.home, position=(0.45, 0.0, 0.31)))
    moved = write_tiny_bundle(tmp_path / "moved", spec=spec)
    with pytest.raises(BundleError, match=f"is for task 'roman' of version {spec.digest[:12]}: the simulation in .*"):
        make_controller(str(moved), TASK)
    with pytest.raises(ConfigError, match=f"is task 'roman' of version .*: expected 'roman', {spec.digest[:12]}"):
        simulation_of(spec)


def test_the_bundle_that_stands_at_a_name_now_is_evaluated(tmp_path, monkeypatch):
    """One process, one relative name: elsewhere it is another bundle, and in its place another one may be written."""
    asked = Evaluation("mine", TASK, (), ("button",), 1, TruthPoses(0.005), seed=0, time_limit=15.0)
    solved = []
    for folder in ("one", "other", "one"):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        if folder == "other":
            shutil.copytree(find_shipped("models/roman"), "mine")
        elif not solved:
            write_tiny_bundle(Path("mine"))
        else:
            shutil.rmtree("mine")
            shutil.copytree(tmp_path / "other" / "mine", "mine")
        solved.append(evaluate(asked)["skills"]["button"]["successes"])
    assert solved == [0, 1, 1]


def test_an_arm_that_has_been_edited_is_read_again(tmp_path):
    arm = shutil.copytree(ARMS / "ur5e", tmp_path / "arm")
    before = shared_world(TASK, 20.0, str(arm))
    assert shared_world(TASK, 20.0, str(arm)) is before
    (arm / "arm.yaml").write_text((arm / "arm.yaml").read_text() + "\n# another line\n")
    assert shared_world(TASK, 20.0, str(arm)) is not before


def test_another_arm_is_told_and_one_that_does_not_exist_is_refused(tmp_path, capsys):
    skill, file = SKILLS[-1], tmp_path / "report.json"
    options = ["--skills", skill, "--episodes", "1", "--workers", "1", "--json", str(file)]
    assert main(["evaluate", "models/roman", "--sim-arm", "ur5e", *options]) == 0
    report = json.loads(file.read_text())
    assert (report["task"], report["sim_arm"], report["skills"][skill]["successes"]) == ("roman", "ur5e", 1)
    capsys.readouterr()
    assert main(["evaluate", "models/roman", "--sim-arm", "ur55", *options]) == 2
    assert "ur55" in capsys.readouterr().err
