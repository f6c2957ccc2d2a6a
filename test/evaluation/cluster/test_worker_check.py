"""What a worker compares before its first job."""

from __future__ import annotations

import os

import pytest

from roman_moe.core.errors import ConfigError
from roman_moe.evaluation.cluster import worker_check
from roman_moe.evaluation.cluster.worker_check import WorkerRequirements, digest, requirements


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with something to read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "gate.onnx").write_bytes(b"1")
    return tmp_path


def test_the_same_code_and_files_pass(place):
    with requirements([place / "bundle"], [place / "runs" / "new"]) as found:
        os.chdir("/")
        found.check()
    assert os.getcwd() == str(place)
    assert not list(place.glob(".cluster-*"))


@pytest.mark.parametrize("name", ["roman_moe", "git commit", "numpy"])
def test_another_version_is_refused_by_name(name, monkeypatch):
    found = WorkerRequirements(worker_check.code())
    monkeypatch.setattr(worker_check, "code", lambda: {**found.code, name: "other"})
    with pytest.raises(ConfigError, match=f"worker on .*: {name} is other: expected {found.code[name]}"):
        found.check()


def test_what_is_not_installed_is_refused_by_name():
    with pytest.raises(ConfigError, match="weather is missing: expected 1"):
        WorkerRequirements({"weather": "1"}).check()


def test_another_content_is_refused_by_name(place):
    with requirements([place / "bundle"], []) as found:
        (place / "bundle" / "gate.onnx").write_bytes(b"2")
        with pytest.raises(ConfigError, match=f"{place / 'bundle'} differs from that of the command's machine"):
            found.check()


def test_a_file_that_is_not_there_is_refused_by_name(place):
    with requirements([place / "bundle"], []) as found:
        (place / "bundle").rename(place / "away")
        with pytest.raises(ConfigError, match=f"does not see {place / 'bundle'}: expected it at the same place"):
            found.check()


def test_a_folder_of_the_same_name_that_is_not_shared_is_refused(place):
    with requirements([], [place]) as found:
        os.rename(place, f"{place}-elsewhere")
        place.mkdir()
        with pytest.raises(ConfigError, match=f"does not see the folder {place}: expected one that all machines share"):
            found.check()
        place.rmdir()
        os.rename(f"{place}-elsewhere", place)


@pytest.mark.parametrize("change", ["name", "content", "more"])
def test_a_digest_follows_names_and_contents(place, change):
    before, file = digest(place), place / "bundle" / "gate.onnx"
    if change == "name":
        file.rename(file.with_name("push.onnx"))
    else:
        (file if change == "content" else file.with_name("more")).write_bytes(b"2")
    assert digest(place) != before


def test_a_digest_leaves_caches_out(place):
    before = digest(place)
    (place / "__pycache__").mkdir()
    (place / "__pycache__" / "push.pyc").write_bytes(b"1")
    assert digest(place) == before
