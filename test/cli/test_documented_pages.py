"""The command lines of README and docs run as they stand there, in their order, each page in a folder of its own.

test/documented.py says what makes them smaller, and which need more than this machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import gymnasium
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from documented import PROGRAM, ROOT, SOMETIMES_1, Line, Walk, apply, parsed, smaller, walks, words_of
from small_recipe import SMALL
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from roman_moe.bench.calibration import BoardScene
from roman_moe.cli import main as entry
from roman_moe.core.config import merged, read_yaml
from roman_moe.core.errors import ConfigError
from roman_moe.learning.runs import multitask_clone
from roman_moe.perception.board import Board
from roman_moe.perception.board_views import write_image
from roman_moe.perception.camera_file import write_poses
from roman_moe.testing.terminal import Terminal

pytest.importorskip("rclpy")

CORRECTION = (
    ("ready to record", "n"),
    ("recording", "t"),
    ("the operator drives", "h"),
    ("the policy drives", "r"),
    ("discarded", "q"),
)
TYPED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "status --watch": (("blender", "\x03"),),
    "teleop": (("the policy drives", "t"), ("the operator drives", "h"), ("the policy drives", "q")),
    "record": (("ready to record", "n"), ("recording", "r"), ("discarded", "q")),
    "record --device none": (
        ("ready to record", "n"),
        *[(" ticks", "")] * 10,  # redraws, in which there are some
        ("ticks", "n"),
    ),
    "record --intervene": CORRECTION,
    "teach --record": CORRECTION,
}
"""What a person at the terminal waits for and then types.

With a device nothing is kept: that takes a machine that keeps up.
"""

ENDED = {"status --watch": 130, "record": 1, "record --device none": 0, "teach --record": 1}
"""Exit codes of what ends because a person ends it."""

NEW = ("ablate", "collect", "compare", "data images", "export", "teach", "train")
"""What refuses to overwrite: its folder is removed before, as if another page had not written it."""

ON_A_GRAPH = ("lifecycle", "status", "stop", "swap", "teleop --join")
"""What works on a running graph: on the page's own, as far as it has begun one, or else on a mock arm's."""

FEW = {
    "demonstrations": 1,
    "clone": {"steps": 20},
    "ppo": {"steps": 128},
    "cloning": {"steps": 128, "epochs": 1.0},
    "validation": {"updates": 1, "episodes": 1},
}
"""What a recipe of hybrid learning has instead of the small one's: two updates of each network."""

OUTPUTS = ("json", "plot", "routing", "sheet", "out", "folder", "new_bundle")
"""Fields of commands with the file or folder that they write."""


