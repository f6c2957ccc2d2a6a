"""What ROS reads is set where the user set nothing, and taken back."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from rclpy.node import Node

from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import config_path
from roman_moe.nodes.base import environment
from roman_moe.nodes.base.environment import (
    DISCOVERY,
    DOMAIN,
    HIGHEST_DOMAIN,
    JOINING,
    LOG_DIR,
    NO_DEFAULT_PROFILES,
    PROFILES,
    reserved_domain,
    ros_environment,
)
from roman_moe.nodes.base.process import ros_context

port = environment._port
TIMEOUT = 600.0  # [s] for two participants of a busy machine to find each other


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (DISCOVERY, *PROFILES, *JOINING, NO_DEFAULT_PROFILES, DOMAIN, LOG_DIR, "ROS_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("separate", "private", "discovery"),
    [(False, True, "OFF"), (True, True, "SUBNET"), (False, False, "SUBNET"), (True, False, "SUBNET")],
)
def test_a_private_graph_hears_nobody_else_and_any_stays_on_this_machine(
    separate: bool, private: bool, discovery: str
) -> None:
    before = dict(os.environ)
    with ros_environment(separate, private):
        assert os.environ[DISCOVERY] == discovery
        profiles = [Path(os.environ[name]).read_text() for name in PROFILES if name in os.environ]
        assert ["<address>127.0.0.1</address>" in profile for profile in profiles] == [True] * (discovery == "SUBNET")
        if private:
            assert 1 <= int(os.environ[DOMAIN]) <= HIGHEST_DOMAIN
        else:
            assert DOMAIN not in os.environ
    assert dict(os.environ) == before


EXPORTED = {
    "domain": {},
    "range": {DISCOVERY: "LOCALHOST"},
    "Jazzy's range": {"ROS_LOCALHOST_ONLY": "1"},
    "peers": {"ROS_STATIC_PEERS": "127.0.0.1"},
    "peers and no range": {"ROS_STATIC_PEERS": "127.0.0.1", DISCOVERY: "SUBNET"},
    "profile": {name: str(config_path("dds.xml")) for name in PROFILES},
    "transports": {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
}


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("exported", EXPORTED)
def test_a_private_graph_joins_no_running_one_whatever_is_exported(
    monkeypatch: pytest.MonkeyPatch, own_domain: int, exported: str, separate: bool
) -> None:
    domain = str(own_domain)
    for name, value in {DOMAIN: domain, **EXPORTED[exported]}.items():
        monkeypatch.setenv(name, value)
    names: dict[str, list[str]] = {}
    with contextlib.ExitStack() as stack:
        nodes = {}

        def begin(name: str) -> None:
            nodes[name] = Node(name, context=stack.enter_context(ros_context()))
            stack.callback(nodes[name].destroy_node)

        begin("running")
        users = dict(os.environ)
        stack.enter_context(ros_environment(separate, private=True))  # the domain is its own while its node lives
        assert os.environ[DOMAIN] != domain
        begin("private")
        stack.enter_context(mock.patch.dict(os.environ, users, clear=True))
        begin("late")  # finds the first after the private one would have
        end = time.monotonic() + TIMEOUT
        while not {"running", "late"} <= set(names.get("late", [])) & set(names.get("running", [])):
            assert time.monotonic() < end, names
            names = {name: node.get_node_names() for name, node in nodes.items()}
    assert names == {"running": names["running"], "private": ["private"], "late": names["late"]}
    assert "private" not in names["running"] + names["late"]
    assert os.environ[DOMAIN] == domain


def test_a_private_graph_has_none_of_the_users_variables_of_discovery(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*JOINING, *PROFILES):
        monkeypatch.setenv(name, "127.0.0.1:11811")
    with ros_environment(separate=False, private=True):
        assert not {*JOINING, *PROFILES} & set(os.environ)
        assert os.environ[NO_DEFAULT_PROFILES] == "1"
    assert {os.environ[name] for name in (*JOINING, *PROFILES)} == {"127.0.0.1:11811"}


@pytest.mark.parametrize("domain", ["300", "233", "-1", "junk", "1.5", " 5", "٣"])
@pytest.mark.parametrize("separate", [False, True])
def test_a_domain_that_there_cannot_be_is_refused_where_it_counts(
    monkeypatch: pytest.MonkeyPatch, domain: str, separate: bool
) -> None:
    monkeypatch.setenv(DOMAIN, domain)
    with pytest.raises(ConfigError, match=f"ROS_DOMAIN_ID={domain}: expected a whole number"):
        ros_environment(separate, private=False).__enter__()
    with pytest.raises(ConfigError, match="ROS_DOMAIN_ID"):
        ros_context().__enter__()
    with ros_environment(separate, private=True):
        assert os.environ[DOMAIN] != domain
    assert os.environ[DOMAIN] == domain


@pytest.mark.parametrize("name", PROFILES)
def test_with_the_users_own_transports_discovery_alone_is_chosen(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "mine.xml")
    with ros_environment(separate=True, private=False):
        assert os.environ[DISCOVERY] == "LOCALHOST"
        assert [os.environ.get(other) for other in PROFILES if other != name] == [None]
        assert os.environ[name] == "mine.xml"


@pytest.fixture
def two_domains(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Domains 1 and 2 alone, which nobody else's graph can be in: ports beyond those of two domains' participants."""
    with reserved_domain() as first, reserved_domain() as second:
        monkeypatch.setattr(environment, "HIGHEST_DOMAIN", 2)
        monkeypatch.setattr(environment, "_port", lambda domain, number: port((first, second)[domain - 1], 60 + number))
        yield


