"""The controller at run time: bundle (manifest + ONNX), network, gate, expert, blend. numpy and onnxruntime only."""

from typing import TYPE_CHECKING

from roman_moe.core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from roman_moe.control.bundle import load_bundle
    from roman_moe.control.controller import Controller
    from roman_moe.control.manifest import load_manifest

__all__ = ["Controller", "load_bundle", "load_manifest"]
__getattr__ = lazy_exports(
    __name__,
    Controller="controller",
    load_bundle="bundle",
    load_manifest="manifest",
)
