"""The ROS 2 graph: thin rclpy nodes around control and lab, and the bring-up. The only room that imports rclpy."""

from roman_moe.nodes.base.middleware import check_middleware

check_middleware()  # first: rclpy ends the process that imports it while RMW_IMPLEMENTATION names another one
