"""Colour and readable name of each skill: what its task says, or grey and the name itself for any other network."""

from __future__ import annotations

from roman_moe.core.spec import TaskSpec
from roman_moe.core.spec_parts import SkillSpec

INK = "#22262b"


def color(spec: TaskSpec, network: str) -> str:
    """Colour of a skill as #rrggbb; grey for a network that is no skill's."""
    return (spec.skills.get(network) or SkillSpec(())).color


def label(spec: TaskSpec, network: str) -> str:
    """Name of a skill for people; of a network that is no skill's, its name in words."""
    return (spec.skills.get(network) or SkillSpec(())).label or network.replace("_", " ")


def rgb(spec: TaskSpec, network: str) -> tuple[int, int, int]:
    """Colour of a skill, 0 to 255 a channel."""
    code = color(spec, network)
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def text_color(spec: TaskSpec, network: str) -> str:
    """Dark or white, whichever reads better on a skill's colour."""
    red, green, blue = rgb(spec, network)
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#ffffff"
