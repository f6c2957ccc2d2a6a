"""Synthetic images: what they show is where their labels say, and a cut-off run goes on to the same files."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roman_moe.core.errors import ConfigError, DemonstrationError
from roman_moe.core.state import yaw
from roman_moe.evaluation import images
from roman_moe.evaluation.images import ImageRequest, draw_images
from roman_moe.perception.contact_sheet import write_sheet
from roman_moe.perception.image_set import ImageSet, camera_at, read_scenes
from roman_moe.sim.randomisation import RandomScene, Ranges
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.task import SimTask
from roman_moe.sim.world import World

PLAIN = Ranges(plain_share=1.0, shadow_share=0.0)


def request(out: Path, count: int = 8, **changes) -> ImageRequest:
    return replace(ImageRequest(load_sim_task("kitting"), out, count, 1, 1, Ranges()), **changes)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.jpg")
    }


@pytest.fixture(scope="module")
def small_parts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "PART_SCENES", 2)
        patch.setattr(images, "EPISODE_SCENES", 2)
        yield


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, small_parts: None) -> Path:
    folder = tmp_path_factory.mktemp("images")
    draw_images(request(folder, ranges=PLAIN))
    return folder


def test_things_are_where_their_labels_say(drawn: Path):
    there = ImageSet(drawn)
    tile = there.description.objects.index("tile")
    orange, elsewhere = [], []
    for part in there.parts():
        scenes = read_scenes(part)
        for number in range(len(scenes)):
            for i, image in enumerate(there.scene(part, number)):
                if scenes.pixels[number, i, tile] > 60:
                    pixels, _ = camera_at(scenes, number, i, there.description).project(scenes.positions[number])
                    x, y = pixels[tile].round().astype(int)
                    redness = image[..., 0].astype(int) - image[..., 2]
                    orange.append(redness[y - 1 : y + 2, x - 1 : x + 2].mean())
                    elsewhere.append(np.median(redness))
    assert len(orange) >= 3
    assert np.median(orange) > np.median(elsewhere) + 30


def test_what_is_not_in_view_has_no_pixels(drawn: Path):
    scenes = [read_scenes(part) for part in ImageSet(drawn).parts()]
    assert all((each.pixels >= 0).all() for each in scenes)
    assert any((each.pixels > 60).any() for each in scenes)
    assert not any((each.pixels.sum(axis=2) > 320 * 240).any() for each in scenes)


def test_a_cut_off_run_goes_on_to_the_same_images(drawn: Path, tmp_path: Path, small_parts: None):
    again = tmp_path / "again"
    shutil.copytree(drawn, again)
    shutil.rmtree(again / "part_00001")
    with pytest.raises(DemonstrationError, match="2 of 4 scenes"):
        ImageSet(again).parts()
    told: list[int] = []
    draw_images(request(again, ranges=PLAIN), told.append)
    assert sum(told) == 4
    assert digests(again) == digests(drawn)


def test_a_share_of_the_moments_shows_a_thing_that_moves():
    world = World(load_sim_task("kitting"))
    rest = np.array([spec.position[2] for spec in world.task.spec.objects.values()])

    def lifted(moving_share: float) -> float:
        moments = images.draw_moments(world, 60, 30, np.random.default_rng(5), moving_share)
        heights = []
        for moment in moments:
            world.set_physics_state(moment)
            heights.append([world.site(name)[2] for name in world.task.spec.objects])
        return float((np.array(heights) > rest + 0.03).any(axis=1).mean())

    assert lifted(0.9) > max(2.0 * lifted(0.0), 0.5)


@pytest.mark.parametrize(("scattered", "least", "most"), [(1.0, 0.8, 1.6), (0.0, 0.0, 0.01)])
def test_where_loose_things_are_anywhere_joints_are_too(scattered, least, most):
    task, rng = load_sim_task("kitting"), np.random.default_rng(2)
    lock, moment = task.spec.object_index["lock"], World(task).physics_state()
    scene = RandomScene(task, PLAIN)
    try:
        drawn = [images.draw_scene(scene, task, moment, rng, scattered=scattered)[1] for _ in range(10)]
    finally:
        scene.close()
    assert least <= np.ptp([yaw(each.orientations[0, lock]) for each in drawn]) <= most


def test_other_images_are_not_mixed_in(drawn: Path, small_parts: None):
    with pytest.raises(DemonstrationError, match="seed is 1, not 2: choose another --out"):
        draw_images(request(drawn, seed=2, ranges=PLAIN))


def test_images_of_an_earlier_version_are_refused(drawn: Path, tmp_path: Path):
    folder = tmp_path / "old"
    shutil.copytree(drawn, folder)
    path = folder / "images.yaml"
    path.write_text(path.read_text().replace("format_version: 2", "moving_share: 0.5\nformat_version: 1"))
    with pytest.raises(DemonstrationError, match="format_version 1: this program reads 2: make them anew"):
        ImageSet(folder)


def test_looks_differ(tmp_path: Path, small_parts: None):
    draw_images(request(tmp_path / "wild", count=4, ranges=Ranges(plain_share=0.0)))
    there = ImageSet(tmp_path / "wild")
    one, two = (there.scene(there.parts()[0], number)[0].astype(float) for number in (0, 1))
    assert np.abs(one - two).mean() > 10.0
    write_sheet(there, tmp_path / "sheet.jpg")
    assert (tmp_path / "sheet.jpg").stat().st_size > 10_000


def test_a_task_without_cameras_is_refused(tmp_path: Path):
    task = load_sim_task("kitting")
    blind = SimTask(replace(task.spec, cameras={}), task.folder, task.skills)
    with pytest.raises(ConfigError, match="cameras of size none"):
        draw_images(request(tmp_path, task=blind))


def test_another_tasks_images_are_refused(drawn: Path):
    with pytest.raises(DemonstrationError, match="images of the task kitting .* expected roman"):
        ImageSet(drawn).check(load_sim_task("roman").spec)


def test_damage_is_named(drawn: Path, tmp_path: Path):
    again = tmp_path / "again"
    shutil.copytree(drawn, again)
    part = again / "part_00000"
    (part / "0000_left.jpg").write_bytes(b"no image")
    with pytest.raises(DemonstrationError, match=r"0000_left\.jpg: nothing that can be read"):
        ImageSet(again).scene(part, 0)
    (part / "labels.npz").write_bytes(b"no labels")
    with pytest.raises(DemonstrationError, match=r"labels\.npz: cannot be read"):
        read_scenes(part)
