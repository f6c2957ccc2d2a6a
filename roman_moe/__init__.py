"""roman_moe: a robot arm driven by a learned mixture of experts, from demonstrations to a running ROS 2 graph."""

__version__ = "0.1.0"
