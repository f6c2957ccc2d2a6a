"""Checks of a task: its description, its arm, its starts and its demonstrators, each mistake with file and line.

Everything is tried as an episode would: nothing here knows what a skill is about.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from roman_moe.core.action import Command, hold, to_command
from roman_moe.core.config import place_of
from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.core.spec import TASK_FILE
from roman_moe.core.spec_parts import ANGULAR_AXES
from roman_moe.core.state import SceneState
from roman_moe.evaluation.controllers import OracleController
from roman_moe.sim.episode import run_episode
from roman_moe.sim.placement import NUMBERS, place_object
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.sim.registry import load_sim_task, naming_place
from roman_moe.sim.render import Renderer
from roman_moe.sim.task import SimSkill, SimTask, Start, Vector, When
from roman_moe.sim.world import World

PROBE_TICKS = 20
PROBE_SPEED, PROBE_TURN = 0.05, 0.3
"""Hand speed [m/s] and angular speed [rad/s] that the arm is tried with."""
LEAST_SHARE = 0.7  # of what was commanded, that the arm has to move
MOST_ASTRAY = 0.25  # of what was commanded, that it may move in another direction
RANDOM_TICKS = 1000
DEEPEST = 1e-3  # depth of a contact at rest [m]
NOISE = TruthPoses(0.005, "clipped")
_KEYS = {"place": "starts", "achieved": "success"}
"""Key of a skill in task.yaml that stands for a method."""
SMALL = (64, 48)

Problems = Iterator[str]


def check_task(folder: Path, episodes: int, arm: str = "", on_step: Callable[[str], None] = print) -> list[str]:
    """All mistakes that can be found in a simulated task, one line each.

    Args:
        episodes: of each demonstrator, and starts of each kind.
        arm: name or folder of the arm; the task's own if empty.

    Raises:
        ConfigError: if the task cannot be loaded at all.
    """
    task = load_sim_task(folder)
    on_step("scene and arm")
    problems = list(_sites(task))
    if problems:
        return problems
    world = World(task, arm=arm or None)
    for name, find in (("arm", _arm), ("motion", _motion), ("cameras", _cameras)):
        on_step(name)
        problems += list(_guarded(task, lambda find=find: find(world)))  # type: ignore[misc]
        if problems:
            return problems
    starts = [task.start(name) for name in (*task.spec.skill_names, *range(len(task.spec.scenarios)))]
    for start in starts:
        on_step(f"starts of {start.name}")
        problems += list(_guarded(task, lambda start=start: _starts(world, start, episodes)))  # type: ignore[misc]
    if problems:
        return list(dict.fromkeys(problems))  # several starts find the same one
    for start in starts:
        on_step(f"demonstrations of {start.name}")
        problems += list(_guarded(task, lambda start=start: _demonstrations(world, start, episodes)))  # type: ignore[misc]
    return list(dict.fromkeys(problems))


def _guarded(task: SimTask, find: Callable[[], Problems]) -> Problems:
    """What the user's own code raises, as a problem with file and line."""
    try:
        with naming_place(task.folder):
            yield from find()
    except RomanError as error:
        yield str(error)


def _sites(task: SimTask) -> Problems:
    """Every object is a site of the scene, and every loose body a body with a free joint of its name."""
    scene = task.read_scene()
    for name in task.spec.objects:
        if scene.site(name) is None:
            where = place_of(task.folder / TASK_FILE, f"objects.{name}")
            yield f"{where}: {task.folder / task.scene} has no site of this name: add one"
    for name in task.loose or ():
        if scene.body(name) is None or scene.joint(name) is None:
            yield f"{_written(type(task))}: loose: {task.scene} has no body {name!r} with a free joint of this name"


def _arm(world: World) -> Problems:
    """It goes where it is told, opens and closes, and reaches the starts."""
    task, home = world.task, np.array(world.task.spec.home.position)
    where = place_of(task.folder / TASK_FILE, "home")
    try:
        world.reset(task.start(task.spec.skill_names[0]), np.random.default_rng(0))
        world.place_hand(home, task.spec.gripper.open)
    except ConfigError:  # it names its place
        raise
    except (ValueError, RomanError) as error:
        yield f"{where}: {error}"
        return
    for axis, name in enumerate(("x", "y", "z")):
        yield from _moves(world, where, name, PROBE_SPEED * np.eye(3)[axis], np.zeros(3))
    for name in task.spec.action.angular:
        yield from _moves(world, where, name, np.zeros(3), PROBE_TURN * np.eye(3)[ANGULAR_AXES.index(name)])
    yield from _grips(world, where)
    for corner in np.ndindex(3, 3, 3):
        point = home + (np.array(corner) - 1.0) * task.hand_range
        try:
            world.place_hand(point, task.spec.gripper.open)
        except (ValueError, RomanError) as error:
            yield f"{where}: starts within hand_range of it: {error}: move home, or make hand_range smaller"
            return


