"""Plot and video: readable files in the skills' colours, complete or absent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from specs import ROMAN, SKILLS, TURN_KEY

from roman_moe.control.guard import GuardStatus
from roman_moe.core.tasks import load_spec
from roman_moe.report.labels import Label
from roman_moe.report.overlay import Overlay
from roman_moe.report.palette import color, label, rgb
from roman_moe.report.plots import (
    plot_bands,
    plot_curves,
    plot_errors,
    plot_map,
    plot_moves,
    plot_rates,
)
from roman_moe.report.run_plot import HALTED, LIMITED, plot_gate_weights
from roman_moe.report.trace import Trace
from roman_moe.report.video import Playback, RunFrames, affordable_frames, close_ticks, write_animation, write_video
from roman_moe.sim.film import HandMotion

SIZE = (320, 176)


def run_of_two_skills(ticks: int = 40) -> Trace:
    weights = np.zeros((ticks, len(SKILLS)))
    weights[: ticks // 2, 0] = 1.0
    weights[ticks // 2 :, 6] = 1.0
    return Trace(ROMAN, SKILLS, np.arange(ticks) * 0.05, weights, np.arange(ticks, dtype=float)[:, None], ticks * 0.05)


class Grey:
    """Frames whose brightness is the physics state."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.drawn: list[float] = []
        self._fail_at = fail_at

    def frame(self, physics_state: np.ndarray) -> np.ndarray:
        if len(self.drawn) == self._fail_at:
            raise KeyboardInterrupt
        self.drawn.append(float(physics_state[0]))
        return np.full((SIZE[1], SIZE[0], 3), int(physics_state[0]), dtype=np.uint8)


def share(image: np.ndarray, skill: str) -> float:
    """Share of pixels in a skill's colour."""
    return float((np.abs(image[..., :3].astype(int) - rgb(ROMAN, skill)).max(axis=-1) <= 2).mean())


def test_every_skill_has_its_own_colour_and_name():
    colors, labels = {color(ROMAN, skill) for skill in SKILLS}, {label(ROMAN, skill) for skill in SKILLS}
    assert len(colors) == len(labels) == len(SKILLS)
    assert (label(ROMAN, "stir_soup"), color(ROMAN, "stir_soup")) == ("stir soup", "#9aa0a6")


def test_colours_and_names_are_those_of_the_task_at_hand(tmp_path):
    (tmp_path / "task.yaml").write_text(TURN_KEY)
    spec = load_spec(tmp_path)
    assert (color(spec, "insert"), label(spec, "insert"), rgb(spec, "insert")) == ("#123456", "Insert", (18, 52, 86))
    assert (color(spec, "turn"), label(spec, "turn")) == ("#9aa0a6", "turn")
    assert color(spec, "push") == "#9aa0a6"


def plotted(trace: Trace, path: Path, guard: int = 0, speed: float = 0.1) -> np.ndarray:
    ticks = len(trace.times)
    motion = HandMotion(np.full(ticks, speed), np.full(ticks, 0.08), np.full(ticks, 0.3))
    plot_gate_weights(trace, motion, np.full(ticks, guard), path, "two skills")
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_the_plot_shows_the_weights_that_led(tmp_path):
    image = plotted(run_of_two_skills(), tmp_path / "gate_weights.png")
    assert image.shape[1] >= 1200
    assert share(image, "pull") == pytest.approx(share(image, "button"), rel=0.1)
    assert share(image, "pull") > 0.05
    assert share(image, "push") < 0.01  # in the legend only


def test_each_hand_over_is_enlarged_below(tmp_path):
    trace = run_of_two_skills()
    weights = np.zeros_like(trace.weights)
    weights[:, 0] = 1.0
    whole = plotted(replace(trace, weights=weights), tmp_path / "none.png")
    once = plotted(trace, tmp_path / "one.png")
    assert len(once) > len(whole) + 200
    assert share(once[len(whole) :], "button") > 0.0005


def test_the_plot_shows_the_hands_speed_and_what_the_guard_did(tmp_path):
    trace = run_of_two_skills()
    plain = plotted(trace, tmp_path / "plain.png")
    assert (plotted(trace, tmp_path / "fast.png", speed=0.2) != plain).any()
    for code, ink in ((GuardStatus.LIMITED_SPEED, LIMITED), (GuardStatus.HALT_GATE_SILENT, HALTED)):
        tone = [int(ink[place : place + 2], 16) for place in (1, 3, 5)]
        guarded = plotted(trace, tmp_path / "guarded.png", code)
        found = [(np.abs(image - tone).max(axis=-1) <= 2).mean() for image in (plain, guarded)]
        assert found[0] < 0.001 < 0.01 < found[1]


