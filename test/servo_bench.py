"""A bridge with a shipped arm file between a commander and a robot behind the emulator of MoveIt Servo."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from bundles import write_loose_limits
from ros_rig import TIMEOUT, Rig
from servo_emulator import FRANKA, JAZZY, UR, PointRobot, ServoNode
from specs import GRIPPER_OPEN
from std_msgs.msg import Float64MultiArray

from roman_moe.arms.config import load_arm_config
from roman_moe.core.action import Command
from roman_moe.core.paths import config_path
from roman_moe.core.tasks import load_spec
from roman_moe.nodes.arms.arm_bridge import ArmBridge
from roman_moe.nodes.base.topics import CODEC, HAND_STATE, TWIST_COMMAND, Topic
from roman_moe.wire.codec import message_stamp

SPEED = 0.35  # [m/s] of config/limits.yaml
PARAMETERS = {"franka": FRANKA, "ur": UR}
SLOWLY = {"publish_period": 0.01}  # this machine may be busy


class Bench:
    """A bridge with a shipped arm file, the emulator of Servo, a robot that is a point, and a commander."""

    def __init__(
        self,
        rig: Rig,
        bundle: Path,
        arm: str = "ur",
        version: str = JAZZY,
        ready: bool = True,
        task: str | Path = "roman",
        command_age: float = 60.0,
        **servo: Any,
    ):
        self.rig = rig
        content = yaml.safe_load(config_path(f"arms/{arm}.yaml").read_text())
        content["pose"]["max_age"] = content["fingers"]["max_age"] = 30.0
        content["gripper"].pop("action", None)
        self.file = bundle.parent / f"{arm}.yaml"
        limits = yaml.safe_load(write_loose_limits(bundle.parent).read_text())
        self.limits = bundle.parent / "real_speed.yaml"
        self.limits.write_text(yaml.safe_dump({**limits, "speed": SPEED, "max_command_age": command_age}))
        self._task, spec = str(task), load_spec(task)
        content["flags"] = {name: topic for name, topic in content["flags"].items() if name in spec.flags}
        self.file.write_text(yaml.safe_dump(content))
        config = load_arm_config(self.file, spec)
        rig.listen(HAND_STATE)
        self.gripper = Topic(config.gripper.topic, Float64MultiArray)
        rig.listen(self.gripper)
        self.robot = rig.join(lambda context: PointRobot(context, config, (0.3, 0.0, 0.3)))
        parameters = {**PARAMETERS[arm], **SLOWLY, **{k.replace("__", "."): v for k, v in servo.items()}}
        self.servo = rig.join(lambda c: ServoNode(c, config, self.robot, version, parameters, ready))
        self.speeds: list[float] = []
        step = self.servo.step

        def watched() -> np.ndarray:
            velocity = step()
            self.speeds.append(float(np.linalg.norm(velocity[:3])))
            return velocity

        self.servo.step = watched  # type: ignore[method-assign]
        self.robot.drive(self.servo)

    def start(self, **parameters: Any) -> ArmBridge:
        files = {"task": self._task, "config": str(self.file), "limits": str(self.limits)}
        parameters = {"servo_timeout": 20.0, **files, **parameters}
        return self.rig.start_beside(ArmBridge(context=self.rig.context, parameters=parameters))

    def command_until(self, condition: Callable[[], bool], speed: float, turn: Sequence[float] = (0, 0, 0)) -> None:
        end = time.monotonic() + 3.0 * TIMEOUT
        while not condition():
            assert time.monotonic() < end, self.rig.report("arm_bridge")
            self.command(speed, turn)

    def command(self, speed: float, turn: Sequence[float] = (0, 0, 0)) -> None:
        """Answer the next hand state, back and forth within the workspace, turning at (3,) [rad/s]."""
        before = len(self.rig.heard[HAND_STATE.name])
        message = self.rig.last(HAND_STATE, before + 1)
        self._way = getattr(self, "_way", 1.0)
        if abs(self.robot.position[1]) > 0.2 and self.robot.position[1] * self._way > 0.0:
            self._way = -self._way
        command = Command(message_stamp(message), np.array([0.0, self._way * speed, 0.0]), GRIPPER_OPEN, np.array(turn))
        self.rig.send(TWIST_COMMAND, CODEC.twist(command))
