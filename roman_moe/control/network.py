"""One network, an expert or the gate: an ONNX session with inputs and outputs as in its metadata.

Its scaling, and a gate's softmax, are inside its graph: its answer is an expert's action or the gate's weights.

Files are checked before the runtime opens them: opsets and operators that are not allowed, weights that are not finite
and data outside the file are refused. This finds damage and mistakes; it does not make an untrusted file safe to run.
A network has its own buffers, so only one thread at a time may use it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.metadata import NetworkMetadata
from roman_moe.control.onnx_file import summarize
from roman_moe.core.errors import BundleError, MissingDependencyError
from roman_moe.core.features import feature_layout
from roman_moe.core.spec import TaskSpec

MIN_OPSET = 13
MAX_OPSET = 21  # what the oldest supported onnxruntime (1.18) runs; exports use 17

REFUSED_OPERATORS = frozenset(
    (
        *("Loop", "Scan", "SequenceMap"),  # may never end
        *("Bernoulli", "Multinomial"),  # give no answer twice
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        *("ConstantOfShape", "EyeLike", "Expand", "OneHot"),  # make large tensors of a few numbers
        *("Pad", "Range", "Resize", "Tile", "Upsample"),
        *("Compress", "NonMaxSuppression", "NonZero", "Unique"),  # have outputs of another shape for another scene
    )
)
"""What no policy needs, and what could hang the process, fill its memory or answer differently each time."""

_Port = tuple[str, str, list[Any]]  # name, type and shape of an input or output


def runtime() -> Any:
    """The onnxruntime module, without its telemetry: it keeps a database in the home folder and opens sockets.

    Raises:
        MissingDependencyError: if neither flavour of it is installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, at the import
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"onnxruntime cannot be imported ({first_line(error)}): install roman-moe[cpu], or roman-moe[gpu] on a "
            "machine with an NVIDIA GPU (never both in one environment)"
        ) from None
    return onnxruntime


