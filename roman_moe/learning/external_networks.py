"""Networks trained elsewhere become the program's own: an ONNX file, or a policy of Stable-Baselines3.

An ONNX file gets the metadata of docs/networks.md; its operators stay as they are. Of a Stable-Baselines3 zip only JSON
and, with torch's `weights_only`, tensors are read. No code that such a file may hold is run.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from roman_moe.control.bundle import load_bundle
from roman_moe.control.bundle_writer import write_bundle
from roman_moe.control.metadata import NetworkMetadata
from roman_moe.control.network import Network
from roman_moe.core.action import ACTION_BOUND
from roman_moe.core.errors import BundleError, one_line
from roman_moe.core.features import feature_layout
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.learning.vec_normalize import ObservationScale, read_vec_normalize

if TYPE_CHECKING:
    import torch

ACTIVATIONS = ("Tanh", "ReLU", "ELU", "SiLU", "LeakyReLU")
"""Torch's activations, with their default parameters."""

MAX_JSON = 64 << 20  # [bytes]
PROBES = 64
WEIGHT_TOLERANCE = 1e-3


def metadata_of(spec: TaskSpec, skill: str, features: tuple[str, ...], rate: float, speed: float) -> NetworkMetadata:
    """Metadata of a task's network for a skill or "gate".

    Args:
        features: that it observes; what the task says, if none.
        rate: at which it was trained to run [Hz].
        speed: of an expert's action of 1 [m/s].
    """
    for name in features:
        if name not in feature_layout(spec).index:
            raise BundleError(f"unknown feature {name!r}: docs/networks.md has the list")
    if skill == GATE:
        return NetworkMetadata.of_gate(spec, rate, features)
    return NetworkMetadata.of_expert(spec, skill, rate, features, speed)


def network_content(
    spec: TaskSpec, source: Path, metadata: NetworkMetadata, normalisation: Path | None = None
) -> bytes:
    """Content of the .onnx file of a network trained elsewhere, checked as the controller checks it.

    Args:
        source: a .onnx file, or a .zip of Stable-Baselines3's PPO, A2C or SAC with an MlpPolicy.
        normalisation: what `VecNormalize.save` wrote; for a .zip alone.

    Raises:
        BundleError: if it cannot be read or converted, or must not run.
    """
    if source.suffix == ".zip":
        data = _converted(source, metadata, normalisation)
    elif normalisation is not None:
        raise BundleError(f"{source}: an ONNX file normalises by itself: {normalisation} is for a .zip")
    else:
        data = _described(source, metadata)
    _check_answers(Network(spec, data, str(source)), len(feature_layout(spec)), source)
    return data


def _described(source: Path, metadata: NetworkMetadata) -> bytes:
    try:
        model = onnx.load_model_from_string(source.read_bytes())
    except OSError as error:
        raise BundleError(f"{source}: cannot be read: {error.strerror}") from None
    except Exception as error:  # protobuf's exceptions share no base class with onnx's
        raise BundleError(f"{source}: no ONNX file: {one_line(error)}") from error
    helper.set_model_props(model, metadata.to_properties())
    return model.SerializeToString(deterministic=True)


def _check_answers(network: Network, features: int, source: Path) -> None:
    """Refuse answers that the controller would take for a fault; a file that does not clip them is found here."""
    rng = np.random.default_rng(0)
    for vector in rng.uniform(-1.0, 1.0, (PROBES, features)):
        answer = network(vector)
        if network.metadata.name == GATE:
            if answer.min() < -WEIGHT_TOLERANCE or abs(answer.sum() - 1.0) > WEIGHT_TOLERANCE:
                raise BundleError(f"{source}: weights {answer.round(3).tolist()}: expected a softmax at its end")
        elif not np.abs(answer).max() <= ACTION_BOUND:
            raise BundleError(f"{source}: action {answer.round(3).tolist()}: expected a clip or tanh at its end")


def _converted(source: Path, metadata: NetworkMetadata, normalisation: Path | None) -> bytes:
    """The deterministic policy of a Stable-Baselines3 zip as ONNX."""
    if metadata.name == GATE:
        raise BundleError(f"{source}: Stable-Baselines3 policies answer actions: a gate has to be an ONNX file")
    settings, weights = _read_zip(source)
    layers, activation, squash = _layers(source, settings, weights)
    scale = read_vec_normalize(normalisation) if normalisation is not None else None
    inputs, outputs = len(metadata.features), len(metadata.outputs)
    if layers[0][0].shape[0] != inputs or layers[-1][0].shape[1] != outputs:
        raise BundleError(
            f"{source}: policy of {layers[0][0].shape[0]} observations and {layers[-1][0].shape[1]} actions: expected "
            f"{inputs} and {outputs}, of {metadata.name}'s features and {', '.join(metadata.outputs)}"
        )
    if scale is not None and scale.mean.shape != (inputs,):
        raise BundleError(f"{normalisation}: normalises {scale.mean.shape}: expected ({inputs},)")
    return _model(layers, activation, squash, scale, metadata)


