"""Networks that were trained elsewhere run here as they ran there, or are refused with the reason."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from specs import FEATURES, LAYOUT, OBSERVATIONS, ROMAN, feature_indices
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from worlds import TASK

from roman_moe.cli.main import main
from roman_moe.control.bundle import load_bundle
from roman_moe.control.metadata import NetworkMetadata
from roman_moe.control.network import Network
from roman_moe.core.features import AXES
from roman_moe.sim.env import TaskEnv

REPOSITORY = Path(__file__).parents[2]
SKILL = "push"
OBSERVED = OBSERVATIONS[SKILL]


def env() -> TaskEnv:
    return TaskEnv(TASK.start(SKILL), OBSERVED)


def answers(data: bytes, observations: np.ndarray) -> np.ndarray:
    """What a network answers as the controller runs it."""
    network, vector = Network(ROMAN, data, "it"), np.zeros(len(FEATURES))
    found = []
    for observation in observations:
        vector[feature_indices(OBSERVED)] = observation
        found.append(network(vector))
    return np.array(found)


def observations_of(steps: int = 100) -> np.ndarray:
    """Observations along an episode of random actions, and far outside of any."""
    lab = env()
    found, rng = [lab.reset(seed=3)[0]], np.random.default_rng(3)
    for _ in range(steps):
        found.append(lab.step(rng.uniform(-1, 1, 4).astype(np.float32))[0])
    spread = rng.normal(scale=3.0, size=(steps, len(OBSERVED)))
    return np.concatenate([np.array(found), spread]).astype(np.float32)


@pytest.fixture(scope="module")
def ppo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, PPO, VecNormalize]:
    """PPO after a few hundred steps in the lab, with normalised observations."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("sb3")
    envs = VecNormalize(DummyVecEnv([env]), norm_reward=False)
    model = PPO("MlpPolicy", envs, n_steps=128, batch_size=64, n_epochs=20, learning_rate=3e-3, seed=0, device="cpu")
    model.learn(384)
    model.save(folder / "policy.zip")
    envs.save(str(folder / "vecnormalize.pkl"))
    return folder / "policy.zip", folder / "vecnormalize.pkl", model, envs


def test_a_ppo_policy_with_normalised_observations_answers_the_same(ppo, tmp_path, capsys):
    zipped, normalisation, model, envs = ppo
    out = tmp_path / "push.onnx"
    arguments = ["--from", str(zipped), "--skill", SKILL, "--normalization", str(normalisation), "--to", str(out)]
    assert main(["export", *arguments]) == 0
    assert f"{out}: written" in capsys.readouterr().out
    observations = observations_of()
    expected, _ = model.predict(envs.normalize_obs(observations), deterministic=True)
    found = answers(out.read_bytes(), observations)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected, axis=0).min() > 0.05  # the policy does something, and differs with what it sees
    plain, _ = model.predict(observations, deterministic=True)
    assert np.abs(found - plain).max() > 0.05  # the normalisation counts


def test_it_takes_an_experts_place_in_a_bundle(ppo, tmp_path, capsys):
    zipped, normalisation, *_ = ppo
    bundle = tmp_path / "roman"
    shutil.copytree(REPOSITORY / "models" / "roman", bundle)
    arguments = ["--from", str(zipped), "--skill", SKILL, "--normalization", str(normalisation), "--to", str(bundle)]
    assert main(["export", *arguments]) == 2
    assert "is there already: choose another --to, or replace it with --force" in capsys.readouterr().err
    assert main(["export", *arguments, "--force"]) == 0
    loaded = load_bundle(bundle)
    assert loaded.manifest.provenance["networks"][SKILL]["imported"] == "policy.zip"
    for name in ("pull.onnx", "gate.onnx"):
        assert (bundle / name).read_bytes() == (REPOSITORY / "models" / "roman" / name).read_bytes()
    assert (bundle / "push.onnx").read_bytes() != (REPOSITORY / "models" / "roman" / "push.onnx").read_bytes()


