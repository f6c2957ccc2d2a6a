"""Demonstrations: the one format that whoever gives them writes and whoever uses them reads. numpy and rosbags."""

from typing import TYPE_CHECKING

from roman_moe.core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from roman_moe.demos.dataset import dataset_spec
    from roman_moe.demos.reader import read_episodes

__all__ = ["dataset_spec", "read_episodes"]
__getattr__ = lazy_exports(
    __name__,
    dataset_spec="dataset",
    read_episodes="reader",
)
