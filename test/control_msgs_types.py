"""control_msgs' two gripper actions, generated where no installation has them: ROS's wheels do not.

The wheels bring rosidl's generators, headers and libraries: what comes out is a package as a ROS installation has it,
so that goals and results really cross DDS. It is made once for each environment, in about 15 s of one core, and kept in
the environment's `.cache/`. A C++ compiler and Python's headers are needed.

The fields are those of control_msgs 5.x (Jazzy, Kilted): GripperCommand.msg, GripperCommand.action and
ParallelGripperCommand.action.

    python test/control_msgs_types.py
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PACKAGE = "control_msgs"
RECIPE = "2"  # another number whenever `generate` changes what comes out
INTERFACES = {
    "msg/GripperCommand.msg": "float64 position\nfloat64 max_effort\n",
    "action/GripperCommand.action": (
        "GripperCommand command\n---\n"
        "float64 position\nfloat64 effort\nbool stalled\nbool reached_goal\n---\n"
        "float64 position\nfloat64 effort\nbool stalled\nbool reached_goal\n"
    ),
    "action/ParallelGripperCommand.action": (
        "sensor_msgs/JointState command\n---\n"
        "sensor_msgs/JointState state\nbool stalled\nbool reached_goal\n---\n"
        "sensor_msgs/JointState state\n"
    ),
}
USED = (
    "action_msgs",
    "builtin_interfaces",
    "geometry_msgs",
    "sensor_msgs",
    "service_msgs",
    "std_msgs",
    "unique_identifier_msgs",
)
"""Packages of the wheels that the actions need."""

SUPPORTS = ("rosidl_typesupport_fastrtps_c", "rosidl_typesupport_introspection_c")
"""Type supports: Fast DDS' own, and the one by which it describes a type to others. Each is a library by itself."""

LIBRARIES = ("rosidl_generator_c", "rosidl_generator_py", "rosidl_typesupport_c", *SUPPORTS)
RUNTIME = (
    "rosidl_runtime_c",
    "rosidl_typesupport_c",
    "rosidl_typesupport_fastrtps_c",
    "rosidl_typesupport_fastrtps_cpp",
    "rosidl_typesupport_introspection_c",
    "rcutils",
    "fastcdr",
    "rmw",
)


class NotPossibleError(Exception):
    """Why the types cannot be generated here."""


def import_folder() -> Path | None:
    """Folder to put on the import path, generated if need be; None if control_msgs is installed.

    Raises:
        NotPossibleError: naming what is missing.
    """
    if importlib.util.find_spec(PACKAGE) is not None:
        return None
    compilers = {name: shutil.which(name) for name in ("cc", "c++")}
    missing = [name for name, path in compilers.items() if path is None]
    if not Path(sys.prefix, "lib", "librosidl_typesupport_fastrtps_c.so").exists():
        missing.append("ROS's wheels")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append("Python.h")
    if missing:
        raise NotPossibleError(f"control_msgs is not installed, and to generate its types needs {', '.join(missing)}")
    there = Path(sys.prefix, ".cache", f"{PACKAGE}-{_fingerprint()}")
    if not there.exists():
        there.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=there.parent) as folder:
            made = Path(folder, "made")
            ended = subprocess.run([sys.executable, __file__, str(made)], capture_output=True, text=True)
            if ended.returncode != 0:
                raise NotPossibleError(f"control_msgs' types could not be generated: {ended.stderr[-2000:]}")
            if not there.exists():  # another process may have been faster
                made.rename(there)
    return there


def _fingerprint() -> str:
    from importlib.metadata import version

    facts = [RECIPE, json.dumps(INTERFACES), sys.version, version("ros-rosidl-generator-py"), version("numpy")]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]


def generate(folder: Path) -> None:
    """Write the package into a folder."""
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    package = folder / PACKAGE
    _write_sources(package)
    (package / "__init__.py").touch()
    _compile(package)
    for end in ("o", "c", "cpp", "h"):
        for path in folder.rglob(f"*.{end}"):
            path.unlink()


