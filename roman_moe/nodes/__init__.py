"""The ROS 2 graph: thin rclpy nodes around control and lab, and the bring-up. The only room that imports rclpy."""
