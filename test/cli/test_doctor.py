"""`roman-moe doctor`: what it finds, what it says to do, and how it exits."""

from __future__ import annotations

import sys

import pytest

from roman_moe.cli import doctor as module
from roman_moe.cli.doctor import Doctor, advice, attempt, needs_of, settings, version
from roman_moe.cli.main import commands, main
from roman_moe.cli.user_errors import EXTRAS, ROS_MODULES
from roman_moe.core.errors import ConfigError, MissingDependencyError


def section(text: str, title: str) -> list[str]:
    """Lines of a part of the report."""
    body = text.split(f"\n{title}:\n")[1].split("\n\n")[0]
    return [line.strip() for line in body.splitlines()]


def fail(error: Exception):
    def check() -> str:
        raise error

    return check


def test_here_where_the_tests_run_the_demo_can(capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch):
    pytest.importorskip("rclpy")
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    tried = dict(line.split(maxsplit=1) for line in section(said, "tried for the demo"))
    assert set(tried) == set(module.CHECKS)
    assert "models/roman (sha256 " in tried["bundle"]
    assert tried["pictures"].startswith("MuJoCo draws")
    assert tried["ROS"].startswith("a node of rmw_")
    assert section(said, "to do") == ["nothing"]
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_is_said_with_what_to_do_and_the_exit_code(capsys, monkeypatch):
    monkeypatch.setattr(
        module,
        "CHECKS",
        {
            "packages": fail(MissingDependencyError("mujoco is not installed: run pip install it")),
            "pictures": fail(ModuleNotFoundError("No module named 'mujoco'", name="mujoco")),
            "ROS": fail(ConfigError("ROS_DOMAIN_ID=x: expected a number")),
            "video": lambda: "ffmpeg",
        },
    )
    assert Doctor().main() == 1
    # once, though two checks need it
    expected = ["mujoco is not installed: run pip install it", "ROS_DOMAIN_ID=x: expected a number"]
    assert section(capsys.readouterr().out, "to do") == expected


def test_variables_that_stop_ros_are_found(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("rclpy")
    monkeypatch.setenv("ROS_DOMAIN_ID", "999")
    found = attempt(module.CHECKS["ROS"])
    assert isinstance(found, ConfigError)
    assert "ROS_DOMAIN_ID=999" in str(found)
    assert "ROS_DOMAIN_ID=999" in settings()


def test_an_unusable_gl_back_end_is_found(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("mujoco")
    monkeypatch.setattr("mujoco.Renderer", fail_to_draw)
    found = attempt(module.CHECKS["pictures"])
    assert isinstance(found, MissingDependencyError)
    assert "libegl1" in str(found)


def fail_to_draw(*_: object, **__: object) -> None:
    raise RuntimeError("no EGL")


def test_every_command_says_what_it_needs():
    known = {*EXTRAS, *ROS_MODULES}
    assert {words: set(needs_of(command)) - known for words, command in commands().items()} == {
        words: set() for words in commands()
    }


def test_versions_are_named_by_their_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"1.{len(name)}")
    assert version("numpy", ["numpy"]) == "1.5"
    assert version("yaml", ["PyYAML"]) == "PyYAML 1.6"
    assert version("no_such_module", []) == "missing"
    assert version("json", []) == "there, of unknown version"


def test_packages_in_each_others_place_and_an_untested_python_are_advised_on(monkeypatch: pytest.MonkeyPatch):
    assert advice({"cv2": ["opencv-python-headless"] * 2, "mujoco": ["mujoco", "mujoco-core"]}) == []
    (line,) = advice({"onnxruntime": ["onnxruntime", "onnxruntime-gpu"]})
    assert line.startswith("onnxruntime and onnxruntime-gpu overwrite each other's onnxruntime: pip uninstall")
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    (line,) = advice({})
    assert line.endswith(" is not tested: take 3.11 to 3.13")
