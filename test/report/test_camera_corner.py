"""What cameras saw, in a corner of the video: a circle where an object is estimated, dashed where it is not valid."""

from __future__ import annotations

import imageio_ffmpeg
import numpy as np
from specs import ROMAN, SKILLS

from roman_moe.core.state import ObjectPoses, upright
from roman_moe.perception.camera import Camera
from roman_moe.report import video
from roman_moe.report.camera_corner import FRAME, HIDDEN, RADIUS, VALID, CameraView, draw_corner, draw_view
from roman_moe.report.trace import Trace
from roman_moe.report.video import Playback, RunFrames, write_video

WIDTH, HEIGHT = 320, 240
NAMES = ("", "", "", "", "")  # the circles alone


def view(places: list[tuple[float, float, float]], valid: list[bool]) -> CameraView:
    """What a camera in the origin, that looks along z, sees of a grey world."""
    focal, centre = np.full(2, 300.0), np.array([WIDTH - 1.0, HEIGHT - 1.0]) / 2.0
    camera = Camera("left", WIDTH, HEIGHT, focal, centre, np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    count = len(places)
    poses = ObjectPoses(0, np.array(places), np.array(valid), np.zeros(count), upright(count))
    return CameraView(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), camera, poses)


def ring(image: np.ndarray, x: float, y: float, colour: tuple[int, int, int]) -> float:
    """Share of a circle about a pixel that has a colour."""
    angles = np.linspace(0.0, 2.0 * np.pi, 360, endpoint=False)
    across, down = np.cos(angles), np.sin(angles)
    reached = np.zeros(len(angles), dtype=bool)
    for radius in np.arange(RADIUS - 2.5, RADIUS + 1.0, 0.5):
        there = image[np.rint(y + radius * down).astype(int), np.rint(x + radius * across).astype(int)].astype(int)
        reached |= np.abs(there - colour).max(axis=1) < 40
    return float(reached.mean())


def test_a_circle_stands_where_an_object_projects_and_is_dashed_if_it_is_not_valid():
    seen = view([(-0.2, -0.1, 1.0), (0.2, 0.1, 1.0)], [True, False])
    image = np.asarray(draw_view(seen, NAMES, WIDTH))
    assert image.shape == (HEIGHT, WIDTH, 3)
    (valid, hidden), _ = seen.camera.project(seen.poses.positions)
    assert ring(image, *valid, VALID) > 0.95
    assert 0.35 < ring(image, *hidden, HIDDEN) < 0.75
    assert ring(image, *hidden, VALID) == 0.0


def test_what_has_no_place_in_the_image_is_not_drawn():
    nowhere = view([(np.nan, 0.0, 1.0), (0.0, 0.0, -1.0), (9.0, 0.0, 1.0)], [True, True, True])
    nothing = view([(np.nan, np.nan, np.nan)], [False])
    assert np.array_equal(draw_view(nowhere, NAMES, WIDTH), draw_view(nothing, NAMES, WIDTH))


def test_names_stand_beside_the_circles_within_the_image():
    seen = view([(0.5, 0.0, 1.0)], [True])
    named, plain = (np.asarray(draw_view(seen, names, WIDTH)).astype(int) for names in (("vial",), NAMES))
    columns = np.flatnonzero(np.abs(named - plain).max(axis=(0, 2)))
    ((x, _),) = seen.camera.project(seen.poses.positions)[0]
    assert 20 < columns.max() - columns.min() < 60
    assert columns.max() < x


def test_names_of_objects_in_one_place_do_not_cover_each_other():
    place = (0.0, 0.0, 1.0)
    five, four = (view([place] * count, [True] * count) for count in (5, 4))
    names = ("rack", "vial", "cover", "drop_zone", "button")
    assert np.array_equal(draw_view(five, names, WIDTH), draw_view(four, names, WIDTH))  # no room for a fifth
    assert not np.array_equal(draw_view(four, names, WIDTH), draw_view(four, (*names[:3], "", ""), WIDTH))


def test_the_views_stand_in_the_corner_and_the_rest_of_the_frame_is_as_it_was():
    frame = np.full((720, 1280, 3), 30, np.uint8)
    seen = view([(0.0, 0.0, 1.0)], [True])
    changed = (draw_corner(frame, [seen, seen], NAMES) != frame).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert columns.min() > 990
    assert 240 < rows.min() < rows.max() < 670  # above the time line, with room for what stands above
    assert (draw_corner(frame, [seen, seen], NAMES)[rows.min(), columns.min()] == FRAME).all()
    assert np.array_equal(draw_corner(frame, [], NAMES), frame)


class Dark:
    """Frames of nothing."""

    def frame(self, physics_state: np.ndarray) -> np.ndarray:
        return np.zeros((720, 1280, 3), np.uint8)


def every_tick(count: int) -> Playback:
    return Playback(25, np.arange(count), np.ones(count))


def test_the_video_has_in_its_corner_what_was_seen_at_each_tick(tmp_path):
    weights = np.zeros((3, len(SKILLS)))
    trace = Trace(ROMAN, SKILLS, np.arange(3) * 0.05, weights, np.zeros((3, 1)), 0.15)
    seen = view([(0.0, 0.0, 1.0)] * len(ROMAN.object_names), [True] * len(ROMAN.object_names))
    path = tmp_path / "video.mp4"
    views = lambda tick: [seen] if tick else []  # noqa: E731
    write_video(RunFrames(trace, Dark(), (1280, 720), "", "", views), path, every_tick(3))
    frames = imageio_ffmpeg.read_frames(str(path))
    assert next(frames)["size"] == (1280, 720)
    first, second = (np.frombuffer(next(frames), np.uint8).reshape(720, 1280, 3)[500:640, 1020:1240] for _ in range(2))
    assert first.mean() < 20
    assert abs(second.mean() - 90) < 20


def test_what_the_leading_expert_observes_is_named_and_nothing_else(tmp_path, monkeypatch):
    named = []
    monkeypatch.setattr(video, "draw_corner", lambda frame, seen, names: named.append([n for n in names if n]) or frame)
    leads = np.eye(len(SKILLS))[[SKILLS.index("push"), SKILLS.index("button")]]
    trace = Trace(ROMAN, SKILLS, np.arange(2) * 0.05, leads, np.zeros((2, 1)), 0.1)
    one = [view([(0.0, 0.0, 1.0)], [True])]
    write_video(RunFrames(trace, Dark(), (1280, 720), "", "", lambda _: one), tmp_path / "video.mp4", every_tick(2))
    assert named[:2] == [["rack", "conveyor_end"], ["button"]]
