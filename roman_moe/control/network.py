"""One network: an ONNX session that is fed and read as its own metadata say.

What cannot be trusted is refused before the runtime sees it: other opsets, operators outside the default domain, data
outside the file. Not safe for use from several threads at once: the buffers are its own.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.metadata import NetworkMetadata
from roman_moe.control.onnx_file import summarize
from roman_moe.core.errors import BundleError, MissingDependencyError
from roman_moe.core.features import FEATURES, feature_indices

MIN_OPSET = 13
MAX_OPSET = 21  # what the oldest supported onnxruntime (1.18) runs; exports use 17


def runtime() -> Any:
    """The onnxruntime module.

    Raises:
        MissingDependencyError: if neither flavour of it is installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"onnxruntime cannot be imported ({_first_line(error)}): install roman-moe[cpu], or roman-moe[gpu] on a "
            "machine with an NVIDIA GPU (never both in one environment)"
        ) from None
    return onnxruntime


class Network:
    """One ONNX network in memory, checked and ready.

    Attributes:
        metadata: what it says about itself.
        features: names of what it observes, in order.
    """

    def __init__(self, data: bytes, where: str) -> None:
        """Open a network from the bytes of its file.

        Args:
            data: content of the .onnx file.
            where: its name in messages.

        Raises:
            BundleError: with the reason, if it must not run.
            MissingDependencyError: if there is no onnxruntime.
        """
        self._check_file(data, where)
        ort = runtime()
        try:
            self._session = ort.InferenceSession(data, _session_options(ort), providers=["CPUExecutionProvider"])
            properties = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # noqa: BLE001 (the runtime's exceptions share no base class)
            raise BundleError(f"{where}: onnxruntime refuses it: {_first_line(error)}: export it again") from None
        self.metadata = NetworkMetadata.from_properties(properties, where)
        self.features = self.metadata.features
        self._indices = feature_indices(self.features)
        self._bind(where)
        self._warm_up(where)

    def __call__(self, feature_vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """Outputs, (k,), for all features of a scene (`core.features.feature_vector`), (F,)."""
        self._input[0] = feature_vector[self._indices]
        self._session.run_with_iobinding(self._binding)
        result: NDArray[np.float64] = self._output[0].astype(np.float64)
        return result

    @staticmethod
    def _check_file(data: bytes, where: str) -> None:
        try:
            summary = summarize(data)
        except ValueError as error:
            raise BundleError(f"{where}: not an ONNX file ({error}): copy or export it again") from None
        foreign = sorted((summary.domains | summary.opsets.keys()) - {""})
        if foreign or summary.local_functions:
            raise BundleError(
                f"{where}: uses operators of domain {', '.join(map(repr, foreign)) or 'its own'}: only those of the "
                "default ONNX domain are allowed"
            )
        opset = summary.opsets.get("", 0)
        if not MIN_OPSET <= opset <= MAX_OPSET:
            raise BundleError(f"{where}: opset {opset}: expected {MIN_OPSET} to {MAX_OPSET}")
        if summary.external:
            raise BundleError(
                f"{where}: keeps the data of {summary.external[0]!r} outside the file: export it as a single file"
            )

    def _bind(self, where: str) -> None:
        """Check inputs and outputs, and tie them to buffers of our own: no allocation per tick."""
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise BundleError(f"{where}: has {len(inputs)} inputs and {len(outputs)} outputs: expected one of each")
        buffers = []
        for kind, port, names in (
            ("input", inputs[0], self.features),
            ("output", outputs[0], self.metadata.outputs),
        ):
            batch, *rest = port.shape or [0]
            if (
                port.type != "tensor(float)"
                or rest != [len(names)]
                or not (batch in (1, None) or isinstance(batch, str))
            ):
                raise BundleError(
                    f"{where}: {kind} {port.name!r} is {port.type} of shape {port.shape}: its metadata name "
                    f"{len(names)} values, so expected tensor(float) of shape [batch, {len(names)}]"
                )
            buffers.append(np.zeros((1, len(names)), dtype=np.float32))
        self._input, self._output = buffers
        self._binding = self._session.io_binding()
        for bind, port, buffer in (
            (self._binding.bind_input, inputs[0], self._input),
            (self._binding.bind_output, outputs[0], self._output),
        ):
            bind(port.name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)

    def _warm_up(self, where: str) -> None:
        """Run once at the origin and once far away: memory is planned before the first tick, and all is finite."""
        for value in (0.0, 10.0):
            try:
                result = self(np.full(len(FEATURES), value))
            except Exception as error:  # noqa: BLE001 (likewise)
                raise BundleError(f"{where}: does not run: {_first_line(error)}: export it again") from None
            if not np.isfinite(result).all():
                raise BundleError(f"{where}: answers {result.tolist()} when all features are {value}: not finite")


def _session_options(ort: Any) -> Any:
    """One thread, no spinning: networks this small gain nothing from more, and a robot has other things to do."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors come as exceptions; ours are one line
    return options


def _first_line(error: BaseException) -> str:
    lines = [re.sub(r"\s+", " ", line).strip() for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)
