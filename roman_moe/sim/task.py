"""The simulation of a task: one `SimSkill` for each skill, and a `SimTask` that combines them.

A task's folder has its `task.yaml`, an MJCF scene, a file NAME.py with a `SimSkill` for each skill, and `simulation.py`
with a `SimTask` where the defaults do not fit. What task.yaml says of a skill by conditions and starts, the skill has
without Python. What skills know of a scene in motion they read from the state; what an episode has to remember is kept
by the skills that each `World` has for itself.
"""

from __future__ import annotations

import enum
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.conditions import completion_of, hold_in, parts_of
from roman_moe.core.errors import ConfigError, one_line
from roman_moe.core.outcome import Outcome
from roman_moe.core.spec import TaskSpec
from roman_moe.core.spec_parts import ScenarioSpec, SkillSpec
from roman_moe.core.state import SceneState
from roman_moe.sim.arm_spec import ArmSpec, load_arm
from roman_moe.sim.placement import NUMBERS, place_object

if TYPE_CHECKING:
    from roman_moe.sim.disturbance import Disturbance
    from roman_moe.sim.world import World

Vector = NDArray[np.float64]

LEFT_WITHIN = np.array([[-0.03, -0.03, 0.03], [0.03, 0.03, 0.15]])
"""How far from its site a hand that is handed over is [m], lowest and highest: it has let go, and begun to rise."""

CLEAR_RADIUS, CLEAR_HEIGHT = 0.02, 0.08
"""A hand that has let go of an object is out of this cylinder over it [m]."""
FALLEN = -1.0
"""Height at which a thing has fallen from any table that an arm stands on [m]."""


class When(enum.Enum):
    """Where a skill stands at a start."""

    LATER = "later"
    START = "start"
    DONE = "done"


class SimSkill:
    """One skill in simulation. A task's file NAME.py derives the class of its skill NAME.

    Where task.yaml gives the skill's `starts`, `done`, `success` and `sets`, only `demonstrate` is left to write.

    Attributes:
        object: that it is about: the first one in its conditions, or else that it observes; "" if there is none.
        left_at: site near which the hand is when the skill has let go, for starts of the next one; None if the next one
            never begins there. The skill's object, if not given.
        undone: earlier skills that are still to come in starts of this skill alone.
        disturbances: what may go wrong in it.
    """

    left_at: str | None = None
    undone: tuple[str, ...] = ()
    disturbances: tuple[Disturbance, ...] = ()

    def __init__(self, spec: TaskSpec, name: str) -> None:
        self.spec = spec
        self.name = name
        self._said = said = spec.skills[name]
        conditions = (*said.success, *(each for conditions in said.sets.values() for each in conditions))
        named = [getattr(part, "object", "") for part in parts_of(conditions)]
        self.object = next((each for each in (*named, *said.observes) if each in spec.objects), "")
        if said.success and self.left_at is None:
            self.left_at = self.object or None
        before = spec.skill_names[: spec.skill_names.index(name)]
        self._placed_before = {each for skill in before for each in spec.skills[skill].starts}

    def place(self, world: World, rng: np.random.Generator, when: When) -> None:
        """Put what belongs to the skill where it is then. Draws the same numbers whatever `when` is."""
        for flag in self._said.sets:
            world.flags[self.spec.flag_index[flag]] |= when is When.DONE
        for placements, is_there in ((self._said.starts, when is not When.DONE), (self._said.done, when is When.DONE)):
            for name, placement in placements.items():
                numbers = rng.random(NUMBERS)
                if is_there and not (when is When.LATER and name in self._placed_before):
                    place_object(world, name, placement, numbers)

    def begin(self, world: World) -> None:
        """An episode begins: remember what success is measured against."""

    def watch(self, world: World) -> None:
        """A control tick is over: set those of `world.flags` that the skill is about."""
        state = world.state
        for flag, conditions in self._said.sets.items():
            world.flags[self.spec.flag_index[flag]] |= hold_in(conditions, state)

    @property
    def watches(self) -> bool:
        """Whether it sets flags."""
        return bool(self._said.sets) or type(self).watch is not SimSkill.watch

    def achieved(self, world: World) -> bool:
        """Success condition, from the true state and without the return home."""
        return self.holds(world.state)

    def holds(self, state: SceneState) -> bool:
        """Whether its conditions of task.yaml hold in a state."""
        return hold_in(self._said.success, state)

    def progress(self, state: SceneState) -> float:
        """How far it has come in a true state, from 0 to 1: the reward for what it has moved."""
        return completion_of(self._said.success, state)

    def reach_point(self, state: SceneState) -> Vector:
        """Where the hand has to go first, (3,) [m]: the reward on the way there."""
        return state.position(self.object) if self.object else np.array(self.spec.home.position)

    def demonstrate(self, state: SceneState) -> Vector:
        """Action for a true state: the scripted demonstrator, a function of the present state alone.

        Raises:
            ConfigError: if the skill has none.
        """
        raise ConfigError(f"skill {self.name!r} has no demonstrator: expected a method demonstrate in {self.name}.py")

    def leads(self, state: SceneState) -> bool:
        """Whether it has work left or has not yet let go: the first skill that leads gets the gate's weight."""
        beside = bool(self.object) and is_over(state, self.object)
        return beside or not self.holds(state)