Layers = list[tuple[NDArray[np.float32], NDArray[np.float32]]]


def _read_zip(source: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    import torch  # not for an ONNX file

    try:
        with zipfile.ZipFile(source) as archive:
            if archive.getinfo("data").file_size > MAX_JSON:
                raise ValueError("its data are no policy's")
            settings = json.loads(archive.read("data"))
            weights = torch.load(io.BytesIO(archive.read("policy.pth")), map_location="cpu", weights_only=True)
        if not isinstance(settings, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
            raise ValueError("it holds other things than a policy's")
    except OSError as error:
        raise BundleError(f"{source}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # zipfile, json and torch raise anything on a damaged file
        reason = one_line(error)[:200]
        raise BundleError(f"{source}: no policy saved by Stable-Baselines3: {reason}") from error
    return settings, weights


def _layers(source: Path, settings: dict[str, Any], weights: dict[str, torch.Tensor]) -> tuple[Layers, str, bool]:
    """The actor's linear layers, (inputs, outputs) and bias; its activation; whether tanh squashes its answers."""
    if "action_net.weight" in weights:  # ActorCriticPolicy: PPO, A2C
        body, head, activation, squash = "mlp_extractor.policy_net.", "action_net.", "Tanh", False
    elif "actor.mu.weight" in weights:  # SAC
        body, head, activation, squash = "actor.latent_pi.", "actor.mu.", "ReLU", True
    else:
        raise BundleError(f"{source}: no MlpPolicy of PPO, A2C or SAC with continuous actions: export it as ONNX")
    if any("features_extractor" in name for name in weights):
        raise BundleError(f"{source}: has a features extractor of its own: export it as ONNX")
    chosen = settings.get("policy_kwargs") or {}
    if str(chosen.get("squash_output", False)) == "True" and not squash:
        raise BundleError(f"{source}: squash_output: export it as ONNX")
    if "activation_fn" in chosen:
        activation = re.sub(r".*\.(\w+)'>$", r"\1", str(chosen["activation_fn"]))
    if activation not in ACTIVATIONS:
        raise BundleError(f"{source}: activation {activation}: expected one of {', '.join(ACTIVATIONS)}")
    space = settings.get("action_space") or {}
    for key, expected in (("low", -1.0), ("high", 1.0)):
        text = str(space.get(key, ""))  # Stable-Baselines3 spells arrays out beside their pickles
        bounds = {float(number) for number in re.findall(r"-?(?:[\d.]+|inf)", text)}
        if bounds != {expected}:
            found = text or "no bound"
            raise BundleError(f"{source}: actions have {key} {found}: expected -1 to 1 each (docs/networks.md)")
    numbers = sorted({int(name[len(body) :].split(".")[0]) for name in weights if name.startswith(body)})
    names = [*(f"{body}{number}." for number in numbers), head]
    try:
        layers = [(weights[f"{name}weight"].numpy().T, weights[f"{name}bias"].numpy()) for name in names]
    except KeyError as error:
        raise BundleError(f"{source}: has layers other than linear ones ({error}): export it as ONNX") from None
    if any(weight.ndim != 2 for weight, _ in layers):
        raise BundleError(f"{source}: has layers other than linear ones: export it as ONNX")
    return layers, activation, squash


def _model(
    layers: Layers, activation: str, squash: bool, scale: ObservationScale | None, metadata: NetworkMetadata
) -> bytes:
    import torch
    from torch import nn

    from roman_moe.learning.policies.onnx_graph import network_model

    class Policy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            body: list[nn.Module] = []
            for weight, bias in layers:
                linear = nn.Linear(*weight.shape)
                linear.load_state_dict({"weight": torch.from_numpy(weight.T), "bias": torch.from_numpy(bias)})
                body += [linear, getattr(nn, activation)()]
            self.body = nn.Sequential(*body[:-1], nn.Tanh() if squash else nn.Hardtanh())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if scale is not None:
                mean, deviation = torch.from_numpy(scale.mean), torch.from_numpy(scale.deviation)
                x = ((x - mean) / deviation).clamp(-scale.clip, scale.clip)
            return self.body(x)

    return network_model(Policy(), metadata)


def replace_network(bundle: Path, name: str, content: bytes, source: Path) -> None:
    """Write `bundle` anew with another network in it, and where that came from in its manifest.

    Raises:
        BundleError: if there is no bundle that holds such a network, or the new one does not fit it.
    """
    loaded = load_bundle(bundle)
    manifest, networks = loaded.manifest, loaded.contents()
    if name not in networks:
        raise BundleError(f"{bundle}: has no network {name}: it has {', '.join(networks)}")
    provenance = dict(manifest.provenance)
    provenance["networks"] = {
        **provenance.get("networks", {}),
        name: {"imported": source.name, "sha256": hashlib.sha256(source.read_bytes()).hexdigest()},
    }
    provenance.pop("evaluation", None)  # it was of another network
    write_bundle(bundle, manifest.task, networks | {name: content}, manifest.rates, provenance)
