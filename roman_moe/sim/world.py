"""World: a task's scene and an arm as one object that takes commands and answers with scene states.

The Gymnasium environments, the evaluation and the ROS node all use this class. It reports the true state; pose sources
add the noise.
"""

from __future__ import annotations

import os

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import Command
from roman_moe.core.errors import RomanError
from roman_moe.core.state import NANOSECONDS, SceneState, rotated
from roman_moe.sim.arm import ArmController, span
from roman_moe.sim.arm_spec import load_arm
from roman_moe.sim.compose import compose, touch_sensors
from roman_moe.sim.task import SimTask, Start, Vector

XYZW = np.array([1, 2, 3, 0])
"""MuJoCo's quaternions are w, x, y, z."""


class World:
    """A simulated scene with an arm.

    Attributes:
        skills: the task's, by name, for this world alone: what they remember is of its episode.
        flags: values of the task's flags, (f,); skills set them.
        loose: the MuJoCo ids of the task's loose bodies.
        model, data: the MuJoCo model and data; read them, but move things only through `reset` and `step`.
        control_rate: commands per simulated second [Hz].
        is_arm_geom: which of the model's geoms are the arm's, (ngeom,).
        forced_opening: distance between the pads that something outside forces on the gripper [m]; None for nothing.
    """

    def __init__(
        self, task: SimTask, control_rate: float | None = None, arm: str | None = None, markers: bool = False
    ) -> None:
        """Build it.

        Args:
            control_rate: the task's own if None [Hz].
            arm: name or folder of the arm; the task's own if None or empty.
            markers: whether the scene shows the objects' markers; they change nothing else.

        Raises:
            ConfigError: if there is no such arm, or the scene and the arm do not go together. Also if the scene lacks a
                site for an object or a free joint for a loose body.
            RomanError: if the control period is no whole number of physics steps.
        """
        self.task = task
        arm_spec = task.arm_spec() if not arm else load_arm(arm)
        scene = task.model_spec()
        if markers:
            from roman_moe.sim.markers import add_markers  # which needs OpenCV

            add_markers(scene, task.spec)
        self.model = compose(scene, arm_spec, os.fspath(task.folder / task.scene))
        self.data = mujoco.MjData(self.model)
        self.control_rate = task.spec.control_rate if control_rate is None else control_rate
        self.substeps = round(1.0 / (self.control_rate * self.model.opt.timestep))
        if abs(self.substeps * self.model.opt.timestep * self.control_rate - 1.0) > 1e-9:
            raise RomanError(
                f"control rate {self.control_rate:g} Hz: the simulation steps at rates whose period is a number of "
                f"whole physics steps of {self.model.opt.timestep} s, such as 10, 20, 25, 40 or 50 Hz"
            )
        self.arm = ArmController(self.model, arm_spec, 1.0 / self.control_rate)
        model = self.model
        self._hand = model.site(arm_spec.site).id
        self._touch = span(np.array([int(model.sensor(name).adr[0]) for name in touch_sensors(arm_spec)]))
        self._sites = np.array([model.site(name).id for name in task.spec.objects])
        self._seen = np.array([self._hand, *self._sites])
        self._seen_are_turned = bool((model.site_quat[self._seen] != [1.0, 0.0, 0.0, 0.0]).any())
        self._quaternions = 4 * model.site_bodyid[self._seen][:, None] + XYZW
        self._joint_addresses = {model.joint(i).name: int(model.jnt_qposadr[i]) for i in range(model.njnt)}
        self.is_arm_geom = model.body_rootid[model.geom_bodyid] == model.body(arm_spec.root).id
        self._jacobian = np.zeros((6, model.nv))
        self._tick = 0
        free = model.jnt_bodyid[model.jnt_type == mujoco.mjtJoint.mjJNT_FREE]
        self.loose = free.tolist() if task.loose is None else [model.body(name).id for name in task.loose]
        self.flags = np.zeros(len(task.spec.flags), dtype=bool)
        self.forced_opening: float | None = None
        self.skills = {name: type(skill)(task.spec, name) for name, skill in task.skills.items()}
        self._watching = [skill for skill in self.skills.values() if skill.watches]

    def reset(self, start: Start, rng: np.random.Generator) -> SceneState:
        """Put the world into a random start; the same generator state gives the same start."""
        mujoco.mj_resetData(self.model, self.data)
        self._tick = 0
        self.flags[:] = False
        self.forced_opening = None
        self.task.place(self, rng, start)
        mujoco.mj_forward(self.model, self.data)
        mujoco.mj_step(self.model, self.data, nstep=self.substeps)  # objects come to rest
        self.data.time = 0.0
        self.update_kinematics()
        for skill in self.skills.values():
            skill.begin(self)
        return self.state

    def step(self, command: Command) -> SceneState:
        """Advance by one control period under a command.

        Raises:
            RomanError: if the command is not finite (it must never get here) or the physics diverged.
        """
        if not command.is_finite():
            raise RomanError(f"command at {command.stamp_ns} ns is not finite: the arm does not take it")
        data = self.data
        opening = command.gripper_opening if self.forced_opening is None else self.forced_opening
        self.arm.apply(data, command.linear_velocity, command.angular_velocity, opening)
        mujoco.mj_step(self.model, data, nstep=self.substeps)
        self.update_kinematics()
        self._tick += 1
        if data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number:
            raise RomanError(f"physics diverged at {data.time:.3f} s")
        for skill in self._watching:
            skill.watch(self)
        return self.state

    @property
    def stamp_ns(self) -> int:
        """Time since the reset [ns], exact, as ticks times the control period."""
        return round(self._tick * NANOSECONDS / self.control_rate)

    @property
    def state(self) -> SceneState:
        """The true state at the last tick."""
        data = self.data
        arm, jacobian = self.arm, self._jacobian
        mujoco.mj_jacSite(self.model, data, jacobian[:3], jacobian[3:], self._hand)
        twist = jacobian[:, arm.dof] @ data.qvel[arm.dof]
        orientations = self._orientations()
        return SceneState(
            spec=self.task.spec,
            stamp_ns=self.stamp_ns,
            hand_position=data.site_xpos[self._hand].copy(),
            hand_velocity=twist[:3],
            finger_opening=arm.opening(data),
            finger_forces=data.sensordata[self._touch].copy(),
            object_positions=self.object_positions,
            flags=self.flags.copy(),
            hand_orientation=orientations[0],
            hand_angular_velocity=twist[3:],
            object_orientations=orientations[1:],
        )

    def _orientations(self) -> NDArray[np.float64]:
        """Of the hand and the objects, (1 + n, 4): a site that is not turned in its body has the body's."""
        if not self._seen_are_turned:
            orientations: NDArray[np.float64] = self.data.xquat.take(self._quaternions)
            return orientations
        quaternions = np.empty((len(self._seen), 4))
        for site, quaternion in zip(self._seen, quaternions, strict=True):
            mujoco.mju_mat2Quat(quaternion, self.data.site_xmat[site])
        return quaternions[:, XYZW]

    @property
    def hand_position(self) -> Vector:
        """Of the point between the fingertips, (3,) [m]; not a copy."""
        position: Vector = self.data.site_xpos[self._hand]
        return position

    @property
    def object_positions(self) -> NDArray[np.float64]:
        """Of the task's objects, (n, 3) [m]."""
        positions: NDArray[np.float64] = self.data.site_xpos[self._sites]
        return positions

    def joint_states(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions and velocities of the arm's joints, then of the fingers', (n + 2,) each [rad or m, per s]."""
        arm = self.arm
        positions = np.concatenate([self.data.qpos[arm.joints], self.data.qpos[arm.fingers]])
        return positions, np.concatenate([self.data.qvel[arm.dof], self.data.qvel[arm.finger_dof]])

    def physics_state(self) -> NDArray[np.float64]:
        """Positions of everything that moves: enough to draw this moment again."""
        return self.data.qpos.copy()

    def set_physics_state(self, positions: NDArray[np.float64]) -> None:
        """Show a recorded moment: for drawing, not for going on from there."""
        self.data.qpos[:] = positions
        mujoco.mj_kinematics(self.model, self.data)

    def site(self, name: str) -> Vector:
        """Position of a site, (3,) [m]; not a copy."""
        position: Vector = self.data.site(name).xpos
        return position

    def site_yaw(self, name: str) -> float:
        """Angle by which a site is turned about the vertical [rad]."""
        matrix = self.data.site(name).xmat
        return float(np.arctan2(matrix[3], matrix[0]))

    def height(self, body: str) -> float:
        """Height of a body's origin [m]."""
        return float(self.data.body(body).xpos[2])

    def joint(self, name: str) -> float:
        """Position of a joint with one degree of freedom [m or rad]."""
        return float(self.data.qpos[self._joint_addresses[name]])

    def set_joint(self, name: str, value: float) -> None:
        """Put a joint with one degree of freedom somewhere: for starts."""
        self.data.joint(name).qpos = value

    def put(self, body: str, position: Vector, yaw: float = 0.0) -> None:
        """Put a loose body upright at a position [m], turned about the vertical [rad]: for starts."""
        self.data.joint(body).qpos = [*position, np.cos(0.5 * yaw), 0.0, 0.0, np.sin(0.5 * yaw)]

    def place_hand(self, position: Vector, gripper_opening: float, yaw: float = 0.0) -> None:
        """Put the arm at rest with the hand at a position [m], turned from home about the vertical [rad]: for starts.

        Raises:
            RomanError: if the arm does not reach it.
        """
        orientation = rotated(np.array(self.task.spec.home.orientation), np.array([0.0, 0.0, yaw]))
        self.arm.place(self.data, position, gripper_opening, orientation)

    def touching(self, geom: str, body: str) -> bool:
        """Whether a geom is in contact with any geom of a body."""
        number = self.model.geom(geom).id
        return self._touches(number, self.model.geom_bodyid == self.model.body(body).id)

    def robot_touches(self, geom: str) -> bool:
        """Whether the arm is in contact with a geom."""
        return self._touches(self.model.geom(geom).id, self.is_arm_geom)

    def _touches(self, geom: int, others: NDArray[np.bool_]) -> bool:
        """Whether a geom is in contact with one of the others, (ngeom,)."""
        pairs = self.data.contact.geom
        return bool(
            (((pairs[:, 0] == geom) & others[pairs[:, 1]]) | ((pairs[:, 1] == geom) & others[pairs[:, 0]])).any()
        )

    def update_kinematics(self) -> None:
        """Bring the positions of bodies and sites up to the joints': `mj_step` leaves those of its last substep."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