def _write_sources(package: Path) -> None:
    from ament_index_python import get_package_share_directory as share
    from rosidl_adapter.action import convert_action_to_idl
    from rosidl_adapter.msg import convert_msg_to_idl
    from rosidl_generator_c import generate_c
    from rosidl_generator_py import generate_py
    from rosidl_generator_type_description import generate_type_hash
    from rosidl_typesupport_c import generate_c as generate_type_support
    from rosidl_typesupport_fastrtps_c import generate_typesupport_fastrtps_c
    from rosidl_typesupport_introspection_c import generate_c as generate_introspection

    for name, text in INTERFACES.items():
        path = package / name
        (path.parent / "detail").mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        convert = convert_msg_to_idl if path.suffix == ".msg" else convert_action_to_idl
        convert(package, PACKAGE, Path(name), path.parent)
    idl = {name: str(Path(name).with_suffix(".idl")) for name in INTERFACES}
    arguments = {
        "package_name": PACKAGE,
        "idl_tuples": [f"{package}:{path}" for path in idl.values()],
        "ros_interface_dependencies": [f"{used}:{path}" for used in USED for path in Path(share(used)).glob("*/*.idl")],
        "ros_interface_files": [str(package / name) for name in INTERFACES],
        "type_description_tuples": [f"{path}:{(package / path).with_suffix('.json')}" for path in idl.values()],
        "include_paths": [f"{used}:{share(used)}" for used in USED],
        "target_dependencies": [],
    }

    def run(generator: Any, name: str, *more: Any, into: Path = package) -> None:
        for kind in ("msg", "action"):
            (into / kind / "detail").mkdir(parents=True, exist_ok=True)
        file = package / "arguments.json"
        places = {"template_dir": f"{share(name)}/resource", "output_dir": str(into)}
        file.write_text(json.dumps({**arguments, **places}))
        generator(str(file), *more)

    run(generate_type_hash, "rosidl_generator_type_description")
    run(generate_c, "rosidl_generator_c")
    run(generate_typesupport_fastrtps_c, "rosidl_typesupport_fastrtps_c")
    run(generate_introspection, SUPPORTS[1], into=package.parent / SUPPORTS[1] / PACKAGE)
    run(generate_type_support, "rosidl_typesupport_c", list(SUPPORTS))
    run(generate_py, "rosidl_generator_py", ["rosidl_typesupport_c"])
    for generator in ("rosidl_generator_c", *SUPPORTS):
        header = f"{generator}__visibility_control.h"
        text = Path(share(generator), "resource", f"{header}.in").read_text()
        filled = text.replace("@PROJECT_NAME_UPPER@", PACKAGE.upper()).replace("@PROJECT_NAME@", PACKAGE)
        (package / "msg" / header).write_text(filled)


def _compile(package: Path) -> None:
    """A library for each type support, and the one that Python's classes load, which needs them."""
    import numpy

    prefix = Path(sys.prefix)
    second = package.parent / SUPPORTS[1]
    headers = [package.parent, second, prefix / "include", *sorted(prefix.glob("include/*/"))]
    include = [f"-I{path}" for path in (*headers, sysconfig.get_path("include"), numpy.get_include())]

    def compiled(source: Path) -> str:
        target = f"{source}.o"
        compiler = ["c++", "-std=c++17"] if source.suffix == ".cpp" else ["cc"]
        subprocess.run([*compiler, "-c", "-O0", "-w", "-fPIC", *include, str(source), "-o", target], check=True)
        return target

    structures = [*package.glob("*/detail/*.c"), *package.glob("*/detail/*.cpp")]
    classes = [*package.glob("*/*.cpp"), *package.glob("*/*.c"), *package.glob("*.c")]
    parts = {SUPPORTS[0]: structures, SUPPORTS[1]: list(second.rglob("*.c")), "": classes}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = {name: list(pool.map(compiled, sorted(sources))) for name, sources in parts.items()}
    folder = prefix / "lib"
    used = [f"{name}__{kind}" for name in USED for kind in LIBRARIES]
    found = [f"-l{name}" for name in (*used, *RUNTIME) if (folder / f"lib{name}.so").exists()]
    own: list[str] = []
    for name, files in objects.items():
        # by its soname the dispatching type support finds a library that is loaded already
        target = f"lib{PACKAGE}__{name}.so" if name else f"{PACKAGE}_s__rosidl_typesupport_c.so"
        link = [f"-Wl,-soname,{target}", "-Wl,-rpath,$ORIGIN", "-Wl,--no-as-needed", *own, "-Wl,--as-needed"]
        path = str(package / target)
        subprocess.run(["c++", "-shared", "-o", path, *files, *link, f"-L{folder}", *found], check=True)
        own.append(path)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        generate(Path(sys.argv[1]))
    else:
        print(import_folder() or "control_msgs is installed")