class Network:
    """One ONNX network in memory, checked and ready.

    Attributes:
        features: names of its observed features, in order.
        output: its last answer, (k,); the next answer overwrites it.
        no_answer: NaN, (k,).
        idle: zeros, (k,), in place of the answer of an idle network.
    """

    def __init__(self, spec: TaskSpec, data: bytes, where: str, name: str = "") -> None:
        """Open a network from the bytes of its file.

        Args:
            where: its name in messages.
            name: skill that it is to do, if it is one that several share; the first one's if not given.

        Raises:
            BundleError: with the reason, if it must not run.
            MissingDependencyError: if there is no onnxruntime.
        """
        check_file(data, where)
        ort = runtime()
        try:
            self._session = ort.InferenceSession(
                data, session_options(ort), providers=["CPUExecutionProvider"], enable_fallback=0
            )
            properties = self._session.get_modelmeta().custom_metadata_map
            ports = [
                [(port.name, port.type, port.shape or [0]) for port in some]  # which may not be UTF-8
                for some in (self._session.get_inputs(), self._session.get_outputs())
            ]
        except Exception as error:  # noqa: BLE001 (the runtime's exceptions share no base class)
            raise BundleError(f"{where}: onnxruntime refuses it: {first_line(error)}: export it again") from None
        self.metadata = NetworkMetadata.from_properties(spec, properties, where)
        if name in self.metadata.skills:
            self.metadata = replace(self.metadata, name=name)
        self.features = self.metadata.features
        self.no_answer = np.full(len(self.metadata.outputs), np.nan)
        self.idle = np.zeros(len(self.metadata.outputs))
        layout = feature_layout(spec)
        self._indices = layout.indices(self.features)
        self._objects = layout.objects_of(self.metadata.own).tolist()
        self._bind(ports[0], ports[1], where)
        self._warm_up(len(layout), layout.indices(self.metadata.own), where)

    def __call__(self, feature_vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """Outputs, (k,), for all features of a scene (`FeatureLayout.vector`), (F,); see `attempt`."""
        self.feed(feature_vector)
        self.attempt()
        return self.output.astype(np.float64)

    def answer(self, features: NDArray[np.float64], usable: Sequence[bool]) -> NDArray[np.float64]:
        """Outputs, or NaN for "no answer" if an object that it observes is not usable, (k,).

        Args:
            features: of a scene, (F,).
            usable: which objects may be acted on.
        """
        return self(features) if self.sees(usable) else self.no_answer

    def sees(self, usable: Sequence[bool]) -> bool:
        """Whether all objects that it observes may be acted on; `usable`: which may."""
        return all(map(usable.__getitem__, self._objects))

    def feed(self, feature_vector: NDArray[np.float64]) -> None:
        """Take what it observes from all features of a scene, (F,)."""
        self._observation[:] = feature_vector.take(self._indices)

    def attempt(self) -> None:
        """Answer what it was fed: NaN if the runtime cannot. One network's failure is no end of the control loop."""
        try:
            self.run()
        except Exception:  # noqa: BLE001 (the runtime's exceptions share no base class)
            self.output[:] = np.nan

    def run(self) -> None:
        """The runtime's call alone, on what it was last fed: what no controller can do without."""
        self._session.run_with_iobinding(self._binding)

    def _bind(self, inputs: list[_Port], outputs: list[_Port], where: str) -> None:
        """Check inputs and outputs, and tie them to buffers of our own: no allocation per tick."""
        skills = self.metadata.skills
        if len(inputs) != (2 if skills else 1) or len(outputs) != 1:
            expected = "two inputs and one output, as several skills share it" if skills else "one of each"
            raise BundleError(f"{where}: has {len(inputs)} inputs and {len(outputs)} outputs: expected {expected}")
        buffers = []
        for kind, (name, type_, shape), names in (
            ("input", inputs[0], self.features),
            ("output", outputs[0], self.metadata.outputs),
            *([("input", inputs[1], skills)] if skills else []),
        ):
            batch, *rest = shape
            if type_ != "tensor(float)" or rest != [len(names)] or not (batch in (1, None) or isinstance(batch, str)):
                raise BundleError(
                    f"{where}: {kind} {name!r} is {type_} of shape {shape}: its metadata name "
                    f"{len(names)} values, so expected tensor(float) of shape [batch, {len(names)}]"
                )
            buffers.append(np.zeros((1, len(names)), dtype=np.float32))
        self._observation, self.output = buffers[0][0], buffers[1][0]
        self._codes = buffers[2:]  # kept, since the runtime reads it at each call
        for code in self._codes:
            code[0, skills.index(self.metadata.name)] = 1.0
        self._binding = binding = self._session.io_binding()
        ports = [(binding.bind_input, inputs[0]), (binding.bind_output, outputs[0])]
        ports += [(binding.bind_input, port) for port in inputs[1:]]
        for (bind, (name, _, _)), buffer in zip(ports, buffers, strict=True):
            bind(name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)

    def _warm_up(self, count: int, own: NDArray[np.intp], where: str) -> None:
        """Run once at the origin and once far away: memory is planned before the first tick, and all is finite.

        Features that it does not go by are NaN there, as those of an object that was never seen may be.
        """
        for value in (0.0, 10.0):
            features = np.full(count, np.nan)
            features[own] = value
            self.feed(features)
            try:
                self.run()
            except Exception as error:  # noqa: BLE001 (likewise)
                raise BundleError(f"{where}: does not run: {first_line(error)}: export it again") from None
            if not np.isfinite(self.output).all():
                raise BundleError(
                    f"{where}: answers {self.output.tolist()} when all that it observes is {value}: not finite"
                )


def answers(
    networks: Sequence[Network],
    features: NDArray[np.float64],
    usable: Sequence[bool],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Those of all experts, (n, a), as `Network.answer` gives them; zeros of one whose weight is 0, which is not run.

    All are fed before the first one runs: the runtime is faster with nothing else between its calls.
    """
    everything = all(usable)
    asked, rows = [], []
    for network, weight in zip(networks, weights.tolist(), strict=True):
        if weight == 0.0:
            rows.append(network.idle)
        elif everything or network.sees(usable):
            asked.append(network)
            rows.append(network.output)
        else:
            rows.append(network.no_answer)
    for network in asked:
        network.feed(features)
    for network in asked:
        network.attempt()
    return np.array(rows, dtype=np.float64)


def check_file(data: bytes, where: str, refused: frozenset[str] = REFUSED_OPERATORS) -> None:
    """Look at a network's file before the runtime does.

    Args:
        refused: operators that have no place in it.

    Raises:
        BundleError: with the reason, if it must not run.
    """
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
    found = sorted(summary.operators & refused)
    if found:
        raise BundleError(f"{where}: uses {', '.join(found)}, which a policy must not use")
    if summary.not_finite:
        raise BundleError(f"{where}: holds numbers in {summary.not_finite[0]!r} that are not finite")


def session_options(ort: Any) -> Any:
    """One thread, no spinning: networks this small gain nothing from more, and a robot has other things to do."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # its own format is nothing we checked
    options.log_severity_level = 4  # errors come as exceptions; ours are one line
    return options


def first_line(error: BaseException) -> str:
    lines = [re.sub(r"\s+", " ", line).strip() for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)