FILE = re.compile(r"`([\w/]+\.(?:yaml|py))`[^`\n]*:\n\n```(?:yaml|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
"""A file as a page shows it, by name."""


def begins(words: list[str], starts: Iterable[str]) -> str:
    """The longest of these beginnings of command lines that this one has; empty if it has none."""

    def has(start: str) -> bool:
        own, dashes, option = start.partition(" --")
        return words[: len(own.split())] == own.split() and (not dashes or f"--{option}" in " ".join(words))

    return max(filter(has, starts), key=len, default="")


LACKS_PUSH = """
from roman_moe.cli.main import main
from roman_moe.nodes.bringup import graph
resolve = graph.resolve
graph.resolve = lambda *arguments: [spec for spec in resolve(*arguments) if spec.name != "expert_push"]
raise SystemExit(main(["run", "--arm", "mock"]))
"""
"""A graph for an expert to join: `roman-moe run` starts them all."""


class Graph:
    """`roman-moe run` in the background, and what it says."""

    def __init__(self, words: list[str], log: Path, program: Sequence[str] = ("-m", "roman_moe")) -> None:
        self._log = log
        with log.open("w") as file:
            command = [sys.executable, *program, *words]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        while "Ctrl-C ends it" not in self.said:
            assert self._process.poll() is None, self.said
            time.sleep(0.05)

    @property
    def said(self) -> str:
        return self._log.read_text()

    def end(self) -> None:
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait() == 130, self.said

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class Walker:
    """Runs the commands of a page in a folder, which is the current one."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self._folder, self._capture = folder, capture
        self._graph: Graph | None = None
        self._said: list[str] = []  # since what is printed was last compared

    def walk(self, walk: Walk) -> None:
        try:
            for step in walk.steps:
                if isinstance(step, Line):
                    self._run(step)
                elif step.kind == "diff":
                    apply(step.text, self._folder)
                else:
                    self._compare(step.text)
            self._end_graph()
        finally:
            if self._graph:
                self._graph.kill()

    def _run(self, line: Line) -> None:
        if "roman_moe.nodes expert" in line.text:
            self._join(line.text)
            return
        if not line.text.startswith(f"{PROGRAM} "):
            path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
            subprocess.run(line.text, shell=True, check=True, env={**os.environ, "PATH": path})
            return
        documented = words_of(line.text.replace("BUNDLE", "models/roman"))
        words = smaller(documented)
        if words[0] == "run":
            self._end_graph()
            self._graph = Graph(words, self._folder / "graph.log")
            return
        if not begins(words, ON_A_GRAPH):
            self._end_graph()
        elif self._graph is None:
            self._graph = Graph(["run", "--arm", "mock"], self._folder / "graph.log")
        if "SMALL" in words:
            words[words.index("SMALL")] = str(small_recipe(words, documented))
        command = parsed(words)
        outputs = [Path(path) for name in OUTPUTS if (path := getattr(command, name, None))]
        if words[:2] == ["train", "expert"]:
            outputs.remove(command.new_bundle)  # which is there once all networks are
        if begins(words, NEW) and "--force" not in words:
            for path in filter(Path.is_dir, outputs):
                shutil.rmtree(path)
        self._capture.readouterr()
        with operator(command):
            code, said = typed(words) if begins(words, TYPED) else (entry.main(words), None)
        said = "".join(self._capture.readouterr()) if said is None else said
        usual = ENDED.get(begins(words, ENDED), 0)
        assert code == usual or (code == 1 and begins(words, SOMETIMES_1)), f"{line.text}: exit code {code}:\n{said}"
        for path in outputs if code == 0 else ():
            assert path.exists(), f"{line.text}: {path} is not there"
        self._said.append(said)

    def _join(self, text: str) -> None:
        """An expert joins a graph that waits for it, and answers."""
        self._end_graph()
        self._graph = Graph([], self._folder / "graph.log", ("-c", LACKS_PUSH))
        assert "waiting for expert_push" in self._status()
        with subprocess.Popen([sys.executable, *shlex.split(text)[1:]]) as expert:
            try:
                while not re.search("expert_push +ok +giving actions", self._status()):
                    assert expert.poll() is None
            finally:
                expert.send_signal(signal.SIGINT)
        assert expert.returncode == 0

    def _status(self) -> str:
        self._capture.readouterr()
        entry.main(["status"])
        return self._capture.readouterr().out

    def _compare(self, shown: str) -> None:
        """What a page shows as the output of commands stands in it, in its order."""
        said, self._said = "".join(self._said), []
        lines = (re.escape(line).replace(r"\.\.\.", "[^\n]*") for line in shown.splitlines())
        expected = "".join("(?:[^\n]*\n)*" if line == "[^\n]*" else f"{line}\n" for line in lines)
        assert re.search(expected, said), f"expected:\n{shown}\nprinted:\n{said}"

    def _end_graph(self) -> None:
        graph, self._graph = self._graph, None
        if graph:
            try:
                graph.end()
            finally:
                graph.kill()


@contextlib.contextmanager
def operator(command: object) -> Iterator[None]:
    """The node of a page that gives demonstrations, where no device does."""
    if getattr(command, "device", "") != "none":
        yield
        return
    with subprocess.Popen([sys.executable, "teach.py", command.skill]) as process:
        try:
            yield
        finally:
            process.kill()


def typed(words: list[str]) -> tuple[int, str]:
    """Exit code, and what was shown, of a command at which a person types."""
    with Terminal(*words) as person:
        for text, keys in TYPED[begins(words, TYPED)]:
            person.shows(text)
            person.type(keys)
        return person.ends(), person.shown


def small_recipe(words: list[str], documented: list[str]) -> Path:
    """The recipe that a command takes, with few steps, in a file of its own."""
    usual = {"train bc": "bc", "train poses": "poses"}.get(" ".join(words[:2]), "fast")
    named = (
        documented[documented.index("--recipe") + 1] if "--recipe" in documented else f"config/training/{usual}.yaml"
    )
    recipe = read_yaml(Path(named), ConfigError)
    if "base" in recipe:
        recipe = merged(read_yaml(Path(named).parent / recipe.pop("base"), ConfigError), recipe)
    if usual == "poses":
        recipe |= {"steps": 2, "checkpoint_steps": 1, "validation_share": 0.5}
    else:
        few = {"steps": 20} if usual == "bc" else merged(SMALL, FEW)
        networks = {name: merged(network, few) for name, network in recipe.get("networks", {}).items()}
        recipe |= {"defaults": merged(recipe["defaults"], few), "networks": networks}
    file = Path(named).with_name(f"small_{Path(named).name}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(recipe))
    return file


@pytest.fixture(scope="session")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set with eight demonstrations of `push`, which pages take for granted."""
    folder = tmp_path_factory.mktemp("demonstrations") / "demos"
    options = ["--skills", "push", "--episodes", "8", "--gate-episodes", "0", "--workers", "1", "--out", str(folder)]
    assert entry.main(["collect", *options]) == 0
    return folder


@pytest.fixture
def folder(tmp_path: Path, demonstrations: Path, monkeypatch: pytest.MonkeyPatch, own_domain: int) -> Path:
    """The current folder: what a checkout has of models and recipes, and what pages take for granted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    shutil.copytree(ROOT / "models", "models")
    shutil.copytree(ROOT / "config", "config")
    shutil.copytree(demonstrations, "demos")
    few = dataclasses.replace(multitask_clone.RECIPE, steps=20)  # which no option makes smaller
    monkeypatch.setattr(multitask_clone.clone_multitask, "__defaults__", (few, None))
    return tmp_path


def given(walk: Walk) -> None:
    """What a page takes for granted that is not on it."""
    roman = Path("models/roman")
    for bundle in ("models/other", "models/mine", "my_bundle", "runs/push/bundle"):
        if bundle in walk.text:
            shutil.copytree(roman, bundle)
    for name, source in (
        ("models/push_v2.onnx", roman / "push.onnx"),
        ("model.onnx", roman / "push.onnx"),
        ("runs/poses/poses.onnx", "models/poses/roman.onnx"),
        ("roman_moe/tasks/roman/task.yaml", ROOT / "roman_moe/tasks/roman/task.yaml"),
    ):
        if name in walk.text and not (name == "runs/poses/poses.onnx" and "train poses" in walk.text):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, name)
    if "cell.yaml" in walk.text:
        Path("cell.yaml").write_text("{scene: /cell/scene, delta_twist_cmds: /cell/twist}")
    for name, content in FILE.findall(walk.text):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)
    if skill := re.search(r"export --from policy.zip --skill (\w+)", walk.text):
        train_policy(skill[1])
    if "demos import open_set" in walk.text:
        assert entry.main(["tasks", "new", "block"]) == 0
        write_open_set()
    if "calibrate intrinsics" in walk.text:
        take_images()
    if "fixes/push" in walk.text:
        shutil.copytree("demos", "fixes")
    if any(line.text.startswith("roman-moe teach") for line in walk.lines):
        for manifest in Path("models").glob("*/controller.yaml"):
            content = yaml.safe_load(manifest.read_text())
            for network in content["provenance"].get("networks", {}).values():
                recipe = network["recipe"]
                recipe.get("clone", recipe)["steps"] = 20  # of `train bc` it is the whole recipe
            manifest.write_text(yaml.safe_dump(content, sort_keys=False))  # a task is its order, too


def train_policy(skill: str) -> None:
    """A policy of Stable-Baselines3, and the statistics of its observations."""
    envs = VecNormalize(DummyVecEnv([lambda: gymnasium.make(f"roman_moe.sim.env:roman/{skill}-v0")]))
    model = PPO("MlpPolicy", envs, n_steps=64, batch_size=32, n_epochs=1, device="cpu")
    model.learn(64)
    model.save("policy.zip")
    envs.save("vecnormalize.pkl")


def write_open_set() -> None:
    """A LeRobot dataset of somebody else's, with the columns that docs/demonstrations.md maps; one episode."""
    widths = {"observation.state": 7, "observation.environment_state": 3, "action": 7}
    data: dict[str, object] = {
        name: list(np.linspace(0.0, 0.5, 20 * width).reshape(20, width)) for name, width in widths.items()
    }
    data |= dict.fromkeys(("episode_index", "task_index"), np.zeros(20, dtype=int))
    info = {
        "codebase_version": "v3.0",
        "fps": 20,
        "total_episodes": 1,
        "features": {name: {"dtype": "float64", "shape": [width]} for name, width in widths.items()},
    }
    for folder in ("open_set/meta", "open_set/data/chunk-000"):
        Path(folder).mkdir(parents=True)
    Path("open_set/meta/info.json").write_text(json.dumps(info))
    tasks = {"task_index": [0], "task": ["Put the block on the mark"]}
    pq.write_table(pa.table(tasks), "open_set/meta/tasks.parquet")
    pq.write_table(pa.table(data), "open_set/data/chunk-000/file-000.parquet")


def take_images() -> None:
    """Views of a board: by a fixed camera, on known places of the table, and by one on a hand."""
    with BoardScene(Board(), 3) as scene:
        front, _ = scene.in_front(14)
        table, places, _ = scene.on_table()
        around, hands, _ = scene.on_hand(10)
    for folder, images in (("images/left", front), ("images/left_table", table), ("images", around)):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, image in images.items():
            write_image(Path(folder, name), image)
    write_poses(Path("places.yaml"), places)
    write_poses(Path("hands.yaml"), hands)


@pytest.mark.parametrize(
    "walk",
    [pytest.param(walk, marks=[pytest.mark.slow] * walk.slow, id=walk.name + ", slow" * walk.slow) for walk in walks()],
)
@pytest.mark.timeout(5400)
def test_the_commands_of_a_page_run_in_their_order(walk: Walk, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given(walk)
    Walker(folder, capfd).walk(walk)