def is_over(state: SceneState, name: str) -> bool:
    """Whether the hand is over an object, and not yet clear of it."""
    x, y, z = state.hand_position - state.position(name)
    return bool(z < CLEAR_HEIGHT and math.hypot(x, y) < CLEAR_RADIUS)


class SimTask:
    """A task in simulation. `simulation.py` derives one where the defaults do not fit.

    Attributes:
        skills: by name, in order; for what follows from a state alone. `World.skills` are those that remember.
        scene: MJCF of everything but the arm, within the folder.
        arm: arm that it is done with if nobody asks for another one: a folder within the task's, or the name of one of
            ours.
        placing: skills in the order in which they place things, if not that of the spec: what stands in something goes
            after it.
        hand_range: half the range about home in which the hand starts, along x, y, z [m].
        home_tolerance: a skill ends with the hand this close to home [m].
        scenario_home_tolerance: likewise the whole task [m].
        reach_limit: an episode is lost when the hand is farther from home [m].
        loose: bodies that may fall, those with a free joint if None; such a joint has the name of its body.
        floor: height below which one of them is lost [m].
        tilt_limit: cosine of the angle from upright beyond which it is lost.
        workspace: horizontal distance from the base beyond which it is lost [m].
    """

    scene = "scene.xml"
    arm = "panda"
    placing: tuple[str, ...] = ()
    hand_range: Sequence[float] = (0.1, 0.1, 0.05)
    home_tolerance = 0.06
    scenario_home_tolerance = 0.06
    reach_limit = 1.0
    loose: tuple[str, ...] | None = None
    floor = FALLEN
    tilt_limit = -1.0
    workspace = math.inf

    def __init__(self, spec: TaskSpec, folder: Path, skills: Mapping[str, SimSkill]) -> None:
        self.spec = spec
        self.folder = folder
        self.skills = skills

    def __reduce__(self) -> tuple[Any, ...]:
        """By its folder: another process loads it anew."""
        from roman_moe.sim.registry import load_sim_task

        return load_sim_task, (str(self.folder),)

    def start(self, name: str | int) -> Start:
        """Start of a skill's name, or of a scenario's number (6, "6") or name ("scenario_6"); the last one's if empty.

        Raises:
            ConfigError: if there is no such start, naming those that there are.
        """
        skills = self.spec.skill_names
        if isinstance(name, str) and name in skills:
            return Start(self, name, skills.index(name), name)
        name = len(self.spec.scenarios) - 1 if name == "" else name
        number = str(name).removeprefix("scenario_")
        if not number.isdecimal():
            raise ConfigError(f"unknown skill {name!r}: expected one of {', '.join(skills)}")
        if int(number) >= len(self.spec.scenarios):
            last = len(self.spec.scenarios) - 1
            raise ConfigError(f"unknown scenario {number}: expected one of 0 to {last}")
        first = self.spec.scenarios[int(number)].first
        return Start(self, f"scenario_{int(number)}", skills.index(first), None)

    def place(self, world: World, rng: np.random.Generator, start: Start) -> None:
        """Place arm and objects at random (no physics). Draws the same numbers in the same order for every start."""
        home, gripper = np.array(self.spec.home.position), self.spec.gripper
        hand = home + rng.uniform(-1.0, 1.0, 3) * np.array(self.hand_range)
        opening = gripper.open if rng.random() < 0.5 else gripper.closed
        world.place_hand(hand, opening)
        for name in self.placing or self.spec.skill_names:
            world.skills[name].place(world, rng, start.when(name))
            world.update_kinematics()  # of what stands in or on something else
        site = start.left_at
        if site is not None:
            world.place_hand(world.site(site) + rng.uniform(*LEFT_WITHIN), gripper.open)

    def achieved(self, world: World) -> bool:
        """Whether the whole task is done, wherever the hand is."""
        if self.spec.success:
            return hold_in(self.spec.success, world.state)
        return all(skill.achieved(world) for skill in world.skills.values())

    def lost(self, world: World) -> Outcome | None:
        """What has made it hopeless; None if nothing has."""
        data = world.data
        for body in world.loose:
            position = data.xpos[body]
            if position[2] < self.floor or data.xmat[body, 8] < self.tilt_limit:
                return Outcome.OBJECT_DROPPED
            if math.hypot(position[0], position[1]) > self.workspace:
                return Outcome.OUT_OF_REACH
        return None

    def model_spec(self) -> mujoco.MjSpec:
        """The scene without an arm, to be edited before it is compiled.

        Raises:
            ConfigError: if MuJoCo refuses the file, or it lacks a site or body that the task needs.
        """
        scene, path = self.read_scene(), self.folder / self.scene
        for name in self.spec.objects:
            if scene.site(name) is None:
                raise ConfigError(f"{path}: no site {name!r}: expected one for each object of the task")
        for name in self.loose or ():
            joint = scene.joint(name)
            if scene.body(name) is None or joint is None or joint.type != mujoco.mjtJoint.mjJNT_FREE:
                raise ConfigError(f"{path}: no body {name!r} with a free joint of that name, as a loose thing needs it")
        return scene

    def read_scene(self) -> mujoco.MjSpec:
        """The scene's file as it is.

        Raises:
            ConfigError: if MuJoCo refuses it.
        """
        path = self.folder / self.scene
        try:
            return mujoco.MjSpec.from_file(os.fspath(path))
        except (ValueError, OSError) as error:
            raise ConfigError(f"{path}: {one_line(error)}") from error

    def arm_spec(self) -> ArmSpec:
        """Its own arm: a folder of the task's, or one of ours.

        Raises:
            ConfigError: if there is none.
        """
        own = self.folder / self.arm
        return load_arm(own if own.is_dir() else self.arm)


