"""Emulators of two grippers' action servers, written after their sources: what they accept, abort and report, and when.

    FrankaGripper       franka_ros2 3.4.0, branches jazzy at 29cb85a67 and humble at 43357d15b (the same there):
                        franka_gripper/src/gripper_action_server.cpp, launch/gripper.launch.py (node `franka_gripper`),
                        config/franka_gripper_node.yaml; libfranka 0.9 gripper.h (what a grasp is)
    RobotiqController   ros2_controllers: parallel_gripper_controller of jazzy 4.42.1 at ed360c97d, kilted 5.17.0 and
                        master 6.9.0; gripper_controllers of humble 2.54.0 at a0c94b009
                        ros2_robotiq_gripper main at 3b6cf8ff9, and humble: robotiq_controllers.yaml,
                        2f_85.ros2_control.xacro, robotiq_driver/src/hardware_interface.cpp

The sources leave three points open, and these are assumed. Franka's hand keeps its force on what a failed grasp has
closed on. A new command ends the running one, whose goal is aborted. `move` succeeds within 2 mm. All times are of the
emulated robot: `step` advances it by one period, so nothing here depends on how fast the machine is.

Needs control_msgs (`control_msgs_types.py`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Protocol

from control_msgs.action import GripperCommand, ParallelGripperCommand
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.node import Node

SUCCEEDED, CANCELED, ABORTED, REJECTED = "SUCCEEDED", "CANCELED", "ABORTED", "REJECTED"

STROKE = 0.085  # [m] of a Robotiq 2F-85
CLOSED = 0.7929  # [rad] gripper_closed_position


class Fingers(Protocol):
    """What moves between the pads; it follows `target` and stops at whatever is there."""

    target: float
    """Commanded opening [m]."""

    @property
    def width(self) -> float:
        """Measured opening [m]."""
        ...


@dataclass
class PlainFingers:
    """Fingers in an empty room, or about one object: they go at a constant speed, after a delay."""

    width: float = 0.08
    target: float = 0.08
    thickness: float = 0.0  # [m] of the object between them
    speed: float = 0.1  # [m/s]
    delay: float = 0.0  # [s] between a command and the motion
    _since: float = 0.0
    _last: float = 0.08

    def step(self, period: float) -> None:
        """Move for one period [s]."""
        self._since = self._since + period if self.target == self._last else 0.0
        self._last = self.target
        if self._since >= self.delay:
            way = self.speed * period
            goal = max(self.target, min(self.thickness, self.width))
            self.width += min(max(goal - self.width, -way), way)


class _Server(Node):
    """An action server whose goals end in `step`.

    Attributes:
        results: how often goals ended in which way.
        goals: what was wanted, in order.
    """

    KIND: Any

    def __init__(self, context: Any, name: str, action: str, fingers: Fingers) -> None:
        super().__init__(name, context=context)
        self.results: Counter[str] = Counter()
        self.goals: list[float] = []
        self._fingers = fingers
        self._active: Any = None
        self.server = ActionServer(
            self,
            self.KIND,
            action,
            execute_callback=lambda handle: None,
            handle_accepted_callback=self._on_accepted,
            goal_callback=self._on_goal,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
        )

    def destroy_node(self) -> None:
        """With its action server, which rclpy leaves."""
        self.server.destroy()
        super().destroy_node()

    def _on_goal(self, goal: Any) -> GoalResponse:
        return GoalResponse.ACCEPT

    def _on_accepted(self, handle: Any) -> None:
        raise NotImplementedError

    def end(self, how: str, **fields: Any) -> None:
        """End the active goal, if there is one."""
        handle, self._active = self._active, None
        if handle is None:
            return
        self.results[how] += 1

        def execute(goal: Any) -> Any:
            if how == CANCELED and not goal.is_cancel_requested:
                from rclpy.impl.implementation_singleton import rclpy_implementation

                goal._update_state(rclpy_implementation.GoalEvent.CANCEL_GOAL)
            {SUCCEEDED: goal.succeed, ABORTED: goal.abort, CANCELED: goal.canceled}[how]()
            return self.result(**fields)

        handle.execute(execute)

    def result(self, **fields: Any) -> Any:
        """A result with these fields."""
        return self.KIND.Result(**fields)


class FrankaGripper(_Server):
    """franka_gripper: a position is half the width; closing is a grasp, opening a move."""

    KIND = GripperCommand
    STATE_PERIOD = 1.0 / 15.0  # [s] state_publish_rate
    EPSILON = 0.005  # [m] default_grasp_epsilon, inner and outer
    SAME_POSITION = 1e-4  # [m]
    MOVED = 0.002  # [m] within which a move succeeds
    STILL = 0.1  # [s] without motion, after which the hand's command has ended

    def __init__(self, context: Any, fingers: Fingers, max_width: float = 0.0797) -> None:
        """`max_width`: found by homing [m]."""
        super().__init__(context, "franka_gripper", "~/gripper_action", fingers)
        self.max_width = max_width
        self.width = fingers.width  # as it was read last
        self._age = self._still = 0.0
        self._before = fingers.width
        self._grasps = False

    def _on_accepted(self, handle: Any) -> None:
        target = 2.0 * handle.request.command.position
        self.goals.append(target)
        self.end(ABORTED, position=self.width)  # libfranka throws in its thread: "Command aborted"
        self._active = handle
        if target > self.max_width or target < 0.0:
            self.end(ABORTED)  # with the result that it began with: zeros
        elif abs(target - self.width) < self.SAME_POSITION:
            self.end(SUCCEEDED, position=self.width, reached_goal=True)
        else:
            self._grasps = target < self.width
            self._fingers.target, self._still = target, 0.0

    def joint_states(self) -> dict[str, list[Any]]:
        """Names and positions of its joints, as old as the state that it has read [m]."""
        return {"name": ["fr3_finger_joint1", "fr3_finger_joint2"], "position": [self.width / 2.0] * 2}

    def step(self, period: float) -> None:
        """Take it on by one period [s]."""
        width = self._fingers.width
        self._age += period
        if self._age >= self.STATE_PERIOD:
            self._age, self.width = 0.0, width
        self._still = self._still + period if abs(width - self._before) < 1e-5 else 0.0
        self._before = width
        if self._active is None:
            return
        target = self._fingers.target
        if self._active.is_cancel_requested:
            self._fingers.target = width
            self.end(CANCELED)
        elif self._still >= self.STILL:
            tolerance = self.EPSILON if self._grasps else self.MOVED
            reached = abs(width - target) < tolerance
            # stalled is never set
            self.end(SUCCEEDED if reached else ABORTED, position=width, reached_goal=reached)


class RobotiqController(_Server):
    """robotiq_gripper_controller of Jazzy and later, as robotiq_controllers.yaml has it.

    Position is the knuckle's angle, 0 open. Humble's is `HumbleRobotiqController`.
    """

    KIND: Any = ParallelGripperCommand
    GOAL_TOLERANCE, STALL_TIMEOUT, STALL_VELOCITY, ALLOW_STALLING = 0.02, 0.05, 0.001, True

    def __init__(self, context: Any, fingers: Fingers, name: str = "robotiq_gripper_controller") -> None:
        super().__init__(context, name, "~/gripper_cmd", fingers)
        self.active = True  # a controller that is deactivated takes goals and never ends them
        self._command = self._angle()
        self._before = self._command
        self._stood = 0.0

    def _angle(self) -> float:
        return CLOSED * (1.0 - self._fingers.width / STROKE)

    def joint_states(self) -> dict[str, list[Any]]:
        """Name and position of its joint [rad]."""
        return {"name": ["robotiq_85_left_knuckle_joint"], "position": [self._angle()]}

    def wanted(self, goal: Any) -> float:
        """Angle that a goal asks for [rad]."""
        return float(goal.command.position[0])

    def result(self, position: float = 0.0, **fields: Any) -> Any:
        """With a state of one joint."""
        result = self.KIND.Result(**fields)
        result.state.position, result.state.effort = [position], [0.0]
        return result

    def _on_goal(self, goal: Any) -> GoalResponse:
        if len(goal.command.position) != 1:
            self.results[REJECTED] += 1
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_accepted(self, handle: Any) -> None:
        self.end(CANCELED)
        self._active, self._command, self._stood = handle, self.wanted(handle.request), 0.0
        self.goals.append(self._command)

    def step(self, period: float) -> None:
        """One update of the controller [s]."""
        if not self.active:
            return
        angle = self._angle()
        velocity, self._before = (angle - self._before) / period, angle
        if self._active is not None:
            self._check(angle, velocity, period)
        self._fingers.target = STROKE * (1.0 - min(max(self._command / CLOSED, 0.0), 1.0))

    def _check(self, angle: float, velocity: float, period: float) -> None:
        if self._active.is_cancel_requested:
            self._command = angle
            self.end(CANCELED)
        elif abs(self._command - angle) < self.GOAL_TOLERANCE:
            self.end(SUCCEEDED, position=angle, reached_goal=True)
        elif abs(velocity) > self.STALL_VELOCITY:
            self._stood = 0.0
        else:
            self._stood += period
            if self._stood > self.STALL_TIMEOUT:
                self.end(SUCCEEDED if self.ALLOW_STALLING else ABORTED, position=angle, stalled=True)


class HumbleRobotiqController(RobotiqController):
    """position_controllers/GripperActionController of Humble, which robotiq_controllers.yaml leaves at its defaults."""

    KIND = GripperCommand
    GOAL_TOLERANCE, STALL_TIMEOUT, STALL_VELOCITY, ALLOW_STALLING = 0.01, 1.0, 0.001, False

    def wanted(self, goal: Any) -> float:
        """Angle that a goal asks for [rad]."""
        return float(goal.command.position)

    def result(self, **fields: Any) -> Any:
        """A result with these fields."""
        return self.KIND.Result(**fields)

    def _on_goal(self, goal: Any) -> GoalResponse:
        return GoalResponse.ACCEPT
