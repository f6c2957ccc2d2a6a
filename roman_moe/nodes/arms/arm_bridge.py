"""The bridge between the graph's topics and those of a real arm behind MoveIt Servo.

It publishes `hand_state` on an exact grid of control periods of its clock. Every command to the robot passes its own
watchdog (`arms/command_watchdog.py`): instead of a faulty command the robot gets zero twists, then nothing. With
`read_only` the bridge has no publisher to the robot, and does everything else.

This is software: it stops only a robot that works. It is no safety-rated emergency stop (IEC 60204-1) and replaces
none.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Int8

from roman_moe.arms.clock import StampGrid
from roman_moe.arms.command_watchdog import CommandWatchdog
from roman_moe.arms.config import ArmConfig, load_arm_config
from roman_moe.arms.convert import reachable, tip_twist, twist_numbers
from roman_moe.arms.kept_orientation import top_turning_speed
from roman_moe.arms.motion_check import MotionCheck
from roman_moe.arms.robot import RobotState
from roman_moe.arms.servo_status import CLEAR, status_name
from roman_moe.control.guard import GuardStatus
from roman_moe.control.limits import load_limits
from roman_moe.core.errors import ConfigError
from roman_moe.core.state import NANOSECONDS
from roman_moe.nodes.arms.arm_gripper import Gripper, make_gripper, require
from roman_moe.nodes.arms.servo_link import ServoLink
from roman_moe.nodes.base import topics
from roman_moe.nodes.base.diagnostics import ERROR, OK, STATUS, STOPPED, WAITING, WARN
from roman_moe.nodes.base.node import NOT_FINITE, RomanNode
from roman_moe.nodes.base.parameters import TaskParameters, parameter
from roman_moe.nodes.control.commanders import REFUSED, commanders
from roman_moe.wire.codec import message_stamp

POLL_PERIOD = 0.005  # [s] between two looks at the clock: by so much a tick may be late
COMMANDERS_PERIOD = 0.25  # [s] between two looks at who commands
GRIPPER_PERIOD = 0.25  # [s] between two looks at whether the gripper can be reached
ACKNOWLEDGED = 0.2  # [s] at most until Servo has the last twists: nobody sends them again once the publisher is gone
EXAMPLE = "config/arms/franka.yaml"

SKIPPED = "skipped_ticks"
GRIPPER_TROUBLE = "gripper_failures"
UNRESPONSIVE = "unresponsive_robot"

_NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)  # a twist that was overtaken is not wanted


@dataclass(frozen=True)
class ArmBridgeParameters(TaskParameters):
    """Parameters of the bridge; bundle or task also determine its control rate."""

    config: str = parameter("file that describes the robot, such as config/arms/franka.yaml", "", shipped=True)
    read_only: bool = parameter("whether to read the robot's topics but send no command", False)
    limits: str = parameter("file of the guard's limits; config/limits.yaml if empty", "", shipped=True)
    servo_unchecked: bool = parameter("whether to send commands although Servo's parameters cannot be read", False)
    servo_timeout: float = parameter("time to wait for Servo at the start [s]", 10.0, (0.1, 600.0))
    stopped: bool = parameter("whether the node starts stopped, as a restarted one may have to", False)


class ArmBridge(RomanNode):
    """Forwards `delta_twist_cmds` and `gripper_cmd` to MoveIt Servo and a gripper; publishes `hand_state`."""

    NAME = "arm_bridge"
    PARAMETERS = ArmBridgeParameters
    _settings: ArmBridgeParameters
    _twist: Any = None  # publisher to the robot
    _gripper: Gripper | None = None
    _link: ServoLink | None = None
    _stopped = False  # outlives the watch, which a node that is configured again makes anew

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self._set_stopped(self._settings.stopped)

    def configure(self) -> None:
        """Read the robot's description, the limits and the control rate."""
        if not self._settings.config:
            raise ConfigError(f"{self.get_name()}: parameter 'config' is empty: expected a file such as {EXAMPLE}")
        self._spec = self._settings.spec()
        self._config = load_arm_config(self._settings.config, self._spec)
        limits, slowest = load_limits(self._settings.limits), self._config.twist.rotational_scale
        self._limits = limits = replace(limits, angular_speed=min(limits.angular_speed, slowest))
        self._period_ns = round(NANOSECONDS / self._settings.rates().control_rate)
        halt_messages = self._config.twist.halt_messages
        self._watchdog = CommandWatchdog(limits, self._period_ns / NANOSECONDS, halt_messages, self._spec)
        if self._stopped:
            self._watchdog.guard.stop()

    def activate(self) -> None:
        """Begin to listen to the robot and the graph."""
        config = self._config
        self._robot = RobotState(self._spec, config)
        self._grid = StampGrid(self._period_ns)
        self._watchdog.reset()
        self._motion_check = MotionCheck(self._limits.speed, self._limits.angular_speed, self._limits.ramp)
        self._sent = np.zeros(6)  # [m/s, rad/s] that Servo was told last
        self._unresponsive = ""
        self._rivals: list[str] = []
        self._servo = ""  # its last warning
        self._next_send = 0.0  # [s]
        self._opening: float | None = None  # last allowed for the gripper [m]
        to_servo = topics.Topic(config.twist.topic, TwistStamped, _NEWEST)
        to_gripper = [topics.Topic(config.gripper.topic, None)] if config.gripper.topic else []
        self._to_robot = [to_servo, *to_gripper]
        if self.resolve_topic_name(config.twist.topic) == self.resolve_topic_name(topics.TWIST_COMMAND.name):
            raise ConfigError(f"{self._settings.config}: twist.topic {config.twist.topic!r} is the graph's own topic")
        self.listen_for_ended()
        self._publish_hand = self.advertise_hand(self._spec)
        self._listen_to_robot(config)
        if not self._settings.read_only:
            self._twist = self.advertise(to_servo)
            on_failure = partial(self.diagnostics.count, GRIPPER_TROUBLE)
            self._gripper = make_gripper(self, config.gripper, on_failure, self.steady)
            self._find_servo()
            if self.starting:  # else it is halted until `absent` finds it: a new client's discovery takes a moment
                require(self, self._gripper, config.gripper.timeout)
            self._look_for_gripper()
            self._look_at_robot()
            self.timer(GRIPPER_PERIOD, self._look_for_gripper, of_arm=True)
        self.listen_twist(self._spec, self._on_twist)
        self.listen_numbers(topics.GRIPPER_COMMAND, topics.GRIPPER, self._on_gripper)
        self.trigger_service("stop", self._stop)
        self.trigger_service("rearm", self._rearm)
        self.timer(POLL_PERIOD, self._on_poll, of_arm=True)
        self.timer(COMMANDERS_PERIOD, self._look_who_commands, of_arm=True)
        self.timer(COMMANDERS_PERIOD, self._look_at_robot, of_arm=True)
        self.diagnostics.fact(
            {
                "arm": self._settings.config,
                "read_only": str(self._settings.read_only).lower(),
                "gripper": self._gripper.how if self._gripper else "not commanded",
            }
        )
        no_clock = self._now()[0] == 0  # its timers begin with the first /clock
        self.diagnostics.state(WARN, f"{WAITING}{'/clock (use_sim_time)' if no_clock else 'the robot'}")

    def _find_servo(self) -> None:
        """Refuse to be active while Servo is not there, or takes other units."""
        limits, turning = self._limits, top_turning_speed(self._spec.action)
        speeds = limits.speed, min(limits.angular_speed, turning)
        self._link = ServoLink(self, self._config.twist, *speeds, self._settings.servo_unchecked)
        self._link.require(self._settings.servo_timeout)

    def _listen_to_robot(self, config: ArmConfig) -> None:
        self.listen(topics.Topic(config.pose.topic, PoseStamped, topics.SENSOR_DATA), self._on_pose)
        self.listen(topics.Topic(config.fingers.topic, JointState, topics.SENSOR_DATA), self._on_joints)
        for flag, topic in config.flags.items():
            self.listen(topics.Topic(topic, Bool, topics.SENSOR_DATA), partial(self._on_flag, flag))
        if config.status.topic:
            kind, name = _status_type(config.status.type)
            self.listen(topics.Topic(config.status.topic, kind, topics.SENSOR_DATA), partial(self._on_status, name))

    def deactivate(self) -> None:
        """Leave the robot at rest, and let go of Servo and gripper."""
        self.protect(self.come_to_rest)
        for held in (self._link, self._gripper):
            if held is not None:
                self.protect(held.close)
        self._link = self._gripper = None

    def come_to_rest(self) -> None:
        """Zero twists, received as far as that can be known; and nothing after them."""
        if self._twist is not None:
            for _ in range(self._config.twist.halt_messages):
                self._send(np.zeros(6))
            self._twist.wait_for_all_acked(Duration(seconds=ACKNOWLEDGED))
            self._twist = None

    def _set_stopped(self, stopped: bool) -> None:
        self._stopped = stopped
        self.diagnostics.fact({STOPPED: str(stopped)})

    def _stop(self) -> str:
        """Bring the robot to rest, and cancel a gripper's goal, until it is re-armed."""
        self._set_stopped(True)
        self._watchdog.guard.stop()
        if self._gripper is not None and self._gripper.stop():
            self._opening = None  # whoever commands after the rearm gets a goal of its own, be it the same
            self._robot.told(None, self._now()[1])
        return "stopped until rearm; this is software, and no safety-rated emergency stop"

    def _rearm(self) -> str:
        """Let the robot move on, from rest."""
        was = self._stopped
        self._set_stopped(False)
        self._watchdog.guard.rearm()
        if self._gripper is not None:
            self._gripper.retry()
        return "armed again, from rest" if was else "was not stopped"

    def _now(self) -> tuple[int, float]:
        """The graph's clock [ns] and a steady one [s]."""
        return self.get_clock().now().nanoseconds, self.steady()

    def _on_pose(self, message: Any) -> None:
        now_ns, now = self._now()
        if now_ns == 0:  # no /clock yet
            return
        p, q = message.pose.position, message.pose.orientation
        stamp, frame = message_stamp(message), message.header.frame_id
        self._robot.see_pose(stamp, frame, (p.x, p.y, p.z), (q.x, q.y, q.z, q.w), now_ns, now)

    def _on_joints(self, message: Any) -> None:
        self._robot.see_joints(message.name, message.position, message.effort, self.steady())

    def _on_flag(self, flag: str, message: Bool) -> None:
        self._robot.see_flag(flag, message.data)

    def _on_status(self, kind: str, message: Any) -> None:
        name = status_name(message.code if kind == "ServoStatus" else message.data, kind)
        self._servo = "" if name == CLEAR else name
        self.diagnostics.fact({"servo_status": name})

    def _on_twist(self, stamped: tuple[int, NDArray[np.float64]]) -> None:
        self._look_who_commands()  # before a second commander's first command is followed
        now_ns, now = self._now()
        refused = self._watchdog.take(*stamped, self._robot.pose(now_ns, now), now_ns, now)
        if refused is not None:
            self._count(refused, f"delta_twist_cmds at {stamped[0]} ns", now_ns, now)
            return
        self._output(now_ns, now)  # at once: the arm has waited for it

    def _on_gripper(self, stamped: tuple[int, NDArray[np.float64]]) -> None:
        self._look_who_commands()
        now_ns, now = self._now()
        opening = self._watchdog.take_gripper(stamped[0], float(stamped[1][0]), now_ns, now)
        if isinstance(opening, GuardStatus):
            self._count(opening, f"gripper_cmd at {stamped[0]} ns", now_ns, now)
        elif opening is not None and opening != self._opening:
            self._opening = opening
            self._robot.told(reachable(opening, self._config.gripper), now)
            if self._gripper is not None:
                self._gripper.command(opening)
                self._gripper.step(None, now)

    def _count(self, reason: GuardStatus, what: str, now_ns: int, now: float) -> None:
        if reason is GuardStatus.HALT_COMMAND_STALE and self._robot.missing(now_ns, now):
            return  # the blender's last word on the last scene there was: the trouble is the robot's silence
        if reason is GuardStatus.HALT_COMMAND_NOT_FINITE:
            self.diagnostics.count(NOT_FINITE, what)
        self.diagnostics.count(REFUSED, f"{reason.name}: {what}")

    def _look_for_gripper(self) -> None:
        """The arm is halted as long as the gripper cannot be reached, or does not do what it is commanded."""
        assert self._gripper is not None
        self._watchdog.gripper_fault = self._gripper.absent() or self._gripper.trouble()
        self.diagnostics.fact({"gripper_state": self._gripper.state()})

    def _look_who_commands(self) -> None:
        """Whoever else commands, be it through the graph or past it: the robot is halted while there are two."""
        self._rivals = commanders(self, *self._to_robot)
        self._watchdog.update_publishers(self._rivals)

    def _look_at_robot(self) -> None:
        """Whether the robot still takes commands, and follows them."""
        reason = ""
        if self._link is not None:
            self._link.look()
            if self._link.fault:
                self._motion_check.reset()
            reason = self._link.fault or self._motion_check.fault
        if reason and not self._unresponsive:
            self.diagnostics.count(UNRESPONSIVE, reason)
        self._unresponsive, self._watchdog.unresponsive = reason, bool(reason)

    def _on_poll(self) -> None:
        now_ns, now = self._now()
        stamp = self._grid.due(now_ns)
        if stamp is not None:
            self._tick(stamp, now_ns, now)
        if now >= self._next_send:
            self._output(now_ns, now)
        if self._gripper is not None and self._watchdog.gripper_goes_on(now_ns, now):
            self._gripper.step(self._robot.standing(now), now)

    def _tick(self, stamp: int, now_ns: int, now: float) -> None:
        if self._grid.skipped:
            self.diagnostics.count(SKIPPED, f"{self._grid.skipped} before {stamp} ns: is this machine too busy?")
            self._grid.skipped = 0
        if self._twist is not None:
            hand = self._robot.pose(now_ns, now)
            self._motion_check.note(self._sent, hand, now)
            self._watchdog.speed_limits = self._motion_check.speed_limits(now)
            self._look_at_robot()
        state = self._robot.hand_state(stamp, now_ns, now)
        if state is not None:
            self._publish_hand(state)
        self._tell(now_ns, now)

    def _output(self, now_ns: int, now: float) -> None:
        self._next_send = now + 1.0 / self._config.twist.rate
        twist = self._watchdog.output(now_ns, now)
        self._sent = np.zeros(6) if twist is None else twist
        if twist is not None and self._twist is not None:
            self._send(twist)

    def _send(self, twist: NDArray[np.float64]) -> None:
        message = TwistStamped()
        message.header.frame_id = self._config.twist.frame
        # now, and not the scene's: Servo compares it with its clock to see whether someone still commands
        message.header.stamp = self.get_clock().now().to_msg()
        numbers = twist_numbers(tip_twist(twist, self._robot.orientation, self._config).tolist(), self._config.twist)
        linear, angular = message.twist.linear, message.twist.angular
        linear.x, linear.y, linear.z, angular.x, angular.y, angular.z = numbers
        self._twist.publish(message)

    def _tell(self, now_ns: int, now: float) -> None:
        """How things stand, the gravest first."""
        status = self._watchdog.status
        self.diagnostics.fact({STATUS: f"{status.value} {status.name}"}, at_once=status.halts)
        missing = self._robot.missing(now_ns, now)
        if status is GuardStatus.STOPPED:
            self.diagnostics.state(ERROR, status.name)
        elif status is GuardStatus.HALT_TWO_COMMANDERS:
            self.diagnostics.state(ERROR, f"{status.name}: {', '.join(self._rivals) or 'two commands for one scene'}")
        elif missing:
            self.diagnostics.state(WARN, missing)
        elif self._watchdog.gripper_fault:
            self.diagnostics.state(ERROR, f"{GuardStatus.HALT_GRIPPER.name}: {self._watchdog.gripper_fault}")
        elif self._unresponsive:
            servo = f" (MoveIt Servo: {self._servo})" if self._servo else ""
            self.diagnostics.state(ERROR, f"HALT_ARM_UNRESPONSIVE: {self._unresponsive}{servo}")
        elif self._motion_check.doubted:
            self.diagnostics.state(WARN, "trying again, slowly: the hand did not follow")
        elif not self._watchdog.has_command:
            self.diagnostics.state(WARN, f"{WAITING}commands")
        elif status.halts:
            self.diagnostics.state(WARN, status.name)
        elif self._servo:
            self.diagnostics.state(WARN, f"MoveIt Servo: {self._servo}")
        else:
            read_only = self._settings.read_only
            self.diagnostics.state(OK, "read only: commands are not passed on" if read_only else "following commands")


def _status_type(wanted: str) -> tuple[Any, str]:
    """Class and name of Servo's status message: moveit_msgs' if it is wished and there, else the older one's."""
    if wanted != "Int8":
        try:
            return importlib.import_module("moveit_msgs.msg").ServoStatus, "ServoStatus"
        except ImportError:
            if wanted == "ServoStatus":
                raise ConfigError(
                    "status: type ServoStatus needs moveit_msgs: install ROS's moveit-msgs, or leave the topic empty"
                ) from None
    return Int8, "Int8"
