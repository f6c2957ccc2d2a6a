"""Writes bundles: complete and loadable, or not there at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roman_moe.control.bundle import load_bundle
from roman_moe.control.manifest import BUNDLE_FORMAT, KIND, MANIFEST_NAME, Manifest, NetworkFile
from roman_moe.control.rates import Rates
from roman_moe.core.errors import BundleError
from roman_moe.core.files import atomic_folder
from roman_moe.core.spec import GATE, TaskSpec

SHARED = "experts.onnx"
"""Name of the file that all experts share."""


def write_bundle(
    folder: Path,
    spec: TaskSpec,
    networks: Mapping[str, bytes],
    rates: Rates,
    provenance: dict[str, Any],
) -> None:
    """Write a bundle and load it once; it replaces an older bundle in its place only when all of that went well.

    Args:
        networks: content of the .onnx files by skill, and of the gate by "gate"; if all experts have the same,
            they share one file.
        provenance: what to say about where it came from; plain YAML types.

    Raises:
        BundleError: if the bundle would not load, or `folder` holds something that is no bundle.
    """
    skills = tuple(skill for skill in spec.skills if skill in networks)
    files = {name: NetworkFile.of(f"{name}.onnx", networks[name]) for name in (GATE, *skills)}
    if len(skills) > 1 == len({networks[skill] for skill in skills}):
        files |= dict.fromkeys(skills, NetworkFile.of(SHARED, networks[skills[0]]))
    experts = {skill: files[skill] for skill in skills}
    manifest = Manifest(BUNDLE_FORMAT, KIND, spec, spec.digest, skills, files[GATE], experts, rates, provenance)
    check_replaceable(folder, force=True)
    with atomic_folder(folder) as temporary:
        for name, file in files.items():
            (temporary / file.file).write_bytes(networks[name])
        (temporary / MANIFEST_NAME).write_text(manifest.to_yaml(), encoding="utf-8")
        load_bundle(temporary)


def check_replaceable(folder: Path, force: bool = False) -> None:
    """Refuse to overwrite a bundle unasked, and anything else in any case: a slip in a path must not cost files.

    Args:
        force: whether a bundle in `folder` may be replaced.

    Raises:
        BundleError: naming the first thing in `folder` that a bundle does not have, or the bundle.
    """
    if folder.is_dir():
        entries = sorted(folder.iterdir())
        for entry in entries:
            if entry.name != MANIFEST_NAME and entry.suffix != ".onnx":
                raise BundleError(f"{folder}: holds {entry.name}, which is no part of a bundle: choose another folder")
        if entries and not force:
            raise BundleError(f"{folder}: holds a bundle already: choose another folder, or replace it with --force")
    elif folder.exists():
        raise BundleError(f"{folder}: is no folder: choose another name")
