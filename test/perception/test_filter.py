"""The filter between single frame sets and the poses that a controller goes by, with stamps of our own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from specs import ROMAN

from roman_moe.core.rotation import product, rotate
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import NANOSECONDS, HandState, ObjectPoses, rotated, yaw
from roman_moe.perception.detections import Detections
from roman_moe.perception.filter import SEEN_FOR, SILENCE, PoseFilter

TICK_NS = NANOSECONDS // 20
SIGMA = 0.003
FAR = np.array([0.46, 0.0, 0.31])
DOWN = np.array([1.0, 0.0, 0.0, 0.0])


def of_objects(**objects: dict[str, Any]) -> TaskSpec:
    """The task roman with some objects described otherwise."""
    changed = {name: replace(each, **objects.get(name, {})) for name, each in ROMAN.objects.items()}
    return replace(ROMAN, objects=changed)


class Bench:
    """A filter in a scene that the test moves, at 20 Hz; every second tick is looked at, and told of 0.1 s later."""

    def __init__(self, spec: TaskSpec = ROMAN, seed: int = 0, sigma: float = SIGMA) -> None:
        self.spec, self.filter, self.sigma = spec, PoseFilter(spec), sigma
        self.rng = np.random.default_rng(seed)
        self.truth = np.array([each.position or (0.3, 0.3, 0.3) for each in spec.objects.values()])
        self.yaws = np.zeros(len(self.truth))
        self.seen = np.ones(len(self.truth), dtype=bool)
        self.hand, self.turn, self.gripped = FAR, 0.0, False
        self.looking = True
        self.tick = 0
        self.looks: list[Detections] = []

    def row(self, name: str) -> int:
        return self.spec.object_index[name]

    def look(self, stamp_ns: int) -> Detections:
        count = len(self.truth)
        turns = self.yaws + self.rng.normal(scale=self.sigma / 0.1, size=count)
        return Detections(
            stamp_ns=stamp_ns,
            seen=self.seen.copy(),
            positions=self.truth + self.rng.normal(scale=self.sigma, size=(count, 3)),
            covariances=np.tile(np.eye(3) * self.sigma**2, (count, 1, 1)),
            orientations=np.array([rotated(np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.0, 0.0, t])) for t in turns]),
            yaw_sigmas=np.full(count, self.sigma / 0.1),
        )

    def step(self, ticks: int = 1) -> ObjectPoses:
        for _ in range(ticks):
            stamp = self.tick * TICK_NS
            if self.looking and self.tick % 2 == 0:
                self.looks.append(self.look(stamp))
            while self.looks and self.looks[0].stamp_ns <= stamp - 2 * TICK_NS:
                self.filter.update(self.looks.pop(0))
            poses = self.filter.poses(self.hand_state(stamp))
            self.tick += 1
        return poses

    def hand_state(self, stamp_ns: int) -> HandState:
        force, opening = (5.0, 0.015) if self.gripped else (0.0, self.spec.gripper.open)
        return HandState(
            spec=self.spec,
            stamp_ns=stamp_ns,
            hand_position=self.hand,
            hand_velocity=np.zeros(3),
            finger_opening=opening,
            finger_forces=np.full(2, force),
            flags=np.zeros(len(self.spec.flags), dtype=bool),
            hand_orientation=rotated(DOWN, np.array([0.0, 0.0, self.turn])),
        )

    def error(self, poses: ObjectPoses, name: str) -> float:
        row = self.row(name)
        return float(np.linalg.norm(poses.positions[row] - self.truth[row]))


def test_white_noise_is_less_after_the_filter_than_before_it():
    bench = Bench()
    bench.step(20)
    errors = np.concatenate([bench.step(2).positions - bench.truth for _ in range(200)])
    assert errors.std() < 0.65 * SIGMA


def test_the_covariance_says_how_wrong_a_position_is():
    bench = Bench()
    bench.step(20)
    squares = []
    for _ in range(100):
        errors = bench.step(2).positions - bench.truth
        squares += [e @ np.linalg.solve(c, e) for e, c in zip(errors, bench.filter.covariances, strict=True)]
    assert 1.0 < float(np.mean(squares)) < 6.0  # 3 of what is just so certain


def test_an_outlier_is_left_out_and_so_are_many_that_do_not_agree():
    bench = Bench()
    bench.step(20)
    still = bench.truth[bench.row("rack")].copy()
    for _ in range(20):
        bench.truth[bench.row("rack")] = still + bench.rng.uniform(-0.3, 0.3, 3)
        poses = bench.step(2)
        assert np.linalg.norm(poses.positions[bench.row("rack")] - still) < 4 * SIGMA
    assert not poses.valid[bench.row("rack")]  # nothing has shown it there for long
    assert poses.valid[bench.row("vial")]


@pytest.mark.parametrize("way", [0.03, 0.2, 1.0])
def test_what_somebody_moves_is_followed_within_half_a_second(way: float):
    bench = Bench()
    bench.step(21)
    bench.truth[bench.row("rack")] += (way, 0.0, 0.0)
    assert bench.error(bench.step(10), "rack") < 3 * SIGMA


@pytest.mark.parametrize("speed", [0.05, 0.13, 0.3])
def test_what_moves_steadily_is_followed_with_little_delay(speed: float):
    bench = Bench()
    bench.step(20)
    for _ in range(40):
        bench.truth[bench.row("rack")] += (0.0, -speed * 0.05, 0.0)
        poses = bench.step()
        assert bench.error(poses, "rack") < speed * 0.5 + 4 * SIGMA
    assert poses.valid[bench.row("rack")]
    assert bench.error(poses, "rack") < speed * 0.3 + 4 * SIGMA


def test_what_is_hidden_becomes_invalid_within_a_second_and_keeps_its_place_with_a_growing_age():
    bench = Bench()
    before = bench.step(20)
    row = bench.row("vial")
    bench.seen[row] = False
    bench.truth[row] += 0.1  # nobody sees it
    assert not bench.step(20).valid[row]
    later = bench.step(100)
    np.testing.assert_allclose(later.positions[row], before.positions[row], atol=3 * SIGMA)
    assert 5.8 < later.ages[row] < 6.2
    assert later.valid[bench.row("rack")]
    assert later.ages[bench.row("rack")] <= SEEN_FOR
    bench.seen[row] = True
    found = bench.step(10)
    assert found.valid[row]
    assert bench.error(found, "vial") < 3 * SIGMA


def test_what_was_never_seen_is_where_it_usually_is_since_the_episode_began():
    bench = Bench(of_objects(vial={"position": (0.1, 0.2, 0.3), "carried_by": ""}, rack={"position": ()}))
    bench.seen[[bench.row("vial"), bench.row("rack")]] = False
    poses = bench.step(41)
    np.testing.assert_array_equal(poses.positions[bench.row("vial")], (0.1, 0.2, 0.3))
    assert poses.ages[bench.row("vial")] == 2.0
    assert poses.ages[bench.row("rack")] == np.inf  # nothing says where it is
    assert not poses.valid[[bench.row("vial"), bench.row("rack")]].any()


def test_what_is_hidden_moves_with_its_drawer_until_the_hand_has_held_it():
    bench = Bench(of_objects(vial={"carried_by": "drawer_handle"}))
    bench.step(20)
    bench.seen[bench.row("vial")] = False
    bench.step(20)
    for _ in range(20):
        bench.truth[[bench.row("vial"), bench.row("drawer_handle")]] += (0.0, -0.009, 0.0)
        bench.step()
    poses = bench.step(10)
    assert not poses.valid[bench.row("vial")]
    assert bench.error(poses, "vial") < 3 * SIGMA
    grasp(bench, "vial")
    bench.gripped = False
    held = bench.step(10)
    bench.truth[bench.row("drawer_handle")] += (0.0, 0.18, 0.0)
    np.testing.assert_array_equal(bench.step(20).positions[bench.row("vial")], held.positions[bench.row("vial")])


def grasp(bench: Bench, name: str) -> None:
    bench.hand = bench.truth[bench.row(name)] + (0.0, 0.004, 0.01)
    bench.step(2)
    bench.gripped = True
    bench.step(4)


def carry(bench: Bench, name: str, step: np.ndarray) -> ObjectPoses:
    bench.hand = bench.hand + step
    bench.truth[bench.row(name)] += step
    return bench.step()


def test_what_the_fingers_hold_follows_the_hand_unseen_and_stays_where_they_let_go():
    bench = Bench()
    bench.step(20)
    row = bench.row("vial")
    grasp(bench, "vial")
    assert bench.filter.held == "vial"
    bench.seen[row] = False
    for _ in range(60):
        poses = carry(bench, "vial", np.array([0.004, -0.006, 0.002]))
        assert poses.valid[row]
        assert poses.ages[row] == 0.0
        assert bench.error(poses, "vial") < 3 * SIGMA
    bench.gripped = False
    bench.step(4)
    bench.hand = bench.hand + 0.1
    poses = bench.step(40)
    assert bench.filter.held == ""
    assert bench.error(poses, "vial") < 3 * SIGMA
    assert not poses.valid[row]


def test_what_is_held_turns_with_the_hand():
    spec = of_objects(vial={"orientation": "yaw"})
    bench = Bench(spec, sigma=1e-4)
    bench.step(20)
    row = bench.row("vial")
    grasp(bench, "vial")
    bench.seen[row] = False
    before, pivot = bench.truth[row] - bench.hand, bench.hand
    for _ in range(20):
        bench.turn += 0.04
        poses = bench.step()
    turned = rotated(np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.0, 0.0, bench.turn]))
    np.testing.assert_allclose(poses.positions[row], pivot + rotate(turned, before), atol=1e-3)
    assert yaw(poses.orientations[row]) == pytest.approx(bench.turn, abs=0.01)


def test_looks_correct_what_is_held_at_the_time_of_their_images():
    """It slips by 2 cm in the fingers while the hand moves on: a late look counts from where the hand was then."""
    bench = Bench()
    bench.step(20)
    grasp(bench, "vial")
    bench.truth[bench.row("vial")] += (0.0, 0.0, -0.02)
    for _ in range(20):
        poses = carry(bench, "vial", np.array([0.01, 0.0, 0.0]))
    assert bench.error(poses, "vial") < 3 * SIGMA


def test_a_grasp_of_nothing_of_what_was_never_seen_and_of_what_does_not_move_holds_nothing():
    bench = Bench()
    bench.seen[bench.row("vial")] = False
    bench.step(20)
    grasp(bench, "vial")
    assert bench.filter.held == ""
    bench.gripped = False
    bench.step(10)
    bench.hand, bench.gripped = np.array([0.3, 0.3, 0.5]), True
    bench.step(4)
    assert bench.filter.held == ""
    bench.gripped = False
    bench.step(10)
    bench.hand, bench.gripped = bench.truth[bench.row("rack_target")], True
    bench.step(4)
    assert bench.filter.held == ""


def test_a_yaw_is_filtered_around_its_jump_and_up_to_the_symmetry():
    """What looks the same after half a turn is given now as 90 degrees, now as -90: it is one angle."""
    bench = Bench(of_objects(rack={"orientation": "yaw", "symmetry": 2}))
    row = bench.row("rack")
    yaws = []
    for tick in range(80):
        bench.yaws[row] = np.pi / 2 if tick % 4 < 2 else -np.pi / 2
        poses = bench.step()
        if tick > 20:
            assert poses.valid[row]
            yaws.append(2.0 * yaw(poses.orientations[row]))
    assert np.abs(np.angle(np.exp(1j * (np.array(yaws) - np.pi)))).max() < 0.1


def test_a_flipped_orientation_is_an_outlier():
    bench = Bench(of_objects(rack={"orientation": "yaw"}))
    bench.step(20)
    bench.yaws[bench.row("rack")] = np.pi
    assert abs(yaw(bench.step(3).orientations[bench.row("rack")])) < 0.1
    bench.yaws[bench.row("rack")] = 0.0
    assert abs(yaw(bench.step(4).orientations[bench.row("rack")])) < 0.1


def test_a_full_orientation_is_followed_about_any_axis():
    bench = Bench(of_objects(rack={"orientation": "full"}), sigma=1e-3)
    tilted = rotated(np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.4, -0.3, 0.2]))
    look = bench.look

    def tilted_look(stamp_ns: int) -> Detections:
        seen = look(stamp_ns)
        return replace(seen, orientations=np.array([product(each, tilted) for each in seen.orientations]))

    bench.look = tilted_look  # type: ignore[method-assign]
    poses = bench.step(30)
    assert abs(float(poses.orientations[bench.row("rack")] @ tilted)) > 0.9999


def test_no_object_is_known_before_the_first_look_and_when_the_cameras_are_silent():
    bench = Bench()
    assert np.isinf(bench.step(2).ages).all()
    assert bench.step(20).valid.all()
    grasp(bench, "vial")
    bench.looking, bench.looks = False, []
    poses = bench.step(round(SILENCE * 20) + 3)
    assert np.isinf(poses.ages).all()
    assert not poses.valid.any()  # what the hand holds neither: the world may have moved
    bench.looking = True
    assert bench.step(8).valid.all()


@pytest.mark.parametrize("ahead", [-5.0, -1.1, 0.3, 1e6])
def test_looks_whose_stamps_jump_are_left_out(ahead: float):
    bench = Bench()
    bench.step(60)
    wrong = replace(bench.look(bench.tick * TICK_NS + round(ahead * NANOSECONDS)), positions=bench.truth + 1.0)
    assert not bench.filter.update(wrong)
    poses = bench.step(4)
    assert poses.valid.all()
    assert np.abs(poses.positions - bench.truth).max() < 4 * SIGMA


def test_a_look_that_comes_twice_counts_once():
    bench = Bench(of_objects())
    bench.step(20)
    look = bench.look(bench.tick * TICK_NS - TICK_NS)
    assert bench.filter.update(look)
    assert not bench.filter.update(look)


@pytest.mark.parametrize("to", [-10.0, 30.0])
def test_a_clock_that_jumps_begins_anew(to: float):
    bench = Bench()
    bench.step(210)
    bench.tick += round(to * 20)
    bench.looks = []
    bench.truth[:] += 0.05
    assert np.isinf(bench.step().ages).all()
    assert np.abs(bench.step(12).positions - bench.truth).max() < 4 * SIGMA
