"""What a calibration says is still missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from roman_moe.core.rotation import from_matrix
from roman_moe.perception.calibration import BoardView, camera_to_base, missing
from roman_moe.perception.camera import Camera
from roman_moe.perception.camera_file import Pose

SIZE = 640, 480
POINTS = np.array([[x, y, 0.0] for x in (-0.1, 0.0, 0.1) for y in (-0.07, 0.0, 0.07)])


def view(name: str, corner: tuple[float, float], extent: float) -> BoardView:
    return BoardView(name, np.array(corner) + extent * (POINTS[:, :2] + 0.1), POINTS)


def tilted(axis: int, angle: float, away: float) -> tuple[np.ndarray, np.ndarray]:
    sine, cosine = np.sin(angle), np.cos(angle)
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    about_y = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
    return (about_x, about_y)[axis], np.array([0.0, 0.0, away])


def test_views_of_one_kind_lack_regions_tilts_and_distances():
    lacks = missing([view("a", (0.0, 0.0), 500.0)] * 8, SIZE, [tilted(0, 0.0, 0.5)] * 8)
    assert lacks[0] == "7 more views"
    assert "the board in the lower right of the image" in lacks
    assert "the board in the upper left of the image" not in lacks
    assert lacks[-1] == "the board nearer and farther away"
    assert sum("tilted" in each for each in lacks) == 2


def test_views_of_all_kinds_lack_nothing():
    views = [view(str(i), (0.0, 0.0), 2700.0 if i % 2 else 2600.0) for i in range(15)]
    poses = [tilted(i % 2, 0.3 * (-1.0) ** (i // 2), 0.4 + 0.05 * i) for i in range(15)]
    assert missing(views, SIZE, poses) == []


def test_one_place_of_the_board_asks_for_another_one():
    down = np.diag([1.0, -1.0, -1.0])
    camera = Camera(
        "left", *SIZE, np.full(2, 500.0), np.array([319.5, 239.5]), np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])
    )
    truth = replace(camera, position=np.array([0.5, 0.0, 0.6]), orientation=from_matrix(down))
    places = {name: Pose((0.5, y, 0.0), (0.0, 0.0, 0.0, 1.0)) for name, y in (("a", 0.0), ("b", 0.1))}
    views = [BoardView(n, truth.project(POINTS + np.array(p.position))[0], POINTS) for n, p in places.items()]
    alone = camera_to_base(camera, views[:1], places)
    assert np.abs(alone.camera.position - truth.position).max() < 1e-4
    assert "a second place of the board" in alone.missing[0]
    both = camera_to_base(camera, views, places)
    assert both.missing == ()
    assert both.error < 1e-3
