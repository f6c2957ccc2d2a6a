"""From a bundle of format 1 to one of format 2. Format 1 knew one task only, so its bundles do not say which.

Graphs and weights stay as they are; manifest and metadata get what format 2 adds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roman_moe.control.bundle_writer import write_bundle
from roman_moe.control.manifest import KIND, MANIFEST_NAME, NetworkFile
from roman_moe.control.metadata import NETWORK_FORMAT, NetworkMetadata
from roman_moe.control.rates import Rates
from roman_moe.core.config import build, read_yaml
from roman_moe.core.errors import BundleError
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.core.tasks import load_spec

OLD_FORMAT = 1
OLD_TASK = "roman"
"""Task of every bundle of format 1."""


@dataclass(frozen=True, slots=True)
class _Scale:
    top_speed: float
    gripper_threshold: float


@dataclass(frozen=True, slots=True)
class _OldManifest:
    """Content of a controller.yaml of format 1."""

    format_version: int
    kind: str
    skills: tuple[str, ...]
    gate: NetworkFile
    experts: Mapping[str, NetworkFile]
    rates: Rates
    action_scale: _Scale
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind != KIND:
            raise ValueError(f"kind {self.kind!r}: expected {KIND!r}")
        if not self.skills or set(self.skills) != set(self.experts):
            raise ValueError(f"experts: expected exactly one for each of skills {list(self.skills)}")


def is_old_bundle(folder: Path) -> bool:
    """Whether a folder holds a bundle of format 1."""
    file = folder / MANIFEST_NAME
    try:
        return file.is_file() and read_yaml(file, BundleError).get("format_version") == OLD_FORMAT
    except BundleError:
        return False


def migrate_bundle(source: Path, out: Path, evaluation: Mapping[str, Any] | None = None) -> None:
    """Write a bundle of format 1 anew, in format 2.

    Args:
        evaluation: summary of a report, to keep in the manifest.

    Raises:
        BundleError: if the bundle cannot be used, or `out` holds something that is no bundle.
    """
    file = source / MANIFEST_NAME
    old = build(_OldManifest, read_yaml(file, BundleError), str(file), BundleError)
    spec = load_spec(OLD_TASK)
    spec = dataclasses.replace(spec, action=dataclasses.replace(spec.action, **dataclasses.asdict(old.action_scale)))
    networks = {
        name: _renewed(spec, entry.read(source), str(source / entry.file))
        for name, entry in {GATE: old.gate, **old.experts}.items()
    }
    provenance = {**old.provenance, **({"evaluation": dict(evaluation)} if evaluation else {})}
    write_bundle(out, spec, networks, old.rates, provenance)


def _renewed(spec: TaskSpec, data: bytes, where: str) -> bytes:
    """The network with metadata of format 2; `write_bundle` checks what they say."""
    from onnx import helper

    from roman_moe.learning.foreign import read_model

    model = read_model(data, where)
    told = {entry.key: entry.value for entry in model.metadata_props}
    if told.get("format_version") != str(OLD_FORMAT):
        raise BundleError(f"{where}: network format version {told.get('format_version')}: expected {OLD_FORMAT}")
    told |= {"format_version": str(NETWORK_FORMAT), "task": spec.name, "top_angular_speed": "0.0"}
    order = NetworkMetadata.of_gate(spec, spec.gate_rate).to_properties()
    helper.set_model_props(model, {key: told[key] for key in order if key in told})
    renewed: bytes = model.SerializeToString(deterministic=True)
    return renewed
