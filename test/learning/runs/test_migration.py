"""A bundle of format 1 is refused with the command that renews it, and renewed it answers as it did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from bundles import write_tiny_bundle
from onnx import helper
from specs import LAYOUT, ROMAN

from roman_moe.cli.main import main
from roman_moe.control.bundle import load_bundle
from roman_moe.control.manifest import NetworkFile
from roman_moe.core.errors import BundleError


def write_old_bundle(folder: Path, top_speed: float = 0.2) -> Path:
    """A bundle with random weights as format 1 had it."""
    write_tiny_bundle(folder)
    file = folder / "controller.yaml"
    content = yaml.safe_load(file.read_text())
    for name, entry in (("gate", content["gate"]), *content["experts"].items()):
        model = onnx.load(folder / entry["file"])
        told = {each.key: each.value for each in model.metadata_props}
        del told["task"], told["top_angular_speed"]
        told["format_version"] = "1"
        if name != "gate":
            told["top_speed"] = repr(top_speed)
        helper.set_model_props(model, told)
        data = model.SerializeToString(deterministic=True)
        (folder / entry["file"]).write_bytes(data)
        fresh = NetworkFile.of(entry["file"], data)
        entry.update({"size": fresh.size, "sha256": fresh.sha256})
    del content["task"], content["task_sha256"]
    content["format_version"] = 1
    content["action_scale"] = {"top_speed": top_speed, "gripper_threshold": 0.5}
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


def test_a_bundle_of_format_1_names_the_command_that_renews_it(tmp_path):
    old = write_old_bundle(tmp_path / "old")
    with pytest.raises(BundleError, match=f"format_version 1: .*roman-moe export {old} NEW"):
        load_bundle(old)


def test_a_renewed_bundle_answers_as_before(tmp_path, capsys):
    as_it_was = load_bundle(write_tiny_bundle(tmp_path / "tiny"))
    old = write_old_bundle(tmp_path / "old")
    assert main(["export", str(old), str(tmp_path / "new")]) == 0
    assert f"{tmp_path / 'new'} (sha256 " in capsys.readouterr().out
    new = load_bundle(tmp_path / "new")
    assert new.spec == ROMAN
    assert new.manifest.provenance == as_it_was.manifest.provenance
    usable = np.ones(len(ROMAN.objects), bool)
    for vector in np.random.default_rng(0).uniform(-1.0, 1.0, (20, len(LAYOUT))):
        np.testing.assert_array_equal(new.gate.answer(vector, usable), as_it_was.gate.answer(vector, usable))
        for renewed, expert in zip(new.experts, as_it_was.experts, strict=True):
            np.testing.assert_array_equal(renewed.answer(vector, usable), expert.answer(vector, usable))
    assert (tmp_path / "new" / "push.onnx").read_bytes() == (tmp_path / "tiny" / "push.onnx").read_bytes()


def test_a_scale_of_its_own_is_kept(tmp_path):
    old = write_old_bundle(tmp_path / "old", top_speed=0.1)
    assert main(["export", str(old), str(tmp_path / "new")]) == 0
    spec = load_bundle(tmp_path / "new").spec
    assert (spec.action.top_speed, spec.name) == (0.1, "roman")
    assert spec != ROMAN


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: (folder / "push.onnx").unlink(), "push.onnx: no such file"),
        (lambda folder: (folder / "gate.onnx").write_bytes(b"x" * 10), "gate.onnx: has 10 bytes"),
        (
            lambda folder: (folder / "controller.yaml").write_text("format_version: 1\nkind: other\n"),
            "controller.yaml: ",
        ),
    ],
)
def test_a_damaged_one_is_one_line_and_writes_nothing(tmp_path, capsys, damage, complaint):
    old = write_old_bundle(tmp_path / "old")
    damage(old)
    assert main(["export", str(old), str(tmp_path / "new")]) == 2
    found = capsys.readouterr().err
    assert complaint in found
    assert len(found.splitlines()) == 1
    assert not (tmp_path / "new").exists()
