"""What ROS reads is set where the user set nothing, and taken back."""

from __future__ import annotations

import os

import pytest

from roman_moe.nodes.environment import DISCOVERY, DOMAIN, HIGHEST_DOMAIN, LOG_DIR, ros_environment


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (DISCOVERY, DOMAIN, LOG_DIR, "ROS_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("separate", "private", "discovery"),
    [(False, True, "OFF"), (True, True, "LOCALHOST"), (False, False, "LOCALHOST"), (True, False, "LOCALHOST")],
)
def test_a_private_graph_hears_nobody_else(separate: bool, private: bool, discovery: str) -> None:
    with ros_environment(separate, private):
        assert os.environ[DISCOVERY] == discovery
        if separate and private:
            assert 1 <= int(os.environ[DOMAIN]) <= HIGHEST_DOMAIN
        else:
            assert DOMAIN not in os.environ
    assert DISCOVERY not in os.environ
    assert DOMAIN not in os.environ


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
