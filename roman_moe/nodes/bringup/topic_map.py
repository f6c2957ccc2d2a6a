"""A topic map: other names for the graph's topics, from a YAML file such as `{scene: /cell/scene}`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rclpy.exceptions import InvalidTopicNameException
from rclpy.expand_topic_name import expand_topic_name
from rclpy.validate_full_topic_name import validate_full_topic_name

from roman_moe.core.config import read_yaml
from roman_moe.core.errors import ConfigError
from roman_moe.wire.topics import CAMERA_TYPES, MESSAGE_TYPES, camera, expert_action


def topic_names(skills: Sequence[str], cameras: Sequence[str]) -> tuple[str, ...]:
    """Names of the graph's own topics; those that ROS fixes, such as /clock, are not among them."""
    names = sorted(name for name in MESSAGE_TYPES if not name.startswith("/"))
    of_cameras = [camera(name, part) for name in cameras for part in CAMERA_TYPES]
    return (*names, *(expert_action(skill) for skill in skills), *of_cameras)


def read_topic_map(path: Path, skills: Sequence[str], cameras: Sequence[str] = ()) -> dict[str, str]:
    """Other names by the usual ones.

    Args:
        skills: of the bundle: each expert has a topic.
        cameras: of the task: each has several.

    Raises:
        ConfigError: naming file, line and topic, for one that does not exist and for names that cannot be used.
    """
    content = read_yaml(path, ConfigError)
    known, used = topic_names(skills, cameras), dict[str, str]()
    for name, other in content.items():
        where = f"{path}, line {content.lines.get(name, 1)}"
        if name not in known:
            raise ConfigError(f"{where}: unknown topic {name!r}: expected some of {', '.join(known)}")
        try:
            validate_full_topic_name(expand_topic_name(other, "node", "/"))
        except (InvalidTopicNameException, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0] if isinstance(other, str) else f"a {type(other).__name__}"
            raise ConfigError(f"{where}: {name}: {other!r} is no name of a topic ({reason})") from None
        if other in used:
            raise ConfigError(f"{where}: {name}: {other!r} is the name of {used[other]} already")
        used[other] = name
    return dict(content)
