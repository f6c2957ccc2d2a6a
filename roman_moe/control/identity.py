"""Path and sha256 of the networks that a command runs; equal sha256 mean equal answers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from roman_moe.control.manifest import load_manifest, read_network
from roman_moe.core.paths import find_shipped

ORACLE = "oracle"
"""Name of the scripted demonstrators, where a controller is asked for."""
KEYBOARD = "keyboard"
"""Likewise of a scripted operator who presses keys."""
SCRIPTED = (ORACLE, KEYBOARD)


@dataclass(frozen=True, slots=True)
class Identity:
    """A bundle, or the file of one network.

    Attributes:
        path: of the folder or file, from the root.
        sha256: of the bundle's networks, rates and task (`Manifest.digest`), or of the file; in hexadecimal.
    """

    path: Path
    sha256: str

    def __str__(self) -> str:
        return f"{self.path} (sha256 {self.sha256[:12]})"

    def to_dict(self) -> dict[str, str]:
        """As reports have it."""
        return {"controller": str(self.path), "controller_sha256": self.sha256}


def identify(path: str | Path) -> Identity:
    """Identity of a bundle's folder, of what is shipped if there is none here, or of a network's .onnx file.

    Raises:
        BundleError: if there is neither.
    """
    found = find_shipped(path).resolve()
    if found.suffix == ".onnx" and found.is_file():
        return Identity(found, hashlib.sha256(read_network(found)).hexdigest())
    if not found.is_dir():
        load_manifest(path)  # says what is wrong with it, as the user gave it
    return Identity(found, load_manifest(found).digest())
