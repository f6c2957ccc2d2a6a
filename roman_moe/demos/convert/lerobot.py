"""LeRobotDataset v3.0, written and read by pyarrow; its videos are written by ffmpeg.

A set is there complete, or not at all. Its layout is that of LeRobot's own writer: many episodes a data file, one row
group an episode, indices from 0 without gaps, `timestamp = frame_index / fps`. Cameras' images become videos.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roman_moe.core.errors import DemonstrationError, one_line
from roman_moe.core.files import atomic_folder, write_json
from roman_moe.core.spec import TaskSpec
from roman_moe.demos.convert import columns as cols
from roman_moe.demos.convert.statistics import of_columns
from roman_moe.demos.convert.videos import CHUNK, VIDEO, VIDEO_MB, Videos, camera_sizes
from roman_moe.demos.survey import Survey

VERSION = "v3.0"
STATE = "observation.state"
DATA_MB = 100
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
OURS = "meta/roman_moe.json"  # what LeRobot has no place for

INDEX = {"timestamp": "float32", **dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), "int64")}


def write_lerobot(found: Survey, out: Path) -> list[str]:
    """Write a set that is not there yet; what is left out, in words.

    Raises:
        DemonstrationError: if it is there, nothing can be exported, or its rate is no whole number.
    """
    if out.exists():
        raise DemonstrationError(f"{out}: exists already: name a folder that is not there")
    episodes, optional, notes = cols.exported(found)
    rate, network = episodes[0].meta.rate, episodes[0].meta.network
    if rate != int(rate):
        raise DemonstrationError(f"{episodes[0].path}: recorded at {rate} Hz: LeRobot takes whole numbers")
    features = _features(found.spec, network, optional)
    sizes, unseen = camera_sizes(episodes)
    tasks = list(dict.fromkeys(episode.meta.network for episode in episodes))
    rows, everything, total = [], [], 0
    with atomic_folder(out) as new:
        with closing(_DataFiles(new)) as files, closing(Videos(new, sizes, int(rate))) as videos:
            for number, episode in enumerate(episodes):
                task = tasks.index(episode.meta.network)
                frames = _frames(cols.columns_of(episode), features, number, total, task, rate)
                place = files.add(_table(frames, features))
                length = len(episode.states)
                spoken = [episode.meta.network.replace("_", " ")]
                row = _episode_row(number, spoken, total, length, place, of_columns(frames))
                rows.append(row | videos.add(episode))
                everything.append(frames)
                total += length
        whole = {name: np.concatenate([frames[name] for frames in everything]) for name in features}
        write_json(new / "meta" / "stats.json", of_columns(whole) | videos.statistics)
        _write_tasks(new / "meta" / "tasks.parquet", [task.replace("_", " ") for task in tasks])
        (new / EPISODES).parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), new / EPISODES)
        info = _info(features | videos.features, len(rows), total, len(tasks), int(rate))
        write_json(new / "meta" / "info.json", info)
        (new / OURS).write_text(cols.describe(found, episodes), encoding="utf-8")
    return notes + unseen


def read_lerobot(source: Path, out: Path) -> int:
    """Make a dataset of a set that `write_lerobot` wrote; how many episodes it has.

    Raises:
        DemonstrationError: if it cannot be read, is not ours, or `out` is there.
    """
    if not (source / OURS).is_file():
        raise DemonstrationError(
            f"{source}: no {OURS}, so not exported from here: say with --mapping what its columns are"
        )
    spec, known = cols.described((source / OURS).read_text(encoding="utf-8"), source / OURS)

    widths = {name: len(cols.names_of(spec, "")[name]) for name in cols.SCENE}
    ends = np.cumsum([*widths.values()])
    features = read_info(source)["features"]
    for name in (STATE, cols.ACTION, cols.COMMAND, cols.STAMP):
        if name not in features:
            raise DemonstrationError(f"{source}: no column {name!r}, though exported from here: it was changed")
    if features[STATE].get("shape") != [ends[-1]]:
        raise DemonstrationError(f"{source}: {STATE} has shape {features[STATE].get('shape')}: expected [{ends[-1]}]")

    def converted() -> Iterator[cols.Converted]:
        count = 0
        for (name, meta), (_, columns) in zip(known, episodes_in(source), strict=False):
            state = dict(zip(widths, np.split(columns.pop(STATE), ends[:-1], axis=1), strict=True))
            count += 1
            yield cols.Converted(name, meta, {**columns, **state})
        if count != len(known):
            raise DemonstrationError(f"{source}: {count} episodes in its data: expected {len(known)}")

    return cols.write_dataset(out, spec, converted())


def read_info(source: Path) -> dict[str, Any]:
    """Content of meta/info.json.

    Raises:
        DemonstrationError: if it is no set of version 3.
    """
    file = source / "meta" / "info.json"
    if not file.is_file():
        raise DemonstrationError(f"{source}: no LeRobot dataset: expected meta/info.json in it")
    try:
        info: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        version = info["codebase_version"]
        _ = info["fps"], info["features"], info["total_episodes"]
    except (ValueError, KeyError, TypeError) as error:
        raise DemonstrationError(f"{file}: damaged: {error}") from error
    if not str(version).startswith("v3."):
        raise DemonstrationError(
            f"{source}: codebase_version {version}: expected {VERSION}; LeRobot converts older ones"
        )
    return info


def episodes_in(source: Path) -> Iterator[tuple[int, cols.Columns]]:
    """Number and columns of each episode, whatever the order of the files' columns.

    Raises:
        DemonstrationError: if a file cannot be read, or episodes are not numbered from 0 on without gaps.
    """
    number, pieces = 0, list[pa.Table]()
    said = read_info(source)["features"]
    features = {name for name, feature in said.items() if feature.get("dtype") != "video"}
    for file in sorted(source.glob("data/chunk-*/file-*.parquet")):
        try:
            table = pq.read_table(file)
            indices = table["episode_index"].to_numpy()
        except (OSError, KeyError, pa.ArrowException) as error:
            raise DemonstrationError(f"{file}: cannot be read: {one_line(error)}") from error
        if lacking := sorted(name for name in features - {*table.column_names}):
            raise DemonstrationError(f"{file}: no column {', '.join(lacking)}, though meta/info.json names it")
        begins = np.flatnonzero(np.diff(indices, prepend=-1)).tolist()
        for first, last in itertools.pairwise([*begins, len(indices)]):
            found = int(indices[first])
            if pieces and found != number:
                yield number, _joined(pieces)
                number, pieces = number + 1, []
            if found != number:
                raise DemonstrationError(f"{file}: episode_index {found}: expected {number}")
            pieces.append(table.slice(first, last - first))
    if pieces:
        yield number, _joined(pieces)


def tasks_in(source: Path) -> list[str]:
    """Tasks by their index.

    Raises:
        DemonstrationError: if they cannot be read.
    """
    file = source / "meta" / "tasks.parquet"
    try:
        table = pq.read_table(file).to_pydict()
        name = "task" if "task" in table else "__index_level_0__"
        return [str(task) for _, task in sorted(zip(table["task_index"], table[name], strict=True))]
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DemonstrationError(f"{file}: cannot be read: {one_line(error)}") from error


def _joined(pieces: Sequence[pa.Table]) -> cols.Columns:
    table = pa.concat_tables(pieces, promote_options="default")
    columns: cols.Columns = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_fixed_size_list(column.type) or pa.types.is_list(column.type):
            columns[name] = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
        else:
            columns[name] = column.to_numpy(zero_copy_only=False)
    return columns


def _features(spec: TaskSpec, network: str, optional: Sequence[str]) -> dict[str, dict[str, Any]]:
    names = cols.names_of(spec, network)
    state = [
        number if group in (number, "flags") else f"{group}.{number}" for group in cols.SCENE for number in names[group]
    ]
    listed = {
        STATE: state,
        **{name: list(names[name]) for name in (cols.ACTION, cols.COMMAND, *optional) if name in names},
    }
    features: dict[str, dict[str, Any]] = {
        name: {"dtype": "float32", "shape": [len(numbers)], "names": numbers} for name, numbers in listed.items()
    }
    scalars = {cols.STAMP: "int64", **({cols.INTERVENTION: "bool"} if cols.INTERVENTION in optional else {}), **INDEX}
    return features | {name: {"dtype": kind, "shape": [1], "names": None} for name, kind in scalars.items()}


def _frames(
    columns: cols.Columns, features: Mapping[str, Any], number: int, begin: int, task: int, rate: float
) -> cols.Columns:
    length = len(columns[cols.ACTION])
    frame = np.arange(length)
    index = (frame / rate, frame, np.full(length, number), begin + frame, np.full(length, task))
    given = {STATE: np.concatenate([columns[name] for name in cols.SCENE], axis=1), **columns}
    given |= dict(zip(INDEX, index, strict=True))
    return {name: given[name].astype(feature["dtype"]) for name, feature in features.items()}


def _table(frames: cols.Columns, features: Mapping[str, Any]) -> pa.Table:
    """Numbers of shape (1,) are scalars, others lists of a fixed size."""
    return pa.table(
        {
            name: pa.array(values.ravel())
            if features[name]["shape"] == [1]
            else pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
            for name, values in frames.items()
        }
    )


class _DataFiles:
    """The data files: a new one when the last has `DATA_MB`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._number = -1
        self._bytes = 0
        self._writer: pq.ParquetWriter | None = None

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, table: pa.Table) -> tuple[int, int]:
        """Write an episode as one row group; chunk and file in which it is."""
        if self._writer is None or self._bytes + table.nbytes > DATA_MB * 1_000_000:
            self.close()
            self._number, self._bytes = self._number + 1, 0
            chunk, file = divmod(self._number, CHUNK)
            path = self._root / DATA.format(chunk_index=chunk, file_index=file)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(path, table.schema, compression="snappy")
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._bytes += table.nbytes
        return divmod(self._number, CHUNK)