@pytest.mark.parametrize(
    ("algorithm", "activation"),
    [(PPO, None), (PPO, torch.nn.SiLU), (A2C, torch.nn.ELU), (SAC, None), (SAC, torch.nn.LeakyReLU)],
)
def test_algorithms_and_activations_answer_the_same(algorithm, activation, tmp_path):
    chosen = {} if activation is None else {"activation_fn": activation}
    model = algorithm("MlpPolicy", env(), policy_kwargs={"net_arch": [32, 16], **chosen}, seed=1, device="cpu")
    with torch.no_grad():  # answers beyond the range show the clip
        for name, parameter in model.policy.named_parameters():
            if "action_net" in name or "mu." in name:
                parameter.mul_(150.0 if "action_net" in name else 20.0)
    model.save(tmp_path / "policy.zip")
    out = tmp_path / "out.onnx"
    assert main(["export", "--from", str(tmp_path / "policy.zip"), "--skill", SKILL, "--to", str(out)]) == 0
    observations = observations_of(40)
    expected, _ = model.predict(observations, deterministic=True)
    found = answers(out.read_bytes(), observations)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(expected).max() > 0.9


class Trap:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.file),)


def test_nothing_in_the_files_is_run(ppo, tmp_path, capsys):
    zipped, *_ = ppo
    sprung = tmp_path / "sprung"
    (tmp_path / "trap.pkl").write_bytes(pickle.dumps(Trap(sprung)))
    arguments = ["export", "--from", str(zipped), "--skill", SKILL, "--to", str(tmp_path / "out.onnx")]
    assert main([*arguments, "--normalization", str(tmp_path / "trap.pkl")]) == 2
    assert "trap.pkl: no file of VecNormalize.save" in capsys.readouterr().err

    with zipfile.ZipFile(zipped) as source, zipfile.ZipFile(tmp_path / "trap.zip", "w") as trap:
        for name in source.namelist():
            trap.writestr(name, pickle.dumps(Trap(sprung)) if name == "policy.pth" else source.read(name))
    assert main(["export", "--from", str(tmp_path / "trap.zip"), *arguments[3:]]) == 2
    assert "trap.zip: no policy saved by Stable-Baselines3" in capsys.readouterr().err
    assert not sprung.exists()
    assert not (tmp_path / "out.onnx").exists()


