"""Judging an estimator: what it is charged with is what it did, in scenes that are what they say they are."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from estimators import write_tiny_estimator

from roman_moe.cli.main import main
from roman_moe.core.rotation import matrix
from roman_moe.core.state import yaw
from roman_moe.evaluation import poses
from roman_moe.evaluation.images import draw_moments
from roman_moe.evaluation.pose_report import poses_report, summarize_errors
from roman_moe.evaluation.poses import PoseErrors, PosesRequest, judge_part, judge_poses, shared_estimator, stream
from roman_moe.perception.camera import Camera
from roman_moe.perception.detections import Detections
from roman_moe.perception.image_set import Scenes
from roman_moe.sim import held_out
from roman_moe.sim.cameras import camera_of
from roman_moe.sim.held_out import CONDITIONS, HeldOutScene
from roman_moe.sim.randomisation import RandomScene, Ranges, View
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.visibility import shown_share
from roman_moe.sim.world import World

TASK = load_sim_task("kitting")
SPEC = TASK.spec
SYMMETRIES = np.array([each.symmetry for each in SPEC.objects.values()])
TILE = SPEC.object_index["tile"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_estimator(SPEC, tmp_path_factory.mktemp("estimator") / "tiny.onnx")


@pytest.fixture(scope="module")
def scene() -> HeldOutScene:
    return poses._shared_scene(TASK)


def request(file: Path, images: int = 4, **changes) -> PosesRequest:
    return replace(PosesRequest(TASK, file, images, 0, 3, 1), **changes)


@dataclass
class Truth:
    """Stands in for the network: it says where the scene that was drawn last has each object, plus an offset [m]."""

    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    views: list[View] = field(default_factory=list)
    scenes: Scenes | None = None

    def draw(self, *arguments, **options) -> tuple[list[View], Scenes]:
        self.views, self.scenes = poses_draw(*arguments, **options)
        return self.views, self.scenes

    def ask(self, pictures: np.ndarray, cameras: tuple[Camera, ...]) -> dict[str, np.ndarray]:
        assert self.scenes is not None
        positions = self.scenes.positions[0] + self.offset
        yaws = np.array([yaw(each) for each in self.scenes.orientations[0]])
        pixels = np.array([view.camera.project(positions)[0] for view in self.views])
        rays = np.array([view.camera.rays(each) for view, each in zip(self.views, pixels, strict=True)])
        angles = SYMMETRIES * (yaws - np.arctan2(rays[..., 1], rays[..., 0]))
        ones = np.ones(pixels.shape[:2])
        return {
            "pixels": pixels,
            "pixel_sigmas": 0.1 * ones,
            "heights": positions[:, 2] * ones,
            "height_sigmas": 0.01 * ones,
            "confidences": np.array([view.pixels >= 12 for view in self.views]).astype(float),
            "turns": np.stack([np.cos(angles), np.sin(angles)], -1),
        }


poses_draw = poses.draw_scene


@pytest.fixture
def truth(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Truth:
    stand_in = Truth()
    monkeypatch.setattr(shared_estimator(TASK, tiny), "ask", stand_in.ask)
    monkeypatch.setattr(poses, "draw_scene", stand_in.draw)
    return stand_in


def test_a_network_that_is_right_has_no_error_but_that_of_the_calibration(truth: Truth, tiny: Path):
    judged, cases = judge_part(request(tiny, images=16).parts[0])
    for name in ("held_out", "moved"):
        told = summarize_errors(SPEC, judged[name])
        assert told["visible"] > 10
        assert told["p95_m"] < 1e-6
        assert told["missed_share"] == 0.0
        assert told["claimed_share"] in (0.0, None)
        assert told["objects"]["tile"]["yaw_p95_deg"] < 1e-3
    unseen = summarize_errors(SPEC, judged["unseen"])
    assert 0.002 < unseen["median_m"] < 0.03  # 0.5 degrees at a metre are 9 mm
    assert unseen["missed_share"] == 0.0
    assert [case.condition for case in cases[:5]] == ["unseen"] * 5
    assert cases == sorted(cases, key=lambda case: -case.error)


def test_a_network_that_is_off_is_charged_with_that(truth: Truth, tiny: Path):
    truth.offset = np.array([0.003, 0.0, 0.004])
    judged, cases = judge_part(request(tiny).parts[0])
    for name in ("held_out", "moved"):
        told = summarize_errors(SPEC, judged[name])
        assert told["median_m"] == pytest.approx(0.005, abs=1e-6)
        assert told["p95_m"] == pytest.approx(0.005, abs=1e-6)
    (case, *_) = [case for case in cases if case.condition == "moved"]
    assert np.linalg.norm(case.pixels[1] - case.pixels[0]) > 0.3


def test_the_same_seed_gives_the_same_report_with_any_number_of_workers(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(poses, "PART_SCENES", 1)
    asked = request(tiny)
    one, two = (poses_report(asked, judge_poses(replace(asked, workers=workers))) for workers in (1, 2))
    assert one == two
    other = replace(asked, seed=4)
    assert poses_report(other, judge_poses(other))["median_m"] != one["median_m"]
    assert set(CONDITIONS) < set(one)
    assert one["held_out"]["median_m"] == one["median_m"]
    assert one["objects"]["tile"]["hidden_valid_share"] is None  # no episodes


def test_no_held_out_scene_is_one_of_training():
    world = World(TASK)

    def moments(rng: np.random.Generator) -> np.ndarray:
        return np.array(draw_moments(world, 2, 1, rng))

    held = moments(stream(0, 0, "moments"))
    assert not np.array_equal(held, moments(np.random.default_rng([0, 0])))
    np.testing.assert_array_equal(held, moments(stream(0, 0, "moments")))
    states = [
        stream(seed, begin, purpose) for seed in (0, 1) for begin in (0, 20) for purpose in ("moments", *CONDITIONS)
    ]
    states += [np.random.default_rng([seed, part]) for seed in (0, 1) for part in (0, 20)]
    assert len({int(rng.integers(2**62)) for rng in states}) == len(states)


def test_one_camera_in_turn_is_moved_by_10_cm_and_10_degrees(scene: HeldOutScene, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(held_out.CONDITIONS, "moved", replace(CONDITIONS["moved"], plain_share=1.0, shadow_share=0.0))
    rng = np.random.default_rng(5)
    (moment,) = draw_moments(World(TASK), 1, 1, rng)
    plain = RandomScene(TASK, Ranges(0.0, 0.0, 0.0, plain_share=1.0))
    plain.data.qpos[:] = moment
    before = [view.camera for view in plain.draw(rng)]
    plain.close()
    for number in range(2):
        scene.choose("moved", number)
        scene.data.qpos[:] = moment
        views = scene.draw(rng)
        for i, (view, was) in enumerate(zip(views, before, strict=True)):
            turn = np.trace(matrix(view.camera.orientation).T @ matrix(was.orientation))
            angle = math.degrees(math.acos(min(1.0, 0.5 * (turn - 1.0))))
            assert np.linalg.norm(view.camera.position - was.position) == pytest.approx(0.1 * (i == number), abs=1e-9)
            assert angle == pytest.approx(10.0 * (i == number), abs=1e-4)
            np.testing.assert_allclose(view.camera.focal, was.focal)
            true = scene.data.site("tile").xpos[None]
            if view.pixels[TILE] > 60:  # the tile is orange, and where the calibration that is given has it
                (pixel,), _ = view.camera.project(true)
                x, y = pixel.round().astype(int)
                redness = view.image[..., 0].astype(int) - view.image[..., 2]
                assert redness[y - 2 : y + 3, x - 2 : x + 3].mean() > np.median(redness) + 20
                if i == number:
                    assert np.linalg.norm(was.project(true)[0][0] - pixel) > 5.0


def test_the_calibration_of_one_camera_of_an_unseen_look_is_off_by_half_a_degree_and_5_mm(scene: HeldOutScene):
    cameras = [camera_of(scene.model, scene.data, name, 320, 240) for name in SPEC.cameras]
    rng = np.random.default_rng(0)
    for condition in ("held_out", "moved"):
        scene.choose(condition, 0)
        assert [scene.calibration(camera, rng) for camera in cameras] == cameras
    for number in (0, 1):
        scene.choose("unseen", number)
        for i, camera in enumerate(cameras):
            given = scene.calibration(camera, rng)
            if i != number:
                assert given is camera
                continue
            turn = np.trace(matrix(given.orientation).T @ matrix(camera.orientation))
            assert np.linalg.norm(given.position - camera.position) == pytest.approx(0.005)
            assert math.degrees(math.acos(0.5 * (turn - 1.0))) == pytest.approx(0.5, abs=1e-4)


def test_unseen_looks_differ_more_than_those_of_training(scene: HeldOutScene):
    trained, unseen = CONDITIONS["held_out"], CONDITIONS["unseen"]
    for name in ("camera_shift", "camera_turn", "focal_share", "hue", "value"):
        assert getattr(unseen, name) > getattr(trained, name), name
    assert trained == Ranges()

    def tint(condition: str) -> float:
        scene.choose(condition, 0)
        rng, spreads = np.random.default_rng(1), []
        for _ in range(40):
            scene._base.restore(scene.model)
            scene._draw_lights(rng)
            colour = scene.model.vis.headlight.ambient
            spreads.append(float(np.ptp(colour) / colour.mean()))
        return max(spreads)

    assert tint("unseen") > 1.5 * tint("held_out")


def test_what_is_seen_by_whom_and_how_much_of_it_is_told_apart():
    # scenes: both cameras, whole; one camera, half of it; too few pixels, claimed; none, claimed; none
    pixels = np.zeros((5, 2, len(SPEC.objects)), dtype=int)
    shares, found = np.zeros(pixels.shape), np.ones((5, len(SPEC.objects)), dtype=bool)
    pixels[:3, :, TILE] = [[40, 30], [20, 0], [11, 3]]
    shares[:3, :, TILE] = [[0.95, 0.2], [0.5, 0.0], [0.1, 0.1]]
    found[4, TILE] = False
    errors = np.tile(np.array([0.001, 0.003, 0.5, 0.5, np.nan])[:, None], len(SPEC.objects))
    judged = PoseErrors(pixels, shares, found, errors, np.radians(1e3 * errors))
    tile = summarize_errors(SPEC, judged)["objects"]["tile"]
    assert (tile["visible"], tile["missed_share"]) == (2, 0.0)
    assert (tile["hidden"], tile["claimed_share"]) == (2, 0.5)
    assert tile["median_m"] == pytest.approx(0.002)
    assert tile["yaw_median_deg"] == pytest.approx(2.0)
    for kind, error in (("several_cameras", 0.001), ("one_camera", 0.003)):
        assert tile[kind] == {"median_m": pytest.approx(error), "p95_m": pytest.approx(error), "visible": 1}
    assert tile["wholly_visible"]["median_m"] == pytest.approx(0.001)
    assert tile["partly_hidden"]["median_m"] == pytest.approx(0.003)
    pin = summarize_errors(SPEC, judged)["objects"]["pin"]
    assert (pin["visible"], pin["median_m"], pin["missed_share"]) == (0, None, None)
    assert "yaw_median_deg" not in pin


def test_a_thing_that_fits_two_ways_is_right_both_ways():
    angles = np.radians([[178.0, 0.0, 3.0, 0.0, 0.0]]).T
    turned = np.concatenate([np.zeros((5, 2)), np.sin(0.5 * angles), np.cos(0.5 * angles)], axis=1)
    upright = np.tile([0.0, 0.0, 0.0, 1.0], (5, 1))
    found = detections_of(turned[: len(SPEC.objects)])
    judged = poses.judge(SPEC, found, np.zeros((5, 3)), upright, (np.ones((2, 5), int), np.ones((2, 5))))
    assert SPEC.object_names[0] == "tile"
    assert math.degrees(judged.yaw_errors[0, 0]) == pytest.approx(2.0)


def detections_of(orientations: np.ndarray) -> Detections:
    count = len(orientations)
    return Detections(
        0, np.ones(count, bool), np.zeros((count, 3)), np.zeros((count, 3, 3)), orientations, np.zeros(count)
    )


def test_a_share_of_a_thing_is_hidden_by_what_stands_before_it(scene: HeldOutScene):
    scene._base.restore(scene.model)
    (moment,) = draw_moments(World(TASK), 1, 1, np.random.default_rng(0))
    scene.data.qpos[:] = moment
    scene.choose("moved", 0)
    views = scene.draw(np.random.default_rng(2))
    camera = views[0].camera
    model, data, geoms = scene.model, scene.data, scene.object_geoms[TILE]
    tile = data.site("tile").xpos.copy()
    wall = scene._distractors[0]
    ray = camera.position - tile
    shares = []
    for sideways in (0.5, 0.025, 0.0):
        across = np.cross(ray, [0.0, 0.0, 1.0]) / np.linalg.norm(np.cross(ray, [0.0, 0.0, 1.0]))
        data.geom_xpos[wall] = tile + 0.3 * ray + sideways * across
        model.geom_type[wall], model.geom_size[wall] = 2, [0.02] * 3
        model.geom_aabb[wall], model.geom_rbound[wall] = [0.0, 0.0, 0.0, 0.02, 0.02, 0.02], 0.02
        model.geom_rgba[wall, 3] = 1.0
        groups = model.geom_group.copy()
        shares.append(shown_share(model, data, geoms, camera))
        np.testing.assert_array_equal(model.geom_group, groups)
    assert 1.0 >= shares[0] > shares[1] > shares[2]
    assert shares[2] < 0.3


def test_its_command_writes_report_plot_and_sheet(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    short = poses.run_job
    monkeypatch.setattr(poses, "run_job", lambda job: short(replace(job, time_limit=1.0)))
    files = {name: tmp_path / name for name in ("report.json", "errors.png", "worst.jpg")}
    options = ["--task", "kitting", "--estimator", str(tiny), "--images", "4", "--episodes", "1", "--workers", "1"]
    outputs = [
        text
        for name, file in zip(("--json", "--plot", "--sheet"), files.values(), strict=True)
        for text in (name, str(file))
    ]
    assert main(["evaluate", "poses", *options, *outputs]) == 0
    report = json.loads(files["report.json"].read_text())
    assert set(report["objects"]) == set(SPEC.objects)
    assert report["objects"]["tile"].keys() >= {"median_m", "p95_m", "hidden_valid_share"}
    assert report["objects"]["tile"]["hidden_valid_share"] == 0.0
    assert (report["scenes"], report["visible_pixels"]) == (2, 12)
    for file in files.values():
        assert file.stat().st_size > 1000
    shown = capsys.readouterr().out
    for name in (*SPEC.objects, "all", "moved", "claimed"):
        assert name in shown


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--task", "kitting", "--estimator", "{tmp}/none.onnx"], "none.onnx: cannot be read: No such file"),
        (["--task", "roman", "--estimator", "{tiny}"], "of the task 'kitting': expected"),
        (["--estimator", "models/kitting/gate.onnx"], "expected an estimator"),
        (["--images", "0"], "--images 0: expected 1 or more"),
        (["--plot", "errors.txt", "--estimator", "{tiny}"], "--plot errors.txt: expected a name that ends with"),
        (["models/roman"], "'models/roman' is one argument too many"),
        (["--episods", "1"], "unknown option --episods: did you mean --episodes?"),
    ],
)
def test_what_it_cannot_use_is_refused_in_one_line(arguments, complaint, tiny: Path, tmp_path: Path, capsys):
    given = [each.format(tmp=tmp_path, tiny=tiny) for each in arguments]
    assert main(["evaluate", "poses", *given]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_a_bundle_folder_named_poses_is_given_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "./poses"]) == 2
    assert "poses: no such folder: expected a bundle" in capsys.readouterr().err
