"""Every way in which a bundle can be wrong must be refused with one line that names the file or key."""

from __future__ import annotations

import builtins
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from bundles import tiny_metadata, tiny_network, write_networks, write_tiny_bundle
from onnx import TensorProto, helper, numpy_helper
from specs import FEATURES, ROMAN, SKILLS

from roman_moe.control.bundle import load_bundle, load_model
from roman_moe.control.identity import SCRIPTED
from roman_moe.control.manifest import load_manifest
from roman_moe.control.network import Network
from roman_moe.core.errors import BundleError, MissingDependencyError
from roman_moe.core.spec import GATE


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle")


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        load_bundle(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def with_push(folder: Path, data: bytes) -> Path:
    """A bundle whose manifest fits it, with this content for the network of push."""
    networks = {name: tiny_network(name) for name in (*SKILLS, GATE)}
    return write_networks(folder, networks | {"push": data})


def edited(data: bytes, edit: Callable[[onnx.ModelProto], None]) -> bytes:
    model = onnx.load_from_string(data)
    edit(model)
    return model.SerializeToString()


def test_a_whole_bundle_loads_and_answers(bundle: Path):
    loaded = load_bundle(bundle)
    features = np.full(len(FEATURES), 0.3)
    assert loaded.skills == SKILLS
    assert [expert.metadata.name for expert in loaded.experts] == list(SKILLS)
    assert loaded.gate(features).sum() == pytest.approx(1.0, abs=1e-6)
    assert all(np.abs(expert(features)).max() <= 1.0 for expert in loaded.experts)


def test_single_networks_load_without_the_others(bundle: Path):
    running = load_manifest(bundle)
    for name in set(SKILLS) - {"pull"}:
        (bundle / f"{name}.onnx").unlink()
    features = np.full(len(FEATURES), 0.3)
    assert load_model(bundle / "pull.onnx", "pull", running).network(features).shape == (4,)
    assert load_model(bundle / "gate.onnx", "gate", running).network(features).shape == (7,)
    with pytest.raises(BundleError, match="skill pull: the manifest expects push"):
        load_model(bundle / "pull.onnx", "push", running)


def test_answers_are_new_arrays(bundle: Path):
    expert = load_model(bundle / "push.onnx", "push", load_manifest(bundle)).network
    first = expert(np.zeros(len(FEATURES)))
    before = first.copy()
    expert(np.ones(len(FEATURES)))
    np.testing.assert_array_equal(first, before)


def test_no_folder(tmp_path: Path):
    assert "no such folder" in refusal(tmp_path / "nothing")


@pytest.mark.parametrize("name", SCRIPTED)
def test_a_scripted_controller_is_no_bundle_and_how_to_watch_it_is_said(name: str):
    with pytest.raises(BundleError, match=f"^{name}: is no bundle: .* evaluate {name} judges it; to watch it"):
        load_manifest(name)


def test_no_manifest(bundle: Path):
    (bundle / "controller.yaml").unlink()
    assert "controller.yaml: no such file" in refusal(bundle)


def test_missing_network(bundle: Path):
    (bundle / "push.onnx").unlink()
    assert "push.onnx: no such file" in refusal(bundle)


def test_truncated_network(bundle: Path):
    file = bundle / "push.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    assert re.search(r"push\.onnx: has \d+ bytes: controller\.yaml says \d+", refusal(bundle))


def test_every_flipped_bit_is_noticed(bundle: Path):
    file = bundle / "push.onnx"
    data = bytearray(file.read_bytes())
    for position in np.random.default_rng(0).integers(len(data), size=8):
        flipped = data.copy()
        flipped[position] ^= 0x10
        file.write_bytes(flipped)
        assert "push.onnx: sha256 is" in refusal(bundle)


def test_content_that_is_no_onnx(tmp_path: Path):
    assert "push.onnx: not an ONNX file" in refusal(with_push(tmp_path, b"version https://git-lfs.github.com/spec/v1"))


def test_another_skills_network(tmp_path: Path):
    message = refusal(with_push(tmp_path, tiny_network("pull")))
    assert "push.onnx: its metadata say skill pull: the manifest expects push" in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"rate": 25.0}, "rate_hz 25.0: the manifest expects 20.0"),
        ({"top_speed": 0.5}, "trained with top_speed 0.5"),
        ({"outputs": ("y", "z", "x", "gripper")}, "outputs y, z, x, gripper"),
        ({"units": tuple("cm" for _ in tiny_metadata("push").units)}, "in 'cm': task 'roman' offers 'm'"),
        ({"units": ("m",)}, "names 1 units for 15 features"),
    ],
)
def test_metadata_of_another_layout(tmp_path: Path, change: dict[str, object], expected: str):
    metadata = replace(tiny_metadata("push"), **change)
    assert expected in refusal(with_push(tmp_path, tiny_network("push", metadata=metadata)))


