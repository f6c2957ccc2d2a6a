"""What ROS reads from the environment: range, transports, domain, log folder; set for a graph's life.

A graph stays on this machine and does without Fast DDS' shared memory, since that can leave a restarted node without a
connection for ever. A restarted node takes the port file of the killed one. At the same moment a peer that still writes
to the killed node may remove that file as a leftover. (Fast DDS 3.2.2; its issues 2811, 4728 and 6485 are of this
kind.) The shared memory of a killed process is never given back, either.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from roman_moe.core.environment import environment
from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import config_path

DISCOVERY = "ROS_AUTOMATIC_DISCOVERY_RANGE"
PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # from Kilted on; Jazzy
DOMAIN = "ROS_DOMAIN_ID"
LOG_DIR = "ROS_LOG_DIR"

JOINING = (
    "FASTDDS_BUILTIN_TRANSPORTS",
    "FASTDDS_ENVIRONMENT_FILE",
    "RMW_FASTRTPS_USE_QOS_FROM_XML",
    "ROS_DISCOVERY_SERVER",
    "ROS_LOCALHOST_ONLY",  # Jazzy: goes before the range
    "ROS_STATIC_PEERS",
    "ROS_SUPER_CLIENT",
)
"""Whatever else of a user's variables says how graphs find each other: unset for a private one."""

NO_DEFAULT_PROFILES = "SKIP_DEFAULT_XML"  # Fast DDS: of a file of that kind in the working folder

HIGHEST_DOMAIN = 101  # above it, DDS ports run into Linux' ephemeral ones
LAST_DOMAIN = 232  # above it, DDS has no ports

LOOKED_AT = 10  # participants of a domain: they take the lowest numbers that are free


def this_machine() -> dict[str, str]:
    """Keeps ROS on this machine and out of shared memory; empty where the user has chosen transports or range.

    Not the range LOCALHOST, with which ROS chooses the transports itself, shared memory among them: the profile, whose
    one interface is the loopback, limits SUBNET to as much.
    """
    if any(os.environ.get(name) for name in (DISCOVERY, *PROFILES)):
        return {}
    return _loopback()


def _loopback() -> dict[str, str]:
    return {DISCOVERY: "SUBNET", PROFILES[1 if _is_jazzy() else 0]: str(config_path("dds.xml"))}


def private_settings(separate: bool, domain: int) -> dict[str, str | None]:
    """What closes a graph to all others, whatever the user has exported; None for what is unset.

    Args:
        separate: its nodes are processes, which share the domain; in one process no other is discovered.
    """
    private: dict[str, str | None] = dict.fromkeys((*JOINING, *PROFILES))
    private |= {DOMAIN: str(domain), NO_DEFAULT_PROFILES: "1"}
    return private | (_loopback() if separate else {DISCOVERY: "OFF"})


def check_domain() -> None:
    """Refuse a ROS_DOMAIN_ID that ends the process within DDS, or that ROS takes for another number.

    Raises:
        ConfigError: saying what it may be.
    """
    text = os.environ.get(DOMAIN, "")
    if text and not (text.isascii() and text.isdigit() and int(text) <= LAST_DOMAIN):
        raise ConfigError(f"{DOMAIN}={text}: expected a whole number from 0 to {HIGHEST_DOMAIN}, or nothing")


@contextlib.contextmanager
def ros_environment(separate: bool, private: bool) -> Iterator[None]:
    """Set what a graph needs, and take it back at the end.

    Args:
        separate: the nodes are processes, which must find each other on this machine.
        private: nobody else is to see the graph, nor the graph anybody else, see `private_settings`. Otherwise the
            graph is open to this machine on the usual domain, unless the user has set something else.

    Raises:
        ConfigError: for a domain that there cannot be.
    """
    settings: dict[str, str | None] = {DISCOVERY: "LOCALHOST", **this_machine()}
    if not _log_folder_is_usable():
        settings[LOG_DIR] = str(Path(tempfile.gettempdir()) / f"roman_moe-{os.getuid()}" / "log")
    settings = {name: value for name, value in settings.items() if not os.environ.get(name)}
    with contextlib.ExitStack() as stack:
        if private:
            settings |= private_settings(separate, stack.enter_context(reserved_domain()))
        stack.enter_context(environment(settings))
        check_domain()
        yield


def _is_jazzy() -> bool:
    """Whether rclpy is Jazzy's; Kilted's Fast DDS warns of the older name of its variable."""
    try:
        return int(metadata.version("rclpy").split(".")[0]) < 9
    except metadata.PackageNotFoundError:
        return False


@contextlib.contextmanager
def reserved_domain() -> Iterator[int]:
    """A domain at random that nobody on this machine uses, and that nobody else reserves meanwhile.

    Whoever holds the port on which the first participant of a domain is found (RTPS 2.5, 9.6.2.4) has the domain:
    participants take the next ports. They may outlive who held it (a process that was killed leaves its children), so
    the next ports must be free as well. Where all domains are used, one of them is shared.
    """
    domains = random.SystemRandom().sample(range(1, HIGHEST_DOMAIN + 1), HIGHEST_DOMAIN)
    for domain in domains:
        with contextlib.ExitStack() as held:
            ports = [held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(LOOKED_AT)]
            try:
                for participant, port in enumerate(ports):
                    port.bind(("", _port(domain, participant)))
            except OSError:
                continue
            for port in ports[1:]:
                port.close()
            yield domain
            return
    yield domains[0]


def _port(domain: int, participant: int) -> int:
    """On which the participant of this number in a domain is found."""
    return 7400 + 250 * domain + 10 + 2 * participant


def _log_folder_is_usable() -> bool:
    """Whether ROS can write its logs where it would; it refuses to start otherwise."""
    if os.environ.get(LOG_DIR):
        return True  # the user's choice: ROS says so itself if it is none
    home = os.environ.get("HOME")
    root = os.environ.get("ROS_HOME") or (str(Path(home) / ".ros") if home else None)
    if root is None:
        return False
    folder = Path(root) / "log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
