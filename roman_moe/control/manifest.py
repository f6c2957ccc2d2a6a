"""`controller.yaml`: the manifest of a bundle, as data classes and as a file.

It names every network's file with its size and sha256; other files in the folder are never opened.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from roman_moe.control.rates import Rates
from roman_moe.core.config import build, read_yaml
from roman_moe.core.errors import BundleError, ConfigError
from roman_moe.core.files import version_of
from roman_moe.core.paths import find_shipped
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.core.tasks import can_be_named, load_spec

MANIFEST_NAME = "controller.yaml"
BUNDLE_FORMAT = 2
KIND = "gate_and_experts"
"""ROMAN's kind of controller; other kinds will have other names here."""

MAX_NETWORK_BYTES = 64 << 20
"""No network of this project comes near it: a larger one is a mistake or an attack on the memory."""


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """A network's file within the bundle's folder.

    Attributes:
        file: its name, without any folder.
        size: in bytes.
        sha256: of its content, in hexadecimal.
    """

    file: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.onnx", self.file):
            raise ValueError(f"file {self.file!r}: expected a plain name ending in .onnx, without a folder")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 {self.sha256!r}: expected 64 hexadecimal digits")
        if not 0 < self.size <= MAX_NETWORK_BYTES:
            raise ValueError(f"size {self.size}: expected 1 to {MAX_NETWORK_BYTES} bytes")

    @classmethod
    def of(cls, file: str, data: bytes) -> NetworkFile:
        """Entry for a file of this content."""
        return cls(file, len(data), hashlib.sha256(data).hexdigest())

    def read(self, folder: Path) -> bytes:
        """Content of the file, size and sha256 checked.

        Raises:
            BundleError: naming the file, what was found and what the manifest says.
        """
        path = folder / self.file
        try:
            if not os.path.isfile(path):
                raise BundleError(f"{path}: no such file: {MANIFEST_NAME} names it; copy or export the bundle again")
            size = path.stat().st_size
            data = path.read_bytes() if size == self.size else b""
        except OSError as error:
            raise BundleError(f"{path}: cannot be read: {error}") from None
        if size != self.size:
            raise BundleError(
                f"{path}: has {size} bytes: {MANIFEST_NAME} says {self.size}; copy or export the bundle again"
            )
        found = hashlib.sha256(data).hexdigest()
        if found != self.sha256:
            raise BundleError(
                f"{path}: sha256 is {found[:12]}...: {MANIFEST_NAME} says {self.sha256[:12]}...; copy or export the "
                "bundle again"
            )
        return data


@dataclass(frozen=True, slots=True)
class Manifest:
    """Description of a bundle.

    Attributes:
        task_sha256: of what of the task matters to networks, `TaskSpec.digest`.
        skills: in the order of the gate's weights; those of the task, or some of them.
        rates: at which gate and experts run.
        provenance: where it came from: git commit, recipes, seeds, hashes of demonstrations, evaluation. For people and
            reports; the controller reads none of it.
    """

    format_version: int
    kind: str
    task: TaskSpec
    task_sha256: str
    skills: tuple[str, ...]
    gate: NetworkFile
    experts: Mapping[str, NetworkFile]
    rates: Rates
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.format_version != BUNDLE_FORMAT:
            raise ValueError(f"format_version {self.format_version}: this program reads {BUNDLE_FORMAT}")
        if self.kind != KIND:
            raise ValueError(f"kind {self.kind!r}: expected {KIND!r}")
        if self.task_sha256 != self.task.digest:
            raise ValueError(
                f"task_sha256 {self.task_sha256[:12]}...: the task described here has {self.task.digest[:12]}...: "
                "it was changed by hand; copy or export the bundle again"
            )
        for skill in self.skills:
            if skill not in self.task.skills:
                raise ValueError(f"skills: unknown skill {skill!r}: expected {', '.join(self.task.skills)}")
        if not self.skills or len(set(self.skills)) != len(self.skills):
            raise ValueError(f"skills {list(self.skills)}: expected each skill once")
        if set(self.experts) != set(self.skills):
            differing = ", ".join(sorted(set(self.experts) ^ set(self.skills)))
            raise ValueError(f"experts: expected exactly one for each of skills: {differing} is in one of them only")

    @property
    def networks(self) -> dict[str, NetworkFile]:
        """Each network's file, by skill or "gate"."""
        return {GATE: self.gate, **self.experts}

    def digest(self) -> str:
        """sha256 over everything that runs: networks, rates and task, but not the provenance, in hexadecimal."""
        content = {**self._content(), "task": self.task_sha256, "provenance": {}}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_yaml(self) -> str:
        """Content of the file."""
        return yaml.safe_dump(self._content(), sort_keys=False, width=120)

    def _content(self) -> dict[str, Any]:
        """As plain YAML types."""
        return {
            **{each.name: getattr(self, each.name) for each in dataclasses.fields(self)},
            "task": self.task.to_dict(),
            "skills": list(self.skills),
            "gate": dataclasses.asdict(self.gate),
            "experts": {skill: dataclasses.asdict(file) for skill, file in self.experts.items()},
            "rates": dataclasses.asdict(self.rates),
        }


