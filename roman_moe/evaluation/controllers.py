"""Which controller an evaluation means: a bundle, one of its experts alone, or the oracle; all behind one interface."""

from __future__ import annotations

import numpy as np

from roman_moe.control.bundle import load_bundle
from roman_moe.control.controller import Controller, ControlStep, EpisodeController
from roman_moe.control.identity import KEYBOARD, ORACLE, SCRIPTED
from roman_moe.control.manifest import load_manifest
from roman_moe.control.network import Network
from roman_moe.control.rates import Rates
from roman_moe.control.single_expert import SingleExpert
from roman_moe.core.action import to_command
from roman_moe.core.errors import BundleError, ConfigError
from roman_moe.core.paths import find_shipped
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import SceneState
from roman_moe.core.tasks import can_be_named, known_tasks
from roman_moe.evaluation.key_operator import KeyOperator
from roman_moe.sim.motions import leading_skill
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.task import SimTask


class OracleController:
    """The oracle as an `EpisodeController`: of a whole task, or of one skill alone."""

    reads_truth = True

    def __init__(self, task: SimTask, skill: str | None = None) -> None:
        self._task = task
        self.skills = task.spec.skill_names
        self._skill = skill
        self._rates = Rates(task.spec.control_rate, task.spec.gate_rate)
        self.reset()

    @property
    def control_rate(self) -> float:
        """Of its scenes and commands [Hz]."""
        return self._rates.control_rate

    def reset(self) -> None:
        """Forget the episode: the gripper's target and the leading skill."""
        self._gripper_opening = self._task.spec.gripper.open
        self._leading = self._skill

    def step(self, state: SceneState) -> ControlStep:
        """Answer one true state; only the leading skill's oracle is asked, the other actions are zeros."""
        if self._leading is None or (self._skill is None and self._rates.gate_due(state.stamp_ns)):
            self._leading = leading_skill(self._task, state)
        action = self._task.skills[self._leading].demonstrate(state)
        try:
            command = to_command(self._task.spec, state.stamp_ns, action, self._gripper_opening)
        except ValueError as error:
            code = type(self._task.skills[self._leading]).demonstrate.__code__
            raise ConfigError(f"{code.co_filename}, line {code.co_firstlineno}: demonstrate: {error}") from None
        self._gripper_opening = command.gripper_opening
        weights = np.eye(len(self.skills))[self.skills.index(self._leading)]
        return ControlStep(action, weights, weights[:, None] * action, command)


def make_controller(name: str, task: SimTask, skill: str | None = None) -> EpisodeController:
    """The controller `name`: "oracle", "keyboard", a bundle's folder, shipped ones too, or one network's .onnx file.

    Args:
        skill: only the expert of this skill, if given.

    Raises:
        BundleError: if the bundle or file cannot be used, has no such expert or is for another task.
    """
    if name == ORACLE:
        return OracleController(task, skill)
    if name == KEYBOARD:
        return KeyOperator(task, skill)
    folder = find_shipped(name)
    if folder.suffix == ".onnx" and folder.is_file():
        return Controller(SingleExpert.of(task.spec, Network(task.spec, folder.read_bytes(), name)))
    if not folder.is_dir():
        raise BundleError(
            f"{name}: no such bundle folder: expected one, such as models/roman, or {' or '.join(SCRIPTED)}"
        )
    bundle = load_bundle(folder)
    if bundle.spec != task.spec:
        raise BundleError(
            f"{bundle.path}: is for task {bundle.spec.name!r} of version {bundle.spec.digest[:12]}: the simulation in "
            f"{task.folder} is of {task.spec.name!r}, {task.spec.digest[:12]}"
        )
    if skill is None:
        return Controller(bundle)
    if skill not in bundle.skills:
        raise BundleError(f"{bundle.path}: no expert for {skill!r}: it has {', '.join(bundle.skills)}")
    return Controller(SingleExpert.of(bundle.spec, bundle.experts[bundle.skills.index(skill)]))


def task_of(name: str, task: str = "") -> SimTask:
    """Simulation of the task that a controller is for.

    Args:
        name: of the controller, as for `make_controller`.
        task: name or folder of the task; what a bundle brings if not given.

    Raises:
        BundleError: if the bundle cannot be read.
        ConfigError: if nothing says the task, or it has no simulation.
    """
    if not task:
        if name in SCRIPTED or find_shipped(name).is_file():
            example = next(iter(known_tasks()), "FOLDER")
            raise ConfigError(f"{name}: has no task of its own: add --task, such as --task {example}")
        task = load_manifest(name).task.name
        if not can_be_named(task):
            raise ConfigError(
                f"{name}: is for task {task!r}, which is neither here nor installed: give its folder with --task"
            )
    return load_sim_task(task)


def simulation_of(spec: TaskSpec, task: str = "") -> SimTask:
    """Simulation of a task of which the description is known.

    Args:
        task: its name or folder; the description's name if not given.

    Raises:
        ConfigError: if there is none, or it is of another task or version.
    """
    if not task and not can_be_named(spec.name):
        raise ConfigError(f"task {spec.name!r} is neither here nor installed: give its folder with --task")
    found = load_sim_task(task or spec.name)
    if found.spec != spec:
        raise ConfigError(
            f"{found.folder}: is task {found.spec.name!r} of version {found.spec.digest[:12]}: expected {spec.name!r}, "
            f"{spec.digest[:12]}"
        )
    return found