def _moves(world: World, where: str, name: str, velocity: Vector, turn: Vector) -> Problems:
    """A command along one axis moves the hand along it, and nowhere else."""
    spec = world.task.spec
    world.place_hand(np.array(spec.home.position), spec.gripper.open)
    world.update_kinematics()
    moved = np.zeros(6)
    for _ in range(PROBE_TICKS):
        before = world.hand_position.copy()
        state = world.step(Command(world.stamp_ns, velocity, spec.gripper.open, turn))
        moved[:3] += world.hand_position - before
        moved[3:] += state.hand_angular_velocity / world.control_rate
    wanted = np.concatenate([velocity, turn]) * PROBE_TICKS / world.control_rate
    length = float(np.linalg.norm(wanted))
    along = float(moved @ wanted) / length
    kind = slice(0, 3) if velocity.any() else slice(3, 6)
    astray = float(np.linalg.norm((moved - along * wanted / length)[kind]))
    if along < LEAST_SHARE * length or astray > MOST_ASTRAY * length:
        yield (
            f"{where}: the arm {world.arm.arm.name}, told to move by {length:.3f} along +{name}, moved by {along:.3f} "
            f"along it and {astray:.3f} astray: expected it along it alone"
        )


def _grips(world: World, where: str) -> Problems:
    """The gripper opens when it is told to, and closes."""
    spec = world.task.spec
    gripper, half = spec.gripper, 0.5 * (spec.gripper.open + spec.gripper.closed)
    world.place_hand(np.array(spec.home.position), half)
    for name, opening in (("open", gripper.open), ("close", gripper.closed)):
        for _ in range(PROBE_TICKS):
            state = world.step(Command(world.stamp_ns, np.zeros(3), opening))
        if (state.finger_opening > half) != (name == "open"):
            yield f"{where}: the gripper, told to {name}, has {state.finger_opening:.3f} m between its pads"


def _motion(world: World) -> Problems:
    """No action leads to numbers that are none."""
    spec, rng = world.task.spec, np.random.default_rng(0)
    for what in ("zero", "random"):
        world.reset(world.task.start(len(spec.scenarios) - 1), np.random.default_rng(0))
        opening = spec.gripper.open
        for tick in range(RANDOM_TICKS):
            if tick % 10 == 0:
                action = np.zeros(spec.action.size) if what == "zero" else rng.uniform(-1.0, 1.0, spec.action.size)
            command = to_command(spec, world.stamp_ns, action, opening)
            opening = command.gripper_opening
            try:
                state = world.step(command)
            except RomanError as error:
                yield f"{world.task.folder / world.task.scene}: {what} actions: {error}"
                break
            if not np.isfinite(state.object_positions).all():
                yield f"{world.task.folder / world.task.scene}: {what} actions: an object is nowhere at tick {tick}"
                break


def _cameras(world: World) -> Problems:
    for index in range(world.model.ncam):
        name = world.model.camera(index).name
        try:
            Renderer(world, name, *SMALL).frame(world.physics_state())
        except (ValueError, KeyError) as error:
            yield f"{world.task.folder / world.task.scene}: camera {name!r} does not render: {error}"
    if not world.model.ncam:
        yield f"{world.task.folder / world.task.scene}: no camera: add one named overview, which videos are drawn from"


