"""A task without simulation: its demonstrations, with task.yaml beside them, become a bundle; nothing else names it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from specs import ROMAN, TURN_KEY

from roman_moe.cli.main import main
from roman_moe.control.bundle import load_bundle
from roman_moe.control.controller import Controller
from roman_moe.core.action import Command
from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import config_path
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.core.state import SceneState, upright
from roman_moe.demos.dataset import dataset_spec
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.learning.recipes.cloning import load_recipe
from roman_moe.learning.recipes.hybrid import load_hybrid_recipe

RECIPE = "rates: {control_rate: 20.0, gate_rate: 10.0}\ndefaults: {hidden: [8], steps: 4, batch_size: 8}\n"


def key_scene(spec: TaskSpec, tick: int, rng: np.random.Generator) -> SceneState:
    count = len(spec.objects)
    return SceneState(
        spec=spec,
        stamp_ns=tick * 50_000_000,
        hand_position=rng.normal(size=3),
        hand_velocity=rng.normal(size=3),
        finger_opening=0.05,
        finger_forces=rng.random(2),
        object_positions=rng.normal(size=(count, 3)),
        object_orientations=upright(count),
        flags=rng.random(len(spec.flags)) < 0.5,
    )


def record(dataset: Path, spec: TaskSpec, network: str) -> None:
    rng = np.random.default_rng(len(network))
    with EpisodeWriter(dataset / network / "episode_000", spec, network) as writer:
        for tick in range(12):
            scene = key_scene(spec, tick, rng)
            weights = np.eye(len(spec.skills))[tick % len(spec.skills)]
            answer = weights if network == GATE else rng.uniform(-1, 1, spec.action.size)
            writer.add(scene, answer, Command(scene.stamp_ns, np.zeros(3), 0.05))
        writer.close(EpisodeMeta(network=network, outcome="success", source="keyboard", rate=20.0, task=spec.name))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "demos"
    folder.mkdir()
    (folder / "task.yaml").write_text(TURN_KEY)
    for network in (*dataset_spec(folder).skills, GATE):
        record(folder, dataset_spec(folder), network)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return folder


def train(dataset: Path) -> int:
    folder = dataset.parent
    return main(["train", "bc", "--demos", str(dataset), "--out", str(folder / "out"), "--workers", "1",
                 "--recipe", str(folder / "recipe.yaml")])  # fmt: skip


def test_demonstrations_and_their_task_become_a_bundle_that_runs(dataset):
    assert train(dataset) == 0
    bundle = load_bundle(dataset.parent / "out")
    assert bundle.spec == dataset_spec(dataset) != ROMAN
    assert bundle.skills == ("insert", "turn")
    step = Controller(bundle).step(key_scene(bundle.spec, 0, np.random.default_rng(0)))
    assert (step.fault, step.action.shape, step.weights.shape) == ("", (5,), (2,))
    assert float(step.weights.sum()) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("task", "complaint"),
    [
        (None, "task.yaml: no such file: it says which task was demonstrated"),
        (TURN_KEY.replace("turn_key", "turn_lock"), "episode_000: is of task 'turn_key': expected 'turn_lock'"),
        (TURN_KEY.replace("[key, lock]", "[key, rock]"), "task.yaml"),
    ],
)
def test_without_its_task_or_with_another_nothing_is_trained(dataset, capsys, task, complaint):
    (dataset / "task.yaml").unlink()
    if task is not None:
        (dataset / "task.yaml").write_text(task)
    assert train(dataset) == 2
    found = capsys.readouterr().err
    assert complaint in found
    assert len(found.splitlines()) == 1
    assert not (dataset.parent / "out").exists()


def test_a_recipe_for_the_skills_of_another_task_is_refused(dataset, capsys):
    (dataset.parent / "recipe.yaml").write_text(RECIPE + "networks: {push: {steps: 5}}\n")
    assert train(dataset) == 2
    assert "networks: unknown network 'push': expected insert, turn, gate" in capsys.readouterr().err


def test_hybrid_learning_of_a_task_without_simulation_is_one_line(dataset, capsys):
    arguments = ["train", "all", "--demos", str(dataset), "--out", str(dataset.parent / "run")]
    assert main(arguments) == 2
    assert "task 'turn_key' is neither here nor installed: give its folder with --task" in capsys.readouterr().err


def test_a_dataset_of_another_task_is_not_added_to(dataset, capsys):
    assert main(["collect", "--out", str(dataset), "--episodes", "1", "--workers", "1"]) == 2
    assert "holds demonstrations of another task or version, as its task.yaml says" in capsys.readouterr().err


def test_the_shipped_recipes_fit_any_task_unless_they_name_another_ones_skills(dataset):
    spec = dataset_spec(dataset)
    assert tuple(load_recipe(config_path("training/bc.yaml"), spec).networks) == spec.networks
    assert tuple(load_hybrid_recipe(config_path("training/fast.yaml"), spec).networks) == spec.networks
    with pytest.raises(ConfigError, match=r"paper\.yaml: networks: unknown network 'pick_and_drop': expected insert, "):
        load_hybrid_recipe(config_path("training/paper.yaml"), spec)
