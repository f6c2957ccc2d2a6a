"""A robot behind MoveIt Servo, as a process of its own: the lab's arm, moved by the emulator of Servo alone.

It takes Servo's twists (`servo_emulator.py`) and a gripper's topic, as a file of config/arms/ has them, and nothing of
the graph. With `--gripper` it takes goals of the gripper's action (`gripper_emulator.py`), and no topic. It publishes
the driver's topics and the camera's. With `--clock` it is the source of /clock, for a graph with `use_sim_time`
(`servo_clock.py`); otherwise its time is this machine's. Each report is a line of JSON on its standard output; the
last is the judge's.

    python test/servo_stand_in.py --config config/arms/ur.yaml --servo humble --scenario 2 --seed 1

Parts for other emulators: `LabRobot` (set `opening`, read `lab.state`), `Driver`, and `run`, which takes more nodes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from geometry_msgs.msg import PoseStamped
from messages import poses_message
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState, MultiDOFJointState
from servo_clock import ElasticPace, Pace, WallPace
from servo_emulator import FRANKA, HUMBLE, JAZZY, UR, ServoNode, finger_joints
from specs import ROMAN
from std_msgs.msg import Bool, Float64MultiArray
from worlds import TASK, roman_world

from roman_moe.arms.config import ArmConfig, load_arm_config
from roman_moe.core.action import Command
from roman_moe.core.outcome import Outcome
from roman_moe.nodes.base.process import leave, make_executor, ros_context
from roman_moe.nodes.base.topics import CODEC
from roman_moe.sim.judge import Judge
from roman_moe.tasks.roman.layout import rack_distance

RATE = 100.0  # [Hz] of Servo and of the robot's state, for both arms: 1 / publish_period
CAMERA_DIVIDER = 3  # periods from one image to the next
GRIPPERS = ("FrankaGripper", "RobotiqController", "HumbleRobotiqController")  # of gripper_emulator, needs control_msgs
SIMULATED = ("--ros-args", "-p", "use_sim_time:=true")
SERVO_PARAMETERS = {"franka": FRANKA, "ur": UR}


class LabRobot:
    """The lab's arm as Servo's kinematics and as what moves, with a judge beside it.

    Attributes:
        lab: everything that moves.
        opening: that the gripper is commanded to [m].
        top_speed: of the hand that Servo has commanded [m/s].
        moved: that the hand has gone while Servo commanded rest [m].
    """

    def __init__(self, scenario: int, seed: int) -> None:
        self.lab = roman_world(RATE)
        start = TASK.start(scenario)
        self.lab.reset(start, np.random.default_rng([seed, 0]))
        self.judge = Judge(start)
        self.outcome = Outcome.RUNNING
        self.opening = self.lab.state.finger_opening
        self.periods, self.top_speed, self.moved = 0, 0.0, 0.0
        self.position_limits = self.lab.model.jnt_range[self.lab.arm.joints]
        self.velocity_limits = self.lab.arm.speeds
        self.gripper: Any = None  # an emulated one, which goes on with the arm
        self._scratch = mujoco.MjData(self.lab.model)
        self._hand = self.lab.state.hand_position

    @property
    def joint_positions(self) -> NDArray[np.float64]:
        """(7,) [rad]"""
        return self.lab.data.qpos[self.lab.arm.joints]

    def jacobian(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the hand, (6, 7)."""
        model, data = self.lab.model, self._scratch
        data.qpos[self.lab.arm.joints] = joints
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        jacobian = np.zeros((6, model.nv))
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], model.site("hand").id)
        return jacobian[:, self.lab.arm.dof]

    def step(self, velocity: NDArray[np.float64]) -> None:
        """Move for one period at the hand's velocity, (6,) [m/s, rad/s]; its orientation is the lab's own affair."""
        self.periods += 1
        linear = velocity[:3]
        self.top_speed = max(self.top_speed, float(np.linalg.norm(linear)))
        state = self.lab.step(Command(self.lab.stamp_ns, linear, self.opening))
        if not linear.any():
            self.moved += float(np.linalg.norm(state.hand_position - self._hand))
        self._hand = state.hand_position
        if self.gripper is not None:
            self.gripper.step(1.0 / RATE)
        self.outcome = self.judge.update(self.lab)

    def report(self) -> dict[str, Any]:
        """What has become of it."""
        lab = self.lab
        return {
            "outcome": self.outcome.value,
            "time_s": self.periods / RATE,
            "top_speed": self.top_speed,
            "moved_while_halted": self.moved,
            "hand": self._hand.round(3).tolist(),
            "fingers": round(lab.state.finger_opening, 4),
            "rack_distance": round(rack_distance(lab), 4),
            "inserted": lab.skills["pick_and_insert"].achieved(lab),
            "button_pressed": lab.state.flag("button_pressed"),
            **({"gripper": dict(self.gripper.results)} if self.gripper is not None else {}),
        }


