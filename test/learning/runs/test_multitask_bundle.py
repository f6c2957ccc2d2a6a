"""A Soft-Modular policy of a task's skills as a bundle: n experts, one file, told apart by the skill's code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from specs import LAYOUT, ROMAN, SKILLS

from roman_moe.cli.main import main
from roman_moe.control.bundle import load_bundle, load_model
from roman_moe.core.errors import BundleError, ConfigError
from roman_moe.core.files import write_json
from roman_moe.learning.algorithms.multitask_sac import SACRecipe
from roman_moe.learning.policies.multitask import Sizes
from roman_moe.learning.runs.multitask import POLICY, RESULT, MultitaskRun, _Training, load_policy

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy of four layers of three modules that has learned nothing, with weights of normal size."""
    folder = tmp_path_factory.mktemp("policy")
    sizes = Sizes((24, 24), layers=4, modules=3, width=16)
    training = _Training(MultitaskRun("lab", "soft_modular", 0, sac=SACRecipe(sizes=sizes)))
    policy = training.learner.policy
    for part in policy.values():
        for values in part.parameters():
            torch.nn.init.normal_(values, std=values.shape[-1] ** -0.5)
    training.learner.layer.fit(torch.randn(100, len(LAYOUT)))
    torch.save({name: part.state_dict() for name, part in policy.items()}, folder / POLICY)
    training.rows = [{"steps": 0, "success": dict.fromkeys(SKILLS, 0.0)}]
    write_json(folder / RESULT, training.result())
    return folder


@pytest.fixture(scope="module")
def bundle(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "bundle"
    assert main(["export", str(trained), str(out)]) == 0
    return out


def test_all_experts_share_one_file_under_the_gate_of_the_shipped_bundle(bundle):
    assert {path.name for path in bundle.iterdir()} == {"controller.yaml", "experts.onnx", "gate.onnx"}
    assert (bundle / "gate.onnx").read_bytes() == (ROOT / "models" / "roman" / "gate.onnx").read_bytes()
    loaded = load_bundle(bundle)
    assert loaded.skills == SKILLS
    assert [expert.metadata.name for expert in loaded.experts] == [*SKILLS]


def test_each_expert_answers_as_the_policy_does_for_its_skill(trained, bundle):
    policy, rows = load_policy(trained), np.random.default_rng(1).normal(size=(20, len(LAYOUT))).astype(np.float32)
    expected = policy.learner.act(torch.from_numpy(rows).expand(len(SKILLS), -1, -1), greedy=True)
    experts = load_bundle(bundle).experts
    found = np.array([[expert(row.astype(np.float64)) for row in rows] for expert in experts])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-2  # the code matters


def test_the_shared_file_can_be_swapped_in_for_any_of_its_skills(bundle, tmp_path):
    running, rows = load_bundle(bundle), np.zeros(len(LAYOUT))
    for skill, expert in zip(SKILLS[:2], running.experts[:2], strict=True):
        loaded = load_model(bundle / "experts.onnx", skill, running.manifest).network
        np.testing.assert_array_equal(loaded(rows), expert(rows))
    model = onnx.load(bundle / "experts.onnx")
    for one in model.metadata_props:
        if one.key == "skills":
            one.value = ",".join(SKILLS[:-1])
    onnx.save(model, tmp_path / "fewer.onnx")
    with pytest.raises(BundleError, match=f"say skill {SKILLS[0]}: the manifest expects {SKILLS[-1]}|shape"):
        load_model(tmp_path / "fewer.onnx", SKILLS[-1], running.manifest)


def test_a_bundle_that_is_shipped_again_keeps_sharing(bundle, tmp_path):
    assert main(["export", str(bundle), str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "experts.onnx").read_bytes() == (bundle / "experts.onnx").read_bytes()
    assert load_bundle(tmp_path / "again").manifest.digest() == load_bundle(bundle).manifest.digest()


def test_what_has_no_skills_or_another_method_is_refused(tmp_path):
    from roman_moe.learning.runs.multitask_bundle import write_multitask_bundle

    run = MultitaskRun("conflict", "mt_sac", 0, steps=40, evaluate_every=40, episodes=1)
    run.train(tmp_path / "policy")
    with pytest.raises(ConfigError, match="is mt_sac on suite conflict: expected soft_modular on a task's skills"):
        write_multitask_bundle(tmp_path / "policy", tmp_path / "bundle", "")


def test_no_network_says_that_it_is_shared_unless_it_is():
    bundle = load_bundle(ROOT / "models" / "roman")
    assert bundle.spec == ROMAN
    assert all(network.metadata.skills == () for network in (bundle.gate, *bundle.experts))
