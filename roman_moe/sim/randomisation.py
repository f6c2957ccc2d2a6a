"""Random appearance of a task's scene, for images from which an estimator learns to see: domain randomisation.

Lights, colours, textures, distractors, camera poses and focal lengths are drawn anew for each image. Things that are to
be found keep their shape and roughly their hue; everything else may look like anything. (Tobin et al., "Domain
randomization for transferring deep neural networks from simulation to the real world", IROS 2017.)
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.core.state import rotated
from roman_moe.perception.camera import Camera
from roman_moe.perception.sensor_model import as_sensed
from roman_moe.sim.cameras import camera_of
from roman_moe.sim.compose import compose
from roman_moe.sim.render import open_renderer
from roman_moe.sim.task import SimTask

Array = NDArray[np.float64]

TEXTURES = 6
TEXTURE_SIZE = 64  # [pixels]
DISTRACTORS = 8
SHADOW_SIZE = 1024  # [pixels]
GLOSSES = ((0.0, 0.0), (0.3, 0.3), (0.8, 0.7))  # specular, shininess
HIDDEN = np.array([0.0, 0.0, -5.0])  # of a distractor that is not there: below the floor


@dataclass(frozen=True)
class Ranges:
    """How far the appearance may differ from the scene's own.

    Attributes:
        camera_shift: of a camera along each axis [m].
        camera_turn: of a camera about a random axis [rad].
        focal_share: of its focal length.
        hue: of an object's colour, of a turn of the colour circle.
        value: by which its brightness and saturation are multiplied, at most; its inverse at least.
        plain_share: of the scenes in which nothing but the cameras and the light differs.
        shadow_share: of the scenes with shadows.
    """

    camera_shift: float = 0.12
    camera_turn: float = math.radians(12.0)
    focal_share: float = 0.08
    hue: float = 0.03
    value: float = 1.35
    plain_share: float = 0.15
    shadow_share: float = 0.4


@dataclass(frozen=True, eq=False)
class View:
    """What one camera shows of a scene.

    Attributes:
        camera: as it is calibrated.
        image: (height, width, 3) RGB, as its sensor gives it.
        pixels: by which each of the task's objects is seen, (n,).
    """

    camera: Camera
    image: NDArray[np.uint8]
    pixels: NDArray[np.int64]


class RandomScene:
    """A scene whose appearance is new in each `draw`. It is drawn only: nothing moves in it.

    Attributes:
        model: of the scene and its arm, with everything that may be added; joints are those of `World`'s.
        object_geoms: by which each of the task's objects is seen.
        arm_joints: where the arm's joints are in `qpos`.
        loose: where the free joints of loose things begin in `qpos`.
        jointed: where the scene's other joints that have a range are in `qpos`, as of doors, drawers and locks.
        ranges: of these, (n, 2) [m or rad].
    """

    def __init__(self, task: SimTask, ranges: Ranges) -> None:
        """For the thread that calls this.

        Raises:
            ConfigError: if the scene lacks one of the task's cameras.
            MissingDependencyError: if no OpenGL library can be loaded.
        """
        scene, arm = task.model_spec(), task.arm_spec()
        for name in task.spec.cameras:
            if scene.camera(name) is None:
                raise ConfigError(f"{task.folder / task.scene}: no camera {name!r}: expected each of task.yaml's")
        jointed = [joint.name for joint in scene.joints if joint.type != mujoco.mjtJoint.mjJNT_FREE]
        _add_slots(scene)
        self._ranges = ranges
        self.model = model = compose(scene, arm, str(task.folder / task.scene))
        self.object_geoms = [geoms_of(model, name) for name in task.spec.objects]
        self.arm_joints = [int(model.joint(name).qposadr[0]) for name in arm.joints]
        free = [i for i in range(model.njnt) if model.jnt_type[i] == mujoco.mjtJoint.mjJNT_FREE]
        self.loose = [int(model.jnt_qposadr[i]) for i in free]
        limited = [joint for name in jointed if (joint := model.joint(name)).range[0] < joint.range[1]]
        self.jointed = [int(joint.qposadr[0]) for joint in limited]
        self.ranges = np.array([joint.range for joint in limited]).reshape(-1, 2)
        self._textures = [model.texture(f"random_{i}").id for i in range(TEXTURES)]
        self._textured = [model.material(f"random_{i}").id for i in range(TEXTURES)]
        self._glosses = [model.material(f"gloss_{i}").id for i in range(len(GLOSSES))]
        self._distractors = [model.geom(f"distractor_{i}").id for i in range(DISTRACTORS)]
        moving = [each.moves for each in task.spec.objects.values()]
        self._objects = sorted(
            {int(i) for geoms, moves in zip(self.object_geoms, moving, strict=True) for i in geoms if moves}
        )
        self._others = sorted(set(range(model.ngeom)) - {*self._objects, *self._distractors})
        self._cameras = [model.camera(name).id for name in task.spec.cameras]
        self._base = _Base(model)
        self.data = mujoco.MjData(model)
        self._sizes = {name: (each.width, each.height) for name, each in task.spec.cameras.items()}
        model.vis.quality.offsamples, model.vis.quality.shadowsize = 0, SHADOW_SIZE
        self._renderers = {size: open_renderer(model, *size) for size in sorted(set(self._sizes.values()))}

    def close(self) -> None:
        for renderer in self._renderers.values():
            renderer.close()

    def draw(self, rng: np.random.Generator) -> list[View]:
        """What each of the task's cameras shows of `data`, in a new appearance."""
        self._draw(rng)
        model, data = self.model, self.data
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)  # lights and cameras hang on these
        mujoco.mj_camlight(model, data)
        shadows = rng.random() < self._ranges.shadow_share
        return [self._view(name, shadows, rng) for name in self._sizes]

    def _view(self, name: str, shadows: bool, rng: np.random.Generator) -> View:
        size = self._sizes[name]
        renderer = self._renderers[size]
        renderer.update_scene(self.data, camera=name)
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        image = renderer.render()
        renderer.enable_segmentation_rendering()
        identities, kinds = np.moveaxis(renderer.render(), 2, 0)
        renderer.disable_segmentation_rendering()
        geoms = identities[kinds == int(mujoco.mjtObj.mjOBJ_GEOM)]  # NumPy compares an enum one by one
        counts = np.bincount(geoms, minlength=self.model.ngeom)
        pixels = np.array([counts[each].sum() for each in self.object_geoms])
        return View(camera_of(self.model, self.data, name, *size), as_sensed(image, rng), pixels)

    def _draw(self, rng: np.random.Generator) -> None:
        self._base.restore(self.model)
        self._draw_lights(rng)
        self._draw_cameras(rng)
        if rng.random() >= self._ranges.plain_share:
            self._draw_colours(rng, strength=rng.random())
            self._draw_distractors(rng)
            self._draw_textures(rng)

    def _draw_lights(self, rng: np.random.Generator) -> None:
        model = self.model
        ambient = rng.uniform(0.15, 0.5)
        tint = 1.0 + rng.uniform(-0.08, 0.08, 3)
        model.vis.headlight.ambient[:] = ambient * tint
        model.vis.headlight.diffuse[:] = rng.uniform(0.1, 0.45) * tint
        for light in range(model.nlight):
            direction = np.array([rng.normal(0.0, 0.5), rng.normal(0.0, 0.5), -1.0])
            model.light_dir[light] = direction / np.linalg.norm(direction)
            model.light_pos[light] = -2.0 * model.light_dir[light] + [0.4, 0.0, 0.0]
            model.light_diffuse[light] = rng.uniform(0.0, 0.7) * (1.0 + rng.uniform(-0.1, 0.1, 3))
            model.light_specular[light] = rng.uniform(0.0, 0.4)

    def _draw_cameras(self, rng: np.random.Generator) -> None:
        model, ranges = self.model, self._ranges
        for camera in self._cameras:
            shift = rng.uniform(-1.0, 1.0, 3) * ranges.camera_shift
            axis = rng.normal(size=3)
            self.move_camera(camera, shift, rng.uniform(0.0, ranges.camera_turn) * axis / np.linalg.norm(axis))
            half = math.tan(math.radians(0.5 * model.cam_fovy[camera])) * (
                1.0 + rng.uniform(-1.0, 1.0) * ranges.focal_share
            )
            model.cam_fovy[camera] = 2.0 * math.degrees(math.atan(half))

    def move_camera(self, camera: int, shift: Array, turn: Array) -> None:
        """Move a camera by a shift, (3,) [m], and turn it by a rotation vector, (3,) [rad], in its parent's frame."""
        model = self.model
        model.cam_pos[camera] += shift
        w, x, y, z = model.cam_quat[camera]
        x, y, z, w = rotated(np.array([x, y, z, w]), turn)
        model.cam_quat[camera] = [w, x, y, z]

    def _draw_colours(self, rng: np.random.Generator, strength: float) -> None:
        model, ranges = self.model, self._ranges
        own = self._base.colours
        for geom in self._objects:
            model.geom_rgba[geom, :3] = _near(own[geom, :3], ranges, rng)
            model.geom_matid[geom] = self._glosses[rng.integers(len(GLOSSES))]
        for geom in self._others:
            if rng.random() < strength:
                model.geom_rgba[geom, :3] = rng.random(3) if rng.random() < 0.5 else np.full(3, rng.uniform(0.1, 1.0))
                choice = rng.random() < 0.35
                model.geom_matid[geom] = rng.choice(self._textured if choice else self._glosses)

    def _draw_textures(self, rng: np.random.Generator) -> None:
        model = self.model
        for texture in self._textures:
            begin = model.tex_adr[texture]
            size = TEXTURE_SIZE * TEXTURE_SIZE * 3
            model.tex_data[begin : begin + size] = self._pattern(rng).reshape(-1)
        for material in self._textured:
            model.mat_texrepeat[material] = rng.uniform(1.0, 8.0, 2)
        for renderer in self._renderers.values():
            renderer._gl_context.make_current()
            for texture in self._textures:
                mujoco.mjr_uploadTexture(model, renderer._mjr_context, texture)

    def _pattern(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        return pattern(rng)

    def _draw_distractors(self, rng: np.random.Generator) -> None:
        model = self.model
        for geom in self._distractors[: rng.integers(DISTRACTORS + 1)]:
            model.geom_type[geom] = rng.choice(
                [mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_ELLIPSOID]
            )
            model.geom_size[geom] = np.exp(rng.uniform(math.log(0.006), math.log(0.06), 3))
            model.geom_pos[geom] = rng.uniform([-0.2, -0.8, -0.15], [1.0, 0.8, 0.05])
            quaternion = rng.normal(size=4)
            model.geom_quat[geom] = quaternion / np.linalg.norm(quaternion)
            model.geom_rgba[geom] = [*rng.random(3), 1.0]
            model.geom_matid[geom] = rng.choice([*self._glosses, *self._textured])


class _Base:
    """The scene's own appearance."""

    _FIELDS = (
        *("geom_rgba", "geom_matid", "geom_pos", "geom_quat", "geom_size", "geom_type"),
        *("cam_pos", "cam_quat", "cam_fovy", "light_dir", "light_pos", "light_diffuse", "light_specular"),
    )

    def __init__(self, model: mujoco.MjModel) -> None:
        self._values = {name: getattr(model, name).copy() for name in self._FIELDS}
        head = model.vis.headlight
        self._head = (head.ambient.copy(), head.diffuse.copy())
        materials = model.geom_matid
        self.colours: Array = np.where(
            (materials >= 0)[:, None], model.mat_rgba[np.maximum(materials, 0)], model.geom_rgba
        ).astype(np.float64)

    def restore(self, model: mujoco.MjModel) -> None:
        for name, values in self._values.items():
            getattr(model, name)[:] = values
        model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = self._head


def geoms_of(model: mujoco.MjModel, name: str) -> NDArray[np.intp]:
    """Geoms by which an object is seen: those that bear its name, or else all of the body that carries its site.

    A body of the object's name is the object, with all of its geoms.
    """
    bodies = model.geom_bodyid
    if any(model.body(i).name == name for i in range(model.nbody)):
        return np.flatnonzero(bodies == model.body(name).id)
    named = [i for i in range(model.ngeom) if model.geom(i).name == name or model.geom(i).name.startswith(name + "_")]
    if named:
        return np.array(named)
    return np.flatnonzero(bodies == model.site_bodyid[model.site(name).id])


def _add_slots(scene: mujoco.MjSpec) -> None:
    for i in range(TEXTURES):
        texture = scene.add_texture(
            name=f"random_{i}",
            type=mujoco.mjtTexture.mjTEXTURE_2D,
            builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
            width=TEXTURE_SIZE,
            height=TEXTURE_SIZE,
            rgb1=[1.0, 1.0, 1.0],
            rgb2=[1.0, 1.0, 1.0],
        )
        material = scene.add_material(name=f"random_{i}", texuniform=False)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture.name
    for i, (specular, shininess) in enumerate(GLOSSES):
        scene.add_material(name=f"gloss_{i}", specular=specular, shininess=shininess)
    for i in range(DISTRACTORS):
        scene.worldbody.add_geom(
            name=f"distractor_{i}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.01, 0.01, 0.01],
            pos=HIDDEN,
            contype=0,
            conaffinity=0,
        )


def _near(rgb: Array, ranges: Ranges, rng: np.random.Generator) -> Array:
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb.tolist())
    hue = (hue + rng.uniform(-1.0, 1.0) * ranges.hue) % 1.0
    spread = math.log(ranges.value)
    saturation, value = (min(1.0, x * math.exp(rng.uniform(-spread, spread))) for x in (saturation, value))
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def pattern(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random texture, (TEXTURE_SIZE, TEXTURE_SIZE, 3): noise of some grain, stripes, a checker or a gradient."""
    one, two = rng.random(3), rng.random(3)
    grid = np.arange(TEXTURE_SIZE) / TEXTURE_SIZE
    kind = rng.integers(4)
    if kind == 0:
        cells = int(rng.choice([4, 8, 16, 32]))
        share = np.kron(rng.random((cells, cells)), np.ones((TEXTURE_SIZE // cells,) * 2))
    elif kind == 1:
        share = np.broadcast_to((grid * rng.integers(1, 6) % 1.0 < 0.5)[:, None], (TEXTURE_SIZE,) * 2).astype(float)
    elif kind == 2:
        odd = grid * rng.integers(1, 6) % 1.0 < 0.5
        share = (odd[:, None] ^ odd[None, :]).astype(float)
    else:
        share = 0.5 * (grid[:, None] + grid[None, :])
    if rng.random() < 0.5:
        share = share.T
    colour = one + share[..., None] * (two - one)
    return (255.0 * colour).astype(np.uint8)
