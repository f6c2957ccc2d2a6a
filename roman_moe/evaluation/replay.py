"""Replay of a demonstration in its task's simulation: its commands in open loop, or its scenes as recorded."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import DemonstrationError
from roman_moe.core.outcome import Outcome
from roman_moe.core.rotation import inverse, product, rotate, rotation_vector
from roman_moe.core.state import SceneState
from roman_moe.demos.extras import lab_ticks
from roman_moe.demos.reader import Episode
from roman_moe.demos.survey import gaps
from roman_moe.evaluation.evaluate import shared_world
from roman_moe.sim import episode as sim_episode
from roman_moe.sim.channel import ChannelQuality
from roman_moe.sim.placement import joint_of
from roman_moe.sim.streams import Streams
from roman_moe.sim.task import SimTask
from roman_moe.sim.world import XYZW, World
from roman_moe.wire.codec import LabTick

SAME_START = 1e-3
"""Distance of the hand [m] up to which a start is that of the recording: starts differ by centimetres."""
LEVER = 0.1  # [m] at which a turn counts as much as a shift
STEPS = 4
"""Of Newton's method for a hinge or slide, which begins where the scene before has left it."""


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What came of the commands of a demonstration.

    Attributes:
        outcome: that the judge gives at the end.
        errors: distance of the hand from where it was recorded at each tick until the outcome, (n,) [m].
        physics_states: at these ticks, (n, any).
        from_lab: whether a lab said what its arm followed.
    """

    outcome: Outcome
    errors: NDArray[np.float64]
    physics_states: NDArray[np.float64]
    from_lab: bool

    @property
    def judged(self) -> bool:
        """Whether the judge gives an outcome: an operator may end a lab's episode before."""
        return self.outcome is not Outcome.RUNNING or not self.from_lab


def replay(episode: Episode, task: SimTask) -> Replay:
    """Send the recorded commands again, from the start that the recorded seed draws.

    A simulation's own recording comes back exactly: disturbances and what got lost are drawn from the seed, too. So
    does a lab's, by what the lab says that its arm has followed since the start.

    Raises:
        DemonstrationError: if the seed draws another start, as of recordings that know none, or something is missing.
    """
    meta, lab = episode.meta, lab_ticks(episode)
    _check_complete(episode, lab)
    ticks = deque(lab or [LabTick(number, command) for number, command in enumerate(episode.commands)])
    again = sim_episode.Episode(
        shared_world(task, meta.rate),
        task.start(meta.start),
        Streams.of_seed(meta.seed),
        disturbed=bool(meta.disturbance),
        channel=ChannelQuality(meta.delay, meta.lost_share),
    )

    def follow_until(stamp_ns: float) -> None:
        while again.outcome is Outcome.RUNNING and ticks and ticks[0].command.stamp_ns < stamp_ns:
            tick = ticks.popleft()
            again.step(replace(tick.command, stamp_ns=again.world.stamp_ns), paused=tick.paused)

    errors, physics = list[float](), list[NDArray[np.float64]]()
    for scene in episode.states:
        follow_until(scene.stamp_ns)
        if errors and again.outcome is not Outcome.RUNNING:
            break
        errors.append(float(np.linalg.norm(again.state.hand_position - scene.hand_position)))
        physics.append(again.world.physics_state())
        if not lab and errors[0] > SAME_START:
            raise DemonstrationError(
                f"{episode.path}: cannot be replayed: from start {meta.start}, seed {meta.seed} the hand begins "
                f"{100 * errors[0]:.1f} cm from where it was recorded; its scenes can be shown (--states)"
            )
    follow_until(math.inf)
    return Replay(again.outcome, np.array(errors), np.array(physics), bool(lab))


def _check_complete(episode: Episode, lab: list[LabTick]) -> None:
    """Refuse to replay from commands some of which are missing."""
    missing = ""
    if lab and [tick.number for tick in lab] != [*range(len(lab))]:
        missing = f"of {lab[-1].number + 1} ticks of the lab {len(lab)} are there"
    elif not lab and gaps(episode):
        missing = f"{gaps(episode)[0][1]} scenes are missing"
    if missing:
        raise DemonstrationError(f"{episode.path}: cannot be replayed: {missing}; its scenes can be shown (--states)")


def wrong_outcome(episode: Episode, task: SimTask) -> str | None:
    """What is wrong with the recorded outcome; None if the judge, who sees the commands again, says the same.

    Raises:
        RomanError: if it cannot be replayed, or the operator ended it before the judge did.
    """
    said, again = episode.meta.outcome, replay(episode, task)
    if not again.judged:
        raise DemonstrationError(f"{episode.path}: ended by the operator, before the judge did")
    if (said == Outcome.SUCCESS.value) == (again.outcome is Outcome.SUCCESS):
        return None
    return f"outcome {said}: replayed, the task's judge says {again.outcome.value}"


def recorded_states(episode: Episode, task: SimTask) -> NDArray[np.float64]:
    """Physics states that show the recorded scenes, (T, any): no physics, hence no contact, goes into them.

    Raises:
        RomanError: if the task's arm does not reach a recorded pose of the hand.
    """
    world = shared_world(task, episode.meta.rate)
    world.reset(task.start(episode.meta.start), np.random.default_rng(0))
    states = []
    for scene in episode.states:
        show_scene(world, scene)
        states.append(world.physics_state())
    return np.array(states)


def show_scene(world: World, scene: SceneState) -> None:
    """Put the hand and each object of which the pose is known where a scene has them."""
    world.arm.place(world.data, scene.hand_position, scene.finger_opening, scene.hand_orientation)
    poses = zip(
        world.task.spec.objects, scene.object_positions, scene.object_orientations, scene.object_ages, strict=True
    )
    for name, position, orientation, age in poses:
        world.update_kinematics()
        body, joint = joint_of(world, name)
        if joint < 0 or not np.isfinite([*position, *orientation, age]).all():
            continue
        if world.model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE:
            _put(world, name, body, int(world.model.jnt_qposadr[joint]), position, orientation)
        else:
            _turn(world, name, joint, position, orientation)
    world.update_kinematics()


def _put(
    world: World, name: str, body: int, address: int, position: NDArray[np.float64], orientation: NDArray[np.float64]
) -> None:
    """Move a loose body so that its site has a pose."""
    data = world.data
    turn = product(orientation, inverse(_orientation(world, name)))
    x, y, z, w = product(turn, data.xquat[body][XYZW])
    offset = rotate(turn, data.xpos[body] - world.site(name))
    data.qpos[address : address + 7] = [*(position + offset), w, x, y, z]


def _turn(world: World, name: str, joint: int, position: NDArray[np.float64], orientation: NDArray[np.float64]) -> None:
    """Move a hinge or slide so that the site that hangs on it is as near to a pose as it gets."""
    model, data = world.model, world.data
    dof, address = int(model.jnt_dofadr[joint]), int(model.jnt_qposadr[joint])
    jacobian = np.zeros((6, model.nv))
    for _ in range(STEPS):
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], model.site(name).id)
        turn = rotation_vector(product(orientation, inverse(_orientation(world, name))))
        slope = jacobian[:, dof] * ([1.0] * 3 + [LEVER] * 3)
        error = np.concatenate([position - world.site(name), LEVER * turn])
        data.qpos[address] += slope @ error / max(slope @ slope, 1e-9)
        if model.jnt_limited[joint]:
            data.qpos[address] = np.clip(data.qpos[address], *model.jnt_range[joint])
        world.update_kinematics()


def _orientation(world: World, name: str) -> NDArray[np.float64]:
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, world.data.site(name).xmat)
    return quaternion[XYZW]
