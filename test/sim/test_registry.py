"""A task's simulation from its folder: found, run and checked, each mistake one line with its place."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from roman_moe.core.action import hold
from roman_moe.core.errors import ConfigError
from roman_moe.core.outcome import Outcome
from roman_moe.sim.arm_spec import ARMS
from roman_moe.sim.judge import Judge
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.task import When
from roman_moe.sim.world import World
from roman_moe.tasks import __path__ as tasks

YAML = """\
name: stack
home: {position: [0.46, 0.0, 0.31]}
gripper: {open: 0.08}
action: {top_speed: 0.2}
objects: {block: {}, pad: {moves: false}}
flags: [lifted]
skills:
  lift: {observes: [block, lifted]}
  drop: {observes: [block, pad]}
gate: {observes: [block, pad]}
scenarios: [{first: drop}, {first: lift}]
"""
SCENE = """\
<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.0025"/>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 0.1" pos="0 0 -0.12"/>
    <site name="pad" pos="0.5 0.1 -0.12"/>
    <body name="block" pos="0.5 -0.1 -0.1">
      <freejoint name="block"/>
      <geom type="box" size="0.02 0.02 0.02"/>
      <site name="block"/>
    </body>
  </worldbody>
</mujoco>
"""
LIFT = """\
from roman_moe.sim.task import SimSkill, When
from .shared import HEIGHT


class Lift(SimSkill):
    def place(self, world, rng, when):
        y = rng.uniform(-0.2, -0.1)
        if when is not When.DONE:
            world.put("block", [0.5, y, -0.0995])

    def watch(self, world):
        world.flags[0] |= world.height("block") > HEIGHT

    def begin(self, world):
        self.beginning = world.height("block")

    def achieved(self, world):
        return bool(world.flags[0])
"""
DROP = """\
from roman_moe.sim.task import SimSkill


class Drop(SimSkill):
    def achieved(self, world):
        return bool(abs(world.site("block") - world.site("pad"))[:2].max() < 0.02)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "stack"
    folder.mkdir()
    scene = (Path(next(iter(tasks))) / "roman/assets/scene.xml").read_text()
    head, _, rest = scene.partition("<worldbody>")
    arm = str(Path(next(iter(tasks))).parent / "sim")
    body = SCENE.partition("<worldbody>")[2]
    assert rest
    (folder / "scene.xml").write_text(head.replace("../../../sim", arm) + "<worldbody>" + body)
    for name, text in {"task.yaml": YAML, "lift.py": LIFT, "drop.py": DROP, "shared.py": "HEIGHT = 0.05\n"}.items():
        (folder / name).write_text(text)
    return folder


def test_a_folder_of_the_users_is_a_task_with_all_that_follows(folder: Path) -> None:
    task = load_sim_task(folder)
    assert tuple(task.skills) == ("lift", "drop")
    world, start = World(task), task.start("scenario_1")
    state = world.reset(start, np.random.default_rng(0))
    assert start.when("lift") is When.START
    assert -0.2 < state.position("block")[1] < -0.1
    judge = Judge(start)
    assert not judge.achieved(world)
    world.put("block", np.array([0.5, 0.1, 0.3]))
    world.step(hold(world.stamp_ns, 0.08))
    assert world.state.flag("lifted")
    assert judge.achieved(world)


def test_what_has_a_free_joint_may_fall_where_a_task_names_nothing(folder: Path) -> None:
    task = load_sim_task(folder)
    world, start = World(task), task.start("scenario_1")
    world.reset(start, np.random.default_rng(0))
    world.put("block", np.array([1.5, 0.0, -0.5]))  # beside the table, on its way down
    world.update_kinematics()
    assert Judge(start).update(world) is Outcome.RUNNING
    world.put("block", np.array([1.5, 0.0, -1.5]))
    world.update_kinematics()
    assert Judge(start).update(world) is Outcome.OBJECT_DROPPED
    task.loose = ()  # it may go anywhere
    world = World(task)
    world.reset(start, np.random.default_rng(0))
    world.put("block", np.array([1.5, 0.0, -1.5]))
    world.update_kinematics()
    assert Judge(start).update(world) is Outcome.RUNNING


