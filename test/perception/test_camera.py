from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from roman_moe.core.rotation import from_matrix
from roman_moe.perception.camera import Camera

LOOKING_DOWN = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])
CAMERA = Camera(
    name="left",
    width=320,
    height=240,
    focal=np.array([250.0, 251.0]),
    centre=np.array([160.5, 118.0]),
    position=np.array([0.4, 0.1, 1.0]),
    orientation=from_matrix(LOOKING_DOWN),
)
BENT = replace(CAMERA, distortion=(-0.2, 0.05, 0.001, -0.002, 0.01))
POINTS = np.array([[0.4, 0.1, 0.0], [0.6, -0.1, 0.1], [0.2, 0.3, -0.1], [0.5, 0.25, 0.3]])


@pytest.mark.parametrize("camera", [CAMERA, BENT], ids=["pinhole", "distorted"])
def test_it_projects_as_opencv_does(camera: Camera):
    rotation = LOOKING_DOWN.T  # from the base frame to the optical one
    vector, _ = cv2.Rodrigues(rotation)
    expected, _ = cv2.projectPoints(
        POINTS, vector, -rotation @ camera.position, camera.matrix, np.array(camera.distortion)
    )
    pixels, depths = camera.project(POINTS)
    assert pixels == pytest.approx(expected[:, 0], abs=1e-9)
    assert depths == pytest.approx(1.0 - POINTS[:, 2])


@pytest.mark.parametrize("camera", [CAMERA, BENT], ids=["pinhole", "distorted"])
def test_a_pixel_looks_at_what_projects_to_it(camera: Camera):
    pixels, _ = camera.project(POINTS)
    towards = POINTS - camera.position
    assert camera.rays(pixels) == pytest.approx(towards / np.linalg.norm(towards, axis=1, keepdims=True), abs=1e-9)


def test_what_is_right_of_the_camera_is_right_in_the_image():
    (u, v), _ = (each[0] for each in CAMERA.project(np.array([[0.5, 0.0, 0.0]])))
    assert u > CAMERA.centre[0]  # the optical x axis is the base frame's
    assert v > CAMERA.centre[1]  # y down in the image is -y of the base frame


def test_what_is_behind_it_has_no_depth():
    _, depths = CAMERA.project(np.array([[0.4, 0.1, 1.5]]))
    assert depths[0] < 0.0


def test_the_middle_of_an_image_stays_its_middle():
    camera = replace(CAMERA, centre=np.array([159.5, 119.5]))
    half = camera.resized(160, 120)
    assert half.centre == pytest.approx([79.5, 59.5])
    assert half.focal == pytest.approx([125.0, 125.5])
    assert half.rays(np.array([[79.5, 59.5]])) == pytest.approx(camera.rays(np.array([[159.5, 119.5]])))
