"""From demonstrations on disk to a bundle that loads: whole, reproducible, and never half there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from specs import FLAGS, GRIPPER_OPEN, NETWORKS, OBJECTS, ROMAN

from roman_moe.cli.export import Export
from roman_moe.cli.main import main, run_verb
from roman_moe.cli.train import Bc
from roman_moe.control.bundle import load_bundle
from roman_moe.core.action import Command
from roman_moe.core.errors import BundleError, ConfigError, DemonstrationError
from roman_moe.core.spec import GATE
from roman_moe.core.state import SceneState
from roman_moe.demos.dataset import dataset_hash, write_spec
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.learning.recipes.cloning import load_recipe
from roman_moe.learning.runs import clone
from roman_moe.learning.runs.clone import clone_bundle

RECIPE = """
rates: {control_rate: 20.0, gate_rate: 10.0}
defaults: {hidden: [8], steps: 4, batch_size: 8}
networks: {}
"""


def record(dataset: Path, network: str, episodes: int = 2, ticks: int = 4) -> None:
    for number in range(episodes):
        rng = np.random.default_rng(number)
        with EpisodeWriter(dataset / network / f"episode_{number:03}", ROMAN, network) as writer:
            for tick in range(ticks):
                scene = SceneState(
                    spec=ROMAN,
                    stamp_ns=tick * 50_000_000,
                    hand_position=rng.normal(size=3),
                    hand_velocity=rng.normal(size=3),
                    finger_opening=GRIPPER_OPEN,
                    finger_forces=rng.random(2),
                    object_positions=rng.normal(size=(len(OBJECTS), 3)),
                    flags=np.zeros(len(FLAGS), dtype=bool),
                )
                answer = np.eye(7)[tick % 7] if network == GATE else rng.uniform(-1, 1, 4)
                writer.add(scene, answer, Command(scene.stamp_ns, np.zeros(3), GRIPPER_OPEN))
            writer.close(
                EpisodeMeta(network=network, outcome="success", source="test", rate=20.0, task=ROMAN.name, seed=number)
            )


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demos")
    write_spec(folder, ROMAN)
    for network in NETWORKS:
        record(folder, network)
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE)
    return file


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_bundle_is_trained_with_its_provenance(demonstrations: Path, recipe: Path, tmp_path: Path):
    done = []
    clone_bundle(demonstrations, tmp_path / "out", load_recipe(recipe, ROMAN), 3, 1, on_cloned=done.append)
    assert sorted(cloned.network for cloned in done) == sorted(NETWORKS)
    provenance = load_bundle(tmp_path / "out").manifest.provenance
    assert provenance["method"] == "bc"
    push = provenance["networks"]["push"]
    assert push["seed"] == 3
    assert push["recipe"]["steps"] == 4
    assert push["demonstrations"] == {
        "sha256": dataset_hash(demonstrations, ROMAN, "push"),
        "episodes": 2,
        "samples": 8,
    }
    assert provenance["networks"][GATE]["demonstrations"]["samples"] == 4


def test_the_bundle_does_not_depend_on_the_number_of_workers(
    demonstrations: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(clone, "git_commit", lambda: "0123abc")
    for workers in (1, 2):
        clone_bundle(demonstrations, tmp_path / str(workers), load_recipe(recipe, ROMAN), 0, workers)
    assert files(tmp_path / "1") == files(tmp_path / "2")


def test_single_networks_are_trained_anew_and_the_others_stay(demonstrations: Path, recipe: Path, tmp_path: Path):
    out = tmp_path / "out"
    clone_bundle(demonstrations, out, load_recipe(recipe, ROMAN), 0, 1)
    before = files(out)
    clone_bundle(demonstrations, out, load_recipe(recipe, ROMAN), 1, 1, networks=("push",), force=True)
    after = files(out)
    assert {name for name in before if before[name] != after[name]} == {"push.onnx", "controller.yaml"}
    networks = load_bundle(out).manifest.provenance["networks"]
    assert (networks["push"]["seed"], networks["pull"]["seed"]) == (1, 0)


def test_single_networks_need_a_bundle_for_the_others(demonstrations: Path, recipe: Path, tmp_path: Path):
    with pytest.raises(BundleError, match="no such folder"):
        clone_bundle(demonstrations, tmp_path / "out", load_recipe(recipe, ROMAN), 0, 1, networks=("push",))


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_training_leaves_the_older_bundle_as_it_was(
    demonstrations: Path, recipe: Path, tmp_path: Path, interruption: type[BaseException]
):
    out = tmp_path / "models" / "out"
    clone_bundle(demonstrations, out, load_recipe(recipe, ROMAN), 0, 1)
    before = files(out)

    def interrupt(cloned: object) -> None:
        raise interruption

    with pytest.raises(interruption):
        clone_bundle(demonstrations, out, load_recipe(recipe, ROMAN), 1, 1, on_cloned=interrupt, force=True)
    assert files(out) == before
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_bundle_is_never_overwritten_unasked(
    demonstrations: Path,
    recipe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """As README lists it, in a folder of one's own: into runs/, and only once."""
    monkeypatch.chdir(tmp_path)
    command = ["train", "bc", "--demos", str(demonstrations), "--recipe", str(recipe), "--workers", "1"]
    assert main(command) == 0
    out = tmp_path / "runs" / "recipe"
    before = files(out)
    sha256 = load_bundle(out).manifest.digest()
    assert f"{out} (sha256 {sha256[:12]}): written" in capsys.readouterr().out
    assert not (tmp_path / "models").exists()
    assert main([*command, "--seed", "1"]) == 2
    error = capsys.readouterr().err
    assert "runs/recipe: holds a bundle already: choose another folder, or replace it with --force" in error
    assert error.count("\n") == 1
    assert files(out) == before
    assert main([*command, "--seed", "1", "--force"]) == 0
    assert files(out) != before


