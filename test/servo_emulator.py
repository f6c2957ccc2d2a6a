"""An emulator of MoveIt Servo, written after its sources: what it takes, drops, scales and says, and its parameters.

    jazzy   moveit2 branch jazzy at 4d8410635, moveit_servo 2.12.4 (the same in kilted 2.14.3 and main 2.15.0):
            src/servo_node.cpp, src/servo.cpp, src/utils/{command,common}.cpp, config/servo_parameters.yaml
    humble  moveit2 branch humble at 2b2030dd7, moveit_servo 2.5.9: src/servo_calcs.cpp, src/servo_node.cpp,
            src/servo_parameters.cpp, src/collision_check.cpp

It differs in three points. There is no smoothing plugin, so a halt decelerates at `DECELERATION`. The collision
distance is set by the test. A twist's frame has to be one of `frames` and is not turned. The wheels have no
moveit_msgs: where it is missing, the status is an Int8 with Humble's codes, and `switch_command_type` is a SetBool
whose `true` means TWIST.

`Servo` is the arithmetic, `ServoNode` its ROS interface, `PointRobot` the simplest robot to put behind it.
"""

from __future__ import annotations

import importlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import mujoco
import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from numpy.typing import NDArray
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import Int8
from std_srvs.srv import SetBool, Trigger

from roman_moe.arms.config import ArmConfig
from roman_moe.arms.servo_status import INT8_STATUS, SERVO_STATUS

JAZZY, HUMBLE = "jazzy", "humble"
PREFIX = "moveit_servo."  # ParamListener(node, "moveit_servo"); makeServoParameters in Humble likewise
DECELERATION = 5.0  # [m/s^2] of a halt, for the smoothing plugin

PARAMETERS: Mapping[str, Any] = {
    "command_in_type": "unitless",
    "scale.linear": 0.4,
    "scale.rotational": 0.8,
    "incoming_command_timeout": 0.1,
    "publish_period": 0.01,
    "lower_singularity_threshold": 17.0,
    "hard_stop_singularity_threshold": 30.0,
    "leaving_singularity_threshold_multiplier": 2.0,
    "singularity_step_scale": 0.01,
    "scene_collision_proximity_threshold": 0.02,
    "override_velocity_scaling_factor": 0.0,
}
"""Those that matter here, with the defaults of servo_parameters.yaml."""

ONLY: Mapping[str, Mapping[str, Any]] = {
    JAZZY: {"apply_twist_commands_about_ee_frame": True, "joint_limit_margins": [0.1]},
    HUMBLE: {"planning_frame": "base", "joint_limit_margin": 0.1, "num_outgoing_halt_msgs_to_publish": 4},
}
"""Those that one of the two has alone."""

UR = {
    "command_in_type": "speed_units",
    "scale.linear": 0.6,
    "scale.rotational": 0.3,
    "publish_period": 0.004,
    "lower_singularity_threshold": 100.0,
    "hard_stop_singularity_threshold": 200.0,
}
"""ur_moveit_config/config/ur_servo.yaml: the same on humble (eca2357c), jazzy (a16a2687), kilted (3252ef56), main."""

FRANKA = {
    "command_in_type": "speed_units",
    "scale.linear": 0.4,
    "scale.rotational": 0.8,
}
"""What docs/arms.md asks for. franka_ros2 has no file for Servo; moveit_servo's panda_simulated_config.yaml has
`speed_units` with linear 0.2 since Jazzy, and `unitless` with 0.4 in Humble."""

Matrix = NDArray[np.float64]


class Kinematics(Protocol):
    """What Servo asks of the robot's model."""

    joint_positions: Matrix
    """(n,) [rad]"""

    position_limits: Matrix
    """(n, 2) [rad]"""

    velocity_limits: Matrix
    """(n,) [rad/s]"""

    def jacobian(self, joints: Matrix) -> Matrix:
        """Of the hand, (6, n), linear rows first, at joint positions (n,) [rad]."""
        ...


