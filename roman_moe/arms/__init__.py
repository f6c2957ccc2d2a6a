"""What is particular about one arm or another: how commands become its units, and what it says becomes a hand's state.

To the graph, an arm is a node that keeps this contract, whichever of the three it is (`nodes/arms/lab_node.py`,
`nodes/arms/mock_arm.py`, `nodes/arms/arm_bridge.py`; test/nodes/test_arms.py holds all of them to it):

- it gives one `hand_state` a control period, stamped on an exact grid of control periods: ticks are counted by stamps;
- it follows `delta_twist_cmds` and `gripper_cmd` that answer its latest state, and no other;
- without a fresh and finite command from one commander alone, it stands still, and says why.

Nothing here needs ROS: time comes in as an argument, messages as numbers.
"""
