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
SEEN_POSES = "estimator/poses"  # estimator -> RViz, Foxglove: valid objects
SEEN_MARKERS = "estimator/markers"  # estimator -> RViz, Foxglove: objects with their names
SCENE = "scene"  # observer -> gate, experts, blender, recorder
GATE_WEIGHTS = "gate/weights"  # gate -> blender
OPERATOR_ACTION = "operator/action"  # teleop -> blender, recorder: who drives, as an expert's action; NaN hands back
OPERATOR_WEIGHTS = "operator/weights"  # teleop -> blender, recorder: in the gate's place
TWIST_COMMAND = "delta_twist_cmds"  # blender -> arm
GRIPPER_COMMAND = "gripper_cmd"  # blender -> arm
TICK = "blender/tick"  # blender -> bring-up, recorder, console: what each tick used
POLICY_ACTION = "policy/action"  # in recordings alone: what the policy would have done, as an expert's action
STOPPED = "blender/stopped"  # blender -> lab, mock: its software stop
LAB_TICK = "lab/tick"  # lab -> recorder: what its arm followed in each tick
OUTCOME = "lab/outcome"  # lab -> whoever asks how it went
DIAGNOSTICS = "/diagnostics"  # all nodes, 1 Hz and on change
ENDED = "supervisor/ended"  # bring-up -> arms: ids of killed processes
JOY = "joy"  # joy_node -> teleop
CLOCK = "/clock"  # lab -> all, with use_sim_time

MESSAGE_TYPES = {
    HAND_STATE: MULTI_DOF,
    JOINT_STATES: JOINT_STATE,
    ROBOT_DESCRIPTION: "std_msgs/msg/String",
    TRUTH_POSES: MULTI_DOF,
    OBJECT_POSES: MULTI_DOF,
    SEEN_POSES: "geometry_msgs/msg/PoseArray",
    SEEN_MARKERS: "visualization_msgs/msg/MarkerArray",
    SCENE: MULTI_DOF,
    GATE_WEIGHTS: JOINT_STATE,
    OPERATOR_ACTION: JOINT_STATE,
    OPERATOR_WEIGHTS: JOINT_STATE,
    TWIST_COMMAND: TWIST_STAMPED,
    GRIPPER_COMMAND: JOINT_STATE,
    TICK: JOINT_STATE,
    POLICY_ACTION: JOINT_STATE,
    STOPPED: "std_msgs/msg/Bool",
    LAB_TICK: JOINT_STATE,
    OUTCOME: "diagnostic_msgs/msg/DiagnosticStatus",
    DIAGNOSTICS: "diagnostic_msgs/msg/DiagnosticArray",
    ENDED: "std_msgs/msg/String",
    JOY: "sensor_msgs/msg/Joy",
    CLOCK: "rosgraph_msgs/msg/Clock",
}
"""By topic. The topics of `expert_action` carry JOINT_STATE, those of `camera` what `CAMERA_TYPES` says."""

IMAGE = "image_raw"  # camera -> estimator
COMPRESSED = "image_raw/compressed"  # camera -> estimator, recorder
CAMERA_INFO = "camera_info"  # camera -> estimator
CAMERA_POSE = "pose"  # lab -> estimator: of the optical frame in the base frame
ANNOTATED = "annotated"  # estimator -> who looks: what was found, drawn in

CAMERA_TYPES = {
    IMAGE: "sensor_msgs/msg/Image",
    COMPRESSED: "sensor_msgs/msg/CompressedImage",
    CAMERA_INFO: "sensor_msgs/msg/CameraInfo",
    CAMERA_POSE: "geometry_msgs/msg/PoseStamped",
    ANNOTATED: "sensor_msgs/msg/Image",
}
"""By part of a camera's topics."""


def expert_action(skill: str) -> str:
    """Topic of one expert's actions, to the blender."""
    return f"expert/{skill}/action"


def camera(name: str, part: str) -> str:
    """Topic of one camera of the task: one of `CAMERA_TYPES`."""
    return f"camera/{name}/{part}"