class Servo:
    """Servo's loop, one `publish_period` a call.

    Attributes:
        parameters: by name without prefix; they may change at any time.
        command_type: that is taken; Servo starts with JOINT_JOG.
        status: name, of the last iteration.
        stamp_ns: of the last twist that had one.
        collision_distance: to the nearest obstacle of the planning scene [m].
        counts: of what was taken and dropped, and why.
    """

    def __init__(self, version: str, parameters: Mapping[str, Any], model: Kinematics, frames: tuple[str, ...]) -> None:
        self.version, self._model, self._frames = version, model, frames
        self.parameters = {**PARAMETERS, **ONLY[version], **parameters}
        self.command_type = "JOINT_JOG" if version == JAZZY else "TWIST"
        self.status = "NO_WARNING"
        self.collision_distance = math.inf
        self.paused = False
        self.counts: Counter[str] = Counter()
        self._twist: tuple[str, Matrix] | None = None
        self.stamp_ns = 0
        self._velocity = np.zeros(6)

    def take(self, stamp_ns: int, frame: str, twist: Matrix) -> None:
        """A message has come: its numbers, (6,)."""
        self.counts["received"] += 1
        self._twist = frame, twist
        if self.version == JAZZY or stamp_ns:  # Humble keeps the stamp before if there is none
            self.stamp_ns = stamp_ns

    @property
    def moves(self) -> bool:
        """Whether the last twist asks for motion, and has not been dropped."""
        return self._twist is not None and bool(self._twist[1].any())

    def iterate(self, now_ns: int) -> Matrix:
        """The hand's velocity for the next period, (6,) [m/s, rad/s]."""
        self.status = "NO_WARNING"
        if self.paused:
            return self._follow(np.zeros(6))
        if self._twist is not None and self.command_type != "TWIST":  # dropped, with a warning in the log alone
            self._twist = None
            self.counts["other_type"] += 1
        if self._twist is None:
            return self._follow(np.zeros(6))
        if now_ns - self.stamp_ns >= self.parameters["incoming_command_timeout"] * 1e9:
            self.counts["stale_periods"] += 1
            wanted = self._follow(np.zeros(6))
            if not wanted.any():
                self._twist = None
            return wanted
        frame, twist = self._twist
        if not self._valid(frame, twist):
            self.counts["dropped"] += 1
            self.status = "INVALID" if self.version == JAZZY else "NO_WARNING"
            self._twist = None
            return self._follow(np.zeros(6))
        self.counts["followed_periods"] += 1
        self._velocity = self._scaled(frame, twist)
        return self._velocity

    def _valid(self, frame: str, twist: Matrix) -> bool:
        if frame not in self._frames or not np.isfinite(twist).all():
            return False
        unitless = self.parameters["command_in_type"] == "unitless"
        return not (self.version == HUMBLE and unitless and np.abs(twist).max() > 1.0)

    def _follow(self, wanted: Matrix) -> Matrix:
        change = wanted - self._velocity
        most = DECELERATION * self.parameters["publish_period"]
        self._velocity = self._velocity + change * min(1.0, most / max(float(np.linalg.norm(change)), 1e-12))
        return self._velocity

    def _scaled(self, frame: str, twist: Matrix) -> Matrix:
        p, velocity = self.parameters, twist.copy()
        if self.version == JAZZY and frame != self._frames[0] and not p["apply_twist_commands_about_ee_frame"]:
            # toPlanningFrame, its adjoint for a frame at the same origin: the halves change places
            velocity = np.concatenate([velocity[3:], velocity[:3]])
        for part, scale in ((slice(0, 3), p["scale.linear"]), (slice(3, 6), p["scale.rotational"])):
            speed = float(np.linalg.norm(velocity[part]))
            if p["command_in_type"] == "unitless":
                velocity[part] *= scale
            elif self.version == JAZZY and 0.0 < scale < speed:  # Humble's scale is for unitless commands alone
                velocity[part] *= scale / speed
        if not velocity.any():
            return velocity
        return velocity * self._share(velocity)

    def _share(self, velocity: Matrix) -> float:
        """By how much Servo slows down for singularity, collision, joint speed and joint range."""
        model, p = self._model, self.parameters
        joints = model.joint_positions
        jacobian = model.jacobian(joints)
        inverse = np.linalg.pinv(jacobian)
        share = self._singularity(joints, jacobian, inverse, velocity)
        threshold = p["scene_collision_proximity_threshold"]
        if self.collision_distance <= 0.0:
            self.status = "HALT_FOR_COLLISION"
            return 0.0
        if self.collision_distance < threshold:
            self.status = "DECELERATE_FOR_COLLISION"
            share *= math.exp(-math.log(0.001) / threshold * (self.collision_distance - threshold))
        joint_velocity = share * inverse @ velocity
        excess = float((np.abs(joint_velocity) / model.velocity_limits).max())
        if excess > 1.0:
            share /= excess
            joint_velocity = joint_velocity / excess
        margin = p["joint_limit_margins"][0] if self.version == JAZZY else p["joint_limit_margin"]
        target = joints + joint_velocity * p["publish_period"]
        lower, upper = model.position_limits.T
        low, high = target < lower + margin, target > upper - margin
        if ((joint_velocity < 0.0) & low | (joint_velocity > 0.0) & high).any():
            self.status = "JOINT_BOUND"
            return 0.0
        return share

    def _singularity(self, joints: Matrix, jacobian: Matrix, inverse: Matrix, velocity: Matrix) -> float:
        p = self.parameters
        lower, hard = p["lower_singularity_threshold"], p["hard_stop_singularity_threshold"]
        left, values, _ = np.linalg.svd(jacobian)
        condition = values[0] / values[-1]
        if condition <= lower:
            return 1.0
        if condition >= hard:
            self.status = "HALT_FOR_SINGULARITY"
            return 0.0
        towards = left[:, -1]
        beyond = np.linalg.svd(
            self._model.jacobian(joints + inverse @ (towards * p["singularity_step_scale"])), compute_uv=False
        )
        if beyond[0] / beyond[-1] <= condition:
            towards = -towards
        approaching = float(towards @ velocity) > 0.0
        self.status = f"DECELERATE_FOR_{'APPROACHING' if approaching else 'LEAVING'}_SINGULARITY"
        upper = hard if approaching else lower + (hard - lower) * p["leaving_singularity_threshold_multiplier"]
        return float(1.0 - (condition - lower) / (upper - lower))


