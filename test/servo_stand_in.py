"""A stand-in for a robot behind MoveIt Servo, as a process of its own: the lab's arm, moved by Servo's topics alone.

It listens to Servo's twists and a gripper's topic, as a file of config/arms/ has them, and to nothing of the graph. It
is as strict as Servo: a twist in another frame or with numbers that are not finite is dropped, one whose header is
older than incoming_command_timeout leads to a smooth halt, speeds beyond the limit are cut. It plays the camera, too.
Each report is a line of JSON on its standard output; the last one is the judge's.

    python test/servo_stand_in.py --scenario 2 --seed 1
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import JointState, MultiDOFJointState
from std_msgs.msg import Bool, Float64MultiArray, Int8

from roman_moe.arms.config import ArmConfig, load_arm_config
from roman_moe.core.action import Command
from roman_moe.core.bodies import bodies_of_objects, poses_of
from roman_moe.core.state import NANOSECONDS, OBJECTS
from roman_moe.lab.judge import Judge, Outcome
from roman_moe.lab.lab import Lab
from roman_moe.lab.starts import scenario_start
from roman_moe.nodes.process import leave, make_executor, ros_context
from roman_moe.nodes.topics import CODEC

RATE = 100.0  # [Hz] Servo's publish_period 0.01, and the robot's state
CAMERA_DIVIDER = 3  # periods from one image to the next
TIMEOUT = 0.1  # [s] incoming_command_timeout
SPEED_LIMIT = 0.5  # [m/s] beyond which the robot does not go
DECELERATION = 5.0  # [m/s^2] of the smooth halt
CATCH_UP = 5  # periods at most that are made up for at once, on a busy machine

NO_WARNING, INVALID = 0, -1


class ServoStandIn(Node):
    """The robot: physics behind Servo's topics."""

    def __init__(self, context: Any, config: ArmConfig, scenario: int, seed: int) -> None:
        super().__init__("servo_node", context=context)
        self._config = config
        self._lab = Lab(RATE)
        start = scenario_start(scenario)
        self._lab.reset(start, np.random.default_rng([seed, 0]))
        self._judge = Judge(start)
        self._judge.reset(self._lab)
        self.outcome = Outcome.RUNNING
        self.counts: Counter[str] = Counter()
        self.top_speed = 0.0  # [m/s]
        self.moved = 0.0  # [m] that the hand has gone while nothing came in time
        self._hand = self._lab.state.hand_position
        self._twist: TwistStamped | None = None
        self._velocity = np.zeros(3)
        self._opening = self._lab.state.finger_opening
        self._period = 0
        self._began: float | None = None  # [s]
        driver = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(TwistStamped, config.twist.topic, self._on_twist, 10)
        self.create_subscription(Float64MultiArray, config.gripper.topic, self._on_gripper, 10)
        self._pose = self.create_publisher(PoseStamped, config.pose.topic, driver)
        self._joints = self.create_publisher(JointState, config.fingers.topic, driver)
        self._status = self.create_publisher(Int8, config.status.topic, 10)
        self._button = self.create_publisher(Bool, config.flags["button_pressed"], 10)
        self._camera = self.create_publisher(MultiDOFJointState, "truth/object_poses", 10)

    def _on_twist(self, message: TwistStamped) -> None:
        linear, angular = message.twist.linear, message.twist.angular
        numbers = [linear.x, linear.y, linear.z, angular.x, angular.y, angular.z]
        unitless = self._config.twist.command_in_type == "unitless"
        if message.header.frame_id != self._config.twist.frame or not all(map(math.isfinite, numbers)):
            self.counts["dropped"] += 1
            return
        if unitless and max(map(abs, numbers)) > 1.0:  # Servo passes over the whole command
            self.counts["dropped"] += 1
            return
        self.counts["twists"] += 1
        self._twist = message

    def _on_gripper(self, message: Float64MultiArray) -> None:
        self.counts["gripper"] += 1
        (value, *_) = message.data
        self._opening = (value - self._config.gripper.offset) / self._config.gripper.scale

    def step(self) -> bool:
        """Do the periods that are due; False once the judge has decided."""
        now = time.monotonic()
        if self._began is None:
            if self._twist is None:  # the episode's time begins with the first command
                self._tell()
                return True
            self._began = now - self._period / RATE
        late = round((now - self._began) * RATE) - self._period - CATCH_UP
        if late > 0:
            self._began += late / RATE
            self.counts["lost_periods"] += late
        while self._period < (now - self._began) * RATE and self.outcome is Outcome.RUNNING:
            self._move()
        self._tell()
        return self.outcome is Outcome.RUNNING

    def _move(self) -> None:
        self._period += 1
        wanted, timely = self._wanted()
        change = wanted - self._velocity
        if not timely:
            change *= min(1.0, DECELERATION / RATE / max(float(np.linalg.norm(change)), 1e-9))
        self._velocity = self._velocity + change
        speed = float(np.linalg.norm(self._velocity))
        self.top_speed = max(self.top_speed, speed)
        if speed > SPEED_LIMIT:
            self.counts["cut"] += 1
            self._velocity *= SPEED_LIMIT / speed
        state = self._lab.step(Command(self._lab.stamp_ns, self._velocity, self._opening))
        if not timely:
            self.counts["halted_periods"] += 1
            self.moved += float(np.linalg.norm(state.hand_position - self._hand))
        self._hand = state.hand_position
        self.outcome = self._judge.update(self._lab)

    def _wanted(self) -> tuple[np.ndarray, bool]:
        """Velocity that the last twist asks for [m/s], and whether it is young enough."""
        if self._twist is None:
            return np.zeros(3), False
        age = (self.get_clock().now() - Time.from_msg(self._twist.header.stamp)).nanoseconds / NANOSECONDS
        if age > TIMEOUT:
            return np.zeros(3), False
        linear = self._twist.twist.linear
        scale = self._config.twist.scale if self._config.twist.command_in_type == "unitless" else 1.0
        return scale * np.array([linear.x, linear.y, linear.z]), True

    def _tell(self) -> None:
        lab, state = self._lab, self._lab.state
        stamp = self.get_clock().now()
        pose = PoseStamped()
        pose.header.stamp, pose.header.frame_id = stamp.to_msg(), self._config.twist.frame
        p, q = pose.pose.position, pose.pose.orientation
        tool = np.array(self._config.pose.tool_offset) * (1.0, -1.0, -1.0)  # the hand looks down
        p.x, p.y, p.z = (state.hand_position - tool).tolist()
        q.x, q.y, q.z, q.w = 1.0, 0.0, 0.0, 0.0
        self._pose.publish(pose)
        arm, fingers = [f"joint{i + 1}" for i in range(len(lab.joint_positions))], self._config.fingers
        share = (state.finger_opening - fingers.offset) / len(fingers.joints)
        joints = JointState(name=[*arm, *fingers.joints])
        joints.position = [*lab.joint_positions.tolist(), *(share / factor for factor in fingers.joints.values())]
        joints.header.stamp = stamp.to_msg()
        self._joints.publish(joints)
        self._button.publish(Bool(data=state.flag("button_pressed")))
        self._status.publish(Int8(data=NO_WARNING))
        if self._period % CAMERA_DIVIDER == 0:
            poses = poses_of(state)
            bodies = bodies_of_objects(poses)
            message = CODEC.bodies(OBJECTS, bodies)
            message.header.stamp = stamp.to_msg()
            self._camera.publish(message)

    @property
    def time(self) -> float:
        """Of the episode [s]."""
        return self._period / RATE

    def report(self) -> dict[str, Any]:
        """What there is to say."""
        return {
            "outcome": self.outcome.value,
            "time_s": self.time,
            "top_speed": self.top_speed,
            "moved_while_halted": self.moved,
            "hand": self._hand.round(3).tolist(),
            "fingers": round(self._lab.state.finger_opening, 4),
            "rack_distance": round(self._judge.rack_distance(self._lab), 4),
            "inserted": self._judge.skill_achieved(self._lab, "pick_and_insert"),
            "button_pressed": self._lab.state.flag("button_pressed"),
            **self.counts,
        }


def run(make: Callable[[Any], ServoStandIn], parent: int) -> int:
    """Run until the judge decides or the parent ends."""
    with ros_context() as context:
        node, executor = make(context), make_executor(context)
        executor.add_node(node)
        print(json.dumps({"state": "ready"}), flush=True)
        due, told = time.monotonic(), 0
        try:
            while node.step():
                due = max(due + 1.0 / RATE, time.monotonic() - 1.0 / RATE)
                while (left := due - time.monotonic()) > 0.0:
                    executor.spin_once(timeout_sec=left)
                if int(node.time) > told:
                    told += 1
                    print(json.dumps({"state": "running", **node.report()}), flush=True)
                if os.getppid() != parent:
                    return 1
            print(json.dumps({"state": "done", **node.report()}), flush=True)
        finally:
            executor.shutdown()
            node.destroy_node()
    return 0


def main() -> int:
    """Run the stand-in in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="config/arms/franka.yaml")
    parser.add_argument("--scenario", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    config = load_arm_config(options.config)
    parent = os.getppid()
    return run(lambda context: ServoStandIn(context, config, options.scenario, options.seed), parent)


if __name__ == "__main__":
    try:
        leave(main())
    except KeyboardInterrupt:
        leave(130)
