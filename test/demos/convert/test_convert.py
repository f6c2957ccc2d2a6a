"""LeRobot's and robomimic's formats: read by their documented layouts, and back again without a bit lost."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from episodes import add_images, corrected, make_meta, make_ticks, record
from specs import ROMAN
from worlds import TASK

from roman_moe.cli.main import main
from roman_moe.core.errors import DemonstrationError
from roman_moe.core.features import feature_layout
from roman_moe.demos.convert import lerobot, videos
from roman_moe.demos.convert.columns import columns_of
from roman_moe.demos.dataset import write_spec
from roman_moe.demos.survey import survey
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.evaluation.collect import Collection, Group, demonstrate
from roman_moe.sim.pose_source import TruthPoses

FORMATS = {"lerobot": np.float32, "robomimic": np.float64}
"""How many digits of an action each keeps."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Real demonstrations of two skills, noise, bursts and disturbances included."""
    out = tmp_path_factory.mktemp("dataset") / "demos"
    write_spec(out, ROMAN)
    collection = Collection(TASK, out, 1, 0, TruthPoses(0.005), 0.5, 1.0, 1.0, seed=3)
    for skill in ("button", "pick_and_drop"):
        assert demonstrate(Group(skill, TASK.start(skill), 1).attempt(collection, 0, "0123abc")).success
    return out


@pytest.fixture(scope="module")
def exported(dataset, tmp_path_factory):
    """The same for LeRobot and for robomimic."""
    out = tmp_path_factory.mktemp("exported")
    for form in FORMATS:
        assert main(["demos", "export", str(dataset), "--to", form, str(out / form)]) == 0
    return out


def assert_same(before, after, digits):
    """All columns and metadata of two datasets."""
    for one, other in zip(before.episodes, after.episodes, strict=True):
        assert (before.name(one), one.meta) == (after.name(other), other.meta)
        there, here = columns_of(one), columns_of(other)
        assert there.keys() == here.keys()
        for name, values in there.items():
            kind = digits if values.dtype == np.float64 else values.dtype
            np.testing.assert_array_equal(here[name].astype(kind), values.astype(kind), err_msg=name)


@pytest.mark.parametrize("form", FORMATS)
def test_real_demonstrations_come_back_exactly(dataset, exported, tmp_path, form, capsys):
    assert main(["demos", "import", str(exported / form), "--from", form, str(tmp_path / "back")]) == 0
    assert "back: 2 episodes" in capsys.readouterr().out
    assert_same(survey(dataset), survey(tmp_path / "back"), FORMATS[form])


@pytest.mark.parametrize("form", FORMATS)
def test_corrections_come_back_with_who_drove_and_what_the_policy_would_have_done(tmp_path, form, capsys):
    write_spec(tmp_path / "demos", ROMAN)
    corrected(tmp_path / "demos" / "push" / "episode_000", images=2, name="the first", notes="late")
    assert main(["demos", "export", str(tmp_path / "demos"), "--to", form, str(tmp_path / "out")]) == 0
    assert ("left out: images of 1 episodes" in capsys.readouterr().out) == (form == "robomimic")
    assert main(["demos", "import", str(tmp_path / "out"), "--from", form, str(tmp_path / "back")]) == 0
    after = survey(tmp_path / "back")
    assert_same(survey(tmp_path / "demos"), after, FORMATS[form])
    assert after.episodes[0].taught.tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("form", FORMATS)
def test_weights_of_the_gate_are_a_set_of_their_own(tmp_path, form, capsys):
    write_spec(tmp_path / "demos", ROMAN)
    record(tmp_path / "demos" / "gate" / "episode_000", "gate")
    record(tmp_path / "demos" / "push" / "episode_000", "push")
    assert main(["demos", "export", str(tmp_path / "demos"), "--to", form, str(tmp_path / "all")]) == 0
    assert "left out: 1 episodes of the gate: they answer weights: export gate/" in capsys.readouterr().out
    assert main(["demos", "export", str(tmp_path / "demos" / "gate"), "--to", form, str(tmp_path / "gate")]) == 0
    assert main(["demos", "import", str(tmp_path / "gate"), "--from", form, str(tmp_path / "back")]) == 0
    assert_same(survey(tmp_path / "demos" / "gate"), survey(tmp_path / "back"), FORMATS[form])


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_of_200_episodes_no_action_differs(tmp_path, form):
    write_spec(tmp_path / "demos", ROMAN)
    for number in range(200):
        record(tmp_path / "demos" / "push" / f"episode_{number:03d}", "push", data_seed=number, ticks=25)
    assert main(["demos", "export", str(tmp_path / "demos"), "--to", form, str(tmp_path / "out")]) == 0
    assert main(["demos", "import", str(tmp_path / "out"), "--from", form, str(tmp_path / "back")]) == 0
    before, after = survey(tmp_path / "demos"), survey(tmp_path / "back")
    assert len(after.episodes) == 200
    assert_same(before, after, FORMATS[form])


