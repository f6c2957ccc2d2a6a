"""Bundles: a folder with a manifest and one ONNX file per network, checked in full before anything of it runs.

Loading never touches what is running: it returns a new, warmed-up object or raises a BundleError of one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roman_moe.control.expert import Expert
from roman_moe.control.gate import Gate
from roman_moe.control.manifest import Manifest, NetworkFile, load_manifest
from roman_moe.control.metadata import GATE
from roman_moe.control.network import Network
from roman_moe.control.rates import Rates
from roman_moe.core.action import ACTION_LAYOUT, ActionScale
from roman_moe.core.errors import BundleError
from roman_moe.core.features import FEATURES

OUTPUT_TOLERANCE = 1e-3
"""By which a network's outputs may miss their range: float32 rounding stays far below, a wrong head far above."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A controller's networks, ready to run.

    Attributes:
        path: folder that it came from.
        manifest: what it says about itself.
        gate: weighs the experts.
        experts: in the order of `skills`.
    """

    path: Path
    manifest: Manifest
    gate: Gate
    experts: tuple[Expert, ...]

    @property
    def skills(self) -> tuple[str, ...]:
        """Skills in the order of weights and experts."""
        return self.manifest.skills

    @property
    def rates(self) -> Rates:
        """At which gate and experts run."""
        return self.manifest.rates

    @property
    def action_scale(self) -> ActionScale:
        """What an action of 1 means."""
        return self.manifest.action_scale


def load_bundle(path: str | Path) -> Bundle:
    """Load and check all networks of the bundle in folder `path`.

    Raises:
        BundleError: naming the file, what is wrong with it, and what to do.
        MissingDependencyError: if there is no onnxruntime.
    """
    folder = Path(path)
    manifest = load_manifest(folder)
    experts = tuple(_open_expert(folder, manifest, skill) for skill in manifest.skills)
    return Bundle(folder, manifest, _open_gate(folder, manifest), experts)


def load_gate(path: str | Path) -> Gate:
    """Load and check only the gate of the bundle in folder `path`. Raises as `load_bundle`."""
    return _open_gate(Path(path), load_manifest(path))


def load_expert(path: str | Path, skill: str) -> Expert:
    """Load and check only the expert of one skill of the bundle in folder `path`. Raises as `load_bundle`."""
    manifest = load_manifest(path)
    if skill not in manifest.skills:
        raise BundleError(f"{path}: has no expert for {skill!r}: its skills are {', '.join(manifest.skills)}")
    return _open_expert(Path(path), manifest, skill)


def _open_gate(folder: Path, manifest: Manifest) -> Gate:
    network = _open(folder, manifest.gate, GATE, manifest.skills, manifest.rates.gate_rate)
    weights = network(np.zeros(len(FEATURES)))
    if abs(weights.sum() - 1.0) > OUTPUT_TOLERANCE or weights.min() < -OUTPUT_TOLERANCE:
        raise BundleError(
            f"{folder / manifest.gate.file}: answers {np.round(weights, 3).tolist()}: expected weights that sum to 1"
        )
    return Gate(network)


def _open_expert(folder: Path, manifest: Manifest, skill: str) -> Expert:
    entry = manifest.experts[skill]
    network = _open(folder, entry, skill, ACTION_LAYOUT, manifest.rates.control_rate)
    if network.metadata.top_speed != manifest.action_scale.top_speed:
        raise BundleError(
            f"{folder / entry.file}: was trained with top_speed {network.metadata.top_speed} m/s: the manifest says "
            f"{manifest.action_scale.top_speed}"
        )
    action = network(np.zeros(len(FEATURES)))
    if np.abs(action).max() > 1.0 + OUTPUT_TOLERANCE:
        raise BundleError(f"{folder / entry.file}: answers {np.round(action, 3).tolist()}: expected actions in [-1, 1]")
    return Expert(network)


def _open(folder: Path, entry: NetworkFile, name: str, outputs: tuple[str, ...], rate: float) -> Network:
    """One network of the manifest, whose metadata must say what the manifest says."""
    network = Network(entry.read(folder), str(folder / entry.file))
    for what, found, expected in (
        ("skill", network.metadata.name, name),
        ("outputs", network.metadata.outputs, outputs),
        ("rate_hz", network.metadata.rate, rate),
    ):
        if found != expected:
            raise BundleError(
                f"{folder / entry.file}: its metadata say {what} {_text(found)}: the manifest expects {_text(expected)}"
            )
    return network


def _text(value: str | float | tuple[str, ...]) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
