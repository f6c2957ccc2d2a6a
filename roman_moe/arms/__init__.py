"""Code for particular arms: conversion of commands to an arm's units, and of its measurements to a hand state.

In the graph, an arm is a node with this contract: `nodes/arms/lab_node.py`, `nodes/arms/mock_arm.py` or
`nodes/arms/arm_bridge.py` (test/nodes/test_arms.py tests all of them):

- it publishes one `hand_state` per control period, stamped on an exact grid of control periods: stamps count the ticks;
- it follows only `delta_twist_cmds` and `gripper_cmd` that answer its latest state;
- without a fresh and finite command from exactly one commander, it stands still and reports the reason.

Nothing here needs ROS: time is an argument, and messages are numbers.
"""