def test_what_skills_remember_is_of_one_world(folder: Path) -> None:
    task = load_sim_task(folder)
    worlds = [World(task) for _ in range(2)]
    heights = []
    for world in worlds:
        world.reset(task.start("lift"), np.random.default_rng(0))
    worlds[1].put("block", np.array([0.5, 0.0, 0.4]))
    worlds[1].update_kinematics()
    worlds[1].skills["lift"].begin(worlds[1])
    heights = [world.skills["lift"].beginning for world in worlds]
    assert heights[0] < 0.0 < heights[1]


def test_a_start_goes_to_another_process_by_its_tasks_folder(folder: Path) -> None:
    start = load_sim_task(folder).start("drop")
    assert pickle.loads(pickle.dumps(start)) == start
    roman = load_sim_task("roman").start(6)
    assert pickle.loads(pickle.dumps(roman)) == roman


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("drop.py", None, r"line 9: skills\.drop: no success condition: .* with a method achieved in drop\.py"),
        ("drop.py", "import roman_moe\n\nraise OSError('no disk')\n", r"drop\.py, line 3: OSError: no disk"),
        ("drop.py", "class Drop:\n", r"drop\.py, line 1: (Indentation|Syntax)Error"),
        ("drop.py", "class Drop:\n    pass\n", r"drop\.py: classes derived from SimSkill: none: expected one"),
        ("shared.py", "HEIGHT = 1 / 0\n", r"shared\.py, line 1: ZeroDivisionError"),
        (
            "simulation.py",
            "from roman_moe.sim.task import SimTask\n\n\nclass Stack(SimTask):\n    placing = ('lift', 'dance')\n",
            r"simulation\.py: placing is \('lift', 'dance'\): expected every skill once",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(folder: Path, file: str, text: str | None, expected: str) -> None:
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text)
    with pytest.raises(ConfigError, match=expected) as caught:
        load_sim_task(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            '<site name="pad"',
            '<site name="pat"',
            r"scene\.xml: no site 'pad': expected one for each object of the task",
        ),
        ("<worldbody>", "<worldbody", r"scene\.xml: "),
        ('<freejoint name="block"/>', "", r"scene\.xml: no body 'block' with a free joint of that name"),
    ],
)
def test_a_scene_that_lacks_something_is_one_line(folder: Path, old: str, new: str, expected: str) -> None:
    scene = folder / "scene.xml"
    scene.write_text(scene.read_text().replace(old, new))
    loose = "from roman_moe.sim.task import SimTask\n\n\nclass Stack(SimTask):\n    loose = ('block',)\n"
    (folder / "simulation.py").write_text(loose)
    with pytest.raises(ConfigError, match=expected) as caught:
        World(load_sim_task(folder))
    assert "\n" not in str(caught.value)


def test_an_arm_in_the_tasks_own_folder_is_its_arm(folder: Path) -> None:
    shutil.copytree(ARMS / "ur5e", folder / "my_arm")
    own = "from roman_moe.sim.task import SimTask\n\n\nclass Stack(SimTask):\n    arm = 'my_arm'\n"
    (folder / "simulation.py").write_text(own)
    world = World(load_sim_task(folder))
    assert (world.arm.arm.name, len(world.data.qpos[world.arm.joints])) == ("my_arm", 6)


def test_a_task_that_has_been_edited_is_read_again(folder: Path) -> None:
    before = load_sim_task(folder)
    assert load_sim_task(folder) is before
    file = folder / "task.yaml"
    file.write_text(file.read_text().replace("open: 0.08", "open: 0.07"))
    assert load_sim_task(folder).spec.gripper.open == 0.07


def test_starts_have_names() -> None:
    task = load_sim_task("roman")
    assert task.start("push").skills == ("push",)
    assert task.start("6") == task.start("scenario_6") == task.start(6) == task.start("")
    assert task.start(1).skills == ("push", "button")


@pytest.mark.parametrize("wrong", ("7", "dance", "scenario_", "-1", 7))
def test_an_unknown_start_is_refused_with_what_there_is(wrong: str | int) -> None:
    with pytest.raises(ConfigError, match=r"unknown (skill .*pull, .*button|scenario 7: expected one of 0 to 6)"):
        load_sim_task("roman").start(wrong)
