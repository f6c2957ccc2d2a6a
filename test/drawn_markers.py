"""Cameras that look at a table, and their images of markers, drawn without a renderer."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from roman_moe.core.rotation import from_matrix
from roman_moe.core.spec_parts import MarkerSpec
from roman_moe.perception import marker_images
from roman_moe.perception.camera import Camera

Body = tuple[Sequence[MarkerSpec], np.ndarray, np.ndarray]
"""Markers, and rotation (3, 3) and position (3,) [m] of what carries them."""


def looking(name: str, position: tuple[float, ...], at=(0.5, 0.0, 0.0), focal=600.0) -> Camera:
    ahead = np.array(at) - position
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.array([right, np.cross(ahead, right), ahead]).T
    centre = np.array([319.5, 239.5])
    return Camera(name, 640, 480, np.full(2, focal), centre, np.array(position), from_matrix(rotation))


def about(axis: np.ndarray, angle: float) -> np.ndarray:
    return np.asarray(cv2.Rodrigues(axis / np.linalg.norm(axis) * angle)[0])


def upright(angle: float) -> np.ndarray:
    return about(np.array([0.0, 0.0, 1.0]), angle)


def drawn(camera: Camera, markers, rotation, position, rng, smooth=3) -> np.ndarray:
    """An image of an object's markers on grey, drawn larger and averaged, with noise."""
    return noisy(drawn_bodies(camera, [(markers, rotation, position)], smooth), rng)


def drawn_bodies(camera: Camera, bodies: Sequence[Body], smooth: int = 3) -> np.ndarray:
    """A grey image, (height, width), without noise."""
    shape = camera.height * smooth, camera.width * smooth
    image = np.full(shape, 120.0, dtype=np.float32)
    for markers, rotation, position in bodies:
        for marker in markers:
            _lay(image, camera, marker, marker_images.corners(marker) @ rotation.T + position, smooth)
    return cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)


def noisy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As a sensor gives a grey image: RGB, (height, width, 3)."""
    grains = np.clip(image + 3.0 * rng.standard_normal(image.shape), 0, 255).astype(np.uint8)
    return np.repeat(grains[:, :, None], 3, axis=2)


def _lay(image: np.ndarray, camera: Camera, marker: MarkerSpec, corners: np.ndarray, smooth: int) -> None:
    shape, picture = image.shape, marker_images.picture(marker, 24).astype(np.float32)
    side, black = len(picture), len(picture) - 48
    pixels, _ = camera.project(corners)
    source = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]) * black + 24 - 0.5
    to = cv2.getPerspectiveTransform(source.astype(np.float32), ((pixels + 0.5) * smooth - 0.5).astype(np.float32))
    laid = cv2.warpPerspective(picture, to, shape[::-1], flags=cv2.INTER_AREA)
    inside = cv2.warpPerspective(np.ones((side, side), np.float32), to, shape[::-1]) > 0.5
    image[inside] = laid[inside]
