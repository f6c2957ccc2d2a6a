from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from roman_moe.core.rotation import from_matrix
from roman_moe.perception.camera import Camera
from roman_moe.perception.fusion import Views, fuse

PLACES = np.array([[0.45, 0.2, 0.02], [0.36, -0.15, -0.03], [0.6, 0.1, 0.1]])


def looking(name: str, position: list[float], at: list[float]) -> Camera:
    forward = np.array(at) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    return Camera(
        name=name,
        width=320,
        height=240,
        focal=np.array([250.0, 250.0]),
        centre=np.array([159.5, 119.5]),
        position=np.array(position),
        orientation=from_matrix(rotation),
    )


CAMERAS = (looking("left", [1.0, 0.6, 0.7], [0.45, 0.0, 0.0]), looking("right", [1.0, -0.7, 0.7], [0.45, 0.0, 0.0]))


def views(pixel_sigma: float = 0.5, height_sigma: float = 0.01) -> Views:
    shape = (len(CAMERAS), len(PLACES))
    return Views(
        seen=np.ones(shape, dtype=bool),
        pixels=np.stack([camera.project(PLACES)[0] for camera in CAMERAS]),
        pixel_sigmas=np.full(shape, pixel_sigma),
        heights=np.broadcast_to(PLACES[:, 2], shape).copy(),
        height_sigmas=np.full(shape, height_sigma),
    )


def test_exact_views_give_the_exact_place():
    positions, *_ = fuse(CAMERAS, views())
    assert positions == pytest.approx(PLACES, abs=1e-9)


def test_two_views_find_the_height_though_both_are_wrong_about_it():
    exact = views(height_sigma=0.05)
    positions, *_ = fuse(CAMERAS, replace(exact, heights=exact.heights + 0.05))
    assert np.abs(positions - PLACES).max() < 0.001


def test_rays_that_meet_are_believed_before_heights_that_are_sure_and_wrong():
    exact = views(height_sigma=0.005)
    heights = exact.heights + np.array([[0.1, 0.0, 0.0], [0.15, 0.0, 0.0]])
    positions, covariances, torn = fuse(CAMERAS, replace(exact, heights=heights))
    assert positions == pytest.approx(PLACES, abs=1e-4)
    assert not torn.any(), "the cameras agree"
    assert np.trace(covariances[0]) > np.trace(covariances[1])


def test_one_view_takes_its_height():
    exact = views()
    seen = np.array([[True] * 3, [False] * 3])
    positions, covariances, _ = fuse(CAMERAS, replace(exact, seen=seen))
    assert positions == pytest.approx(PLACES, abs=1e-9)
    assert np.sqrt(covariances[:, 2, 2]) == pytest.approx(0.01, rel=0.05)


def test_what_nobody_sees_has_no_place():
    exact = views()
    seen = exact.seen.copy()
    seen[:, 1] = False
    positions, covariances, _ = fuse(CAMERAS, replace(exact, seen=seen))
    assert np.isnan(positions[1]).all()
    assert np.isnan(covariances[1]).all()
    assert positions[[0, 2]] == pytest.approx(PLACES[[0, 2]], abs=1e-9)


def test_errors_are_as_large_as_the_covariances_say():
    rng = np.random.default_rng(0)
    exact = views()
    squares = []
    for _ in range(300):
        noisy = replace(
            exact,
            pixels=exact.pixels + rng.normal(0.0, 0.5, exact.pixels.shape),
            heights=exact.heights + rng.normal(0.0, 0.01, exact.heights.shape),
        )
        positions, covariances, _ = fuse(CAMERAS, noisy)
        off = positions - PLACES
        squares.append(np.einsum("ni,nij,nj->n", off, np.linalg.inv(covariances), off))
    assert np.mean(squares) == pytest.approx(3.0, rel=0.1)  # of three degrees of freedom


def test_where_two_views_contradict_each_other_the_surer_one_counts():
    exact = views(pixel_sigma=1.0)
    pixels, sigmas = exact.pixels.copy(), exact.pixel_sigmas.copy()
    pixels[1, 0] += 60.0  # the right camera takes something else for it
    sigmas[0, 0] = 0.4
    positions, *_ = fuse(CAMERAS, replace(exact, pixels=pixels, pixel_sigmas=sigmas))
    assert positions == pytest.approx(PLACES, abs=1e-9)
