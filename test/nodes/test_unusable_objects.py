"""Objects that may not be acted on, from their message to the arm: neither gate nor expert uses their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from messages import hand_message, poses_message
from ros_rig import Rig
from scenes import hand_at, poses_at
from specs import OBJECTS, ROMAN, SKILLS

from roman_moe.control.guard import GuardStatus
from roman_moe.nodes.base.diagnostics import STALE, STATUS
from roman_moe.nodes.base.node import MALFORMED, NOT_FINITE
from roman_moe.nodes.base.topics import CODEC, HAND_STATE, OBJECT_POSES, SCENE, TWIST_COMMAND
from roman_moe.nodes.control.blender import MISSED_TICKS, Blender
from roman_moe.nodes.control.expert import ExpertNode
from roman_moe.nodes.control.gate import GateNode
from roman_moe.nodes.control.observer import Observer

TICK_NS = 50_000_000
POSITIONS = np.array([each.position for each in ROMAN.objects.values()])


class Harness:
    """The control graph in lockstep; arm and camera are played by hand."""

    def __init__(self, rig: Rig, bundle: Path) -> None:
        self.rig, self.ticks = rig, 0
        rig.listen(TWIST_COMMAND)
        rig.listen(SCENE)
        rig.add(Observer, bundle=str(bundle), lockstep=True)
        rig.add(GateNode, bundle=str(bundle))
        for skill in SKILLS:
            rig.add(ExpertNode, f"expert_{skill}", bundle=str(bundle), skill=skill)
        rig.add(Blender, bundle=str(bundle), lockstep=True)

    def show(self, unusable: str = "", position: float = 0.0, valid: bool = True, age: float = 0.0) -> None:
        """Hand and poses of the next tick; one object, or "all" of them, are as it is said."""
        stamp = self.ticks * TICK_NS
        positions, are_valid, ages = POSITIONS.copy(), np.ones(len(OBJECTS), dtype=bool), np.zeros(len(OBJECTS))
        if unusable:
            row = slice(None) if unusable == "all" else OBJECTS.index(unusable)
            positions[row], are_valid[row], ages[row] = position, valid, age
        self.ticks += 1
        self.rig.send(OBJECT_POSES, poses_message(CODEC, poses_at(stamp, positions, valid=are_valid, ages=ages)))
        self.rig.send(HAND_STATE, hand_message(CODEC, hand_at(stamp)))

    def step(self, *what: Any, **how: Any) -> float:
        """Speed [m/s] of the command for it."""
        before = len(self.rig.heard[TWIST_COMMAND.name])
        self.show(*what, **how)
        linear = self.rig.last(TWIST_COMMAND, before + 1).twist.linear
        return float(np.linalg.norm([linear.x, linear.y, linear.z]))

    def status(self, status: GuardStatus) -> None:
        self.rig.spin_until(lambda: self.rig.fact("blender", STATUS) == f"{status.value} {status.name}")


@pytest.mark.parametrize("position", [0.0, float("nan"), float("inf"), 1e300])
def test_an_invalid_object_that_the_gate_observes_rests_the_arm(rig: Rig, bundle: Path, position: float) -> None:
    harness = Harness(rig, bundle)
    assert max(harness.step() for _ in range(4)) > 0.0
    for _ in range(3):  # gate ticks and those in between
        speed = harness.step("drawer_handle", position, valid=False, age=-1.0)
    assert speed == 0.0
    harness.status(GuardStatus.HALT_OBJECTS_STALE)
    rig.spin_until(lambda: rig.reported("gate", STALE) >= 1)
    assert rig.reported("observer", NOT_FINITE) == 0
    assert max(harness.step() for _ in range(3)) > 0.0


def test_to_wait_for_the_first_poses_of_an_episode_is_no_fault_but_to_lose_them_is(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    unseen = {"unusable": "all", "valid": False, "age": float("inf")}
    assert harness.step(**unseen) == 0.0
    assert harness.step("rack", valid=False) == 0.0
    harness.status(GuardStatus.HALT_OBJECTS_STALE)
    assert harness.step() > 0.0
    nodes = ["blender", "gate", *(f"expert_{skill}" for skill in SKILLS)]
    assert [rig.reported(node, kind) for node in nodes for kind in (STALE, MISSED_TICKS)] == 2 * len(nodes) * [0]
    assert [harness.step(**unseen) for _ in range(3)][-1] == 0.0
    rig.spin_until(lambda: rig.reported("blender", MISSED_TICKS) >= 1)
    assert "objects are invalid or too old" in rig.fact("blender", "last_fault")


def test_an_object_that_is_too_old_rests_the_arm_and_the_gate_answers_again_at_once(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    assert harness.step("rack", age=0.4) == 0.0
    harness.status(GuardStatus.HALT_OBJECTS_STALE)
    assert harness.step() > 0.0  # a tick at which the gate would not run


def test_an_invalid_object_that_one_expert_observes_does_not_rest_the_others(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    harness.step()
    for _ in range(2):
        assert harness.step("rack_target", float("nan"), valid=False) > 0.0
    rig.spin_until(lambda: rig.reported("expert_pick_and_place", STALE) >= 1)
    assert rig.reported("gate", STALE) == 0


@pytest.mark.parametrize("age", [-1e6, float("nan")])
def test_an_age_that_cannot_be_is_refused_by_name(rig: Rig, bundle: Path, age: float) -> None:
    harness = Harness(rig, bundle)
    harness.show("rack", age=age)
    rig.spin_until(lambda: rig.reported("observer", MALFORMED) == 1)
    assert f"age of rack is {age} s: expected 0 or more" in rig.fact("observer", "last_fault")
    assert not rig.heard[SCENE.name]
    harness.step()
