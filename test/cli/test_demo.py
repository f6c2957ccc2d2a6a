"""The demo: what it leaves and how it exits, around a run that is given; and once through the real graph."""

from __future__ import annotations

import json
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from bundles import write_tiny_bundle
from specs import SKILLS
from worlds import TASK, roman_world

from roman_moe.cli.demo import Demo, guard_codes
from roman_moe.cli.main import run_verb
from roman_moe.control.identity import identify
from roman_moe.core.errors import ConfigError, MissingDependencyError, NotMovedError, RomanError
from roman_moe.report import run_plot

pytest.importorskip("rclpy")
bringup = pytest.importorskip("roman_moe.nodes.bringup.bringup")
record = pytest.importorskip("roman_moe.nodes.bringup.episode_record")

TICKS = 24
SMALL = "320x176"  # drawing is slow


@pytest.fixture
def graph(monkeypatch):
    """A graph that pushes and then presses; the test says how it ends, and sees what was asked of it."""
    asked: dict[str, object] = {"outcome": "success"}

    def run_episode(controller, start, *, on_tick, **options):
        asked.update(options, controller=controller, start=start)
        lab = roman_world()
        lab.reset(TASK.start(1), np.random.default_rng(0))
        weights = np.zeros((TICKS, len(SKILLS)))
        weights[: TICKS // 2, 5] = weights[TICKS // 2 :, 6] = 1.0
        for tick in range(TICKS):
            on_tick(bringup.Tick(tick * 50_000_000, SKILLS, weights[tick], SKILLS[5 + tick * 2 // TICKS], 0))
        return record.EpisodeRecord(
            start="scenario_1",
            seed=int(options["seed"]),
            outcome=str(asked["outcome"]),
            skills=SKILLS,
            stamps_ns=np.arange(TICKS) * 50_000_000,
            physics_states=np.tile(lab.physics_state(), (TICKS, 1)),
            weights=weights,
            commands=np.zeros((TICKS, 4)),
            positions=np.tile(lab.state.object_positions, (TICKS, 1, 1)),
            seen=np.ones((TICKS, len(TASK.spec.objects)), dtype=bool),
            duration_ns=TICKS * 50_000_000,
        )

    monkeypatch.setattr(bringup, "run_episode", run_episode)
    return asked


def test_a_solved_run_leaves_report_plot_and_video_in_place_of_those_of_an_earlier_one(tmp_path, graph, capsys):
    left_by_an_earlier_run(tmp_path)
    assert Demo(scenario=1, seed=7, out=tmp_path, video_size=SMALL).main() == 0
    assert (tmp_path / "notes.txt").read_text() == "earlier notes.txt"
    (tmp_path / "notes.txt").unlink()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["demo.mp4", "gate_weights.png", "report.json"]
    report = json.loads((tmp_path / "report.json").read_text())
    assert {"scenario", "success", "time_s", "skills", "controller", "seed", "missed_ticks"} <= set(report)
    assert (report["scenario"], report["success"], report["seed"], report["time_s"]) == (1, True, 7, 1.2)
    assert report["skills"] == [
        {"name": "push", "start_s": 0.0, "end_s": 0.6},
        {"name": "button", "start_s": 0.6, "end_s": 1.2},
    ]
    meta = next(imageio_ffmpeg.read_frames(str(tmp_path / "demo.mp4")))
    assert (meta["codec"], meta["size"]) == ("h264", (320, 176))
    assert (graph["start"], graph["seed"], graph["lockstep"], graph["separate"]) == ("1", 7, True, False)
    said = capsys.readouterr().out
    assert "Solved in 1.2 s" in said
    assert "earlier run" not in said


def test_the_video_of_a_run_by_cameras_shows_in_its_corner_what_they_saw(tmp_path, graph, monkeypatch):
    monkeypatch.setitem(globals(), "TICKS", 2)  # drawing is slow
    first = {}
    for poses in ("truth", "markers"):
        assert Demo(scenario=1, poses=poses, out=tmp_path / poses, video_size=SMALL).main() == 0
        frames = imageio_ffmpeg.read_frames(str(tmp_path / poses / "demo.mp4"))
        next(frames)
        first[poses] = np.frombuffer(next(frames), np.uint8).reshape(176, 320, 3).astype(int)
    changed = np.abs(first["markers"] - first["truth"]).max(axis=2) > 40
    assert changed[60:160, 250:312].mean() > 0.4
    changed[:, 240:] = False
    assert changed.mean() < 0.001


def test_a_run_that_is_not_solved_exits_1_and_still_reports(tmp_path, graph, capsys):
    graph["outcome"] = "object_dropped"
    assert Demo(scenario=1, out=tmp_path, realtime=True, video=False).main() == 1
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["success"], report["outcome"]) == (False, "object_dropped")
    assert not (tmp_path / "demo.mp4").exists()
    assert graph["lockstep"] is False
    assert "object dropped" in capsys.readouterr().out


def left_by_an_earlier_run(folder: Path) -> dict[str, str]:
    for name in ("report.json", "gate_weights.png", "demo.mp4", "notes.txt"):
        (folder / name).write_text(f"earlier {name}")
    return contents(folder)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(errors="replace") for path in folder.iterdir()}


def test_of_a_tick_that_was_not_reported_the_guards_code_is_that_of_the_tick_before():
    stamps = np.arange(4) * 50_000_000
    assert guard_codes(stamps, {50_000_000: 4, 150_000_000: 2}).tolist() == [0, 4, 4, 2]
    assert guard_codes(stamps, {}).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("where", [(bringup, "run_episode"), (run_plot, "plot_gate_weights")])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RomanError])
