"""A task whose skills are conditions and starts in task.yaml: it begins, is judged and rewarded without Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roman_moe.core.action import hold
from roman_moe.core.errors import ConfigError
from roman_moe.sim.judge import Judge
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.reward import completion
from roman_moe.sim.world import World

YAML = """\
name: fetch
home: {position: [0.46, 0.0, 0.31]}
gripper: {open: 0.08}
action: {top_speed: 0.2}
objects:
  handle: {position: [0.5, 0.3, 0.1]}
  peg: {orientation: yaw}
  tray: {orientation: yaw}
flags: [was_high]
skills:
  open_up:
    observes: [handle]
    success: [{open: {object: handle, distance: 0.1}}]
    starts: {handle: {joint: [0.0, 0.02]}}
    done: {handle: {joint: [0.15, 0.2]}}
  lift:
    observes: [peg, was_high]
    sets: {was_high: [{within: {object: peg, z: [0.2, 1.0]}}]}
    success: [{flag: {name: was_high}}]
    starts: {peg: {x: [0.4, 0.5], y: [-0.2, -0.1], yaw: [0.5, 1.0]}}
    done:
      tray: {x: [0.6, 0.62], yaw: [-0.4, -0.4]}
      peg: {at: tray, x: [-0.01, 0.01], z: [0.06, 0.06], yaw: [0.1, 0.1]}
  put:
    observes: [peg, tray]
    success: [{near: {object: peg, target: tray, distance: 0.02}}]
    starts: {peg: {x: [0.3, 0.3], z: [0.4, 0.4]}}
gate: {observes: [handle, peg, tray]}
scenarios: [{first: put}, {first: lift}, {first: open_up}]
"""
SCENE = """\
<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.0025" gravity="0 0 0"/>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 0.1" pos="0 0 -0.2"/>
    <body name="drawer" pos="0.5 0.3 0.1">
      <joint name="slide" type="slide" axis="0 -1 0"/>
      <geom type="box" size="0.02 0.02 0.02"/>
      <site name="handle"/>
    </body>
    <body name="stick" pos="0.5 -0.1 0.02">
      <freejoint/>
      <geom type="box" size="0.01 0.01 0.03"/>
      <body name="tip" pos="0.05 0 0.01"><site name="peg" euler="0 0 0.2"/></body>
    </body>
    <body name="plate" pos="0.6 0.1 0">
      <freejoint/>
      <geom type="box" size="0.02 0.02 0.01"/>
      <site name="tray"/>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "fetch"
    folder.mkdir()
    (folder / "task.yaml").write_text(YAML)
    (folder / "scene.xml").write_text(SCENE)
    return folder


def begin(world: World, name: str | int, seed: int = 0):
    return world.reset(world.task.start(name), np.random.default_rng(seed))


def test_objects_begin_within_their_ranges_whatever_carries_their_site(folder: Path):
    world = World(load_sim_task(folder))
    seen = []
    for seed in range(20):
        state = begin(world, "open_up", seed)
        x, y, z = state.position("peg")
        assert 0.4 <= x <= 0.5
        assert -0.2 <= y <= -0.1
        assert z == pytest.approx(0.03)  # as the scene has it
        assert 0.5 <= state.yaw("peg") <= 1.0
        assert state.position("handle")[1] == pytest.approx(0.3 - world.joint("slide"))
        assert 0.0 <= world.joint("slide") <= 0.02
        seen.append((x, y, state.yaw("peg"), world.joint("slide")))
    assert (np.ptp(seen, axis=0) > 0.3 * np.array([0.1, 0.1, 0.5, 0.02])).all()


def test_what_is_done_is_where_it_is_afterwards_and_later_skills_leave_it(folder: Path):
    world = World(load_sim_task(folder))
    state = begin(world, "scenario_1")  # the first skill is done
    assert 0.15 <= world.joint("slide") <= 0.2
    assert 0.4 <= state.position("peg")[0] <= 0.5  # not where the last skill alone would have it
    state = begin(world, "put")
    assert state.position("peg")[[0, 2]] == pytest.approx([0.3, 0.4])
    assert state.yaw("tray") == pytest.approx(-0.4)


