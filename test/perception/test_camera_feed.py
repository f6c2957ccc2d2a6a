"""Images on their way to an estimator: what needs no graph; the rest is tested through the node."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scenes import hand_at

from roman_moe.perception.camera_feed import CameraFeed


def image_at(seconds: int) -> Any:
    return SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nanosec=0), frame_id=""))


@pytest.mark.parametrize(("ahead", "taken"), [(math.inf, True), (0.5, False)])
def test_in_lockstep_the_first_images_of_an_episode_may_come_before_its_first_state(ahead: float, taken: bool) -> None:
    feed, picture = CameraFeed("left", ahead=ahead), np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    assert feed.take(image_at(5), lambda _: picture, hand_at(3_000_000_000))
    assert (feed.image is picture) is taken
    assert not feed.take(image_at(5), lambda _: picture, hand_at(5_000_000_000))  # once more