def test_a_run_that_is_cut_off_leaves_what_an_earlier_one_left(tmp_path, graph, monkeypatch, where, error):
    before = left_by_an_earlier_run(tmp_path)

    def fail(*args, **options):
        raise error

    monkeypatch.setattr(*where, fail)
    with pytest.raises(error):
        Demo(out=tmp_path, video=False).main()
    assert contents(tmp_path) == before


def test_a_finished_run_replaces_what_it_makes_anew_and_says_that_the_video_is_older(tmp_path, graph, capsys):
    before = left_by_an_earlier_run(tmp_path)
    assert Demo(scenario=1, out=tmp_path, video=False).main() == 0
    after = contents(tmp_path)
    assert json.loads(after["report.json"])["scenario"] == 1
    assert {name for name in before if after[name] == before[name]} == {"demo.mp4", "notes.txt"}
    assert after.keys() == before.keys()
    assert f"{tmp_path / 'demo.mp4'} is of an earlier run" in capsys.readouterr().out


def test_pictures_that_cannot_be_moved_to_their_place_are_kept(tmp_path, graph):
    (tmp_path / "gate_weights.png" / "folder").mkdir(parents=True)
    with pytest.raises(NotMovedError, match="gate_weights.png: cannot be written: Is a directory"):
        Demo(scenario=1, out=tmp_path, video=False).main()
    (kept,) = tmp_path.glob(".new-*")
    assert sorted(file.name for file in kept.iterdir()) == ["gate_weights.png", "report.json"]


def test_the_report_says_which_controller_ran(tmp_path, graph, capsys):
    bundle = write_tiny_bundle(tmp_path / "bundle")
    identity = identify(bundle)
    assert Demo(scenario=1, out=tmp_path / "out", bundle=bundle, video=False).main() == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["controller"], report["controller_sha256"]) == (str(bundle), identity.sha256)
    assert f"bundle: {bundle} (sha256 {identity.sha256[:12]})" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenario": 7}, "--scenario 7"),
        ({"seed": -1}, "--seed -1"),
        ({"video_speed": 0.0}, "--video-speed 0: expected 0.1 to 20"),
        ({"video_speed": float("nan")}, "--video-speed nan"),
        ({"video_size": "1280"}, "--video-size 1280: expected WIDTHxHEIGHT"),
        ({"video_size": "1280x721"}, "--video-size 1280x721: expected WIDTHxHEIGHT, multiples of 16"),
        ({"animation": True, "video": False}, "--animation: not valid with --no-video"),
        ({"camera": "top"}, "--camera top: expected one of close, overview, left, right"),
    ],
)
def test_bad_input_is_refused(tmp_path, graph, changes, message):
    with pytest.raises(ConfigError, match=message):
        run_verb(Demo(out=tmp_path, **changes))
    assert "start" not in graph


def test_an_output_folder_that_is_a_file_is_refused(tmp_path, graph):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        Demo(out=file).main()


def test_a_machine_that_cannot_draw_is_told_before_the_run(tmp_path, graph, monkeypatch):
    render = pytest.importorskip("roman_moe.sim.render")

    def broken(*args):
        raise MissingDependencyError("no GL library")

    monkeypatch.setattr(render, "Renderer", broken)
    with pytest.raises(MissingDependencyError, match="no GL"):
        Demo(out=tmp_path).main()
    assert "start" not in graph


def test_a_viewer_without_a_display_is_refused(tmp_path, graph, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="no display"):
        Demo(out=tmp_path, viewer=True, video=False).main()
    assert "start" not in graph


def test_the_shipped_controller_presses_the_button_through_the_real_graph(tmp_path):
    bundle = Path(__file__).parents[2] / "models" / "roman"
    assert Demo(scenario=0, out=tmp_path, bundle=bundle, video=False).main() == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert [segment["name"] for segment in report["skills"]] == ["button"]
    assert report["missed_ticks"] == 0
