"""A bundle of a policy that `train multitask` has left: all experts share its file, and a bundle's gate weighs them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from roman_moe.control.bundle_writer import write_bundle
from roman_moe.control.manifest import load_manifest
from roman_moe.control.metadata import NetworkMetadata
from roman_moe.control.network import Network
from roman_moe.control.rates import Rates
from roman_moe.core.errors import BundleError, ConfigError
from roman_moe.core.features import feature_layout
from roman_moe.core.paths import find_shipped
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.learning.export import PARITY_TOLERANCE
from roman_moe.learning.policies.multitask import Modular, Shared, SkillObservation
from roman_moe.learning.policies.onnx_graph import network_model
from roman_moe.learning.runs.multitask import TrainedPolicy, load_policy


def write_multitask_bundle(folder: Path, out: Path, gate: str) -> None:
    """Write the policy of `folder` as a bundle, under the gate of another one.

    Args:
        gate: folder of that bundle, shipped ones too; models/TASK if empty.

    Raises:
        ConfigError: if there is no policy, or it is by another method, or not for a task's skills.
        BundleError: if the gate is for another task, or the bundle would not load.
    """
    policy = load_policy(folder)
    spec = policy.suite.spec
    if spec is None or not isinstance(policy.learner.policy.get("actor"), Modular | Shared):
        raise ConfigError(
            f"{folder}: is {policy.run.method} on suite {policy.suite.name}: expected soft_modular or mt_sac on a "
            "task's skills"
        )
    source = find_shipped(gate or f"models/{spec.name}")
    manifest = load_manifest(source)
    if manifest.task != spec or manifest.skills != spec.skill_names:
        raise BundleError(f"{source}: its gate is for task {manifest.task.name!r}: expected one for {spec.name!r}")
    content = expert_content(policy, spec, manifest.rates)
    networks = {**dict.fromkeys(spec.skill_names, content), GATE: manifest.gate.read(source)}
    kept = ("method", "seed", "git_commit", "clone")
    about: dict[str, Any] = {key: policy.result[key] for key in kept if key in policy.result}
    about["steps"] = policy.result["rows"][-1]["steps"]
    of_expert, of_gate = {"multitask": about}, manifest.provenance.get("networks", {}).get(GATE, {})
    provenance = {"networks": {**dict.fromkeys(spec.skill_names, of_expert), GATE: of_gate}}
    write_bundle(out, spec, networks, manifest.rates, provenance)


class _OfOneSkill(nn.Module):
    """From all features of scenes, (B, n), and the code of the skill that each is for, (B, T), to actions, (B, a)."""

    def __init__(self, layer: SkillObservation, actor: Modular | Shared, actions: int) -> None:
        super().__init__()
        self.layer, self.body, self.actions = layer.layer, actor.body, actions
        self.modular = isinstance(actor, Modular)
        self.hidden: Tensor
        self.shown: Tensor
        self.register_buffer("hidden", layer.hidden[:, 0].float())
        self.register_buffer("shown", layer.shown[:, 0])

    def forward(self, observation: Tensor, code: Tensor) -> Tensor:
        own = observation.masked_fill(code @ self.hidden > 0.5, 0.0)
        seen = (code @ self.shown) * self.layer(own)
        answer = self.body(seen, code) if self.modular else self.body(torch.cat([seen, code], dim=1))
        return answer[:, : self.actions].tanh()  # the mean alone


def expert_content(policy: TrainedPolicy, spec: TaskSpec, rates: Rates) -> bytes:
    """Content of the file that all experts share, compared with torch for each of them; `rates` are the bundle's.

    Raises:
        BundleError: if an action differs by more than 1e-5.
    """
    layout, parts = feature_layout(spec), policy.learner.policy
    actor, layer = parts["actor"], parts["layer"]
    assert isinstance(actor, Modular | Shared)
    assert isinstance(layer, SkillObservation)
    skills = spec.skill_names
    metadata = NetworkMetadata.of_expert(spec, skills[0], rates.control_rate, layout.names)
    observed = tuple(layout.observations[skill] for skill in skills)
    module = _OfOneSkill(layer, actor, len(metadata.outputs))
    content = network_model(module, replace(metadata, skills=skills, observed=observed))
    rng, count = np.random.default_rng(0), len(layout)
    mean, std = layer.layer.mean[:count].numpy(), layer.layer.std[:count].numpy()
    rows = (mean + 2.0 * std * rng.standard_normal((64, count))).astype(np.float32)
    expected = policy.learner.act(torch.from_numpy(rows).expand(len(skills), -1, -1), greedy=True)
    for number, skill in enumerate(skills):
        network = Network(spec, content, str(policy.run.suite), skill)
        found = np.array([network(row.astype(np.float64)) for row in rows])
        difference = float(np.abs(found - expected[number]).max())
        if not difference <= PARITY_TOLERANCE:
            raise BundleError(
                f"{skill}: torch and ONNX differ by {difference:.1e}: expected {PARITY_TOLERANCE:.0e} or less"
            )
    return content