class ServoNode(Node):
    """Servo's ROS interface. Whoever owns it calls `step` once a `publish_period`, and moves the robot by the answer.

    Args:
        context: to live in.
        config: of the arm, for the frame of the twists alone.
        model: the robot's.
        version: JAZZY or HUMBLE.
        parameters: that differ from Servo's defaults, without prefix: `UR`, `FRANKA`.
        ready: whether somebody has switched it to twists (Jazzy) or started it (Humble) already.
    """

    def __init__(
        self,
        context: Any,
        config: ArmConfig,
        model: Kinematics,
        version: str = JAZZY,
        parameters: Mapping[str, Any] = FRANKA,
        ready: bool = True,
        name: str = "servo_node",
    ) -> None:
        super().__init__(name, context=context, start_parameter_services=False)
        self.servo = Servo(version, parameters, model, ("planning_frame", config.twist.frame))
        for key, value in self.servo.parameters.items():
            self.declare_parameter(PREFIX + key, value)
        self.add_post_set_parameters_callback(self._on_set)
        self.create_service(GetParameters, "~/get_parameters", self._get_parameters)
        self.create_service(SetParameters, "~/set_parameters", self._set_parameters)
        self.create_subscription(TwistStamped, "~/delta_twist_cmds", self._on_twist, 10)
        self._status_type, self._codes = status_type(version)
        self._status = self.create_publisher(self._status_type, "~/status", 10)
        self.started = ready or version == JAZZY
        if version == HUMBLE:
            self.create_service(Trigger, "~/start_servo", self._start)
        else:
            self._make_switch()
            self.create_service(SetBool, "~/pause_servo", self._pause)
            if ready:
                self.servo.command_type = "TWIST"

    def step(self) -> Matrix:
        """One iteration: the hand's velocity for the next `publish_period`, (6,) [m/s, rad/s]; says its status."""
        if not self.started:
            return np.zeros(6)
        velocity = self.servo.iterate(self.get_clock().now().nanoseconds)
        code = self._codes[self.servo.status]
        self._status.publish(Int8(data=code) if self._status_type is Int8 else self._status_type(code=code))
        return velocity

    def _on_twist(self, message: TwistStamped) -> None:
        v, w = message.twist.linear, message.twist.angular
        stamp = Time.from_msg(message.header.stamp).nanoseconds
        self.servo.take(stamp, message.header.frame_id, np.array([v.x, v.y, v.z, w.x, w.y, w.z]))

    def _get_parameters(self, request: Any, response: Any) -> Any:
        """As rclcpp's ParameterService: one name that is not declared, and there are no values at all."""
        if all(self.has_parameter(name) for name in request.names):
            response.values = [self.get_parameter(name).get_parameter_value() for name in request.names]
        return response

    def _set_parameters(self, request: Any, response: Any) -> Any:
        response.results = [self.set_parameters([Parameter.from_parameter_msg(p)])[0] for p in request.parameters]
        return response

    def _on_set(self, parameters: list[Any]) -> None:
        self.servo.parameters.update({p.name.removeprefix(PREFIX): p.value for p in parameters})

    def _make_switch(self) -> None:
        try:
            kind = importlib.import_module("moveit_msgs.srv").ServoCommandType
        except ImportError:
            self.create_service(SetBool, "~/switch_command_type", self._switch_by_bool)
        else:
            self.create_service(kind, "~/switch_command_type", self._switch)

    def _switch(self, request: Any, response: Any) -> Any:
        response.success = 0 <= request.command_type <= 2
        if response.success:
            self.servo.command_type = ("JOINT_JOG", "TWIST", "POSE")[request.command_type]
        return response

    def _switch_by_bool(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.servo.command_type, response.success = "TWIST" if request.data else "JOINT_JOG", True
        return response

    def _pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.servo.paused, response.success = request.data, True
        return response

    def _start(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.started = response.success = True
        return response


def status_type(version: str) -> tuple[Any, dict[str, int]]:
    """Type and codes of the status topic."""
    if version == JAZZY:
        try:
            kind = importlib.import_module("moveit_msgs.msg").ServoStatus
            return kind, {name: code for code, name in SERVO_STATUS.items()}
        except ImportError:
            pass
    return Int8, {name: code for code, name in INT8_STATUS.items()}


class PointRobot(Node):
    """A robot that is a point with six straight joints, behind a ServoNode, on the topics of an arm's file.

    Attributes:
        orientation: of the pose that it publishes, a quaternion.
        drift: at which it turns whenever it moves, whatever Servo says [rad/s].
        opening: of the fingers [m].
        moves: whether it follows Servo; one that does not has, say, its controller stopped.
    """

    position_limits = np.tile([-10.0, 10.0], (6, 1))
    velocity_limits = np.full(6, 10.0)

    def __init__(
        self, context: Any, config: ArmConfig, position: tuple[float, float, float] = (0.46, 0.0, 0.31)
    ) -> None:
        super().__init__("robot", context=context)
        self._config = config
        driver = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._pose = self.create_publisher(PoseStamped, config.pose.topic, driver)
        self._joints = self.create_publisher(JointState, config.fingers.topic, driver)
        self.orientation, self.drift = np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(3)  # the hand looks down
        self._tip = np.array(position) - self._between(config.twist.tip_offset)  # that Servo's twists move
        self.opening, self.moves = 0.08, True
        self.joint_positions = np.zeros(6)

    def _between(self, offset: Sequence[float]) -> Matrix:
        """An offset of the arm's file, in the base frame, (3,) [m]."""
        turned: Matrix = np.zeros(3)
        mujoco.mju_rotVecQuat(turned, np.array(offset), self.orientation[[3, 0, 1, 2]])
        return turned

    @property
    def position(self) -> Matrix:
        """Of the point between the fingertips, (3,) [m]."""
        return self._tip + self._between(self._config.twist.tip_offset)

    def turned(self) -> Matrix:
        """How it has turned about the base frame's axes since it looked straight down, (3,) [rad]."""
        turned, difference = np.zeros(3), np.zeros(4)
        mujoco.mju_mulQuat(difference, self.orientation[[3, 0, 1, 2]], np.array([0.0, -1.0, 0.0, 0.0]))
        mujoco.mju_quat2Vel(turned, difference, 1.0)
        return turned

    def turn(self, rotation: Matrix) -> None:
        """Turn about the base frame's axes, (3,) [rad], with the tip where it is."""
        step, turned = np.zeros(4), np.zeros(4)
        angle = float(np.linalg.norm(rotation))
        if angle > 0.0:
            mujoco.mju_axisAngle2Quat(step, rotation / angle, angle)
            mujoco.mju_mulQuat(turned, step, self.orientation[[3, 0, 1, 2]])
            self.orientation = turned[[1, 2, 3, 0]]

    def jacobian(self, joints: Matrix) -> Matrix:
        """The joints are those of the base frame's axes."""
        return np.eye(6)

    def drive(self, servo: ServoNode) -> None:
        """Step a Servo in its own period, by a timer, and follow it."""
        period = servo.servo.parameters["publish_period"]

        def step() -> None:
            velocity = servo.step()
            if self.moves:
                self._tip = self._tip + period * velocity[:3]
                self.turn(period * (velocity[3:] + self.drift * bool(velocity.any())))
            self.tell()

        self.create_timer(period, step)

    def tell(self) -> None:
        """Publish pose and finger joints."""
        config, pose = self._config, PoseStamped()
        pose.header.stamp, pose.header.frame_id = self.get_clock().now().to_msg(), config.twist.frame
        p, q = pose.pose.position, pose.pose.orientation
        p.x, p.y, p.z = (self.position - self._between(config.pose.tool_offset)).tolist()
        q.x, q.y, q.z, q.w = self.orientation.tolist()
        self._pose.publish(pose)
        self._joints.publish(JointState(**self.finger_states()))

    def finger_states(self) -> dict[str, list[Any]]:
        """Names and positions of the finger joints."""
        return finger_joints(self._config, self.opening)


def finger_joints(config: ArmConfig, opening: float) -> dict[str, list[Any]]:
    """Names and positions of the finger joints of an arm's file at an opening [m]."""
    fingers = config.fingers
    share = (opening - fingers.offset) / len(fingers.joints)
    return {"name": [*fingers.joints], "position": [share / factor for factor in fingers.joints.values()]}
