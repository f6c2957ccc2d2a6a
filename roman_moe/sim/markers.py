"""A task's markers in its scene: to be seen, without mass and without contacts, so that physics are as without them."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.rotation import matrix
from roman_moe.core.spec import TaskSpec
from roman_moe.core.spec_parts import MarkerSpec
from roman_moe.perception.marker_images import CORNERS, modules, picture

MODULE = 16  # pixels of its texture
THICKNESS = 0.0002  # [m]; MuJoCo takes no mesh without volume
TEXTURE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
"""Where the texture's rows begin: its top left corner."""
FACES = [[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7]] + [
    face for i in range(4) for j in [(i + 1) % 4] for face in ([i, j, j + 4], [i, j + 4, i + 4])
]
"""Of a plate: the front's corners are 0 to 3, clockwise from top left; those behind them 4 to 7."""


def add_markers(scene: mujoco.MjSpec, spec: TaskSpec) -> None:
    """Add each object's markers to the body that carries the site of its name.

    Raises:
        ConfigError: if a dictionary has no such marker.
    """
    for name, each in spec.objects.items():
        for marker in each.markers:
            _add(scene, scene.site(name), marker, f"marker_{marker.dictionary}_{marker.id}")


def _add(scene: mujoco.MjSpec, site: Any, marker: MarkerSpec, name: str) -> None:
    front = CORNERS * marker.size * (1.0 + 2.0 / modules(marker.dictionary))
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, np.array(site.quat))
    place = turn.reshape(3, 3) @ matrix(np.array(marker.orientation)), turn.reshape(3, 3) @ np.array(marker.position)
    add_plate(scene, site.parent, name, picture(marker, MODULE), front, (place[0], place[1] + np.array(site.pos)))


def add_plate(
    scene: mujoco.MjSpec,
    body: Any,
    name: str,
    image: NDArray[np.uint8],
    front: NDArray[np.float64],
    pose: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """A plate with a picture, without mass and contacts.

    It has texture coordinates of its own: those of a box differ between versions of MuJoCo.

    Args:
        image: grey, (height, width).
        front: its corners in its own frame, clockwise from the picture's top left, z out of it, (4, 3) [m].
        pose: of its frame in the body's: rotation, (3, 3), and position, (3,) [m].
    """
    texture = scene.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=image.shape[1], height=image.shape[0], nchannel=3
    )
    texture.data = np.repeat(image[:, :, None], 3, axis=2).tobytes()
    material = scene.add_material(name=name, specular=0.0, shininess=0.0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    points = np.concatenate([front, front - [0.0, 0.0, THICKNESS]]) @ pose[0].T + pose[1]
    mesh = scene.add_mesh(name=name, uservert=points.ravel(), userface=np.ravel(FACES))
    mesh.usertexcoord = np.tile(TEXTURE, (2, 1)).ravel()
    body.add_geom(
        name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, material=name, mass=0.0, contype=0, conaffinity=0
    )
