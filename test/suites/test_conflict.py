"""The conflict suite: a planar arm, the same scene whatever the task, and tasks that can all be solved."""

from __future__ import annotations

import numpy as np
import pytest

from roman_moe.suites.conflict import CLOSE, CONFLICT, GOALS, HORIZON, LINKS, STEP_ANGLE, TASKS, TOUCH, ConflictArms
from roman_moe.suites.suite import Floats


def arms(each: int = 5) -> ConflictArms:
    return ConflictArms(np.repeat(np.arange(len(TASKS)), each))


def towards(scene: ConflictArms, targets: Floats) -> Floats:
    """Actions that move the tips straight to targets, by damped least squares."""
    angles = scene.joints.cumsum(axis=1)
    jacobian = np.zeros((len(angles), 2, 3))
    for joint in range(3):
        jacobian[:, 0, joint] = -np.sin(angles[:, joint:]) @ LINKS[joint:]
        jacobian[:, 1, joint] = np.cos(angles[:, joint:]) @ LINKS[joint:]
    turned = jacobian.transpose(0, 2, 1)
    away = (targets - scene.tip())[..., None]
    return (turned @ np.linalg.solve(jacobian @ turned + 1e-3 * np.eye(2), away))[..., 0] / STEP_ANGLE


def test_the_tip_is_where_the_links_lead():
    scene = arms(1)
    scene.joints[0] = [0.0, np.pi / 2, np.pi / 2]
    np.testing.assert_allclose(scene.tip()[:2], [[LINKS[0] - LINKS[2], LINKS[1]], [LINKS.sum(), 0.0]], atol=1e-12)


def test_the_observation_does_not_tell_the_task():
    scene = arms(1)
    scene.reset(np.random.default_rng(0))
    scene.joints[:], scene.puck[:] = scene.joints[0], scene.puck[0]
    seen = scene.observations()
    assert seen.shape == (8, CONFLICT.observation)
    assert (seen == seen[0]).all()


def test_an_action_turns_each_joint_by_its_share_and_no_further_than_a_whole_one():
    scene = arms(1)
    scene.step(np.tile([0.5, -1.0, 3.0], (8, 1)))
    np.testing.assert_allclose(scene.joints[0], [0.5 * STEP_ANGLE, -STEP_ANGLE, STEP_ANGLE], atol=1e-12)


def test_a_puck_clings_to_the_tip_that_touches_it():
    scene = arms(1)
    scene.puck[:] = scene.tip() + [0.9 * TOUCH, 0.0]
    scene.puck[1] += [0.2, 0.0]
    scene.step(np.zeros((8, 3)))
    scene.step(np.ones((8, 3)))
    np.testing.assert_allclose(scene.puck[0], scene.tip()[0])
    assert np.linalg.norm(scene.puck[1] - scene.tip()[1]) > TOUCH


def test_what_is_left_is_what_it_costs():
    scene = ConflictArms(np.array([0, 4]))
    scene.puck[:] = [0.5, 0.3]
    outcome = scene.step(np.zeros((2, 3)))  # the tip is at (1, 0)
    np.testing.assert_allclose(outcome.rewards, [-0.45, -np.hypot(0.05, 0.3) - np.hypot(0.5, 0.3)], atol=1e-12)
    assert not outcome.solved.any()
    scene.puck[:] = GOALS[0] + [0.0, 0.9 * CLOSE]
    outcome = scene.step(np.zeros((2, 3)))
    assert outcome.solved.tolist() == [False, True]
    assert outcome.rewards[1] == pytest.approx(1.0 - 0.9 * CLOSE - np.hypot(0.45, 0.9 * CLOSE))


def test_every_task_can_be_solved_in_time_and_by_chance_hardly():
    for scripted, least, most in ((True, 0.8, 1.0), (False, 0.0, 0.3)):
        scene, rng = arms(20), np.random.default_rng(0)
        scene.reset(rng)
        solved = np.zeros(len(scene.tasks), bool)
        for step in range(HORIZON):
            goes = (scene.tasks < len(GOALS)) | scene.clings
            targets = np.where(goes[:, None], GOALS[scene.tasks % len(GOALS)], scene.puck)
            actions = towards(scene, targets) if scripted else rng.uniform(-1, 1, scene.joints.shape)
            outcome = scene.step(actions)
            solved |= outcome.solved
            assert outcome.ended.all() == (step == HORIZON - 1)
            assert not outcome.terminated.any()
        assert (outcome.reached != outcome.observations).any(axis=1).all()  # the next episodes have begun
        shares = solved.reshape(len(TASKS), -1).mean(axis=1)
        assert least <= shares.min()
        assert shares.max() <= most
