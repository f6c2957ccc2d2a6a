"""Bundles: a folder with a manifest and one ONNX file per network, checked in full before anything of it runs.

Loading does not affect running networks: it returns a new, warmed-up object or raises a BundleError of one line.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.blend import are_weights
from roman_moe.control.manifest import Manifest, load_manifest, read_network
from roman_moe.control.network import Network
from roman_moe.control.rates import Rates
from roman_moe.control.swap import LoadedNetwork
from roman_moe.core.action import ACTION_BOUND
from roman_moe.core.errors import BundleError
from roman_moe.core.features import feature_layout
from roman_moe.core.paths import find_shipped
from roman_moe.core.spec import GATE, TaskSpec


@lru_cache(maxsize=16)
def _probes(spec: TaskSpec) -> NDArray[np.float64]:
    """Features at which a network's range is tried out: the origin, far away, and about where scenes are, (16, F)."""
    count = len(feature_layout(spec))
    near = np.random.default_rng(0).uniform(-1.0, 1.0, (13, count))
    return np.vstack([np.zeros(count), np.full(count, 10.0), np.full(count, -10.0), near])


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A controller's networks, ready to run.

    Attributes:
        experts: in the order of `skills`.
    """

    path: Path
    manifest: Manifest
    gate: Network
    experts: tuple[Network, ...]

    @property
    def skills(self) -> tuple[str, ...]:
        """Skills in the order of weights and experts."""
        return self.manifest.skills

    @property
    def rates(self) -> Rates:
        return self.manifest.rates

    @property
    def spec(self) -> TaskSpec:
        return self.manifest.task

    def contents(self) -> dict[str, bytes]:
        """Content of each network's file, by skill or "gate". Raises as `NetworkFile.read`."""
        return {name: file.read(self.path) for name, file in self.manifest.networks.items()}


def load_bundle(path: str | Path) -> Bundle:
    """Load and check all networks of the bundle in folder `path`; the shipped one, if there is none here.

    Raises:
        BundleError: naming the file, what is wrong with it, and what to do.
        MissingDependencyError: if there is no onnxruntime.
    """
    folder = find_shipped(path)
    manifest = load_manifest(folder)
    entries = [manifest.experts[skill] for skill in manifest.skills]
    experts = tuple(
        _expert_of(entry.read(folder), str(folder / entry.file), skill, manifest)
        for skill, entry in zip(manifest.skills, entries, strict=True)
    )
    gate = _gate_of(manifest.gate.read(folder), str(folder / manifest.gate.file), GATE, manifest)
    return Bundle(folder, manifest, gate, experts)


def load_model(model: str | Path, name: str, running: Manifest) -> LoadedNetwork[Network]:
    """Load and check one network's file, to run in place of one of a running bundle's.

    If the file's folder is a bundle that names it, its size and sha256 must be what that bundle's manifest says.

    Args:
        name: skill of the expert, or "gate", that it is to be.
        running: manifest of the bundle whose graph it is for.

    Raises:
        BundleError: naming the file, what is wrong with it, and what was expected.
        MissingDependencyError: if there is no onnxruntime.
    """
    path = Path(model)
    data = read_network(path)
    open_ = _gate_of if name == GATE else _expert_of
    return LoadedNetwork(open_(data, str(path), name, running), str(path), hashlib.sha256(data).hexdigest())


def _gate_of(data: bytes, where: str, name: str, manifest: Manifest) -> Network:
    network = _open(manifest.task, data, where, name, manifest.skills, manifest.rates.gate_rate)
    for weights in map(network, _probes(manifest.task)):
        if not are_weights(weights):
            raise BundleError(f"{where}: answers {np.round(weights, 3).tolist()}: expected weights that sum to 1")
    return network


def _expert_of(data: bytes, where: str, skill: str, manifest: Manifest) -> Network:
    network = _open(manifest.task, data, where, skill, manifest.task.action.layout, manifest.rates.control_rate)
    scale = manifest.task.action
    for name, unit in (("top_speed", "m/s"), ("top_angular_speed", "rad/s"))[: 2 if scale.angular else 1]:
        found, expected = getattr(network.metadata, name), getattr(scale, name)
        if found != expected:
            raise BundleError(f"{where}: was trained with {name} {found} {unit}: the manifest says {expected}")
    for action in map(network, _probes(manifest.task)):
        if not np.abs(action).max() <= ACTION_BOUND:
            raise BundleError(f"{where}: answers {np.round(action, 3).tolist()}: expected actions in [-1, 1]")
    return network


def _open(spec: TaskSpec, data: bytes, where: str, name: str, outputs: tuple[str, ...], rate: float) -> Network:
    """One network, whose metadata must say what the manifest says."""
    network = Network(spec, data, where, name)
    for what, found, expected in (
        ("skill", network.metadata.name, name),
        ("outputs", network.metadata.outputs, outputs),
        ("rate_hz", network.metadata.rate, rate),
    ):
        if found != expected:
            raise BundleError(
                f"{where}: its metadata say {what} {_text(found)}: the manifest expects {_text(expected)}"
            )
    return network


def _text(value: str | float | tuple[str, ...]) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
