"""What writer and reader agree on: topics and message types of an episode's bag."""

from __future__ import annotations

from roman_moe.core.spec import GATE
from roman_moe.wire import topics as names

METADATA_FILE = "metadata.yaml"
MCAP_SUFFIX = ".mcap"

TICKS = "ticks"
"""Key of the custom data that says how many ticks were recorded: none of them may be missing."""


OPTIONAL_TYPES = {name: names.MESSAGE_TYPES[name] for name in (names.TICK, names.POLICY_ACTION)}
"""Message types of what an episode may have of each tick besides, by relative topic: recordings of a graph have it."""


def answer_topic(network: str) -> str:
    """Relative name of the topic of what is taught."""
    return names.GATE_WEIGHTS if network == GATE else names.expert_action(network)


def episode_types(network: str) -> dict[str, str]:
    """Message types of all that an episode of a network consists of, by relative topic.

    A bag holds full names: these behind "/" or behind a graph's namespace.
    """
    types = {name: names.MESSAGE_TYPES[name] for name in (names.SCENE, names.TWIST_COMMAND, names.GRIPPER_COMMAND)}
    return {**types, answer_topic(network): names.JOINT_STATE}
