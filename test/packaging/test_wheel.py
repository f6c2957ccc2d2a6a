"""The wheel, built and installed as a user would: what ROS looks for, what the code reads, what a shell runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import roman_moe

ROOT = Path(__file__).parents[2]
SOURCES = ("roman_moe", "config", "launch", "models", "resource", "scripts")


def environment() -> dict[str, str]:
    """This process's, less what the ROS wheels pass on: another environment must not load their libraries."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "PYTHONPATH", "VIRTUAL_ENV")
    }


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files: what a clone would have."""
    clone = tmp_path_factory.mktemp("clone")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, listed):
        source, target = ROOT / name, clone / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)
    return clone


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that a clone would build."""
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    run(*pip, "--wheel-dir", str(out), str(clone), cwd=clone)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def prefix(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and nothing else but what this one has."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder), cwd=ROOT)
    run(
        sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"),
        "install", "--quiet", "--no-deps", "--no-index", str(wheel), cwd=ROOT,
    )  # fmt: skip
    return folder


def test_wheel_is_pure_and_named_after_the_version(wheel: Path):
    assert wheel.name == f"roman_moe-{roman_moe.__version__}-py3-none-any.whl"


def test_wheel_holds_every_file_of_the_tree_and_no_test(wheel: Path):
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *SOURCES, cwd=ROOT)
    names = zipfile.ZipFile(wheel).namelist()
    for name in filter(None, listed.split("\0")):
        path = Path(name)
        if path.name.startswith(".") or not (ROOT / path).is_file():
            continue
        ending = {
            "resource": f"ament_index/resource_index/packages/{path.name}",
            "scripts": f"lib/roman_moe/{path.name}",
        }
        expected = ending.get(path.parts[0], name)
        assert any(installed.endswith(expected) for installed in names), f"{name} is not in the wheel"
    assert not [name for name in names if name.startswith("test")]


def test_metadata_states_the_licence_by_its_spdx_expression(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode().splitlines()
    assert "License-Expression: Apache-2.0" in lines
    assert "License-File: LICENSE" in lines


def test_source_distribution_holds_what_a_wheel_is_built_of(clone: Path, tmp_path: Path):
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})"
    run(sys.executable, "-c", build, cwd=clone)
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    files = {
        *run("git", "ls-files", "--cached", "--others", "--exclude-standard", *SOURCES, cwd=ROOT).split("\n"),
        *("setup.py", "setup.cfg", "pyproject.toml", "package.xml", "README.md", "LICENSE", "CHANGELOG.md"),
        *("CITATION.cff", "constraints.txt", "constraints-jazzy.txt"),
    }
    assert {name for name in files if name and (ROOT / name).is_file() and Path(name).name[0] != "."} <= held


def test_ros_finds_the_package(prefix: Path):
    assert (prefix / "share/ament_index/resource_index/packages/roman_moe").is_file()
    assert (prefix / "share/roman_moe/package.xml").is_file()
    assert (prefix / "share/roman_moe/config/graph.yaml").is_file()


def test_executables_can_be_run_by_launch(prefix: Path):
    installed = {path.name for path in (prefix / "lib/roman_moe").iterdir()}
    assert installed == {path.name for path in (ROOT / "scripts").iterdir()}
    for name in installed:
        assert os.access(prefix / "lib/roman_moe" / name, os.X_OK), f"lib/roman_moe/{name} lacks the run bit"


def test_command_runs_and_finds_its_files_outside_the_checkout(prefix: Path, tmp_path: Path):
    assert run(prefix / "bin/roman-moe", "--version", cwd=tmp_path) == f"roman-moe {roman_moe.__version__}\n"
    assert "verbs:" in run(prefix / "bin/roman-moe", "--help", cwd=tmp_path)
    code = "from roman_moe.core.paths import share_folder; print(share_folder())"
    assert run(prefix / "bin/python", "-c", code, cwd=tmp_path).strip() == str(prefix / "share/roman_moe")


def test_missing_requirements_are_one_line(prefix: Path, tmp_path: Path):
    done = subprocess.run(
        [prefix / "bin/roman-moe", "bench", "control"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(" is not installed: run pip install roman_moe\n")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("python", ["python3.11", "python3.12", "python3.13"])
def test_demo_is_solved_in_an_empty_folder_by_the_wheel_alone(python: str, wheel: Path, tmp_path: Path):
    """As a user does it; takes the packages from the index that pip knows."""
    if shutil.which(python) is None or subprocess.run([python, "--version"], check=False).returncode != 0:
        pytest.skip(f"{python} is not installed")
    run(python, "-m", "venv", str(tmp_path / "venv"), cwd=tmp_path)
    empty, binaries = tmp_path / "empty", tmp_path / "venv/bin"
    empty.mkdir()
    pip = [binaries / "python", "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"]
    run(*pip, f"{wheel}[demo]", cwd=empty)
    report = run(binaries / "roman-moe", "doctor", cwd=empty)
    assert report.endswith("to do:\n  nothing\n"), report
    run(binaries / "roman-moe", "demo", "--no-video", cwd=empty)
    assert json.loads((empty / "out/demo/report.json").read_text(encoding="utf-8"))["success"] is True
