"""A policy of all skills of a task as a bundle: n experts, one file, told apart by the skill's code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from specs import ROMAN

from roman_moe.cli.main import main
from roman_moe.control.bundle import load_bundle, load_model
from roman_moe.core.errors import BundleError, ConfigError
from roman_moe.core.features import feature_layout
from roman_moe.core.files import write_json
from roman_moe.learning.algorithms.multitask_sac import SACRecipe
from roman_moe.learning.policies.multitask import Sizes
from roman_moe.learning.runs.multitask import POLICY, RESULT, MultitaskRun, TrainedPolicy, _Training, load_policy

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", params=["lab soft_modular", "lab mt_sac", "kitting soft_modular"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that has learned nothing, with weights of normal size; a modular one has 4 layers of 3 modules."""
    folder = tmp_path_factory.mktemp("policy")
    sizes = Sizes((24, 24), layers=4, modules=3, width=16)
    training = _Training(MultitaskRun(*request.param.split(), 0, sac=SACRecipe(sizes=sizes)))
    policy = training.learner.policy
    for part in policy.values():
        for values in part.parameters():
            torch.nn.init.normal_(values, std=values.shape[-1] ** -0.5)
    training.learner.layer.fit(torch.randn(100, training.suite.observation))
    torch.save({name: part.state_dict() for name, part in policy.items()}, folder / POLICY)
    training.rows = [{"steps": 0, "success": dict.fromkeys(training.suite.tasks, 0.0)}]
    write_json(folder / RESULT, training.result())
    return folder


@pytest.fixture(scope="module")
def bundle(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "bundle"
    assert main(["export", str(trained), str(out)]) == 0
    return out


def answers(policy: TrainedPolicy, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each skill, (T, B, a), to (B, n)."""
    return policy.learner.act(torch.from_numpy(rows).expand(len(policy.suite.tasks), -1, -1), greedy=True)


def test_all_experts_share_one_file_under_the_gate_of_the_shipped_bundle(bundle):
    assert {path.name for path in bundle.iterdir()} == {"controller.yaml", "experts.onnx", "gate.onnx"}
    loaded = load_bundle(bundle)
    shipped = ROOT / "models" / loaded.spec.name / "gate.onnx"
    assert (bundle / "gate.onnx").read_bytes() == shipped.read_bytes()
    assert loaded.skills == loaded.spec.skill_names
    assert tuple(expert.metadata.name for expert in loaded.experts) == loaded.skills


def test_each_expert_answers_as_the_policy_does_for_its_skill(trained, bundle):
    policy = load_policy(trained)
    rows = np.random.default_rng(1).normal(size=(20, policy.suite.observation)).astype(np.float32)
    experts = load_bundle(bundle).experts
    found = np.array([[expert(row.astype(np.float64)) for row in rows] for expert in experts])
    np.testing.assert_allclose(found, answers(policy, rows), atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-2  # the code matters


def test_features_that_a_skill_does_not_observe_change_no_answer_of_policy_or_expert(trained, bundle):
    policy, loaded = load_policy(trained), load_bundle(bundle)
    layout = feature_layout(loaded.spec)
    rows = np.random.default_rng(2).normal(size=(2, len(layout))).astype(np.float32)
    for k, (skill, expert) in enumerate(zip(loaded.skills, loaded.experts, strict=True)):
        own = layout.indices(layout.observations[skill])
        hidden = np.setdiff1d(np.arange(len(layout)), own)
        known = answers(policy, rows)[k], np.array([expert(row.astype(np.float64)) for row in rows])
        for value in (0.0, 9.0, np.nan):
            changed = rows.copy()
            changed[:, hidden] = value
            np.testing.assert_array_equal(answers(policy, changed)[k], known[0])
            found = np.array([expert(row.astype(np.float64)) for row in changed])
            np.testing.assert_array_equal(found, known[1])
        for number in own:
            changed = rows.copy()
            changed[:, number] += 0.5
            assert not np.array_equal(answers(policy, changed)[k], known[0]), layout.names[number]


def test_an_expert_has_no_answer_when_an_object_of_its_own_skill_is_not_usable(bundle):
    loaded = load_bundle(bundle)
    for skill, expert in zip(loaded.skills, loaded.experts, strict=True):
        for row, name in enumerate(loaded.spec.objects):
            usable = [other != row for other in range(len(loaded.spec.objects))]
            assert expert.sees(usable) == (name not in loaded.spec.skills[skill].observes), (skill, name)


def changed_file(bundle: Path, path: Path, key: str, value: str) -> Path:
    """The bundle's file with another metadata property."""
    model = onnx.load(bundle / "experts.onnx")
    for one in model.metadata_props:
        if one.key == key:
            one.value = value
    onnx.save(model, path)
    return path


def test_the_shared_file_can_be_swapped_in_for_any_of_its_skills(bundle, tmp_path):
    running = load_bundle(bundle)
    skills, row = running.skills, np.zeros(len(feature_layout(running.spec)))
    for skill, expert in zip(skills[:2], running.experts[:2], strict=True):
        loaded = load_model(bundle / "experts.onnx", skill, running.manifest).network
        np.testing.assert_array_equal(loaded(row), expert(row))
    fewer = changed_file(bundle, tmp_path / "fewer.onnx", "skills", ",".join(skills[:-1]))
    with pytest.raises(BundleError, match=f"lists observations of {len(skills)} skills: {len(skills) - 1} share it"):
        load_model(fewer, skills[-1], running.manifest)


def test_a_file_that_says_less_than_it_observes_is_refused(bundle, tmp_path):
    running = load_bundle(bundle)
    skills, observations = running.skills, feature_layout(running.spec).observations
    for names, message in (
        (["hand_position.x"] * len(skills), "answers .* when all that it observes is 0.0: not finite"),
        ([",".join(observations[skill]) for skill in skills[1:]] + ["nothing"], "a skill observes 'nothing', which is"),
    ):
        path = changed_file(bundle, tmp_path / "less.onnx", "observed", ";".join(names))
        with pytest.raises(BundleError, match=message):
            load_model(path, skills[0], running.manifest)


def test_a_bundle_that_is_shipped_again_keeps_sharing(bundle, tmp_path):
    assert main(["export", str(bundle), str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "experts.onnx").read_bytes() == (bundle / "experts.onnx").read_bytes()
    assert load_bundle(tmp_path / "again").manifest.digest() == load_bundle(bundle).manifest.digest()


def test_what_has_no_skills_or_another_method_is_refused(tmp_path):
    from roman_moe.learning.runs.multitask_bundle import write_multitask_bundle

    run = MultitaskRun("conflict", "mt_sac", 0, steps=40, evaluate_every=40, episodes=1)
    run.train(tmp_path / "policy")
    with pytest.raises(ConfigError, match="is mt_sac on suite conflict: expected soft_modular or mt_sac on a task's"):
        write_multitask_bundle(tmp_path / "policy", tmp_path / "bundle", "")


def test_no_network_says_that_it_is_shared_unless_it_is():
    bundle = load_bundle(ROOT / "models" / "roman")
    assert bundle.spec == ROMAN
    assert all(network.metadata.skills == () for network in (bundle.gate, *bundle.experts))
