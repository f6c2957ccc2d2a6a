"""What setup.py, package.xml, constraints.txt and the tree say about each other."""

from __future__ import annotations

import ast
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

import roman_moe
from roman_moe.cli.user_errors import EXTRAS as OPTIONAL_MODULES
from roman_moe.cli.user_errors import ROS_MODULES
from roman_moe.nodes.bringup.graph import EXECUTABLES, module_of

ROOT = Path(__file__).parents[2]

DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "rclpy": "ros-rclpy",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Names on the package index of modules that are called otherwise."""


def described(monkeypatch: pytest.MonkeyPatch) -> dict:
    """What setup.py passes to setuptools."""
    seen: dict = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("setuptools.setup", lambda **keywords: seen.update(keywords))
    code = compile((ROOT / "setup.py").read_text(encoding="utf-8"), str(ROOT / "setup.py"), "exec")
    exec(code, {"__file__": str(ROOT / "setup.py"), "__name__": "setup"})
    return seen


def project(requirement: str) -> str:
    """Normalised name of a requirement's project."""
    found = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def distribution(module: str) -> str:
    """Project that brings a top-level module."""
    name = DISTRIBUTIONS.get(module, module)
    return project(f"ros-{name}" if module in ROS_MODULES and module != "rclpy" else name)


