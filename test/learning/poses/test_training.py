"""Training of the estimator on a few images: what is cut off goes on to the same network; its file finds objects."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from roman_moe.control.network import runtime
from roman_moe.core.errors import BundleError, ConfigError, DemonstrationError
from roman_moe.core.paths import find_shipped
from roman_moe.evaluation import images
from roman_moe.evaluation.images import ImageRequest, draw_images
from roman_moe.learning.poses import training
from roman_moe.learning.poses.network import geometry_of
from roman_moe.learning.poses.recipe import PosesRecipe
from roman_moe.learning.poses.training import CHECKPOINT, ESTIMATOR, PosesRun, train_poses, write_estimator
from roman_moe.perception.camera import Camera
from roman_moe.perception.estimator import PoseEstimator
from roman_moe.perception.image_set import ImageSet, camera_at, read_scenes
from roman_moe.sim.randomisation import Ranges
from roman_moe.sim.registry import load_sim_task

TASK = load_sim_task("kitting")
RECIPE = PosesRecipe(
    steps=4,
    batch_size=4,
    learning_rate=1e-3,
    weight_decay=1e-2,
    widths=(4, 4, 8, 8),
    validation_share=0.34,
    checkpoint_steps=2,
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "PART_SCENES", 2)
        patch.setattr(images, "EPISODE_SCENES", 2)
        draw_images(ImageRequest(TASK, folder, 12, 1, 1, Ranges()))
    return folder


@pytest.fixture(scope="module")
def trained(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> PosesRun:
    run = PosesRun(TASK.spec, drawn, tmp_path_factory.mktemp("runs") / "run", RECIPE, 0)
    train_poses(run, resume=False)
    write_estimator(run)
    return run


def left_camera(run: PosesRun) -> Camera:
    images_of = ImageSet(run.images)
    return camera_at(read_scenes(images_of.parts()[0]), 0, 0, images_of.description)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    network: dict[str, torch.Tensor] = torch.load(folder / CHECKPOINT, weights_only=True)["network"]
    return network


def test_a_run_that_was_cut_off_goes_on_to_the_same_network(
    trained: PosesRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = replace(trained, folder=tmp_path / "run")
    update = training._Trainer._update

    def cut_off(trainer: training._Trainer) -> dict[str, float]:
        if trainer._step == 3:
            raise KeyboardInterrupt
        return update(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(training._Trainer, "_update", cut_off)
        with pytest.raises(KeyboardInterrupt):
            train_poses(run, resume=False)
    assert len(json.loads((run.folder / "curve.json").read_text())) == 1
    train_poses(run, resume=True)
    for name, expected in weights(trained.folder).items():
        assert torch.equal(weights(run.folder)[name], expected), name


def test_two_processes_train_one_network(trained: PosesRun, tmp_path: Path):
    run = replace(trained, folder=tmp_path / "run", workers=2)
    train_poses(run, resume=False)
    rows = json.loads((run.folder / "curve.json").read_text())
    assert [row["step"] for row in rows] == [2, 4]
    alone = json.loads((trained.folder / "curve.json").read_text())
    assert rows[-1]["presence"] == pytest.approx(alone[-1]["presence"], rel=0.3)  # batches are the same, sums are not
    assert sorted(path.name for path in run.folder.iterdir()) == [CHECKPOINT, "curve.json", "recipe.yaml", "run.json"]


def test_its_file_says_what_torch_says_and_finds_objects(trained: PosesRun):
    images_of = ImageSet(trained.images)
    part = images_of.parts()[0]
    scenes = read_scenes(part)
    cameras = {name: camera_at(scenes, 0, i, images_of.description) for i, name in enumerate(("left", "right"))}
    estimator = PoseEstimator(TASK.spec, cameras, trained.folder / ESTIMATOR)
    found = estimator.detect(7, dict(zip(cameras, images_of.scene(part, 0), strict=True)))
    assert found.stamp_ns == 7
    assert found.positions.shape == (len(TASK.spec.objects), 3)
    assert np.isfinite(found.positions[found.seen]).all()
    assert np.linalg.norm(found.orientations, axis=1) == pytest.approx(1.0)


def test_images_of_another_size_than_the_network_takes_are_resized(trained: PosesRun):
    small = left_camera(trained)
    large = small.resized(640, 480)
    images_of = ImageSet(trained.images)
    image = images_of.image(images_of.parts()[0], 0, 0)
    one = PoseEstimator(TASK.spec, {"left": small}, trained.folder / ESTIMATOR).detect(0, {"left": image})
    two = PoseEstimator(TASK.spec, {"left": large}, trained.folder / ESTIMATOR).detect(
        0, {"left": image.repeat(2, axis=0).repeat(2, axis=1)}
    )
    assert two.seen.tolist() == one.seen.tolist()
    assert two.positions[two.seen] == pytest.approx(one.positions[one.seen], abs=1e-3)


def test_a_wrong_image_is_refused(trained: PosesRun):
    estimator = PoseEstimator(TASK.spec, {"left": left_camera(trained)}, trained.folder / ESTIMATOR)
    with pytest.raises(ConfigError, match=r"camera left: image of shape \(240, 319, 3\): expected 320 x 240 pixels"):
        estimator.detect(0, {"left": np.zeros((240, 319, 3), np.uint8)})


def test_another_tasks_estimator_is_refused(trained: PosesRun):
    other = load_sim_task("roman").spec
    with pytest.raises(BundleError, match="of the task 'kitting': expected drawer_handle"):
        PoseEstimator(other, {"left": left_camera(trained)}, trained.folder / ESTIMATOR)


def test_a_policy_is_no_estimator(trained: PosesRun):
    with pytest.raises(BundleError, match="expected an estimator"):
        PoseEstimator(TASK.spec, {"left": left_camera(trained)}, find_shipped("models/kitting/gate.onnx"))


def test_a_provider_that_this_machine_lacks_is_refused(trained: PosesRun, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runtime(), "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ConfigError, match=r"provider 'cuda': this onnxruntime has none: install roman-moe\[gpu\]"):
        PoseEstimator(TASK.spec, {"left": left_camera(trained)}, trained.folder / ESTIMATOR, "cuda")
    with pytest.raises(ConfigError, match="provider 'tpu': expected cpu or cuda"):
        PoseEstimator(TASK.spec, {"left": left_camera(trained)}, trained.folder / ESTIMATOR, "tpu")


def test_what_is_there_is_not_trained_over(trained: PosesRun):
    with pytest.raises(ConfigError, match="holds a run: go on with --resume"):
        train_poses(trained, resume=False)
    with pytest.raises(ConfigError, match="another recipe"):
        train_poses(replace(trained, recipe=replace(RECIPE, batch_size=8)), resume=True)


def test_too_few_images_are_refused(trained: PosesRun, tmp_path: Path):
    run = replace(trained, folder=tmp_path / "few", recipe=replace(RECIPE, validation_share=0.01))
    with pytest.raises(DemonstrationError, match="expected one at least on either side"):
        train_poses(run, resume=False)


def test_what_the_network_is_given_of_a_camera_is_where_its_rays_end():
    rays = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, -1.0]]])
    rays[0, 0, 0] = rays[0, 1, 1] = 1.0 / 100.0  # looking straight down, 100 pixels a metre at 1 m
    geometry = geometry_of(rays, torch.tensor([[0.2, 0.1, 1.0]]), (16, 16))
    first = (0.5 * 3) / 100.0  # of the middle of the first four pixels
    assert geometry[0, :2, 0, 0].tolist() == pytest.approx([2.0 * (0.2 + first), 2.0 * (0.1 + first)], abs=1e-6)