def test_a_placement_beside_another_object_turns_with_it(folder: Path):
    text = (folder / "task.yaml").read_text()
    (folder / "task.yaml").write_text(text.replace("    starts: {peg: {x: [0.3, 0.3], z: [0.4, 0.4]}}\n", ""))
    world = World(load_sim_task(folder))
    state = begin(world, "put")
    x, y, z = state.position("peg") - state.position("tray")
    assert (y, z) == pytest.approx((0.0, 0.06))
    assert abs(x) <= 0.01
    assert state.yaw("peg") == pytest.approx(-0.4 + 0.1)
    assert 0.6 <= state.position("tray")[0] <= 0.62


def test_every_start_draws_the_same_numbers(folder: Path):
    task = load_sim_task(folder)
    world, after = World(task), set()
    for name in (*task.spec.skill_names, 0, 1, 2):
        rng = np.random.default_rng(5)
        world.reset(task.start(name), rng)
        after.add(rng.random())
    assert len(after) == 1


def test_a_flag_stays_set_for_the_episode_and_makes_the_skill_done(folder: Path):
    world = World(load_sim_task(folder))
    begin(world, "lift")
    judge = Judge(world.task.start("lift"))
    skill = world.skills["lift"]
    assert not judge.achieved(world)
    assert skill.object == "peg"
    for height in (0.3, 0.0):
        world.data.qpos[world.model.joint(world.model.body("stick").jntadr[0]).qposadr[0] + 2] = height
        world.update_kinematics()
        state = world.step(hold(world.stamp_ns, 0.08))
        assert state.flag("was_high")
        assert judge.achieved(world)
        assert completion(world.task, state, "lift") == 1.0
    assert begin(world, "put").flag("was_high")  # as the skill leaves it
    assert not begin(world, "lift").flag("was_high")
    assert not judge.achieved(world)


def test_defaults_follow_from_the_conditions(folder: Path):
    world = World(load_sim_task(folder))
    state, skill = begin(world, "open_up"), world.skills["open_up"]
    assert 0.0 <= skill.progress(state) < 1.0
    assert list(skill.reach_point(state)) == list(state.position("handle"))
    assert skill.leads(state)
    world.set_joint("slide", 0.12)
    world.update_kinematics()
    state = world.state
    assert skill.progress(state) == 1.0
    assert skill.achieved(world)
    assert not skill.leads(state)
    world.place_hand(state.position("handle") + [0.0, 0.0, 0.05], 0.08)
    world.update_kinematics()
    assert skill.leads(world.state)  # the hand has not left it yet
    assert skill.left_at == "handle"
    with pytest.raises(ConfigError, match=r"skill 'open_up' has no demonstrator: .* in open_up\.py"):
        skill.demonstrate(state)


def test_conditions_of_the_whole_task_stand_for_those_of_all_skills(folder: Path):
    world = World(load_sim_task(folder))
    begin(world, 0)
    assert not world.task.achieved(world)
    text = (folder / "task.yaml").read_text() + "success: [{open: {object: handle, distance: 0.1}}]\n"
    other = folder.with_name("other")
    other.mkdir()
    (other / "task.yaml").write_text(text)
    (other / "scene.xml").write_text(SCENE)
    world = World(load_sim_task(other))
    begin(world, 0)
    assert world.task.achieved(world)


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("scene.xml", "<freejoint/>", "", "line 7: objects.peg: has starts, but no joint that fits in scene.xml"),
        ("scene.xml", 'type="slide"', 'type="ball"', "line 6: objects.handle: has starts, but no joint that fits"),
        ("task.yaml", "{joint: [0.0, 0.02]}", "{x: [0.0, 0.1]}", "expected a free joint on the body of its site"),
    ],
)
def test_a_start_without_a_joint_for_it_names_the_object_with_its_line(
    folder: Path, file: str, old: str, new: str, expected: str
):
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    world = World(load_sim_task(folder))
    with pytest.raises(ConfigError) as caught:
        begin(world, "open_up")
    assert str(caught.value).startswith(f"{folder / 'task.yaml'}, line ")
    assert expected in str(caught.value)


def test_a_skill_that_says_nowhere_when_it_is_done_is_refused(folder: Path):
    text = (folder / "task.yaml").read_text()
    (folder / "task.yaml").write_text(text.replace("    success: [{flag: {name: was_high}}]\n", ""))
    with pytest.raises(ConfigError) as caught:
        load_sim_task(folder)
    assert str(caught.value).startswith(f"{folder / 'task.yaml'}, line 16: skills.lift: no success condition")