def plain_onnx(path: Path, inputs: int = len(OBSERVED), outputs: int = 4, last: str = "Tanh") -> Path:
    """A network as any tool exports it, without a word about itself."""
    rng = np.random.default_rng(0)
    weight = onnx.numpy_helper.from_array(rng.normal(size=(inputs, outputs)).astype(np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", "w"], ["raw"]), helper.make_node(last, ["raw"], ["out"])],
        "any",
        [helper.make_tensor_value_info("obs", onnx.TensorProto.FLOAT, ["n", inputs])],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["n", outputs])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_plain_onnx_file_gets_metadata_and_stays_as_it_is(tmp_path):
    source = plain_onnx(tmp_path / "any.onnx")
    out = tmp_path / "push.onnx"
    assert main(["export", "--from", str(source), "--skill", SKILL, "--to", str(out)]) == 0
    network = Network(ROMAN, out.read_bytes(), "it")
    assert (network.metadata.name, network.metadata.rate, network.features) == (SKILL, 20.0, OBSERVED)
    assert onnx.load(out).graph == onnx.load(source).graph
    gate = plain_onnx(tmp_path / "gate_any.onnx", len(OBSERVATIONS["gate"]), 7, "Softmax")
    assert main(["export", "--from", str(gate), "--skill", "gate", "--to", str(tmp_path / "gate.onnx")]) == 0
    assert Network(ROMAN, (tmp_path / "gate.onnx").read_bytes(), "it").metadata.rate == 10.0


def test_a_network_of_other_features_names_them(tmp_path):
    source = plain_onnx(tmp_path / "any.onnx", 3)
    out = tmp_path / "push.onnx"
    chosen = "rack.x,rack.y,hand_position.z"
    arguments = ["--from", str(source), "--skill", SKILL, "--to", str(out), "--features", chosen, "--rate", "25"]
    assert main(["export", *arguments]) == 0
    assert Network(ROMAN, out.read_bytes(), "it").metadata.features == tuple(chosen.split(","))
    assert Network(ROMAN, out.read_bytes(), "it").metadata.rate == 25.0


@pytest.mark.parametrize(
    ("make", "options", "complaint"),
    [
        (lambda path: plain_onnx(path, 3), [], "expected tensor(float) of shape [batch, 15]"),
        (lambda path: plain_onnx(path, outputs=5), [], "expected tensor(float) of shape [batch, 4]"),
        (lambda path: plain_onnx(path, last="Exp"), [], "expected a clip or tanh at its end"),
        (
            lambda path: plain_onnx(path, len(OBSERVATIONS["gate"]), 7),
            ["--skill", "gate"],
            "expected a softmax at its end",
        ),
        (lambda path: path.write_bytes(b"no network"), [], "no ONNX file"),
        (lambda path: None, [], "cannot be read"),
        (plain_onnx, ["--features", "rack.x,rock.y"], "unknown feature 'rock.y'"),
        (plain_onnx, ["--skill", "shove"], "--skill 'shove': expected one of pull"),
        (plain_onnx, ["--rate", "nan"], "--rate nan: expected more than 0"),
        (plain_onnx, ["--to", "a/bundle"], "--to a/bundle: expected a file .onnx"),
        (plain_onnx, ["--normalization", "x.pkl"], "an ONNX file normalises by itself"),
    ],
)
def test_what_cannot_be_meant_is_one_line(make, options, complaint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "any.onnx")
    assert main(["export", "--from", "any.onnx", "--skill", SKILL, *options]) == 2
    found = capsys.readouterr().err
    assert complaint in found
    assert len(found.splitlines()) == 1
    assert not (tmp_path / "push.onnx").exists()


def test_policies_that_cannot_be_converted_are_named(tmp_path, capsys):
    import gymnasium

    DQN("MlpPolicy", gymnasium.make("CartPole-v1"), buffer_size=10, device="cpu").save(tmp_path / "dqn.zip")
    assert main(["export", "--from", str(tmp_path / "dqn.zip"), "--skill", SKILL]) == 2
    assert "dqn.zip: no MlpPolicy of PPO, A2C or SAC" in capsys.readouterr().err
    PPO("MlpPolicy", gymnasium.make("Pendulum-v1"), device="cpu").save(tmp_path / "pendulum.zip")
    assert main(["export", "--from", str(tmp_path / "pendulum.zip"), "--skill", SKILL]) == 2
    assert "pendulum.zip: actions have low [-2.]: expected -1 to 1" in capsys.readouterr().err


@pytest.mark.parametrize("space", [{}, {"low": "", "high": ""}, {"low": "[nan nan]", "high": "[nan nan]"}])
def test_a_policy_that_does_not_say_the_bounds_of_its_actions_is_refused(space, ppo, tmp_path, capsys):
    changed = tmp_path / "policy.zip"
    with zipfile.ZipFile(ppo[0]) as source, zipfile.ZipFile(changed, "w") as target:
        settings = json.loads(source.read("data"))
        target.writestr("data", json.dumps(settings | {"action_space": space}))
        target.writestr("policy.pth", source.read("policy.pth"))
    assert main(["export", "--from", str(changed), "--skill", SKILL, "--to", str(tmp_path / "push.onnx")]) == 2
    assert "policy.zip: actions have low " in capsys.readouterr().err
    assert not (tmp_path / "push.onnx").exists()


def test_the_documented_example_makes_a_network_that_runs(tmp_path, monkeypatch):
    """The Python block of docs/networks.md, run as it stands there."""
    monkeypatch.chdir(tmp_path)
    text = (REPOSITORY / "docs" / "networks.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    network = Network(ROMAN, (tmp_path / "button.onnx").read_bytes(), "button.onnx")
    assert network.metadata.name == "button"
    assert np.abs(network(np.zeros(len(FEATURES)))).max() <= 1.0


def test_the_documented_tables_are_complete():
    text = (REPOSITORY / "docs" / "networks.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(" `"): line for line in text.splitlines() if line.startswith("| `")}
    assert set(NetworkMetadata.of_gate(ROMAN, 10.0).to_properties()) <= set(rows)
    for feature in FEATURES:
        base, _, axis = feature.partition(".")
        name = f"{base}.x, .y, .z" if axis in AXES else feature
        assert f"`{LAYOUT.units[feature]}`" in rows[name], feature
    for skill, features in OBSERVATIONS.items():
        if skill != "monolithic":
            assert f"| {len(features)} |" in rows[skill], skill
