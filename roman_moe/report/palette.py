"""One fixed colour and one readable name a skill, the colours of the objects in the lab (ROMAN, Fig. 1)."""

from __future__ import annotations

from collections.abc import Mapping

COLORS: Mapping[str, str] = {
    "pull": "#8757d6",  # drawer handle: violet
    "pick_and_drop": "#3d78e6",  # cover: blue
    "rotate_open": "#22b8cf",  # door handle: cyan
    "pick_and_place": "#3aa655",  # rack: green
    "pick_and_insert": "#f5c22b",  # vial: yellow
    "push": "#f3852b",  # conveyor: orange
    "button": "#e0403c",  # button: red
}

LABELS: Mapping[str, str] = {
    "pull": "Pull",
    "pick_and_drop": "Pick & drop",
    "rotate_open": "Rotate open",
    "pick_and_place": "Pick & place",
    "pick_and_insert": "Pick & insert",
    "push": "Push",
    "button": "Button",
}

OTHER_COLOR = "#9aa0a6"
INK = "#22262b"


def color(skill: str) -> str:
    """Colour of a skill as #rrggbb; grey for one that a bundle brought along."""
    return COLORS.get(skill, OTHER_COLOR)


def label(skill: str) -> str:
    """Name of a skill for people."""
    return LABELS.get(skill, skill.replace("_", " "))


def rgb(skill: str) -> tuple[int, int, int]:
    """Colour of a skill, 0 to 255 a channel."""
    code = color(skill)
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def text_color(skill: str) -> str:
    """Dark or white, whichever reads better on a skill's colour."""
    red, green, blue = rgb(skill)
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#ffffff"