class LabFingers:
    """The lab's fingers as a gripper's emulator has them."""

    def __init__(self, robot: LabRobot) -> None:
        self._robot = robot

    @property
    def target(self) -> float:
        """Commanded opening [m]."""
        return self._robot.opening

    @target.setter
    def target(self, opening: float) -> None:
        self._robot.opening = opening

    @property
    def width(self) -> float:
        """Measured opening [m]."""
        return self._robot.lab.state.finger_opening


class Driver(Node):
    """The robot's driver, a camera, and the gripper's topic where the gripper has no action here."""

    def __init__(self, context: Any, config: ArmConfig, robot: LabRobot) -> None:
        super().__init__("robot", context=context)
        self._config, self._robot = config, robot
        driver = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        if robot.gripper is None:
            self.create_subscription(Float64MultiArray, config.gripper.topic, self._on_gripper, 10)
        self._pose = self.create_publisher(PoseStamped, config.pose.topic, driver)
        self._joints = self.create_publisher(JointState, config.fingers.topic, driver)
        self._button = self.create_publisher(Bool, config.flags["button_pressed"], 10)
        self._camera = self.create_publisher(MultiDOFJointState, "truth/object_poses", 10)

    def _on_gripper(self, message: Float64MultiArray) -> None:
        (value, *_) = message.data
        self._robot.opening = (value - self._config.gripper.offset) / self._config.gripper.scale

    def tell(self) -> None:
        """Publish what is the case now."""
        lab, state = self._robot.lab, self._robot.lab.state
        stamp = self.get_clock().now().to_msg()
        pose = PoseStamped()
        pose.header.stamp, pose.header.frame_id = stamp, self._config.twist.frame
        p, q = pose.pose.position, pose.pose.orientation
        tool = np.array(self._config.pose.tool_offset) * (1.0, -1.0, -1.0)  # the hand looks down
        p.x, p.y, p.z = (state.hand_position - tool).tolist()
        q.x, q.y, q.z, q.w = 1.0, 0.0, 0.0, 0.0
        self._pose.publish(pose)
        gripper = self._robot.gripper
        fingers = finger_joints(self._config, state.finger_opening) if gripper is None else gripper.joint_states()
        joints = JointState(name=[*lab.arm.arm.joints, *fingers["name"]])
        joints.position = [*lab.data.qpos[lab.arm.joints].tolist(), *fingers["position"]]
        joints.header.stamp = stamp
        self._joints.publish(joints)
        self._button.publish(Bool(data=state.flag("button_pressed")))
        if self._robot.periods % CAMERA_DIVIDER == 0:
            poses = state.poses
            message = poses_message(CODEC, poses)
            message.header.stamp = stamp
            self._camera.publish(message)


def run(
    context: Any, servo: ServoNode, driver: Driver, robot: LabRobot, more: Sequence[Node], pace: Pace, parent: int
) -> int:
    """Run until the judge decides or the parent ends; the episode's time begins with the first twist."""
    executor = make_executor(context)
    nodes = [servo, driver, *more]
    for node in nodes:
        executor.add_node(node)
    print(json.dumps({"state": "ready"}), flush=True)

    def tell(state: str) -> None:
        print(json.dumps({"state": state, **robot.report(), **servo.servo.counts, **pace.report()}), flush=True)

    told = 0
    try:
        while robot.outcome is Outcome.RUNNING:
            for _ in range(pace.periods()):
                pace.advance()
                velocity = servo.step()
                if servo.servo.counts["received"] and robot.outcome is Outcome.RUNNING:
                    robot.step(velocity)
            driver.tell()
            pace.wait(executor)
            if robot.periods // RATE > told:
                told += 1
                tell("running")
            if os.getppid() != parent:
                return 1
        tell("done")
    finally:
        executor.shutdown()
        for node in nodes:
            node.destroy_node()
    return 0


def main() -> int:
    """Run the robot in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="config/arms/franka.yaml")
    parser.add_argument("--servo", choices=(JAZZY, HUMBLE), default=JAZZY)
    parser.add_argument("--gripper", choices=GRIPPERS)
    parser.add_argument("--clock", action="store_true")
    parser.add_argument("--scenario", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    config = load_arm_config(options.config, ROMAN)
    arm = "ur" if "/ur" in options.config else "franka"
    parent, robot = os.getppid(), LabRobot(options.scenario, options.seed)
    parameters = {**SERVO_PARAMETERS[arm], "publish_period": 1.0 / RATE}
    with ros_context(SIMULATED if options.clock else ()) as context:
        servo = ServoNode(context, config, robot, options.servo, parameters)
        if options.gripper:
            kind = getattr(importlib.import_module("gripper_emulator"), options.gripper)
            robot.gripper = kind(context, LabFingers(robot))
        more = [robot.gripper] if options.gripper else []
        driver = Driver(context, config, robot)
        pace: Pace = WallPace(RATE)
        if options.clock:
            pace = ElasticPace(context, RATE, servo.servo, [servo, driver, *more])
            more.append(pace.node)
        return run(context, servo, driver, robot, more, pace, parent)


if __name__ == "__main__":
    try:
        leave(main())
    except KeyboardInterrupt:
        leave(130)
