"""config/, launch/ and models/ are found in every kind of installation."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from bundles import write_tiny_bundle
from worlds import TASK

from roman_moe.cli.export import Export
from roman_moe.cli.main import main
from roman_moe.control.bundle import load_bundle
from roman_moe.control.identity import identify
from roman_moe.control.manifest import load_manifest
from roman_moe.control.rates import Rates
from roman_moe.core import paths
from roman_moe.core.errors import ConfigError
from roman_moe.evaluation.controllers import make_controller

ROOT = Path(__file__).parents[2]


def package(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def share(folder: Path) -> Path:
    (folder / "config").mkdir(parents=True)
    (folder / "package.xml").touch()
    return folder


def test_checkout():
    assert paths.find_share_folder(ROOT / "roman_moe") == ROOT
    assert paths.config_path("graph.yaml").is_file()


@pytest.mark.parametrize(
    "site", ["lib/python3.11/site-packages", "local/lib/python3.12/dist-packages", "Lib/site-packages", ""]
)
def test_installed_below_a_prefix(site: str, tmp_path: Path):
    expected = share(tmp_path / "share" / "roman_moe")
    assert paths.find_share_folder(package(tmp_path / site / "roman_moe")) == expected


def test_a_checkout_inside_a_prefix_uses_its_own_files(tmp_path: Path):
    share(tmp_path / "share" / "roman_moe")
    checkout = share(tmp_path / "src" / "roman_moe")
    assert paths.find_share_folder(package(checkout / "roman_moe")) == checkout


def test_linked_package_leads_to_its_checkout(tmp_path: Path):
    checkout = share(tmp_path / "src")
    package(checkout / "roman_moe")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "roman_moe").symlink_to(checkout / "roman_moe")
    assert paths.find_share_folder(tmp_path / "build" / "roman_moe") == checkout


def test_package_alone_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="neither a checkout nor share/roman_moe"):
        paths.find_share_folder(package(tmp_path / "roman_moe"))


def test_shipped_files_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert paths.find_shipped("config/graph.yaml") == ROOT / "config" / "graph.yaml"
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "graph.yaml").touch()
    assert paths.find_shipped("config/graph.yaml") == Path("config/graph.yaml")
    assert paths.find_shipped("models/nowhere") == Path("models/nowhere")
    assert paths.find_shipped(tmp_path / "absent") == tmp_path / "absent"


def test_evaluation_finds_the_shipped_bundle_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert make_controller("models/roman", TASK).networks.path == ROOT / "models" / "roman"


def test_every_way_to_the_shipped_bundle_leads_to_the_same_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    shipped = ROOT / "models" / "roman"
    assert load_bundle("models/roman").path == shipped
    assert load_manifest("models/roman") == load_manifest(shipped)
    assert identify("models/roman") == identify(shipped)
    assert Export(Path("models/roman"), Path("copy")).main() == 0
    sha256 = identify(shipped).sha256
    said = capsys.readouterr().out
    assert f"source: {shipped} (sha256 {sha256[:12]})" in said
    assert f"{tmp_path / 'copy'} (sha256 {sha256[:12]}): written" in said  # the same networks, the same hash


def test_a_bundle_here_comes_first_and_commands_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    write_tiny_bundle(tmp_path / "models" / "roman")
    assert load_bundle("models/roman").path.resolve() == tmp_path / "models" / "roman"
    found = identify("models/roman")
    assert found.path == tmp_path / "models" / "roman"
    assert found.sha256 != identify(ROOT / "models" / "roman").sha256
    assert main(["bench", "control", "--json", "figures.json"]) == 0
    assert f"bundle: {found.path} (sha256 {found.sha256[:12]})" in capsys.readouterr().out
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["controller"], figures["controller_sha256"]) == (str(found.path), found.sha256)
    command = [
        "evaluate",
        "models/roman",
        "--skills",
        "button",
        "--episodes",
        "1",
        "--workers",
        "1",
        "--json",
        "r.json",
    ]
    assert main(command) == 0
    assert f"bundle: {found.path} (sha256 {found.sha256[:12]})" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["controller_sha256"] == found.sha256


def test_the_hash_is_of_what_runs_and_not_of_what_is_said_about_it(tmp_path: Path):
    manifest = load_manifest(write_tiny_bundle(tmp_path / "one", seed=1))
    assert load_manifest(write_tiny_bundle(tmp_path / "same", seed=1)).digest() == manifest.digest()
    assert load_manifest(write_tiny_bundle(tmp_path / "other", seed=2)).digest() != manifest.digest()
    assert dataclasses.replace(manifest, provenance={"note": 1}).digest() == manifest.digest()
    assert dataclasses.replace(manifest, rates=Rates(10.0, 10.0)).digest() != manifest.digest()


def test_an_editable_install_is_found_where_python_runs_beside_the_checkout(tmp_path: Path):
    """The checkout's folder is no package, but has its name: as a namespace package it would hide an import hook's."""
    checkout, site = tmp_path / "roman_moe", tmp_path / "site"
    checkout.mkdir()
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "package.xml", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    for name in ("roman_moe", "resource", "scripts", "config", "launch"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = f"from setuptools import build_meta; print(build_meta.build_editable({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / done.stdout.splitlines()[-1]) as wheel:
        wheel.extractall(site)
    code = f"import site; site.addsitedir({str(site)!r}); import roman_moe; print(roman_moe.__file__)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-S", "-c", code]  # without this environment's own installation
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert found.stdout.strip() == str(checkout / "roman_moe" / "__init__.py"), found.stderr
