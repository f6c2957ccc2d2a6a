"""`evaluate BUNDLE --poses camera`: a bundle that sees through the learned estimator, and what is refused before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from estimators import write_tiny_estimator

from roman_moe.cli.main import main
from roman_moe.control.bundle import load_bundle
from roman_moe.core.files import version_of
from roman_moe.core.state import yaw
from roman_moe.evaluation.evaluate import shared_world
from roman_moe.perception import estimator as module
from roman_moe.perception.camera import Camera
from roman_moe.sim.camera_poses import _by_network
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.visibility import Visibility

TASK = load_sim_task("kitting")
SYMMETRIES = np.array([each.symmetry for each in TASK.spec.objects.values()])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_estimator(TASK.spec, tmp_path_factory.mktemp("estimator") / "tiny.onnx")


def test_a_bundle_solves_its_task_through_an_estimator_that_is_right(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    rate = load_bundle(Path("models/kitting")).rates.control_rate
    world = shared_world(TASK, rate, "", False)
    drawn, estimator = _by_network(world, tiny, version_of(tiny))
    visibility = Visibility(world, list(drawn.cameras.values()))
    pictures_seen = []

    def right(pictures: np.ndarray, cameras: tuple[Camera, ...]) -> dict[str, np.ndarray]:
        pictures_seen.append(pictures)
        state = world.state
        pixels = np.array([camera.project(state.object_positions)[0] for camera in cameras])
        rays = np.array([camera.rays(each) for camera, each in zip(cameras, pixels, strict=True)])
        yaws = np.array([yaw(each) for each in state.object_orientations])
        angles = SYMMETRIES * (yaws - np.arctan2(rays[..., 1], rays[..., 0]))
        ones = np.ones(pixels.shape[:2])
        return {
            "pixels": pixels,
            "pixel_sigmas": 0.3 * ones,
            "heights": state.object_positions[:, 2] * ones,
            "height_sigmas": 0.003 * ones,
            "confidences": (visibility.count() >= 12).astype(float),
            "turns": np.stack([np.cos(angles), np.sin(angles)], -1),
        }

    monkeypatch.setattr(estimator, "ask", right)
    options = ["--scenarios", "0", "--episodes", "1", "--workers", "1", "--json", str(tmp_path / "report.json")]
    assert main(["evaluate", "models/kitting", "--poses", "camera", "--estimator", str(tiny), *options]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["poses"] == "camera"
    assert (report["camera_rate_hz"], report["camera_latency_s"]) == (10.0, 0.1)
    assert report["scenarios"]["0"]["successes"] == 1
    assert report["pose_errors"]["median_m"] < 0.001
    assert report["pose_errors"]["objects"].keys() == TASK.spec.objects.keys()
    assert pictures_seen[0].shape == (2, 240, 320, 3)
    assert all(each.std() > 10.0 for each in pictures_seen)  # something is drawn
    assert np.abs(pictures_seen[0].astype(int) - pictures_seen[-1]).max() > 50  # and it moves
    assert "poses by camera" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["models/kitting", "--poses", "camera"], "no estimator of the poses of task 'kitting' is shipped: make one"),
        (
            ["models/roman", "--poses", "camera", "--estimator", "{tiny}"],
            "of the task 'kitting': expected drawer_handle",
        ),
        (["models/kitting", "--estimator", "{tiny}"], "--estimator: only valid with --poses camera"),
        (["models/kitting", "--poses", "camera", "--estimator", "{tmp}/none.onnx"], "none.onnx: cannot be read"),
        (["models/kitting", "--poses", "camera", "--estimator", "models/kitting/gate.onnx"], "expected an estimator"),
        (["models/kitting", "--poses", "camera", "--bias-bound", "0.01"], "only valid with --poses truth"),
        (["models/kitting", "--poses", "camra"], "--poses 'camra': expected one of truth, camera, markers, synthetic"),
    ],
)
def test_what_cannot_be_seen_through_is_refused_in_one_line_before_anything_runs(
    arguments, complaint, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    found = module.find_shipped
    monkeypatch.setattr(
        module, "find_shipped", lambda name: tmp_path / name if str(name).startswith("models/poses/") else found(name)
    )
    given = [each.format(tiny=tiny, tmp=tmp_path) for each in arguments]
    assert main(["evaluate", *given, "--scenarios", "0", "--episodes", "1"]) == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert captured.err.count("\n") == 1
    assert "episodes" not in captured.out