def test_unknown_and_missing_metadata(tmp_path: Path):
    data = tiny_network("push")

    def rename(model: onnx.ModelProto) -> None:
        for entry in model.metadata_props:
            if entry.key == "features":
                entry.value = entry.value.replace("rack.x", "shelf.x")

    def forget(model: onnx.ModelProto) -> None:
        helper.set_model_props(model, {"format_version": "2"})

    def future(model: onnx.ModelProto) -> None:
        helper.set_model_props(model, {"format_version": "3"})

    assert "observes feature 'shelf.x'" in refusal(with_push(tmp_path / "a", edited(data, rename)))
    assert "metadata property 'task' is missing" in refusal(with_push(tmp_path / "b", edited(data, forget)))
    assert "network format version 3: this program reads 2" in refusal(with_push(tmp_path / "c", edited(data, future)))


def test_graph_that_does_not_fit_its_metadata(tmp_path: Path):
    """The metadata name one feature fewer than the graph takes."""
    metadata = tiny_metadata("push")
    shorter = replace(metadata, features=metadata.features[:-1], units=metadata.units[:-1])
    data = edited(tiny_network("push"), lambda model: helper.set_model_props(model, shorter.to_properties()))
    assert "input 'observation' is tensor(float) of shape ['batch', 15]" in refusal(with_push(tmp_path, data))


def simple_network(operator: str, count: int = 4, kind: int = TensorProto.FLOAT, **options: object) -> bytes:
    """A network for push: the first four features through one operator."""
    port = helper.make_tensor_value_info
    opset = options.pop("opset", 17)
    domain = str(options.pop("domain", ""))
    weight = numpy_helper.from_array(np.eye(15, count, dtype=helper.tensor_dtype_to_np_dtype(kind)), "weight")
    nodes = [
        helper.make_node("MatMul", ["observation", "weight"], ["product"]),
        helper.make_node(operator, ["product"], ["action"], domain=domain, **options),
    ]
    graph = helper.make_graph(
        nodes, "push", [port("observation", kind, [1, 15])], [port("action", kind, [1, count])], [weight]
    )
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    helper.set_model_props(model, tiny_metadata("push").to_properties())
    return model.SerializeToString()


def test_a_plain_network_of_another_maker_is_accepted(tmp_path: Path):
    load_bundle(with_push(tmp_path, simple_network("Tanh")))


def test_a_network_that_looks_like_the_runtimes_own_format_is_read_as_onnx(tmp_path: Path):
    """That format's mark is where the producer's name begins; read as such, nothing of it would have been checked."""
    data = edited(simple_network("Tanh"), lambda model: setattr(model, "producer_name", "ORTM"))
    assert data[4:8] == b"ORTM"
    load_bundle(with_push(tmp_path, data))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (simple_network("Tanh", count=5), "output 'action' is tensor(float) of shape [1, 5]"),
        (simple_network("Tanh", kind=TensorProto.DOUBLE), "input 'observation' is tensor(double)"),
        (simple_network("Gelu", domain="com.microsoft"), "operators of domain 'com.microsoft'"),
        (simple_network("Tanh", opset=9), "opset 9: expected 13 to 21"),
        (simple_network("Log"), "not finite"),
        (simple_network("Cos", alpha=1.0), "onnxruntime refuses it"),
    ],
    ids=["outputs", "type", "domain", "opset", "log of zero", "no such attribute"],
)
def test_graphs_that_must_not_run(tmp_path: Path, data: bytes, expected: str):
    assert expected in refusal(with_push(tmp_path, data))


def test_actions_out_of_range_and_weights_that_do_not_sum_to_one(tmp_path: Path):
    networks = {name: tiny_network(name) for name in (*SKILLS, GATE)}

    def unlimited(model: onnx.ModelProto) -> None:
        node = next(node for node in model.graph.node if "action" in node.output or "weights" in node.output)
        node.op_type = "Exp"
        del node.attribute[:]
        del node.input[1:]

    push = edited(networks["push"], unlimited)
    gate = edited(networks[GATE], unlimited)
    assert "expected actions in [-1, 1]" in refusal(write_networks(tmp_path / "a", networks | {"push": push}))
    assert "expected weights that sum to 1" in refusal(write_networks(tmp_path / "b", networks | {GATE: gate}))


