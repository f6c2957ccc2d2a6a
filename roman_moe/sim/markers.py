"""A task's markers in its scene: to be seen, without mass and without contacts, so that physics are as without them."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from roman_moe.core.parts import MarkerSpec
from roman_moe.core.rotation import matrix
from roman_moe.core.spec import TaskSpec
from roman_moe.perception.tags import CORNERS, modules, picture

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
    """A plate of its own with explicit texture coordinates: those of a box differ between versions of MuJoCo."""
    image = np.repeat(picture(marker, MODULE)[:, :, None], 3, axis=2)
    texture = scene.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=len(image), height=len(image))
    texture.nchannel, texture.data = 3, image.tobytes()
    material = scene.add_material(name=name, specular=0.0, shininess=0.0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    front = CORNERS * marker.size * (1.0 + 2.0 / modules(marker.dictionary))
    plate = np.concatenate([front, front - [0.0, 0.0, THICKNESS]])
    turn = np.empty(9), np.empty(9)
    mujoco.mju_quat2Mat(turn[0], np.array(site.quat))
    points = plate @ matrix(np.array(marker.orientation)).T + np.array(marker.position)  # in the object's frame
    points = points @ turn[0].reshape(3, 3).T + np.array(site.pos)  # in the body's
    mesh = scene.add_mesh(name=name, uservert=points.ravel(), userface=np.ravel(FACES))
    mesh.usertexcoord = np.tile(TEXTURE, (2, 1)).ravel()
    site.parent.add_geom(
        name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, material=name, mass=0.0, contype=0, conaffinity=0
    )
