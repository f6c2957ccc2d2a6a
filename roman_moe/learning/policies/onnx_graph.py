"""From a torch module to the content of an .onnx file, by torch's exporter that needs no further package."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence

import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from roman_moe.control.metadata import NetworkMetadata
from roman_moe.core.spec import GATE

OPSET = 17
CODE = "code"
"""Name of the input for the skill's one-hot code, where several experts share a network."""


def network_model(module: nn.Module, metadata: NetworkMetadata) -> bytes:
    """Content of the .onnx file of a policy: `observation` [batch, n] to `action` or `weights` [batch, k].

    If several experts share it, it has the input CODE [batch, skills], too.
    """
    sizes = {"observation": len(metadata.features), **({CODE: len(metadata.skills)} if metadata.skills else {})}
    inputs = {name: torch.zeros(1, size) for name, size in sizes.items()}
    output = "weights" if metadata.name == GATE else "action"
    return exported(module, inputs, [output], "batch", metadata.to_properties())


def exported(
    module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], rows: str, properties: Mapping[str, str]
) -> bytes:
    """Content of the .onnx file of a module.

    Args:
        module: takes the inputs in order, and answers the outputs.
        rows: name of the first dimension of them all, which may have any size.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is no longer torch's default one, which takes seconds
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            buffer,  # type: ignore[arg-type]  # not in its stubs
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: {0: rows} for name in (*inputs, *outputs)},
        )
    model = onnx.load_from_string(buffer.getvalue())
    helper.set_model_props(model, dict(properties))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)
