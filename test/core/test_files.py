"""Files and folders that are complete or not there, and results that stay where they are if no place takes them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from roman_moe.core.errors import NotMovedError
from roman_moe.core.files import atomic_folder


def write(folder: Path, text: str) -> None:
    with atomic_folder(folder) as new:
        (new / "file").write_text(text)


def test_a_folder_is_replaced_as_a_whole_and_nothing_else_is_left(tmp_path):
    for text in ("old", "new"):
        write(tmp_path / "folder", text)
        assert (tmp_path / "folder" / "file").read_text() == text
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_an_error_leaves_the_old_folder_and_nothing_new(tmp_path):
    write(tmp_path / "folder", "old")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "folder") as new:
        (new / "file").write_text(str(1 / 0))
    assert (tmp_path / "folder" / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_one_and_what_it_points_to_is_replaced(tmp_path, exists):
    if exists:
        write(tmp_path / "disk" / "folder", "old")
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "folder")
    write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "folder" / "file").read_text() == "new"


@pytest.mark.parametrize("failing", ["folder", "new"])
def test_what_cannot_be_moved_to_its_place_is_kept_and_named(tmp_path, monkeypatch, failing):
    write(tmp_path / "folder", "old")
    replace = os.replace

    def busy(source: Path, target: Path) -> None:
        if source.name == failing:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))  # as for a mount point
        replace(source, target)

    monkeypatch.setattr(os, "replace", busy)
    with pytest.raises(NotMovedError, match="cannot be written: Device or resource busy") as caught:
        write(tmp_path / "folder", "new")
    (kept,) = tmp_path.glob(".folder-*/new")
    assert str(kept) in str(caught.value)
    assert (kept / "file").read_text() == "new"
    assert (tmp_path / "folder" / "file").read_text() == "old"
