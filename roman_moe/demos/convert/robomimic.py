"""robomimic's HDF5, written and read by h5py alone. The file is there complete, or not at all.

`states` and `obs` hold the scenes, `rewards` are 1 at the end of what was solved. Filter keys: train, valid, and each
network. Images are not converted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from roman_moe.core.errors import DemonstrationError, one_line
from roman_moe.core.files import atomic_path
from roman_moe.core.outcome import Outcome
from roman_moe.demos.convert import columns as cols
from roman_moe.demos.extras import images
from roman_moe.demos.reader import Episode
from roman_moe.demos.survey import Survey

GYM_TYPE = 2  # robomimic.envs.env_base.EnvType
VALID_SHARE = 10  # every tenth episode validates, beginning with the last of ten
OURS = "roman_moe"
"""Dataset with what robomimic has no place for: an attribute has room for some 100 episodes."""


def write_robomimic(found: Survey, out: Path) -> list[str]:
    """Write a file that is not there yet; what is left out, in words.

    Raises:
        DemonstrationError: if it is there, or nothing can be exported.
    """
    if out.exists():
        raise DemonstrationError(f"{out}: exists already: name a file that is not there")
    episodes, optional, notes = cols.exported(found)
    seen = sum(bool(images(episode)) for episode in episodes)
    notes += [f"images of {seen} episodes: --to lerobot converts them"] if seen else []
    masks: dict[str, list[str]] = {"train": [], "valid": []}
    with atomic_path(out) as temporary, h5py.File(temporary, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = sum(len(episode.states) for episode in episodes)
        environment = f"{found.spec.name}/{episodes[0].meta.network}-v0"
        data.attrs["env_args"] = json.dumps({"env_name": environment, "env_type": GYM_TYPE, "env_kwargs": {}})
        file.create_dataset(OURS, data=cols.describe(found, episodes))
        for number, episode in enumerate(episodes):
            name = f"demo_{number}"
            _write(data.create_group(name), episode, optional)
            kind = "valid" if number % VALID_SHARE == VALID_SHARE - 1 else "train"
            for mask in (kind, episode.meta.network):
                masks.setdefault(mask, []).append(name)
        for mask, names in masks.items():
            if names:
                file.create_dataset(f"mask/{mask}", data=np.array(names, dtype="S"))
    return notes


def _write(demo: Any, episode: Episode, optional: tuple[str, ...]) -> None:
    columns = cols.columns_of(episode)
    length = len(episode.states)
    demo.attrs["num_samples"] = length
    for name in (cols.COMMAND, cols.STAMP, *optional):
        demo.create_dataset(name, data=columns[name])
    demo.create_dataset("actions", data=columns[cols.ACTION])
    demo.create_dataset("states", data=np.concatenate([columns[name] for name in cols.SCENE], axis=1))
    for name in cols.SCENE:
        demo.create_dataset(f"obs/{name}", data=columns[name])
        demo.create_dataset(f"next_obs/{name}", data=np.concatenate([columns[name][1:], columns[name][-1:]]))
    last = np.arange(length) == length - 1
    demo.create_dataset("dones", data=last.astype(np.int64))
    demo.create_dataset("rewards", data=(last & (episode.meta.outcome == Outcome.SUCCESS.value)).astype(np.float64))


def read_robomimic(source: Path, out: Path) -> int:
    """Make a dataset of a file that `write_robomimic` wrote; how many episodes it has.

    Raises:
        DemonstrationError: if it cannot be read, is not ours, or `out` is there.
    """
    try:
        with h5py.File(source, "r") as file:
            if OURS not in file:
                raise DemonstrationError(f"{source}: not exported from here: only such HDF5 files can be imported")
            spec, known = cols.described(file[OURS][()].decode(), source)

            def converted() -> Iterator[cols.Converted]:
                for number, (name, meta) in enumerate(known):
                    demo = file["data"][f"demo_{number}"]
                    columns = {key: demo[key][:] for key in (cols.COMMAND, cols.STAMP, *cols.OPTIONAL) if key in demo}
                    columns[cols.ACTION] = demo["actions"][:]
                    yield cols.Converted(name, meta, {**columns, **{key: demo["obs"][key][:] for key in cols.SCENE}})

            return cols.write_dataset(out, spec, converted())
    except (OSError, KeyError) as error:
        raise DemonstrationError(f"{source}: cannot be read as HDF5: {one_line(error)}") from error
