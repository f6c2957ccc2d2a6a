"""The set-up behind make: what it would run, and what it says where it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which nothing is installed yet."""
    for name in ("Makefile", "setup.py", "constraints.txt", "constraints-jazzy.txt", "constraints-metaworld.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    return tmp_path


def dry_run(folder: Path, target: str, **environment: str) -> str:
    """The commands that `make target` would run."""
    # Without the variables of the make that runs these tests, such as ARGS.
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = ["make", "--dry-run", "--no-print-directory", target]
    done = subprocess.run(
        command, cwd=folder, env={**clean, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def stamp(folder: Path, *names: str) -> None:
    """Make these stamps as if their step had just been done."""
    stamps = folder / ".venv" / ".stamps"
    stamps.mkdir(parents=True, exist_ok=True)
    for name in names:
        (stamps / name).touch()


def test_demo_installs_no_torch_and_runs_the_long_task(checkout: Path):
    commands = dry_run(checkout, "demo")
    assert "sh tools/make_venv.sh .venv wheels" in commands
    assert "--editable '.[demo]'" in commands
    assert "[all" not in commands
    assert commands.rstrip().endswith(".venv/bin/roman-moe demo --poses camera")


def test_a_sourced_ros_takes_the_place_of_its_wheels(checkout: Path):
    assert "--editable '.[no-ros]'" in dry_run(checkout, "demo", ROS_DISTRO="jazzy")
    assert "--editable '.[no-ros,convert,train,dev]'" in dry_run(checkout, "test", ROS_DISTRO="jazzy")
    assert "sh tools/make_venv.sh .venv ros-jazzy" in dry_run(checkout, "test", ROS_DISTRO="jazzy")


@pytest.mark.parametrize("target", ["install", "test", "test-slow", "lint", "format", "bench"])
def test_whatever_else_installs_everything_first(target: str, checkout: Path):
    commands = dry_run(checkout, target)
    assert commands.index("make_venv.sh") < commands.index("--editable '.[all,dev]'") < commands.index(".stamps/all")


@pytest.mark.parametrize("target", ["install", "demo", "test", "lint"])
def test_nothing_is_installed_twice(target: str, checkout: Path):
    stamp(checkout, "venv-wheels", "all")
    assert "pip install" not in dry_run(checkout, target)


def test_arguments_of_the_outer_make_do_not_reach_the_inner_one(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in {"ARGS": "-k gate", "MAKEFLAGS": "n -- ARGS=-k\\ gate", "MAKELEVEL": "1"}.items():
        monkeypatch.setenv(name, value)
    test_demo_installs_no_torch_and_runs_the_long_task(checkout)


def test_jazzy_runs_the_graph_with_wheels_and_versions_of_its_own(checkout: Path):
    commands = dry_run(checkout, "test-jazzy")
    assert "sh tools/make_venv.sh .venv-jazzy wheels" in commands
    assert "--constraint .venv-jazzy/constraints.txt" in commands
    command = '.venv-jazzy/bin/python -m pytest -m "not slow" --numprocesses 3 --dist worksteal test/nodes'
    assert commands.rstrip().endswith(command)


def test_metaworld_has_its_own_mujoco(checkout: Path):
    commands = dry_run(checkout, "metaworld")
    assert "sh tools/make_venv.sh .venv-metaworld wheels" in commands
    assert "grep -v '^mujoco' constraints.txt; cat constraints-metaworld.txt" in commands
    assert "--editable '.[report,test]' metaworld packaging torch" in commands
    assert "mujoco==3.3.0 " in (checkout / "constraints-metaworld.txt").read_text()


def test_a_release_is_of_the_last_commit_with_notes_of_the_newest_version(checkout: Path):
    commands = dry_run(checkout, "dist")
    assert "git archive HEAD" in commands
    (notes,) = [line for line in commands.splitlines() if "RELEASE_NOTES" in line]
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## 2\n\n- new\n\n## 1\n\n- old\n")
    (checkout / "dist").mkdir()
    subprocess.run(["/bin/sh", "-c", notes], cwd=checkout, check=True)
    assert (checkout / "dist/RELEASE_NOTES.md").read_text() == "## 2\n\n- new\n\n"


def test_jazzy_has_a_version_for_every_ros_package():
    pinned = [
        {line.split("==")[0] for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line[:4] == "ros-"}
        for name in ("constraints.txt", "constraints-jazzy.txt")
    ]
    assert pinned[0] == pinned[1]
    assert len(pinned[0]) >= 9


def test_a_changed_requirement_is_installed(checkout: Path):
    stamp(checkout, "venv-wheels", "all")
    newer = (checkout / ".venv/.stamps/all").stat().st_mtime + 10
    os.utime(checkout / "constraints.txt", (newer, newer))
    assert "--editable '.[all,dev]'" in dry_run(checkout, "test")


def run_tool(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_no_fitting_python_is_one_line_that_says_what_fits(checkout: Path):
    done = run_tool(checkout, "tools/make_venv.sh", ".venv", "wheels", **{**os.environ, "PYTHON": "/bin/false"})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "found no Python 3.11 to 3.13 among: /bin/false" in done.stderr
    assert not (checkout / ".venv").exists()


def test_no_renderer_and_no_package_manager_is_said_but_stops_nothing(checkout: Path):
    done = run_tool(checkout, "tools/install_gl.sh", "/bin/false", PATH="/nowhere")
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "install EGL and Mesa's renderer" in done.stderr
