"""Demonstrations: the one format that whoever gives them writes and whoever uses them reads. numpy and rosbags."""

from typing import TYPE_CHECKING

from roman_moe.core.face import face

if TYPE_CHECKING:
    from roman_moe.demos.dataset import dataset_spec
    from roman_moe.demos.reader import read_episodes

__all__ = ["dataset_spec", "read_episodes"]
__getattr__ = face(
    __name__,
    dataset_spec="dataset",
    read_episodes="reader",
)
