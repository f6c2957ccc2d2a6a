"""Demonstrations: the one format that whoever gives them writes and whoever uses them reads. numpy and rosbags."""
