"""The graph's topics: names and message types, once. Names are relative (REP 135) unless ROS fixes them.

Text alone: a tool that has to start quickly imports nothing else with it.
"""

from __future__ import annotations

MULTI_DOF = "sensor_msgs/msg/MultiDOFJointState"
JOINT_STATE = "sensor_msgs/msg/JointState"
TWIST_STAMPED = "geometry_msgs/msg/TwistStamped"

HAND_STATE = "hand_state"  # arm -> observer
JOINT_STATES = "joint_states"  # arm -> all
ROBOT_DESCRIPTION = "robot_description"  # lab -> RViz, MoveIt: URDF
TRUTH_POSES = "truth/object_poses"  # lab -> pose source
OBJECT_POSES = "object_poses"  # pose source or estimator -> observer
SCENE = "scene"  # observer -> gate, experts, blender, recorder
GATE_WEIGHTS = "gate/weights"  # gate -> blender
TWIST_COMMAND = "delta_twist_cmds"  # blender or teleop -> arm
GRIPPER_COMMAND = "gripper_cmd"  # likewise
TICK = "blender/tick"  # blender -> bring-up, recorder, console: what each tick used
STOPPED = "blender/stopped"  # blender -> lab, mock: its software stop
OUTCOME = "lab/outcome"  # lab -> whoever asks how it went
DIAGNOSTICS = "/diagnostics"  # all nodes, 1 Hz and on change
ENDED = "supervisor/ended"  # bring-up -> arms: ids of killed processes
CLOCK = "/clock"  # lab -> all, with use_sim_time

MESSAGE_TYPES = {
    HAND_STATE: MULTI_DOF,
    JOINT_STATES: JOINT_STATE,
    ROBOT_DESCRIPTION: "std_msgs/msg/String",
    TRUTH_POSES: MULTI_DOF,
    OBJECT_POSES: MULTI_DOF,
    SCENE: MULTI_DOF,
    GATE_WEIGHTS: JOINT_STATE,
    TWIST_COMMAND: TWIST_STAMPED,
    GRIPPER_COMMAND: JOINT_STATE,
    TICK: JOINT_STATE,
    STOPPED: "std_msgs/msg/Bool",
    OUTCOME: "diagnostic_msgs/msg/DiagnosticStatus",
    DIAGNOSTICS: "diagnostic_msgs/msg/DiagnosticArray",
    ENDED: "std_msgs/msg/String",
    CLOCK: "rosgraph_msgs/msg/Clock",
}
"""By topic. The topics of `expert_action` carry JOINT_STATE."""


def expert_action(skill: str) -> str:
    """Topic of one expert's actions, to the blender."""
    return f"expert/{skill}/action"