@pytest.mark.parametrize("networks", [1, 5, 8])
def test_every_network_has_its_curve(tmp_path, networks):
    names = [*SKILLS, "gate"][:networks]
    rows = [{"steps": steps, "success": rate, "ci95": [rate - 0.1, rate]} for steps, rate in [(0, 0.5), (20000, 1.0)]]
    plot_curves(ROMAN, dict.fromkeys(names, rows), tmp_path / "curves.png")
    image = np.asarray(Image.open(tmp_path / "curves.png"))
    drawn = {skill for skill in SKILLS if share(image, skill) > 0.0005}
    assert drawn == set(names) & set(SKILLS)
    assert [file.name for file in tmp_path.iterdir()] == ["curves.png"]


def test_every_start_is_drawn_over_every_error_that_varies(tmp_path):
    def condition(rate: float) -> dict:
        row = {"rate": rate, "ci95": [rate - 0.1, rate]}
        return {"scenarios": {"6": row}, "skills": {"pull": row, "push": row}}

    bias = {"0": condition(1.0), "0.005": condition(0.9), "0.01": condition(0.5)}
    report = {"controller": "models/roman", "episodes": 50, **bias["0"], "bias": bias}
    shapes, shares = [], []
    for more in ({}, {"calibration": {"0:0": condition(1.0), "0.5:0.005": condition(0.8)}}):
        plot_errors(ROMAN, report | more, tmp_path / "errors.png")
        image = np.asarray(Image.open(tmp_path / "errors.png"))
        shapes.append(image.shape[:2])
        shares.append({skill for skill in SKILLS if share(image, skill) > 0.0005})
    assert shares == [{"pull", "push"}] * 2
    assert shapes[1] == (2 * shapes[0][0], shapes[0][1])


def test_what_happened_from_outside_is_marked_when_it_happened(tmp_path):
    trace = run_of_two_skills()
    columns = []
    for moment in (0.5, 1.0, 1.5):
        image = plotted(replace(trace, events=((moment, ""),)), tmp_path / "marked.png")
        dark = (image.max(axis=-1) < 60).mean(axis=0)
        columns.append(int(np.flatnonzero(dark > 0.3).mean()))
    assert columns[1] - columns[0] == pytest.approx(columns[2] - columns[1], abs=3)
    assert columns[1] - columns[0] > 0.2 * image.shape[1]


def test_a_methods_bar_is_as_long_as_its_rate(tmp_path):
    row = {"rate": 0.5, "ci95": [0.4, 0.6]}
    best = {"rate": 1.0, "ci95": [0.9, 1.0]}
    methods = {name: {"scenarios": {"6": found}, "skills": {}} for name, found in (("bc", row), ("hybrid", best))}
    plot_rates(methods, tmp_path / "rates.png")
    image = np.asarray(Image.open(tmp_path / "rates.png"))
    assert share(image, "pick_and_place") == pytest.approx(2.0 * share(image, "pick_and_drop"), rel=0.1)


def test_methods_are_grouped_by_question_and_what_is_not_compared_is_left_out(tmp_path):
    row = {"scenarios": {"6": {"rate": 1.0, "ci95": [0.9, 1.0]}}, "skills": {}}
    questions = {
        "several networks?": {"hybrid": "several", "monolithic": "one"},
        "actions?": {"hybrid": "states", "hybrid_state_action": "states and actions"},
    }
    bars = []
    for names in (("hybrid",), ("hybrid", "monolithic"), ("hybrid", "monolithic", "hybrid_state_action")):
        plot_rates(dict.fromkeys(names, row), tmp_path / "rates.png", questions)
        image = np.asarray(Image.open(tmp_path / "rates.png").convert("RGB")).astype(int)
        green = (np.abs(image - rgb(ROMAN, "pick_and_place")).max(axis=-1) <= 2).mean(axis=1) > 0.3
        bars.append(int((np.diff(green.astype(int)) == 1).sum()))
    assert bars == [1, 1, 2]  # once for each question


def test_curves_share_their_axes_from_nought_on(tmp_path):
    rows = [{"steps": steps, "success": 1.0, "ci95": [0.9, 1.0]} for steps in (0, 100_000)]
    marked = []
    for most in (1, 2):
        longer = [row | {"steps": most * row["steps"]} for row in rows]
        plot_curves(ROMAN, {"pull": rows, "push": longer}, tmp_path / "curves.png")
        image = np.asarray(Image.open(tmp_path / "curves.png"))[..., :3].astype(int)
        line = (np.abs(image - rgb(ROMAN, "pull")).max(axis=-1) <= 2).any(axis=0)
        marked.append(int(line.sum()))
    assert marked[1] == pytest.approx(marked[0] / 2, rel=0.1)