def _starts(world: World, start: Start, count: int) -> Problems:
    """A start is within reach, at rest without contacts in each other, and not solved already."""
    task, name = world.task, start.name
    where = _source(task, start.skills[0], "place")
    for seed in range(count):
        try:
            state = world.reset(start, np.random.default_rng(seed))
        except (ValueError, RomanError) as error:
            yield f"{where}: start {name}, seed {seed}: {error}: place it within reach"
            return
        if not state.is_finite():
            yield f"{where}: start {name}, seed {seed}: the scene is not finite, or out of all bounds"
            return
        solved = task.achieved(world) if start.skill is None else world.skills[start.skill].achieved(world)
        if solved:
            where = _source(task, start.skill, "achieved")
            yield f"{where}: start {name}, seed {seed}: success holds already: place it unsolved, or ask for more"
            return
        before = task.spec.skill_names[max(start.stage - 1, 0)]
        is_done = start.when(before) is When.DONE and bool(task.spec.skills[before].success)
        if is_done and not task.skills[before].holds(state):
            where = place_of(task.folder / TASK_FILE, f"skills.{before}.done")
            yield f"{where}: start {name}, seed {seed}: success of {before!r} does not hold there"
            return
        if seed == 0:
            yield from _contacts(world, name)
        unreached = list(_corners(world, start)) if seed == 0 else []
        unreached = unreached or list(_unreached(world, start, state, where))
        if unreached:
            yield from unreached
            return


def _corners(world: World, start: Start) -> Problems:
    """The ends of what task.yaml has a start drawn from are within reach."""
    places = {}
    for skill, said in world.task.spec.skills.items():
        when = start.when(skill)
        key, placements = ("starts", said.starts) if when is When.START else ("done", said.done)
        if when is not When.LATER:
            places.update({name: (f"skills.{skill}.{key}.{name}", each) for name, each in placements.items()})
    for name, (key, placement) in places.items():
        where = place_of(world.task.folder / TASK_FILE, key)
        for corner in np.ndindex((2,) * NUMBERS):
            world.reset(start, np.random.default_rng(0))
            place_object(world, name, placement, np.array(corner, dtype=float))
            unreached = list(_unreached(world, start, world.state, where))
            if unreached:
                yield from unreached
                break


def _unreached(world: World, start: Start, state: SceneState, where: str) -> Problems:
    """The hand cannot go where the first skill of a start needs it."""
    skill = start.skills[0]
    try:
        world.place_hand(world.skills[skill].reach_point(state), world.task.spec.gripper.open)
    except RomanError as error:
        yield f"{where}: start of {skill!r}: {error}: place it within reach"


def _contacts(world: World, name: str) -> Problems:
    """At rest nothing is deep in anything else."""
    for _ in range(PROBE_TICKS):
        world.step(hold(world.stamp_ns, world.task.spec.gripper.open))
    contacts = world.data.contact
    if len(contacts.dist) and contacts.dist.min() < -DEEPEST:
        pair = contacts.geom[int(np.argmin(contacts.dist))]
        geoms = " and ".join(repr(world.model.geom(int(geom)).name or f"geom {geom}") for geom in pair)
        depth = -1e3 * contacts.dist.min()
        yield (
            f"{world.task.folder / world.task.scene}: start {name}: {geoms} are {depth:.1f} mm in each "
            f"other at rest: expected less than {1e3 * DEEPEST:.0f} mm"
        )


def _demonstrations(world: World, start: Start, count: int) -> Problems:
    """The demonstrators solve every start, as `collect` plays them."""
    for skill in start.skills:
        if type(world.task.skills[skill]).demonstrate is SimSkill.demonstrate:
            where = place_of(world.task.folder / TASK_FILE, f"skills.{skill}")
            yield f"{where}: skill {skill!r} has no demonstrator: expected a method demonstrate in {skill}.py"
            return
    controller = OracleController(world.task, start.skill)
    outcomes = [run_episode(world, controller, start, seed, NOISE).outcome for seed in range(count)]
    failed = [(seed, outcome) for seed, outcome in enumerate(outcomes) if outcome != "success"]
    if failed:
        seed, outcome = failed[0]
        yield (
            f"{_source(world.task, start.skills[0], 'demonstrate')}: demonstrator, start {start.name}: "
            f"solves {count - len(failed)} of {count}: seed {seed} ends with {str(outcome).replace('_', ' ')}"
        )


def _source(task: SimTask, skill: str | None, method: str) -> str:
    """Where it is written what a method of a skill, or of the task for None, does: file and line."""
    file, kind = task.folder / TASK_FILE, type(task if skill is None else task.skills[skill])
    if getattr(kind, method) not in (getattr(SimTask, method, None), getattr(SimSkill, method, None)):
        return _written(getattr(kind, method))
    if skill is None:
        return place_of(file, "success" if task.spec.success else "skills")
    return place_of(file, f"skills.{skill}.{_KEYS.get(method, method)}")


def _written(thing: Any) -> str:
    """File and line of a class or function."""
    return f"{inspect.getsourcefile(thing)}, line {inspect.getsourcelines(thing)[1]}"
