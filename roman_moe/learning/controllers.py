"""Which controller an evaluation means: a bundle, one of its experts alone, or the oracle; all behind one interface."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.bundle import Bundle, load_bundle
from roman_moe.control.controller import Controller, ControlStep
from roman_moe.control.rates import Rates
from roman_moe.core.action import GRIPPER_OPEN, ActionScale
from roman_moe.core.errors import BundleError
from roman_moe.core.paths import find_shipped
from roman_moe.core.skills import SKILLS
from roman_moe.core.state import SceneState
from roman_moe.lab.oracle import SkillOracle
from roman_moe.lab.oracle_gate import OracleGate

ORACLE = "oracle"


class OneHotGate:
    """A gate that always gives all weight to one expert, so that the expert runs alone through the usual controller."""

    def __init__(self, index: int, count: int) -> None:
        self._weights = np.zeros(count)
        self._weights[index] = 1.0

    def weights(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,), whatever the features."""
        return self._weights


class OracleController:
    """The oracle behind the controller's interface: the gate's and the leading skill's, or one skill's alone."""

    reads_truth = True

    def __init__(self, skill: str | None = None, rates: Rates | None = None) -> None:
        self._skill = skill
        self._gate = OracleGate()
        self._oracles = [SkillOracle(name) for name in SKILLS]
        self._rates = rates or Rates()
        self._scale = ActionScale()
        self.reset()

    def reset(self) -> None:
        """Forget the episode: the gripper's target and the last weights."""
        self._gripper_opening = GRIPPER_OPEN
        self._weights = None if self._skill is None else np.eye(len(SKILLS))[SKILLS.index(self._skill)]

    def step(self, state: SceneState) -> ControlStep:
        """Answer one true state; only the leading skill's oracle is asked, the other actions are zeros."""
        if self._weights is None or (self._skill is None and self._rates.gate_due(state.stamp_ns)):
            self._weights = self._gate.weights(state)
        leading = int(np.argmax(self._weights))
        action = self._oracles[leading].action(state)
        command = self._scale.command(state.stamp_ns, action, self._gripper_opening)
        self._gripper_opening = command.gripper_opening
        return ControlStep(action, self._weights, self._weights[:, None] * action, command)


def make_controller(name: str, skill: str | None = None) -> Any:
    """The controller `name`: "oracle" or a bundle's folder, shipped ones too; only the expert of `skill`, if given.

    Raises:
        BundleError: if the bundle cannot be used or has no such expert.
    """
    if name == ORACLE:
        return OracleController(skill)
    folder = find_shipped(name)
    if not folder.is_dir():
        raise BundleError(f"{name}: no such bundle folder: expected one, such as models/roman, or {ORACLE!r}")
    bundle = load_bundle(folder)
    return Controller(alone(bundle, skill) if skill else bundle)


def alone(bundle: Bundle, skill: str) -> Bundle:
    """The bundle with a gate that always picks one expert.

    Raises:
        BundleError: if it has no such expert.
    """
    if skill not in bundle.skills:
        raise BundleError(f"{bundle.path}: no expert for {skill!r}: it has {', '.join(bundle.skills)}")
    gate: Any = OneHotGate(bundle.skills.index(skill), len(bundle.skills))
    return replace(bundle, gate=gate)