@dataclass(frozen=True)
class Start:
    """A distribution of starts.

    Attributes:
        name: of the skill, or "scenario_6".
        stage: how many skills are already done.
        skill: the skill to do, or None for the whole task from here on.
        handed_over: the hand is where the skill before has left it, not near home: ours, for training. Starts of the
            first skill have none before.
    """

    task: SimTask
    name: str
    stage: int
    skill: str | None
    handed_over: bool = False

    @property
    def skills(self) -> tuple[str, ...]:
        """Skills that are still to do, in order."""
        return (self.skill,) if self.skill else self.task.spec.skill_names[self.stage :]

    @property
    def times(self) -> SkillSpec | ScenarioSpec:
        """Its time limit, and the time before which it does not count as solved."""
        spec = self.task.spec
        if self.skill is not None:
            return spec.skills[self.skill]
        return spec.scenarios[int(self.name.removeprefix("scenario_"))]

    @property
    def left_at(self) -> str | None:
        """Site near which the hand begins; None for near home."""
        if not self.handed_over or self.stage == 0:
            return None
        return self.task.skills[self.task.spec.skill_names[self.stage - 1]].left_at

    def when(self, skill: str) -> When:
        """Where a skill stands at this start."""
        index = self.task.spec.skill_names.index(skill)
        if index == self.stage:
            return When.START
        if self.skill is not None and skill in self.task.skills[self.skill].undone:
            return When.LATER
        return When.DONE if index < self.stage else When.LATER