def test_a_wide_interval_is_shaded_twice_as_wide(tmp_path):
    columns = []
    for half in (0.0, 0.5, 1.0):
        frame, band = (np.array([np.zeros(20), np.full(20, -wide), np.full(20, wide)]) for wide in (2.0, half))
        curves = {"frame": frame, "band": band}  # the frame keeps the axes alike
        plot_bands(curves, range(20), tmp_path / "bands.png", "x", "y")
        image = np.asarray(Image.open(tmp_path / "bands.png"))
        columns.append(image[:, image.shape[1] // 2])
    narrow, wide = (int((column != columns[0]).any(axis=1).sum()) for column in columns[1:])
    assert wide == pytest.approx(2 * narrow, rel=0.05)


def test_a_likelier_move_has_a_longer_arrow(tmp_path):
    cells = np.array([[0, 0], [0, 1]])
    drawn = []
    for share in (0.2, 0.8):
        plot_moves(cells, [(0, 0), (0, 1)], {"all": np.full((2, 2), share)}, tmp_path / "moves.png")
        image = np.asarray(Image.open(tmp_path / "moves.png")).astype(int)
        drawn.append((image[..., 2] - image[..., 0] > 80).sum())
    assert drawn[1] > 1.5 * drawn[0]


def test_each_name_of_a_map_has_a_colour_of_its_own(tmp_path):
    rng = np.random.default_rng(0)
    for count in (3, 12):
        places = {str(number): rng.normal(size=(50, 2)).astype(np.float32) for number in range(count)}
        plot_map(places, tmp_path / "map.png", "places")
        image = np.asarray(Image.open(tmp_path / "map.png").convert("RGB"))[:, :900]
        shades, counts = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
        coloured = (np.ptp(shades.astype(int), axis=1) > 60) & (counts > 500)  # not edges, nor what overlaps
        assert coloured.sum() >= count - 1  # tab10's grey is none of the first ones


def test_a_video_is_slow_where_the_hand_works_and_fast_between():
    close = np.zeros(200, dtype=bool)
    close[40:80] = close[121:] = True
    playback = Playback.of(close, 20.0, 1000, 1.5)
    assert playback.fps == 30.0
    assert playback.ticks[:11].tolist() == [*range(0, 40, 4), 40]
    assert set(range(40, 80)) | set(range(121, 200)) <= set(playback.ticks.tolist())
    assert (playback.speeds == np.where(close[playback.ticks], 1.5, 6.0)).all()


@pytest.mark.parametrize(("most", "fps"), [(1000, 30.0), (120, 15.0), (80, 10.0)])
def test_a_video_of_fewer_frames_has_fewer_a_second_and_is_no_faster(most, fps):
    close = np.ones(240, dtype=bool)
    playback = Playback.of(close, 20.0, most, 1.5)
    assert playback.fps == pytest.approx(fps)
    assert len(playback.ticks) <= most
    assert playback.speeds == pytest.approx(1.5)
    assert (np.diff(playback.ticks) == round(30.0 / fps)).all()


def test_a_video_of_very_few_frames_plays_faster():
    playback = Playback.of(np.ones(2400, dtype=bool), 20.0, 150, 1.5)
    assert len(playback.ticks) == 150
    assert playback.fps == 8.0
    assert playback.speeds == pytest.approx(8.0 * 16 / 20.0)


@pytest.mark.parametrize("speed", [0.1, 1.0, 2.0, 7.0, 20.0])
def test_no_speed_gives_more_frames_a_second_than_screens_show(speed):
    playback = Playback.of(np.ones(100, dtype=bool), 20.0, 1000, speed)
    assert playback.fps <= 30.0
    assert playback.speeds == pytest.approx(max(speed, 8.0 / 20.0))


def test_what_is_seen_slowly_is_where_the_hand_is_near_or_something_happens():
    times = np.arange(400) * 0.05
    distances = np.where((times > 4.9) & (times < 6.0), 0.01, 0.3)
    close = close_ticks(times, distances, [(12.0, "Disturbance: close drawer")])
    assert not close[times < 4.6].any()
    assert close[(times > 4.8) & (times < 6.1)].all()
    assert not close[(times > 6.4) & (times < 11.7)].any()
    assert close[(times > 11.9) & (times < 14.4)].all()
    assert not close[times > 14.7].any()


@pytest.mark.parametrize(("cost", "frames"), [(0.25, 400), (0.001, 1200), (5.0, 150)])
def test_a_slow_machine_draws_fewer_frames(cost, frames):
    source = Grey()
    clock = lambda: len(source.drawn) * cost  # noqa: E731
    assert affordable_frames(source, np.zeros(1), 100.0, clock) == frames


def test_the_video_has_the_frames_asked_for_and_plays_in_browsers(tmp_path):
    source, seen = Grey(), []
    path = tmp_path / "demo.mp4"
    playback = Playback(30, np.arange(0, 40, 2), np.full(20, 3.0))
    write_video(RunFrames(run_of_two_skills(), source, SIZE, "two", "Solved"), path, playback, lambda: seen.append(1))
    assert len(seen) == 20
    assert source.drawn == [*range(0, 40, 2), 39]
    frames = imageio_ffmpeg.read_frames(str(path))
    meta = next(frames)
    assert (meta["codec"], meta["size"], meta["fps"]) == ("h264", SIZE, 30.0)
    assert "yuv420p" in meta["pix_fmt"]
    assert sum(1 for _ in frames) == 20 + 60
    assert [file.name for file in tmp_path.iterdir()] == ["demo.mp4"]


def test_the_first_frame_stands_with_the_names_of_what_is_in_it(tmp_path):
    path, trace = tmp_path / "demo.mp4", run_of_two_skills()
    playback = Playback(10, np.arange(5), np.ones(5))
    named = [Label("vial", (200.0, 60.0), False, (255, 255, 255))]
    write_video(RunFrames(trace, Grey(), SIZE, "two", "Solved", labels=lambda: named), path, playback)
    frames = imageio_ffmpeg.read_frames(str(path))
    next(frames)
    images = [np.frombuffer(frame, np.uint8).reshape(SIZE[1], SIZE[0], 3)[50:70, 190:240] for frame in frames]
    assert len(images) == 30 + 4 + 20
    assert all(image.max() > 150 for image in images[:30])
    assert all(image.max() < 100 for image in images[30:])


def test_a_disturbance_has_a_caption_for_a_while_and_a_mark_in_the_time_line_from_then_on():
    ticks = 200
    trace = replace(run_of_two_skills(ticks), events=((4.0, "Disturbance: close drawer"),))
    plain, marked = (Overlay(which, "two", 1280, 720) for which in (replace(trace, events=()), trace))
    grey = np.full((720, 1280, 3), 90, np.uint8)
    caption, mark = {}, {}
    for tick in (70, 90, 120, 180):
        differs = (plain.draw(grey, tick, 1.5) != marked.draw(grey, tick, 1.5)).any(axis=2)
        caption[tick], mark[tick] = differs[:100].any(), differs[650:, 500:540].any()
    assert caption == {70: False, 90: True, 120: True, 180: False}
    assert mark == {70: False, 90: True, 120: True, 180: True}


def test_a_long_title_leaves_room_for_the_clock():
    trace, grey = run_of_two_skills(), np.full((720, 1280, 3), 90, np.uint8)
    long = "gate/scenario_1_episode_020 " * 2
    pictures = [Overlay(trace, title, 1280, 720).draw(grey, 5, 1.5) for title in ("", long)]
    differs = np.flatnonzero((pictures[0] != pictures[1])[:70].any(axis=(0, 2)))
    assert differs[0] >= 22 + 16
    assert differs[-1] < 22 + 292 - 16 - 50


def test_the_animation_shows_the_run_in_five_seconds_and_its_end_for_two_more(tmp_path):
    path, trace = tmp_path / "demo.webp", run_of_two_skills(200)
    write_animation(RunFrames(trace, Grey(), SIZE, "two", "Solved"), path)
    with Image.open(path) as image:
        assert image.format == "WEBP"
        assert image.size == (800, 440)
        stands = []
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            stands.append(image.info["duration"])
    assert sum(stands) / 1000 == pytest.approx(7.0, abs=0.2)
    assert [file.name for file in tmp_path.iterdir()] == ["demo.webp"]


def test_an_interrupted_video_leaves_no_file(tmp_path):
    every_tick = Playback(30, np.arange(40), np.ones(40))
    with pytest.raises(KeyboardInterrupt):
        write_video(RunFrames(run_of_two_skills(), Grey(fail_at=5), SIZE, "t", "n"), tmp_path / "demo.mp4", every_tick)
    assert list(tmp_path.iterdir()) == []
