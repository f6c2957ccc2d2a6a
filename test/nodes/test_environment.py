"""What ROS reads is set where the user set nothing, and taken back."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from roman_moe.nodes import environment
from roman_moe.nodes.environment import DISCOVERY, DOMAIN, HIGHEST_DOMAIN, LOG_DIR, PROFILES, ros_environment


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (DISCOVERY, *PROFILES, DOMAIN, LOG_DIR, "ROS_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("separate", "private", "discovery"),
    [(False, True, "OFF"), (True, True, "SUBNET"), (False, False, "SUBNET"), (True, False, "SUBNET")],
)
def test_a_private_graph_hears_nobody_else_and_any_stays_on_this_machine(
    separate: bool, private: bool, discovery: str
) -> None:
    with ros_environment(separate, private):
        assert os.environ[DISCOVERY] == discovery
        profiles = [Path(os.environ[name]).read_text() for name in PROFILES if name in os.environ]
        assert ["<address>127.0.0.1</address>" in profile for profile in profiles] == [True] * (discovery == "SUBNET")
        if separate and private:
            assert 1 <= int(os.environ[DOMAIN]) <= HIGHEST_DOMAIN
        else:
            assert DOMAIN not in os.environ
    assert not {DISCOVERY, DOMAIN, *PROFILES} & set(os.environ)


@pytest.mark.parametrize("name", PROFILES)
def test_with_the_users_own_transports_discovery_alone_is_chosen(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "mine.xml")
    with ros_environment(separate=True, private=False):
        assert os.environ[DISCOVERY] == "LOCALHOST"
        assert [os.environ.get(other) for other in PROFILES if other != name] == [None]
        assert os.environ[name] == "mine.xml"


def test_a_private_graph_takes_no_domain_that_somebody_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "HIGHEST_DOMAIN", 2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
        try:
            first.bind(("", 7400 + 250 * 1 + 10))
        except OSError:
            pytest.skip("somebody else is in domain 1")
        for _ in range(10):
            with ros_environment(separate=True, private=True):
                assert os.environ[DOMAIN] == "2"


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {DISCOVERY: "SUBNET", DOMAIN: "42", LOG_DIR: "/somewhere"}.items():
        monkeypatch.setenv(name, value)
    with ros_environment(separate=True, private=True):
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