def third_party_imports(folder: Path) -> dict[str, Path]:
    """Top-level modules imported anywhere below a folder that are neither ours nor Python's, with one place each."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                module = name.partition(".")[0]
                if module != "roman_moe" and module not in sys.stdlib_module_names:
                    found.setdefault(module, path)
    return found


def test_versions_agree(monkeypatch: pytest.MonkeyPatch):
    manifest = ElementTree.parse(ROOT / "package.xml")
    assert manifest.findtext("version") == roman_moe.__version__ == described(monkeypatch)["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == roman_moe.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall("^## (.*)$", changes, re.MULTILINE)[0].startswith(f"{roman_moe.__version__} "), "release notes"


def test_licences_agree(monkeypatch: pytest.MonkeyPatch):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    licence = ElementTree.parse(ROOT / "package.xml").find("license")
    assert licence is not None
    stated = described(monkeypatch)["license_expression"]
    assert stated == licence.text == citation["license"]
    assert described(monkeypatch)["license_files"] == [licence.get("file")]


def test_every_imported_package_is_required(monkeypatch: pytest.MonkeyPatch):
    description = described(monkeypatch)
    required = {project(r) for r in description["install_requires"]}
    optional = {name: {project(r) for r in listed} for name, listed in description["extras_require"].items()}
    for module, path in third_party_imports(ROOT / "roman_moe").items():
        name = distribution(module)
        if name in required or name == "metaworld":  # the latter: in an environment of its own, by make metaworld
            continue
        extra = "ros" if module in ROS_MODULES else OPTIONAL_MODULES.get(module)
        assert extra is not None, f"{path}: {module} is in no extra of cli/user_errors.py"
        assert name in optional[extra], f"{path}: {module} should come with the extra {extra!r} of setup.py"


NOT_IMPORTED = {
    "onnxruntime-gpu": "onnxruntime",  # another distribution of the same module
    "tensorboard": "torch.utils.tensorboard",  # which imports it
}
"""Projects that no module of ours imports by their own name, and the import that needs them."""


def test_everything_required_is_imported_or_a_tool(monkeypatch: pytest.MonkeyPatch):
    description = described(monkeypatch)
    imported = {distribution(module) for module in third_party_imports(ROOT / "roman_moe")}
    assert not imported & set(NOT_IMPORTED), "imported after all: no exemption is needed"
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "roman_moe").rglob("*.py"))
    for name, needed_by in NOT_IMPORTED.items():
        assert re.search(rf"^\s*(from|import) {re.escape(needed_by)}\b", sources, re.MULTILINE), name
    for extra, listed in {"": description["install_requires"], **description["extras_require"]}.items():
        if extra not in ("dev", "docs", "test", "all", "demo", "no-ros"):
            assert {project(r) for r in listed} - set(NOT_IMPORTED) <= imported, f"extra {extra!r}"


PARTS = {"mujoco-core", "mujoco-studio"}
"""Projects that mujoco is made of: it asks for them by itself, and they have its version."""


def test_every_requirement_has_one_tested_version(monkeypatch: pytest.MonkeyPatch):
    description = described(monkeypatch)
    pinned = {
        project(line)
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    required = {project(r) for listed in description["extras_require"].values() for r in listed}
    assert pinned - PARTS == required | {project(r) for r in description["install_requires"]}
    assert pinned >= PARTS


def test_cpu_and_gpu_runtime_never_come_together(monkeypatch: pytest.MonkeyPatch):
    for extra, listed in described(monkeypatch)["extras_require"].items():
        assert len({project(r) for r in listed} & {"onnxruntime", "onnxruntime-gpu"}) <= 1, f"extra {extra!r}"


def test_package_xml_names_the_ros_packages_that_nodes_import():
    manifest = ElementTree.parse(ROOT / "package.xml")
    depends = {element.text for element in manifest.iter("exec_depend")}
    imported = set(third_party_imports(ROOT / "roman_moe" / "nodes")) & set(ROS_MODULES)
    assert imported <= depends


def test_every_executable_of_the_graph_has_its_script():
    graph = yaml.safe_load((ROOT / "config" / "graph.yaml").read_text(encoding="utf-8"))
    executables = {node["executable"] for node in graph["nodes"].values()}
    scripts = {path.name: path for path in (ROOT / "scripts").iterdir()}
    assert set(scripts) == executables
    for name, path in scripts.items():
        assert path.stat().st_mode & stat.S_IXUSR, f"scripts/{name} lacks the run bit"
        assert f"from {module_of(name)} import {EXECUTABLES[name][1]}\n" in path.read_text(encoding="utf-8")


BLOCKER = """
import importlib.abc, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
{code}
"""


@pytest.mark.parametrize(
    ("code", "blocked"),
    [
        (
            "import roman_moe.control.controller",
            {"mujoco", "gymnasium", "torch", "onnx", "rclpy", "rosbags", "matplotlib"},
        ),
        (
            "from roman_moe.nodes.control import blender, expert, gate, observer",
            {"mujoco", "gymnasium", "torch", "onnx", "rosbags", "matplotlib"},
        ),
        (
            "import roman_moe.nodes.bringup.bringup\n"
            "from roman_moe.nodes.arms import arm_bridge, mock_arm, pose_source",
            {"mujoco", "gymnasium", "torch", "onnx", "cv2", "rosbags", "matplotlib", "control_msgs", "moveit_msgs"},
        ),
        (
            "import roman_moe.nodes.perception.object_pose_estimator",
            {"mujoco", "gymnasium", "torch", "onnx", "rosbags", "matplotlib", "visualization_msgs"},
        ),
        (
            "import roman_moe.sim.episode, roman_moe.tasks.roman.pull",
            {"torch", "rclpy", "onnxruntime", "rosbags", "matplotlib"},
        ),
        (
            "from roman_moe.wire import bodies, codec, topics",
            {"mujoco", "torch", "rclpy", "sensor_msgs", "onnxruntime", "rosbags", "matplotlib"},
        ),
        ("import roman_moe.demos.reader, roman_moe.demos.writer", {"mujoco", "torch", "rclpy", "onnxruntime"}),
    ],
)
def test_a_room_runs_without_what_only_others_need(code: str, blocked: set[str]):
    program = BLOCKER.format(blocked=blocked, code=code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_colcon_finds_a_runner_for_the_tests(monkeypatch: pytest.MonkeyPatch):
    """colcon-core looks for pytest in the extra `test`; without it `colcon test` runs nothing."""
    listed = {project(r) for r in described(monkeypatch)["extras_require"]["test"]}
    assert "pytest" in listed
    depends = {depend.text for depend in ElementTree.parse(ROOT / "package.xml").findall("test_depend")}
    assert depends == {f"python3-{name}" for name in listed}


DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_every_file_and_extra_of_a_dockerfile_exists(file: Path, monkeypatch: pytest.MonkeyPatch):
    text = file.read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(\S+) \S+$", text, re.MULTILINE)
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), f"COPY {name}"
    (extras,) = re.findall(r"\*\.whl\)\[([\w,-]+)\]", text)
    assert set(extras.split(",")) <= set(described(monkeypatch)["extras_require"])
    assert f"-f docker/{file.name} " in text, "how it is built"
    for command in re.findall(r"config/[\w/]+\.yaml", text):
        assert (ROOT / command).is_file()


def test_the_robots_image_has_the_run_time_core_alone(monkeypatch: pytest.MonkeyPatch):
    text = (ROOT / "docker/robot.Dockerfile").read_text(encoding="utf-8")
    assert ".whl)[cpu]" in text
    assert {project(r) for r in described(monkeypatch)["extras_require"]["cpu"]} == {"onnxruntime"}


def test_the_demos_image_installs_what_make_installs():
    text = (ROOT / "docker/demo.Dockerfile").read_text(encoding="utf-8")
    (packages,) = re.findall(r'^packages="(.*)"$', (ROOT / "tools/install_gl.sh").read_text(), re.MULTILINE)
    assert packages in text
    assert "--constraint /dist/constraints.txt" in text