def load_manifest(path: str | Path) -> Manifest:
    """Manifest of the bundle in folder `path`; of the shipped one, such as models/roman, if there is none here.

    Raises:
        BundleError: naming the file and key that cannot be used.
    """
    folder = find_shipped(path)
    if not os.path.isdir(folder):  # unlike Path's, it never raises: whatever the reason, there is none for us
        from roman_moe.control.identity import SCRIPTED  # which imports this module

        if str(path) in SCRIPTED:
            raise BundleError(
                f"{path}: is no bundle: a graph runs networks alone. roman-moe evaluate {path} judges it; to watch it, "
                "run roman-moe collect, then roman-moe demos replay EPISODE --states --out oracle.mp4"
            )
        raise BundleError(f"{folder}: no such folder: expected a bundle (a folder with {MANIFEST_NAME})")
    file = folder / MANIFEST_NAME
    if not os.path.isfile(file):  # a pipe would keep us waiting
        raise BundleError(f"{file}: no such file")
    content = read_yaml(file, BundleError)
    if content.get("format_version", BUNDLE_FORMAT) != BUNDLE_FORMAT:  # before its other keys can confuse
        advice = f": write it anew with roman-moe export {folder} NEW" if content["format_version"] == 1 else ""
        raise BundleError(
            f"{file}: format_version {content['format_version']}: this program reads {BUNDLE_FORMAT}{advice}"
        )
    return build(Manifest, content, str(file), BundleError)


def task_of_bundle(path: str | Path, task: str = "") -> TaskSpec:
    """The task of the bundle in folder `path`, as its task.yaml describes it now.

    Markers, cameras, memories and all else that no network depends on may have changed since the bundle was written.

    Args:
        task: name or folder of the task. If not given, it is the task of the name that the bundle's has, here or
            installed. The bundle's own is used where there is none, or one with other features or actions.

    Raises:
        BundleError: as `load_manifest`.
        ConfigError: if the task that is given is not the bundle's, or a task.yaml cannot be read.
    """
    own = load_manifest(path).task
    if not task and not can_be_named(own.name):
        return own
    found = load_spec(task or own.name)
    if task and found != own:
        raise ConfigError(
            f"{path}: is for task {own.name!r} ({own.digest[:8]}): expected task {task} ({found.digest[:8]}): "
            "give the bundle of that task, or train one"
        )
    return found if found == own else own


@lru_cache(maxsize=8)
def _manifest_of(folder: Path, _: tuple[int, ...]) -> Manifest:
    """As `load_manifest`, but a file that is as it was is not read again: it takes longer than all else in a swap."""
    return load_manifest(folder)


def read_network(path: Path) -> bytes:
    """Content of a network's file, its size checked; and its sha256, if its folder is a bundle that names it.

    Raises:
        BundleError: naming the file, what was found and what was expected.
    """
    if path.suffix != ".onnx":
        raise BundleError(f"{path}: expected a network's file, ending in .onnx")
    if os.path.isfile(path.parent / MANIFEST_NAME):
        manifest = _manifest_of(path.parent, version_of(path.parent / MANIFEST_NAME))
        for entry in manifest.networks.values():
            if entry.file == path.name:
                return entry.read(path.parent)
    try:
        if not os.path.isfile(path):  # a pipe or a device would keep us waiting
            raise BundleError(f"{path}: no such file")
        with path.open("rb") as file:
            large = os.fstat(file.fileno()).st_size > MAX_NETWORK_BYTES
            data = b"" if large else file.read(MAX_NETWORK_BYTES + 1)  # it may grow
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error}") from None
    if large or not 0 < len(data) <= MAX_NETWORK_BYTES:
        found = "more" if large or data else "none"
        raise BundleError(f"{path}: expected 1 to {MAX_NETWORK_BYTES} bytes, found {found}")
    return data
