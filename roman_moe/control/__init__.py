"""The controller at run time: bundle (manifest + ONNX), network, gate, expert, blend. numpy and onnxruntime only."""

from typing import TYPE_CHECKING

from roman_moe.core.face import face

if TYPE_CHECKING:
    from roman_moe.control.bundle import load_bundle
    from roman_moe.control.controller import Controller
    from roman_moe.control.manifest import load_manifest

__all__ = ["Controller", "load_bundle", "load_manifest"]
__getattr__ = face(
    __name__,
    Controller="controller",
    load_bundle="bundle",
    load_manifest="manifest",
)
