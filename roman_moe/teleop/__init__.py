"""Input devices of an operator, and what their motions mean for an arm; no ROS."""
