"""`roman-moe calibrate` on a simulated board whose truth is known, with noise and blur; and what it prints."""

from __future__ import annotations

import re
import shutil
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from roman_moe.bench.calibration import SIZE, BoardScene, errors
from roman_moe.cli.main import main
from roman_moe.core.errors import ConfigError, MissingDependencyError
from roman_moe.core.rotation import from_matrix, matrix
from roman_moe.core.tasks import load_spec
from roman_moe.perception import marker_images
from roman_moe.perception.board import Board
from roman_moe.perception.camera_file import read_camera

VIEWS = 14


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Folders of images with the truths of their cameras; the camera's file with its intrinsics."""
    root = tmp_path_factory.mktemp("calibrate")
    try:
        scene = BoardScene(Board(), 3)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    with scene:
        front, truth = scene.in_front(VIEWS)
        table, places, fixed = scene.on_table()
        around, hands, mount = scene.on_hand(10)
    for name, images in (("front", front), ("table", table), ("hand", around)):
        (root / name).mkdir()
        for file, image in images.items():
            Image.fromarray(image).save(root / name / file)
    for name, poses in (("places.yaml", places), ("hands.yaml", hands)):
        plain = {file: {"position": list(p.position), "orientation": list(p.orientation)} for file, p in poses.items()}
        (root / name).write_text(yaml.safe_dump({"poses": plain}))
    assert main(["calibrate", "intrinsics", str(root / "front"), str(root / "eye.yaml")]) == 0
    return root, truth, fixed, mount


def test_intrinsics_within_half_a_percent(lab):
    root, truth, *_ = lab
    found = read_camera(root / "eye.yaml", posed=False)
    assert (found.name, found.width, found.height) == ("eye", *SIZE)
    assert found.focal == pytest.approx(truth.focal, rel=0.005)
    assert found.centre == pytest.approx(truth.centre, abs=3.0)
    assert Image.open(root / "eye.png").size[0] > 1000


def test_a_fixed_camera_within_3_mm_and_0_3_degrees(lab, tmp_path):
    root, _, fixed, _ = lab
    file = shutil.copy(root / "eye.yaml", tmp_path / "left.yaml")
    assert (
        main(["calibrate", "camera-to-base", str(root / "table"), str(file), "--places", str(root / "places.yaml")])
        == 0
    )
    position, rotation = errors(read_camera(file), fixed)
    assert position < 3.0
    assert rotation < 0.3


def test_a_camera_on_the_hand_within_3_mm_and_0_3_degrees(lab, tmp_path):
    root, *_, mount = lab
    file = shutil.copy(root / "eye.yaml", tmp_path / "hand.yaml")
    assert main(["calibrate", "hand-eye", str(root / "hand"), str(file), "--poses", str(root / "hands.yaml")]) == 0
    position, rotation = errors(read_camera(file, posed=False), mount)
    assert position < 3.0
    assert rotation < 0.3


def test_a_fixed_camera_that_sees_the_board_in_the_hand(lab, tmp_path):
    """The same images, seen from the board: its frame is the hand, and the camera's hand is the base."""
    root, *_, mount = lab
    poses = yaml.safe_load((root / "hands.yaml").read_text())["poses"]
    for pose in poses.values():
        back = _matrix(pose["orientation"]).T
        pose["position"] = (-back @ pose["position"]).tolist()
        pose["orientation"] = from_matrix(back).tolist()
    (tmp_path / "hands.yaml").write_text(yaml.safe_dump({"poses": poses}))
    file = shutil.copy(root / "eye.yaml", tmp_path / "left.yaml")
    arguments = ["calibrate", "hand-eye", str(root / "hand"), str(file), "--poses", str(tmp_path / "hands.yaml")]
    assert main([*arguments, "--fixed"]) == 0
    position, rotation = errors(read_camera(file), mount)
    assert position < 3.0
    assert rotation < 0.3


def _matrix(quaternion):
    return matrix(np.array(quaternion))


def test_the_file_has_the_keys_that_ros_reads(lab):
    root, *_ = lab
    content = yaml.safe_load((root / "eye.yaml").read_text())
    for key, shape in (
        ("camera_matrix", (3, 3)),
        ("distortion_coefficients", (1, 5)),
        ("rectification_matrix", (3, 3)),
        ("projection_matrix", (3, 4)),
    ):
        assert (content[key]["rows"], content[key]["cols"], len(content[key]["data"])) == (*shape, shape[0] * shape[1])
    assert content["distortion_model"] == "plumb_bob"
    assert (content["image_width"], content["image_height"], content["camera_name"]) == (*SIZE, "eye")
    assert "pose" not in content