def test_the_shipped_bundle_lends_no_networks_to_one_that_is_not_there(
    demonstrations: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match="models/roman: no such folder"):
        clone_bundle(demonstrations, Path("models/roman"), load_recipe(recipe, ROMAN), 0, 1, networks=("push",))


def test_missing_demonstrations_are_named_and_nothing_is_written(demonstrations: Path, recipe: Path, tmp_path: Path):
    shutil.copytree(demonstrations / "push", tmp_path / "demos" / "push")
    write_spec(tmp_path / "demos", ROMAN)
    with pytest.raises(DemonstrationError, match="no demonstration there"):
        clone_bundle(tmp_path / "demos", tmp_path / "out", load_recipe(recipe, ROMAN), 0, 1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_demonstration_is_found_before_anything_is_trained(
    demonstrations: Path, recipe: Path, tmp_path: Path, workers: int
):
    shutil.copytree(demonstrations, tmp_path / "demos")
    damaged = tmp_path / "demos" / NETWORKS[0] / "episode_001" / "episode_001.mcap"  # trained last
    damaged.write_bytes(damaged.read_bytes()[:-100])
    done: list[object] = []
    with pytest.raises(DemonstrationError, match=f"{NETWORKS[0]}/episode_001: cannot be read as a bag"):
        clone_bundle(
            tmp_path / "demos", tmp_path / "out", load_recipe(recipe, ROMAN), 0, workers, on_cloned=done.append
        )
    assert not done
    assert not (tmp_path / "out").exists()


def test_the_command_trains_reports_and_exports_with_the_evaluation(
    demonstrations: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    trained, shipped = tmp_path / "trained", tmp_path / "shipped"
    train = Bc(demos=str(demonstrations), out=trained, recipe=recipe, workers=1, json=tmp_path / "train.json")
    assert train.main() == 0
    assert "train velocity rms" in capsys.readouterr().out
    assert set(json.loads((tmp_path / "train.json").read_text())["networks"]) == set(NETWORKS)

    row = {"episodes": 10, "successes": 9, "rate": 0.9, "ci95": [0.6, 0.98], "median_time_s": 9.0, "seeds": [1] * 10}
    report = {"scenarios": {"6": row}, "skills": {}, "noise_bound_m": 0.005, "seed": 1, "git_commit": "0123abc"}
    report |= {"delay_ticks": 1, "lost_share": 0.3}
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert Export(trained, shipped, tmp_path / "report.json").main() == 0
    kept = load_bundle(shipped).manifest.provenance["evaluation"]
    assert kept["scenarios"]["6"]["successes"] == 9
    assert (kept["noise_bound_m"], kept["delay_ticks"], kept["lost_share"]) == (0.005, 1, 0.3)
    assert "seeds" not in kept["scenarios"]["6"]
    assert (shipped / "push.onnx").read_bytes() == (trained / "push.onnx").read_bytes()
    with pytest.raises(BundleError, match="holds a bundle already: choose another folder, or replace it with --force"):
        Export(shipped, shipped).main()
    assert Export(shipped, shipped, force=True).main() == 0
    assert load_bundle(shipped).manifest.provenance["evaluation"] == kept


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"scenarios": {}}',
        '{"scenarios": {"6": 3}, "skills": {}}',
        '{"controller": "oracle", "scenarios": {}, "skills": {}}',
    ],
)
def test_a_report_that_is_none_is_refused_by_name(demonstrations: Path, recipe: Path, tmp_path: Path, content: str):
    clone_bundle(demonstrations, tmp_path / "out", load_recipe(recipe, ROMAN), 0, 1)
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(ConfigError, match=r"report\.json: "):
        Export(tmp_path / "out", tmp_path / "copy", tmp_path / "report.json").main()
    assert not (tmp_path / "copy").exists()


def test_the_manifest_is_plain_yaml(demonstrations: Path, recipe: Path, tmp_path: Path):
    """Readable by anyone's YAML, with nothing of Python in it."""
    clone_bundle(demonstrations, tmp_path / "out", load_recipe(recipe, ROMAN), 0, 1)
    text = (tmp_path / "out" / "controller.yaml").read_text()
    assert "!!" not in text
    assert yaml.safe_load(text)["skills"][0] == "pull"


@pytest.mark.parametrize("change", [{"workers": 0}, {"seed": -1}, {"networks": "push,pusher"}])
def test_arguments_out_of_range_are_refused(change: dict[str, object], demonstrations: Path):
    with pytest.raises(ConfigError, match="--"):
        run_verb(Bc(demos=str(demonstrations), **change))
