"""The graph's topics: names and message types, once. Names are relative (REP 135) unless ROS fixes them.

Text alone: a tool that has to start quickly imports nothing else with it.
"""

from __future__ import annotations

MULTI_DOF = "sensor_msgs/msg/MultiDOFJointState"
JOINT_STATE = "sensor_msgs/msg/JointState"
TWIST_STAMPED = "geometry_msgs/msg/TwistStamped"

MESSAGE_TYPES: dict[str, str] = {}
"""By topic. The topics of `expert_action` carry JOINT_STATE, those of `camera` what `CAMERA_TYPES` says."""
CAMERA_TYPES: dict[str, str] = {}
"""By part of a camera's topics."""


def _topic(name: str, kind: str) -> str:
    MESSAGE_TYPES[name] = kind
    return name


def _part(name: str, kind: str) -> str:
    CAMERA_TYPES[name] = kind
    return name


HAND_STATE = _topic("hand_state", MULTI_DOF)  # arm -> observer
JOINT_STATES = _topic("joint_states", JOINT_STATE)  # arm -> all
ROBOT_DESCRIPTION = _topic("robot_description", "std_msgs/msg/String")  # lab -> RViz, MoveIt: URDF
TRUTH_POSES = _topic("truth/object_poses", MULTI_DOF)  # lab -> pose source
OBJECT_POSES = _topic("object_poses", MULTI_DOF)  # pose source or estimator -> observer
SEEN_POSES = _topic("estimator/poses", "geometry_msgs/msg/PoseArray")  # estimator -> RViz, Foxglove: valid objects
SEEN_MARKERS = _topic("estimator/markers", "visualization_msgs/msg/MarkerArray")  # estimator -> RViz, Foxglove
SCENE = _topic("scene", MULTI_DOF)  # observer -> gate, experts, blender, recorder
GATE_WEIGHTS = _topic("gate/weights", JOINT_STATE)  # gate -> blender
OPERATOR_ACTION = _topic("operator/action", JOINT_STATE)  # teleop -> blender, recorder: an action; NaN hands back
OPERATOR_WEIGHTS = _topic("operator/weights", JOINT_STATE)  # teleop -> blender, recorder: in the gate's place
TWIST_COMMAND = _topic("delta_twist_cmds", TWIST_STAMPED)  # blender -> arm
GRIPPER_COMMAND = _topic("gripper_cmd", JOINT_STATE)  # blender -> arm
TICK = _topic("blender/tick", JOINT_STATE)  # blender -> bring-up, recorder, console: what each tick used
POLICY_ACTION = _topic("policy/action", JOINT_STATE)  # in recordings alone: what the policy would have done
STOPPED = _topic("blender/stopped", "std_msgs/msg/Bool")  # blender -> lab, mock: its software stop
LAB_TICK = _topic("lab/tick", JOINT_STATE)  # lab -> recorder: what its arm followed in each tick
OUTCOME = _topic("lab/outcome", "diagnostic_msgs/msg/DiagnosticStatus")  # lab -> whoever asks how it went
DIAGNOSTICS = _topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray")  # all nodes, 1 Hz and on change
ENDED = _topic("supervisor/ended", "std_msgs/msg/String")  # bring-up -> arms: ids of killed processes
JOY = _topic("joy", "sensor_msgs/msg/Joy")  # joy_node -> teleop
CLOCK = _topic("/clock", "rosgraph_msgs/msg/Clock")  # lab -> all, with use_sim_time

IMAGE = _part("image_raw", "sensor_msgs/msg/Image")  # camera -> estimator
COMPRESSED = _part("image_raw/compressed", "sensor_msgs/msg/CompressedImage")  # camera -> estimator, recorder
CAMERA_INFO = _part("camera_info", "sensor_msgs/msg/CameraInfo")  # camera -> estimator
CAMERA_POSE = _part("pose", "geometry_msgs/msg/PoseStamped")  # lab -> estimator: of the optical frame in the base frame
ANNOTATED = _part("annotated", "sensor_msgs/msg/Image")  # estimator -> who looks: what was found, drawn in


def expert_action(skill: str) -> str:
    """Topic of one expert's actions, to the blender."""
    return f"expert/{skill}/action"


def camera(name: str, part: str) -> str:
    """Topic of one camera of the task: one of `CAMERA_TYPES`."""
    return f"camera/{name}/{part}"
