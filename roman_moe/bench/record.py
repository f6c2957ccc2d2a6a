"""What recording loses and costs: `kill -9` at random moments, and a graph at 60 Hz with two cameras.

The killed processes write short episodes through the real recorder, one after the other, and report each that is kept.
What they have reported must be there afterwards, and every episode that is there must be readable. A process of
publishers plays the graph. The recorder's node runs in this process, as in `roman-moe record`: its CPU is what is
measured.
"""

from __future__ import annotations

import multiprocessing as mp
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import Reader

from roman_moe.core.errors import DemonstrationError, RomanError
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import NANOSECONDS
from roman_moe.core.tasks import load_spec
from roman_moe.demos.reader import read_episode
from roman_moe.demos.recorder import Recorder
from roman_moe.testing.recorded_stream import record_stream
from roman_moe.testing.scenes import driven_tick
from roman_moe.wire.topics import COMPRESSED, SCENE

TICKS = 10  # of an episode that a process which is killed writes
LIFE = 0.5  # [s] within which it is killed
TIMEOUT = 60.0  # [s]


def measure(task: str = "roman", seconds: float = 10.0, kills: int = 100, seed: int = 0) -> dict[str, Any]:
    """Measure both.

    Args:
        task: name or folder of the task whose scenes are recorded.
        seconds: for which the graph publishes.
        kills: how many processes are killed.

    Returns:
        {"dropped", "cpu_cores", "ticks", "images", "kills", "closed_episodes", "damaged_closed_episodes",
        "lost_closed_episodes"}: messages that were published and are not in the episode, and CPU of the recorder's
        process; episodes that were told as kept, or stand there, and those of them that cannot be read or are gone.

    Raises:
        RomanError: if the graph does not come together.
    """
    spec = load_spec(task)
    with tempfile.TemporaryDirectory(prefix="roman_moe-") as folder:
        killed = _kill(spec, Path(folder) / "killed", kills, np.random.default_rng(seed))
        return {**_record(spec, Path(folder), seconds), "kills": kills, **killed}


def _kill(spec: TaskSpec, dataset: Path, kills: int, rng: np.random.Generator) -> dict[str, int]:
    context = mp.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    told: set[str] = set()
    for _ in range(kills):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_write_for_ever, args=(spec, dataset, theirs), daemon=True)
        process.start()
        theirs.close()
        if not ours.poll(TIMEOUT):
            raise RomanError(f"bench record: no episode within {TIMEOUT:.0f} s")
        time.sleep(rng.uniform(0.0, LIFE))
        process.kill()
        process.join()
        told |= _all_of(ours)
    there = {path.name: path for path in (dataset / spec.skill_names[0]).glob("episode_*")}
    damaged = [name for name, path in there.items() if not _is_whole(path, spec)]
    return {
        "closed_episodes": len(told | there.keys()),
        "damaged_closed_episodes": len(damaged),
        "lost_closed_episodes": len(told - there.keys()),
    }


def _write_for_ever(spec: TaskSpec, dataset: Path, kept: Connection) -> None:
    recorder = Recorder(dataset, spec, spec.skill_names[0], spec.control_rate, "bench")
    rng = np.random.default_rng(0)
    while True:
        path = recorder.start()
        for index in range(TICKS):
            scene, action, tick = driven_tick(spec, round(index * NANOSECONDS / spec.control_rate), rng)
            recorder.scene(scene)
            recorder.answer(scene.stamp_ns, action)
            recorder.tick(tick)
        recorder.stop()
        kept.send(path.name)


def _all_of(pipe: Connection) -> set[str]:
    """What a process has told before its end; a message that was cut off says nothing."""
    told = set()
    try:
        while True:
            told.add(pipe.recv())
    except (EOFError, OSError):
        return told


def _is_whole(path: Path, spec: TaskSpec) -> bool:
    try:
        return len(read_episode(path, spec).states) == TICKS
    except DemonstrationError:
        return False


def _record(spec: TaskSpec, folder: Path, seconds: float) -> dict[str, Any]:
    stream = record_stream(spec, folder, seconds)
    with Reader(stream.episode) as bag:
        counts = Counter(connection.topic for connection, stamp, _ in bag.messages() if stamp >= stream.began_ns)
    images = sum(count for topic, count in counts.items() if topic.endswith(COMPRESSED))
    ticks = counts[f"/{SCENE}"]
    return {
        "dropped": stream.ticks - ticks + stream.images - images,
        "cpu_cores": round(stream.cpu_cores, 3),
        "ticks": ticks,
        "images": images,
    }