def _episode_row(
    number: int, tasks: list[str], begin: int, length: int, place: tuple[int, int], statistics: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "episode_index": number,
        "tasks": tasks,
        "length": length,
        "data/chunk_index": place[0],
        "data/file_index": place[1],
        "dataset_from_index": begin,
        "dataset_to_index": begin + length,
        **{f"stats/{name}/{key}": value for name, row in statistics.items() for key, value in row.items()},
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }


def _write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """With what pandas needs to find its index, without which every task's name is a number."""

    def column(name: str, pandas: str, numpy: str) -> dict[str, Any]:
        return {"name": name, "field_name": name, "pandas_type": pandas, "numpy_type": numpy, "metadata": None}

    of_columns = {
        **column("", "unicode", "object"),
        "name": None,
        "field_name": None,
        "metadata": {"encoding": "UTF-8"},
    }
    said = {
        "index_columns": ["task"],
        "column_indexes": [of_columns],
        "columns": [column("task_index", "int64", "int64"), column("task", "unicode", "object")],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.3",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(said)}), path)


def _info(features: Mapping[str, Any], episodes: int, frames: int, tasks: int, rate: int) -> dict[str, Any]:
    return {
        "codebase_version": VERSION,
        "robot_type": "roman_moe",
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": CHUNK,
        "data_files_size_in_mb": DATA_MB,
        "video_files_size_in_mb": VIDEO_MB,
        "fps": rate,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA,
        "video_path": VIDEO if any(feature["dtype"] == "video" for feature in features.values()) else None,
        "features": features,
    }
