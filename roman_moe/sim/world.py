"""World: the laboratory as one object that takes commands and answers with scene states.

The same object stands behind the Gymnasium environments, the evaluation and the ROS node. Everything it reports is
the true state; noise is added by whoever plays the camera.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import Command
from roman_moe.core.errors import RomanError
from roman_moe.core.roman import OBJECTS, ROMAN
from roman_moe.core.state import NANOSECONDS, SceneState
from roman_moe.sim.arm import ARM_JOINTS, ArmController

if TYPE_CHECKING:
    from roman_moe.sim.starts import Start

CONTROL_RATE = 20.0  # [Hz] of the experts, hence of the arm's commands
BUTTON_PRESSED_SHARE = 0.8  # of its travel, while touched by the robot (ROMAN)


def model_path() -> Path:
    """The lab's MJCF file."""
    return Path(str(resources.files("roman_moe.sim"))) / "assets" / "lab.xml"


class World:
    """The simulated laboratory.

    Attributes:
        model, data: the MuJoCo model and data; read them, but move things only through `reset` and `step`.
        control_rate: commands per simulated second [Hz].
        forced_opening: distance between the pads that something outside forces on the gripper [m]; None for nothing.
    """

    def __init__(self, control_rate: float = CONTROL_RATE) -> None:
        self.model = mujoco.MjModel.from_xml_path(str(model_path()))
        self.data = mujoco.MjData(self.model)
        self.control_rate = control_rate
        self.substeps = round(1.0 / (control_rate * self.model.opt.timestep))
        if abs(self.substeps * self.model.opt.timestep * control_rate - 1.0) > 1e-9:
            raise RomanError(
                f"control rate {control_rate:g} Hz: the lab steps at rates whose period is a whole number of physics "
                f"steps of {self.model.opt.timestep} s, such as 10, 20, 25, 40 or 50 Hz"
            )
        self.arm = ArmController(self.model, 1.0 / control_rate)
        model = self.model
        self._hand = model.site("hand").id
        self._sites = np.array([model.site(name).id for name in OBJECTS])
        self._button_address = int(model.joint("button").qposadr[0])
        self._button_geom = model.geom("button").id
        self._button_travel = BUTTON_PRESSED_SHARE * float(model.joint("button").range[1])
        self._is_arm_geom = (model.geom_contype & 2).astype(bool)
        self._jacobian = np.zeros((3, model.nv))
        self._tick = 0
        self._button_pressed = False
        self.forced_opening: float | None = None

    def reset(self, start: Start, rng: np.random.Generator) -> SceneState:
        """Put the lab into a random start; the same generator state gives the same start."""
        mujoco.mj_resetData(self.model, self.data)
        self._tick = 0
        self._button_pressed = False
        self.forced_opening = None
        start.place(self, rng)
        mujoco.mj_forward(self.model, self.data)
        mujoco.mj_step(self.model, self.data, nstep=self.substeps)  # objects come to rest
        self.data.time = 0.0
        self._update_kinematics()
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
        self.arm.apply(data, command.linear_velocity, opening)
        mujoco.mj_step(self.model, data, nstep=self.substeps)
        self._update_kinematics()
        self._tick += 1
        if data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number:
            raise RomanError(f"physics diverged at {data.time:.3f} s")
        if not self._button_pressed and data.qpos[self._button_address] >= self._button_travel:
            self._button_pressed = self._robot_touches(self._button_geom)
        return self.state

    @property
    def stamp_ns(self) -> int:
        """Time since the reset [ns], exact: ticks times the control period."""
        return round(self._tick * NANOSECONDS / self.control_rate)

    @property
    def state(self) -> SceneState:
        """The true state at the last tick."""
        data = self.data
        mujoco.mj_jacSite(self.model, data, self._jacobian, None, self._hand)
        return SceneState(
            spec=ROMAN,
            stamp_ns=self.stamp_ns,
            hand_position=data.site_xpos[self._hand].copy(),
            hand_velocity=self._jacobian[:, :ARM_JOINTS] @ data.qvel[:ARM_JOINTS],
            finger_opening=float(data.qpos[ARM_JOINTS] + data.qpos[ARM_JOINTS + 1]),
            finger_forces=data.sensordata[:2].copy(),
            object_positions=data.site_xpos[self._sites],
            flags=np.array([self._button_pressed]),
        )

    @property
    def joint_positions(self) -> NDArray[np.float64]:
        """Positions of the arm's joints, (7,) [rad]."""
        return self.data.qpos[:ARM_JOINTS].copy()

    def physics_state(self) -> NDArray[np.float64]:
        """Positions of everything that moves: enough to draw this moment again."""
        return self.data.qpos.copy()

    def set_physics_state(self, positions: NDArray[np.float64]) -> None:
        """Show a recorded moment: for drawing, not for going on from there."""
        self.data.qpos[:] = positions
        mujoco.mj_kinematics(self.model, self.data)

    def touching(self, geom: int, body: int) -> bool:
        """Whether a geom is in contact with any geom of a body."""
        pairs = self.data.contact.geom
        bodies = self.model.geom_bodyid
        return bool(
            (
                ((pairs[:, 0] == geom) & (bodies[pairs[:, 1]] == body))
                | ((pairs[:, 1] == geom) & (bodies[pairs[:, 0]] == body))
            ).any()
        )

    def _robot_touches(self, geom: int) -> bool:
        pairs = self.data.contact.geom
        arm = self._is_arm_geom
        return bool((((pairs[:, 0] == geom) & arm[pairs[:, 1]]) | ((pairs[:, 1] == geom) & arm[pairs[:, 0]])).any())

    def _update_kinematics(self) -> None:
        # mj_step leaves positions of the last substep's start in site_xpos; bring them up to the state.
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
