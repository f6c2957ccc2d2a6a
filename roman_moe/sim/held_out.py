"""Scenes by which an estimator is judged, in conditions that its training may not have shown.

- "held_out": appearance as it is drawn for training.
- "unseen": lights, colours, textures, camera places and focal lengths farther from the scene's own than in training.
  Textures are of other kinds, and the calibration of one camera is off by 0.5 degrees and 5 mm.
- "moved": cameras at their places in the scene, but one of them moved by 10 cm and turned by 10 degrees.
- "scattered": appearance as it is drawn for training, with loose things anywhere, in the air, too, and doors, drawers
  and locks at any place. Nothing but two views says how high a loose thing is then. Under the other conditions things
  are where a task's episodes have them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.state import rotated
from roman_moe.perception.camera import Camera
from roman_moe.sim.pose_source import directions
from roman_moe.sim.randomisation import TEXTURE_SIZE, RandomScene, Ranges
from roman_moe.sim.task import SimTask

Array = NDArray[np.float64]

SCATTERED = "scattered"
CONDITIONS = {
    "held_out": Ranges(),
    "unseen": Ranges(
        camera_shift=0.18,
        camera_turn=math.radians(18.0),
        focal_share=0.12,
        hue=0.05,
        value=1.6,
        plain_share=0.0,
        shadow_share=0.7,
    ),
    "moved": Ranges(camera_shift=0.0, camera_turn=0.0, focal_share=0.0),
    SCATTERED: Ranges(),
}
"""How far the appearance differs from the scene's own, by condition."""

STRANGE_LIGHT = 0.7
"""Largest logarithm of the factor of an unseen light's brightness."""
STRANGE_TINT = 0.25
"""Largest change of one of its colours; 0.1 in training."""

MOVED_BY = 0.1  # [m]
TURNED_BY = math.radians(10.0)
CALIBRATION_TURN = math.radians(0.5)
CALIBRATION_SHIFT = 0.005  # [m]


class HeldOutScene(RandomScene):
    """A random scene that can be looked at in each of `CONDITIONS`."""

    def __init__(self, task: SimTask) -> None:
        """Raises as `RandomScene` does."""
        super().__init__(task, Ranges())
        self._condition, self._chosen = "held_out", self._cameras[0]

    def choose(self, condition: str, number: int) -> None:
        """The condition of the draws that follow.

        Args:
            number: of the scene: what is done to one camera is done to each in turn.
        """
        self._condition, self._ranges = condition, CONDITIONS[condition]
        self._chosen = self._cameras[number % len(self._cameras)]

    def calibration(self, camera: Camera, rng: np.random.Generator) -> Camera:
        """What an estimator is told of a camera: the truth, but of one camera of an unseen appearance."""
        if self._condition != "unseen" or camera.name != self.model.camera(self._chosen).name:
            return camera
        direction, axis = directions(2, rng)
        return replace(
            camera,
            position=camera.position + CALIBRATION_SHIFT * direction,
            orientation=rotated(camera.orientation, CALIBRATION_TURN * axis),
        )

    def _draw_cameras(self, rng: np.random.Generator) -> None:
        super()._draw_cameras(rng)
        if self._condition == "moved":
            direction, axis = directions(2, rng)
            self.move_camera(self._chosen, MOVED_BY * direction, TURNED_BY * axis)

    def _draw_lights(self, rng: np.random.Generator) -> None:
        super()._draw_lights(rng)
        if self._condition != "unseen":
            return
        model = self.model
        for colours in (model.vis.headlight.ambient, model.vis.headlight.diffuse, *model.light_diffuse):
            colours *= np.exp(rng.uniform(-1.0, 1.0) * STRANGE_LIGHT) * (1.0 + rng.uniform(-1.0, 1.0, 3) * STRANGE_TINT)

    def _draw_distractors(self, rng: np.random.Generator) -> None:
        super()._draw_distractors(rng)
        model, those = self.model, self._distractors
        largest = model.geom_size[those].max(axis=1)
        model.geom_aabb[those, 3:] = largest[:, None]  # rays find a geom by its bounds
        model.geom_rbound[those] = 2.0 * largest

    def _pattern(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        return waves(rng) if self._condition == "unseen" else super()._pattern(rng)


def waves(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A texture of a kind that training does not show, (TEXTURE_SIZE, TEXTURE_SIZE, 3): waves in several directions."""
    x, y = np.meshgrid(*[np.arange(TEXTURE_SIZE) / TEXTURE_SIZE] * 2)
    texture = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE, 3))
    for _ in range(rng.integers(2, 6)):
        along, across = rng.integers(-8, 9, 2)
        wave = np.sin(2.0 * math.pi * (along * x + across * y + rng.random()))
        texture += wave[..., None] * rng.uniform(-1.0, 1.0, 3)
    low, high = texture.min(), texture.max()
    return np.asarray(255.0 * (texture - low) / max(high - low, 1e-9), dtype=np.uint8)