def test_weights_outside_the_file(tmp_path: Path):
    def move_out(model: onnx.ModelProto) -> None:
        onnx.external_data_helper.set_external_data(model.graph.initializer[0], location="/etc/passwd")

    message = refusal(with_push(tmp_path, edited(tiny_network("push"), move_out)))
    assert "keeps the data of 'weight_0' outside the file" in message


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("control_rate: 20.0", "control_rat: 20.0", "rates: unknown key 'control_rat': did you mean 'control_rate'?"),
        ("control_rate: 20.0", "control_rate: fast", "rates: control_rate is 'fast': expected a number"),
        ("control_rate: 20.0", "control_rate: 25.0", "no whole multiple of gate_rate"),
        ("top_speed: 0.2", "top_speed: 0.0", "top_speed is 0.0: expected more than 0"),
        ("format_version: 2", "format_version: 3", "format_version 3: this program reads 2"),
        ("kind: gate_and_experts", "kind: magic", "kind 'magic': expected 'gate_and_experts'"),
        ("- pull\n", "- pul\n", "unknown skill 'pul'"),
        ("- pull\n", "", "pull is in one of them only"),
        ("file: push.onnx", "file: ../push.onnx", "expected a plain name ending in .onnx"),
        ("skills:\n", "skills: [\n", "not valid YAML"),
        ("gate:\n", "gates:\n", "unknown key 'gates': did you mean 'gate'?"),
        ("rates:\n", "rates: 20\nrest:\n", "unknown key 'rest'"),
    ],
)
def test_manifest_with_a_typo(bundle: Path, old: str, new: str, expected: str):
    file = bundle / "controller.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    message = refusal(bundle)
    assert "controller.yaml" in message
    assert expected in message


def test_a_bundle_of_format_1_is_refused_with_the_command_that_writes_it_anew(bundle: Path):
    file = bundle / "controller.yaml"
    file.write_text("format_version: 1\nkind: gate_and_experts\naction_scale: {top_speed: 0.2}\n")
    assert refusal(bundle) == (
        f"{file}: format_version 1: this program reads 2: write it anew with roman-moe export {bundle} NEW"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("open: 0.08", "open: 0.09"),
        ("time_limit: 80.0", "time_limit: 70.0"),
        ("- 0.46", "- 0.47"),
        ("- cover", "- vial"),
    ],
)
def test_a_task_that_was_changed_within_its_bundle_is_refused(bundle: Path, old: str, new: str):
    """Networks would be shown other numbers than they were trained on."""
    file = bundle / "controller.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    message = refusal(bundle)
    assert "task_sha256" in message
    assert "it was changed by hand; copy or export the bundle again" in message


def test_a_task_described_in_other_words_for_people_is_the_same_task(bundle: Path):
    file = bundle / "controller.yaml"
    file.write_text(file.read_text().replace("label: Push", "label: Shove"))
    loaded = load_bundle(bundle)
    assert loaded.spec == ROMAN
    assert loaded.spec.skills["push"].label == "Shove"


def test_a_network_of_another_task_is_refused(tmp_path: Path):
    metadata = replace(tiny_metadata("push"), task="kitchen")
    data = tiny_network("push", metadata=metadata)
    assert "push.onnx: is for task 'kitchen': this one is 'roman'" in refusal(with_push(tmp_path, data))


def test_manifest_that_is_empty(bundle: Path):
    (bundle / "controller.yaml").write_text("")
    assert "expected keys and values, found empty" in refusal(bundle)


def test_without_onnxruntime_the_message_names_the_extras(monkeypatch: pytest.MonkeyPatch):
    real_import = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "onnxruntime":
            raise ModuleNotFoundError("No module named 'onnxruntime'")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"roman-moe\[cpu\], or roman-moe\[gpu\]"):
        Network(ROMAN, tiny_network("push"), "push.onnx")


OPEN_FILES = """
import os, sys
from roman_moe.control.bundle import load_bundle
load_bundle(sys.argv[1])
print(*(os.readlink(f"/proc/self/fd/{n}") for n in range(3, 64) if os.path.islink(f"/proc/self/fd/{n}")), sep="\\n")
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are listed by Linux alone")
def test_a_bundle_that_runs_opens_no_sockets_and_no_database_of_telemetry(bundle: Path):
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    command = [sys.executable, "-c", OPEN_FILES, str(bundle)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    opened = done.stdout.splitlines()
    assert not [path for path in opened if "socket" in path or path.endswith((".db", ".db-wal", ".db-shm"))], opened