def test_lerobots_layout_is_the_documented_one(dataset, exported):
    root, episodes = exported / "lerobot", survey(dataset).episodes
    info = json.loads((root / "meta" / "info.json").read_text())
    total = sum(len(episode.states) for episode in episodes)
    assert (info["codebase_version"], info["fps"], info["total_frames"]) == ("v3.0", 20, total)
    assert (info["splits"], info["video_path"], info["total_tasks"]) == ({"train": "0:2"}, None, 2)
    assert info["features"]["action"] == {"dtype": "float32", "shape": [4], "names": ["x", "y", "z", "gripper"]}
    file = pq.ParquetFile(root / info["data_path"].format(chunk_index=0, file_index=0))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [
        len(episode.states) for episode in episodes
    ]
    data = file.read()
    assert set(data.column_names) == set(info["features"])
    for name, feature in info["features"].items():
        kind = pa.bool_() if feature["dtype"] == "bool" else getattr(pa, feature["dtype"])()
        assert data.schema.field(name).type == (
            kind if feature["shape"] == [1] else pa.list_(kind, feature["shape"][0])
        )
    assert data["index"].to_pylist() == list(range(total))
    frames = np.concatenate([np.arange(len(episode.states)) for episode in episodes])
    assert data["frame_index"].to_pylist() == frames.tolist()
    np.testing.assert_array_equal(data["timestamp"].to_numpy(), (frames / 20).astype(np.float32))
    rows = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(row["episode_index"], row["tasks"], row["dataset_to_index"]) for row in rows] == [
        (0, ["button"], len(episodes[0].states)),
        (1, ["pick and drop"], total),
    ]
    stats = json.loads((root / "meta" / "stats.json").read_text())
    for statistics in (stats["action"], {key: rows[0][f"stats/action/{key}"] for key in stats["action"]}):
        assert set(statistics) == {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"}
    np.testing.assert_allclose(
        stats["action"]["mean"], np.concatenate([e.answers for e in episodes]).mean(0), atol=1e-6
    )


def test_lerobots_tasks_have_the_index_that_pandas_looks_for(exported):
    table = pq.read_table(exported / "lerobot" / "meta" / "tasks.parquet")
    assert table.to_pydict() == {"task_index": [0, 1], "task": ["button", "pick and drop"]}
    pandas = json.loads(table.schema.metadata[b"pandas"])
    assert pandas["index_columns"] == ["task"]
    assert [column["field_name"] for column in pandas["columns"]] == table.column_names


def test_a_data_file_that_is_full_is_followed_by_another(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(lerobot, "DATA_MB", 0.01)
    lerobot.write_lerobot(survey(dataset), tmp_path / "out")
    assert len(list((tmp_path / "out" / "data" / "chunk-000").iterdir())) == 2
    assert [number for number, _ in lerobot.episodes_in(tmp_path / "out")] == [0, 1]
    (tmp_path / "out" / "data" / "chunk-000" / "file-001.parquet").unlink()
    with pytest.raises(DemonstrationError, match="1 episodes in its data: expected 2"):
        lerobot.read_lerobot(tmp_path / "out", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def check_by_doctor(root):
    pytest.importorskip("lerobot_doctor")
    script = "import sys; from lerobot_doctor.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", script, "check", str(root), "--fail-on", "fail", "--ci"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_lerobot_doctor_finds_no_fault(exported):
    check_by_doctor(exported / "lerobot")


def film(dataset, *images):
    """An episode for each count and width of images."""
    write_spec(dataset, ROMAN)
    for number, (count, width) in enumerate(images):
        with EpisodeWriter(dataset / "push" / f"episode_00{number}", ROMAN, "push") as writer:
            for tick in make_ticks("push"):
                writer.add(*tick)
            add_images(writer, count, width)
            writer.close(make_meta("push"))


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Two episodes of five ticks, 50 ms apart, with four images, 33 ms apart and each lighter, and the set of them."""
    folder = tmp_path_factory.mktemp("filmed")
    film(folder / "demos", (4, 48), (4, 48))
    assert lerobot.write_lerobot(survey(folder / "demos"), folder / "set") == []
    return folder / "set"


def test_images_are_videos_with_the_newest_image_of_each_tick(filmed):
    info = json.loads((filmed / "meta" / "info.json").read_text())
    key = "observation.images.front"
    feature = info["features"][key]
    assert (feature["dtype"], feature["shape"], feature["info"]["video.fps"]) == ("video", [32, 48, 3], 20)
    video = cv2.VideoCapture(str(filmed / info["video_path"].format(video_key=key, chunk_index=0, file_index=0)))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1])
    assert (video.get(cv2.CAP_PROP_FPS), frames[0].shape) == (20.0, (32, 48, 3))
    np.testing.assert_allclose([frame.mean() for frame in frames], [0, 20, 60, 60, 60] * 2, atol=3.0)
    rows = pq.read_table(filmed / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    said = [[row[f"videos/{key}/{name}"] for name in ("file_index", "from_timestamp", "to_timestamp")] for row in rows]
    assert said == [[0, 0.0, 0.25], [0, 0.25, 0.5]]
    mean = json.loads((filmed / "meta" / "stats.json").read_text())[key]["mean"]
    np.testing.assert_allclose(mean, np.full((3, 1, 1), 40 / 255), atol=1e-9)
    assert key not in pq.read_table(filmed / "data/chunk-000/file-000.parquet").column_names


def test_lerobot_doctor_finds_no_fault_with_videos(filmed):
    assert "All video files present" in check_by_doctor(filmed)


def test_a_video_file_that_is_full_is_followed_by_another(filmed, tmp_path, monkeypatch):
    monkeypatch.setattr(videos, "VIDEO_MB", -1)
    lerobot.write_lerobot(survey(filmed.parent / "demos"), tmp_path / "out")
    rows = pq.read_table(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    names = [f"videos/observation.images.front/{name}" for name in ("file_index", "from_timestamp", "to_timestamp")]
    assert [[row[name] for name in names] for row in rows] == [[0, 0.0, 0.25], [1, 0.0, 0.25]]
    assert len(list((tmp_path / "out/videos/observation.images.front/chunk-000").iterdir())) == 2


@pytest.mark.parametrize(
    ("images", "line"),
    [
        ((0, 48), "left out: images of camera front: only 1 of 2 episodes have them"),
        ((2, 50), "camera front: images of 48 x 32 and 50 x 32 pixels: expected one size"),
        ((2, 0), "camera front: 9 bytes of format 'png' are no image: expected JPEG or PNG"),
    ],
)
def test_images_that_make_no_video_are_named(tmp_path, capsys, images, line):
    film(tmp_path / "demos", (2, 48), images)
    done = main(["demos", "export", str(tmp_path / "demos"), "--to", "lerobot", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert line in (said.err if done else said.out)
    assert (tmp_path / "out").exists() == (done == 0) == (images[0] == 0)


def test_robomimics_layout_is_the_documented_one(dataset, exported):
    episodes = survey(dataset).episodes
    with h5py.File(exported / "robomimic", "r") as file:
        assert file["data"].attrs["total"] == sum(len(episode.states) for episode in episodes)
        assert json.loads(file["data"].attrs["env_args"])["env_type"] == 2
        assert sorted(file["data"]) == ["demo_0", "demo_1"]
        assert {name: file["mask"][name][:].tolist() for name in file["mask"]} == {
            "train": [b"demo_0", b"demo_1"],
            "button": [b"demo_0"],
            "pick_and_drop": [b"demo_1"],
        }
        demo, length = file["data/demo_0"], len(episodes[0].states)
        assert demo.attrs["num_samples"] == length
        assert np.abs(demo["actions"][:]).max() <= 1.0
        assert (demo["rewards"][:].tolist(), demo["dones"][:].sum()) == ([0.0] * (length - 1) + [1.0], 1)
        assert set(demo["obs"]) == set(demo["next_obs"])
        np.testing.assert_array_equal(demo["next_obs/hand_position"][:-1], demo["obs/hand_position"][1:])
        assert len(demo["states"]) == length


MAPPING = {
    "task": "roman",
    "networks": {"button": "button"},
    "scene": {
        "hand_position": {"column": "observation.state", "numbers": [0, 1, 2]},
        "finger_opening": {"column": "observation.state", "numbers": [13]},
        "button": {"column": "observation.state", "numbers": [40, 41, 42]},
    },
    "action": {"column": "action"},
}


@pytest.fixture
def foreign(exported, tmp_path):
    """A set that says nothing of where it comes from."""
    for file in (exported / "lerobot").rglob("*"):
        if file.is_file() and file.name != "roman_moe.json":
            place = tmp_path / "foreign" / file.relative_to(exported / "lerobot")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    return tmp_path / "foreign"


def imported(foreign, tmp_path, mapping):
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(mapping), encoding="utf-8")
    arguments = [str(foreign), "--from", "lerobot", str(tmp_path / "back"), "--mapping", str(tmp_path / "mapping.yaml")]
    return main(["demos", "import", *arguments])


def test_a_set_of_somebody_else_is_imported_by_a_mapping(dataset, foreign, tmp_path):
    names = json.loads((foreign / "meta" / "info.json").read_text())["features"]["observation.state"]["names"]
    assert [names[index] for index in (0, 13, 40)] == ["hand_position.x", "finger_opening", "object_positions.button.x"]
    assert imported(foreign, tmp_path, MAPPING) == 0
    found = survey(tmp_path / "back")
    assert (found.damaged, [found.name(one) for one in found.episodes]) == ({}, ["button/episode_000"])
    before, after = survey(dataset).episodes[0], found.episodes[0]
    np.testing.assert_array_equal(after.answers.astype(np.float32), before.answers.astype(np.float32))
    layout = feature_layout(ROMAN)
    observed = layout.indices([f"{name}.{axis}" for name in ("button", "hand_position") for axis in "xyz"])
    for one, other in zip(before.states, after.states, strict=True):
        np.testing.assert_array_equal(layout.vector(one)[observed].astype(np.float32), layout.vector(other)[observed])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"action": {"column": "actions"}}, "action: no column 'actions' in the dataset: did you mean 'action'?"),
        ({"action": {"column": "action", "numbers": [0, 1]}}, "action: 2 numbers of column 'action': expected 4"),
        ({"action": {"column": "action", "numbers": [0, 1, 2, 9]}}, "column 'action' has 4"),
        ({"networks": {"button": "press"}}, "networks.button: unknown skill 'press'"),
        ({"networks": {"shove": "push"}}, "unknown task 'shove': expected one of button, pick and drop"),
        ({"scene": {"hand": {"column": "action"}}}, "scene: no "),
        ({"task": "kitting"}, "unknown skill 'button'"),
        ({"actoin": 1}, "actoin"),
        ({"networks": {"button": "push"}}, "neither seen nor remembered: nothing to learn from"),
    ],
)
def test_a_mapping_that_does_not_fit_is_named(foreign, tmp_path, capsys, change, line):
    assert imported(foreign, tmp_path, {**MAPPING, **change}) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
    assert not (tmp_path / "back").exists()


def test_what_cannot_be_converted_is_one_line_and_overwrites_nothing(dataset, exported, foreign, tmp_path, capsys):
    def refused(*arguments):
        assert main(["demos", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    back = tmp_path / "back"
    assert "exists already" in refused("export", dataset, "--to", "lerobot", exported / "lerobot")
    assert "exists already" in refused("export", dataset, "--to", "robomimic", exported / "robomimic")
    assert "exists already" in refused("import", exported / "lerobot", "--from", "lerobot", dataset)
    assert "no meta/roman_moe.json, so not exported from here" in refused("import", foreign, "--from", "lerobot", back)
    assert "cannot be read as HDF5" in refused("import", foreign / "meta/info.json", "--from", "robomimic", back)
    info = foreign / "meta" / "info.json"
    content = json.loads(info.read_text())
    arguments = ("import", foreign, "--from", "lerobot", back, "--mapping", tmp_path / "mapping.yaml")
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(MAPPING), encoding="utf-8")
    info.write_text(json.dumps({**content, "fps": 30}))
    assert "recorded at 30 Hz: control_rate of task 'roman' is 20" in refused(*arguments)
    info.write_text(json.dumps({**content, "codebase_version": "v2.1"}))
    assert "codebase_version v2.1: expected v3.0" in refused(*arguments)
    info.write_text(json.dumps(content))
    data = foreign / "data" / "chunk-000" / "file-000.parquet"
    data.write_bytes(data.read_bytes()[:1000])
    assert f"{data}: cannot be read" in refused(*arguments)
    with EpisodeWriter(tmp_path / "mixed" / "push" / "episode_000", ROMAN, "push") as writer:
        writer.add(*make_ticks("push")[0])
        writer.close(make_meta("push", rate=10.0))
    record(tmp_path / "mixed" / "push" / "episode_001", "push")
    write_spec(tmp_path / "mixed", ROMAN)
    assert "recorded at 20 Hz, push/episode_000 at 10 Hz" in refused(
        "export", tmp_path / "mixed", "--to", "lerobot", back
    )
    assert not back.exists()
