"""Which ROS middleware there is to choose with RMW_IMPLEMENTATION. Nothing here needs rclpy."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from roman_moe.core.errors import ConfigError

VARIABLE = "RMW_IMPLEMENTATION"
PREFIXES = "AMENT_PREFIX_PATH"
INDEX = "share/ament_index/resource_index/rmw_typesupport"
PROXY = "rmw_implementation"
"""Is in the index, too: what loads one of the others."""


def check_middleware() -> None:
    """Refuse a middleware that is not installed.

    Raises:
        ConfigError: naming those that are.
    """
    wanted = os.environ.get(VARIABLE)
    there = installed()
    if wanted and there and wanted not in there:
        raise ConfigError(f"{VARIABLE}={wanted}: this ROS has only {', '.join(sorted(there))}: unset it, or install it")


def installed() -> set[str]:
    """Names of all that are installed, of a sourced ROS or of wheels; none if ROS keeps no index where it should."""
    prefixes = [*filter(None, os.environ.get(PREFIXES, "").split(os.pathsep)), sys.prefix]
    return {file.name for prefix in prefixes for file in Path(prefix, INDEX).glob("*")} - {PROXY}
