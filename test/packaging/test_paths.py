"""config/, launch/ and models/ are found in every kind of installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from roman_moe.core import paths
from roman_moe.core.errors import ConfigError
from roman_moe.learning.controllers import make_controller

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
    assert make_controller("models/roman").bundle.path == ROOT / "models" / "roman"