def refused(capsys, *arguments: object) -> str:
    assert main(["calibrate", *map(str, arguments)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_what_cannot_be_used_is_refused_in_one_line(lab, tmp_path, capsys):
    root, *_ = lab
    eye = root / "eye.yaml"
    assert "no images: expected files ending in .png" in refused(capsys, "intrinsics", tmp_path, tmp_path / "a.yaml")
    Image.new("RGB", SIZE).save(tmp_path / "black.png")
    line = refused(capsys, "intrinsics", tmp_path, tmp_path / "a.yaml")
    assert "board not found in any of 1 images: expected 7 x 5 squares with markers of 5x5_100" in line
    shutil.copy(root / "front" / "view_00.png", tmp_path)
    assert "1 images show the board: expected 8 at least" in refused(
        capsys, "intrinsics", tmp_path, tmp_path / "a.yaml"
    )
    Image.new("RGB", (320, 240)).save(tmp_path / "small.png")
    line = refused(capsys, "intrinsics", tmp_path, tmp_path / "a.yaml")
    assert "320 x 240 pixels: expected (960, 720) as black.png has" in line
    assert "--place X,Y,Z,YAW or --places FILE" in refused(capsys, "camera-to-base", root / "table", eye)
    line = refused(capsys, "camera-to-base", root / "table", eye, "--place", "1,2,three")
    assert "--place '1,2,three': expected X,Y,Z,YAW" in line
    line = refused(capsys, "camera-to-base", root / "table", eye, "--places", root / "hands.yaml")
    assert "no pose for image place_" in line
    assert "no such file" in refused(
        capsys, "camera-to-base", root / "table", tmp_path / "none.yaml", "--place", "0,0,0,0"
    )
    poses = yaml.safe_load((root / "hands.yaml").read_text())["poses"]
    for number, pose in enumerate(poses.values()):
        pose["orientation"] = [0.0, 0.0, float(np.sin(0.2 * number)), float(np.cos(0.2 * number))]
    (tmp_path / "flat.yaml").write_text(yaml.safe_dump({"poses": poses}))
    line = refused(capsys, "hand-eye", root / "hand", eye, "--poses", tmp_path / "flat.yaml")
    assert "turn about one axis alone" in line


def test_an_uncalibrated_camera_and_one_without_a_place_are_refused(lab, tmp_path, capsys):
    root, *_ = lab
    content = yaml.safe_load((root / "eye.yaml").read_text())
    content["camera_matrix"]["data"][0] = 0.0
    (tmp_path / "zero.yaml").write_text(yaml.safe_dump(content))
    line = refused(capsys, "camera-to-base", root / "table", tmp_path / "zero.yaml", "--place", "0,0,0,0")
    assert "a focal length above 0: calibrate the camera" in line
    with pytest.raises(ConfigError, match="no pose in the base frame: run roman-moe calibrate camera-to-base"):
        read_camera(root / "eye.yaml")


def raster(path, dots_per_mm: int = 8) -> np.ndarray:
    """A page as a printer draws it: every rectangle of the SVG, by the page's own size in millimetres."""
    page = ElementTree.parse(path).getroot()
    width, height = (float(re.fullmatch(r"([\d.]+)mm", page.get(key))[1]) for key in ("width", "height"))
    assert page.get("viewBox") == f"0 0 {width:g} {height:g}"
    image = np.full((round(height * dots_per_mm), round(width * dots_per_mm)), 255, np.uint8)
    for rect in page.iter("{http://www.w3.org/2000/svg}rect"):
        if rect.get("width") == "100%":
            continue
        x, y, w, h = (float(rect.get(key)) * dots_per_mm for key in ("x", "y", "width", "height"))
        image[round(y) : round(y + h), round(x) : round(x + w)] = 0 if rect.get("fill") == "black" else 255
    return image


@pytest.mark.parametrize("task", ["roman", "kitting"])
def test_the_printed_markers_decode_to_scale(task, tmp_path):
    assert main(["calibrate", "markers", task, "--out", str(tmp_path)]) == 0
    found = {}
    detector = cv2.aruco.ArucoDetector(marker_images.dictionary("4x4_50"))
    for path in sorted(tmp_path.glob("*.svg")):
        image = raster(path)
        quads, ids, _ = detector.detectMarkers(image)
        for quad, number in zip(quads, ids.reshape(-1).tolist(), strict=True):
            assert number not in found
            found[number] = float(np.linalg.norm(quad[0][0] - quad[0][1])) / 8.0
        assert _longest_line(image) == pytest.approx(100.0, abs=0.3)
    expected = {marker.id: 1e3 * marker.size for each in load_spec(task).objects.values() for marker in each.markers}
    assert found == pytest.approx(expected, abs=0.5)


def _longest_line(image: np.ndarray) -> float:
    """Of black in the page's lowest 20 mm [mm]."""
    return float(max((row == 0).sum() for row in image[-20 * 8 :])) / 8.0


def test_the_printed_board_is_found_to_scale(tmp_path):
    assert main(["calibrate", "board", "--out", str(tmp_path)]) == 0
    image = raster(tmp_path / "board.svg")
    pixels, points = Board().find(np.repeat(image[:, :, None], 3, axis=2))
    assert len(pixels) == 24
    flipped = points[:, :2] * [8000.0, -8000.0]
    assert pixels - pixels.mean(axis=0) == pytest.approx(flipped - flipped.mean(axis=0), abs=2.0)
    assert _longest_line(image) == pytest.approx(100.0, abs=0.3)