@pytest.mark.usefixtures("two_domains")
@pytest.mark.parametrize("participant", [0, 1, 5])
def test_a_domain_that_somebody_is_in_is_not_taken(participant: int) -> None:
    """Children of a killed process hold a later port than the one that it reserved."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        somebody.bind(("127.0.0.1", environment._port(1, participant)))
        for _ in range(10):
            with reserved_domain() as domain:
                assert domain == 2
            with ros_environment(separate=True, private=True):
                assert os.environ[DOMAIN] == "2"


@pytest.mark.usefixtures("two_domains")
def test_where_somebody_is_in_every_domain_one_is_shared() -> None:
    with reserved_domain() as first, reserved_domain() as second, reserved_domain() as third:
        assert {first, second} == {1, 2}
        assert third in (1, 2)


def test_what_the_user_set_stays_for_a_graph_that_others_may_see(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {DISCOVERY: "SUBNET", DOMAIN: "42", LOG_DIR: "/somewhere"}.items():
        monkeypatch.setenv(name, value)
    with ros_environment(separate=True, private=False):
        assert (os.environ[DISCOVERY], os.environ[DOMAIN], os.environ[LOG_DIR]) == ("SUBNET", "42", "/somewhere")
    assert (os.environ[DISCOVERY], os.environ[DOMAIN], os.environ[LOG_DIR]) == ("SUBNET", "42", "/somewhere")


@pytest.mark.parametrize("home", [None, "/proc/nowhere", "/dev/null"])
def test_without_a_home_logs_go_to_a_passing_folder(monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    if home is None:
        monkeypatch.delenv("HOME", raising=False)
    else:
        monkeypatch.setenv("HOME", home)
    with ros_environment(separate=False, private=True):
        assert "roman_moe" in os.environ[LOG_DIR]
    assert LOG_DIR not in os.environ


def test_a_usable_home_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with ros_environment(separate=False, private=True):
        assert LOG_DIR not in os.environ


def test_nobody_else_gets_a_domain_that_is_reserved() -> None:
    with contextlib.ExitStack() as stack:
        count = HIGHEST_DOMAIN // 2
        domains = [stack.enter_context(reserved_domain()) for _ in range(count)]
        assert len(set(domains)) == count
        assert set(domains) <= set(range(1, HIGHEST_DOMAIN + 1))
