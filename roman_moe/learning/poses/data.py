"""Labelled images as the estimator's network takes them. Pictures are read when they are drawn: the disk's cache is
large enough, and decoding one takes a fiftieth of what learning from it takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from roman_moe.core.errors import DemonstrationError
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import yaw
from roman_moe.learning.poses.losses import Labels, turn_of
from roman_moe.learning.poses.network import geometry_of
from roman_moe.perception.camera import Camera
from roman_moe.perception.image_set import Image, ImageSet, camera_at, joined, read_scenes

LIGHT = 0.2
"""Largest logarithm of the factor of a channel's brightness, drawn anew each time an image is used."""


@dataclass(frozen=True)
class Batch:
    """Images with what the network is to answer.

    Attributes:
        images: (b, 3, H, W) in 0 to 1.
        geometry: of the cameras, `geometry_of`.
    """

    images: Tensor
    geometry: Tensor
    labels: Labels


class Samples:
    """All images of some parts of an image set, each of one camera."""

    def __init__(self, images: ImageSet, spec: TaskSpec, validation_share: float, validation: bool) -> None:
        """Of the parts, the last `validation_share` validates, and the others train.

        Raises:
            DemonstrationError: if the images are of another task, not all there, or too few for the share.
        """
        images.check(spec)
        parts = images.parts()
        kept = round(len(parts) * validation_share)
        if not 0 < kept < len(parts):
            raise DemonstrationError(
                f"{images.folder}: {len(parts)} parts of 100 scenes, of which {validation_share:g} are to validate: "
                "expected one at least on either side: draw more images"
            )
        chosen = parts[len(parts) - kept :] if validation else parts[: len(parts) - kept]
        read = [read_scenes(part) for part in chosen]
        self._images = images
        self._places = [(part, number) for part, each in zip(chosen, read, strict=True) for number in range(len(each))]
        self.scenes = joined(read)
        objects = spec.objects.values()
        self._symmetries = torch.tensor([float(each.symmetry) for each in objects])
        self._turned = torch.tensor([float(each.orientation != "none") for each in objects])
        self._yaws = np.array([[yaw(each) for each in row] for row in self.scenes.orientations])

    def __len__(self) -> int:
        return len(self._places) * self.cameras

    @property
    def cameras(self) -> int:
        """Of each scene."""
        return len(self._images.description.cameras)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the images [pixels]."""
        return self._images.description.width, self._images.description.height

    def pictures(self, indices: Iterable[int]) -> list[Image]:
        """Images by their numbers, (height, width, 3) RGB."""
        pairs = (divmod(int(index), self.cameras) for index in indices)
        return [self._images.image(*self._places[scene], i) for scene, i in pairs]

    def cameras_of(self, scene: int) -> list[Camera]:
        """Cameras as they were when they saw a scene."""
        return [camera_at(self.scenes, scene, i, self._images.description) for i in range(self.cameras)]

    def batch(self, indices: NDArray[np.int64], rng: np.random.Generator | None = None) -> Batch:
        """Images by their numbers; with `rng`, in a light that is drawn anew."""
        pairs = [divmod(int(index), self.cameras) for index in indices]
        pictures = torch.from_numpy(np.stack(self.pictures(indices)))
        images = pictures.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last).float() / 255.0
        if rng is not None:
            images = images * torch.from_numpy(np.exp(rng.uniform(-LIGHT, LIGHT, (len(pairs), 3, 1, 1)))).float()
        cameras = [camera_at(self.scenes, scene, i, self._images.description) for scene, i in pairs]
        return Batch(images, geometry(cameras), self._labels(pairs, cameras))

    def _labels(self, pairs: list[tuple[int, int]], cameras: list[Camera]) -> Labels:
        scenes, views = (list(each) for each in zip(*pairs, strict=True))
        positions = self.scenes.positions[scenes]
        seen = [camera.project(points) for camera, points in zip(cameras, positions, strict=True)]
        pixels = np.stack([each for each, _ in seen])
        ahead = np.stack([depths for _, depths in seen]) > 0.0
        size = np.array([cameras[0].width, cameras[0].height])
        inside = ((pixels > -0.5) & (pixels < size - 0.5)).all(axis=2)
        visible = self.scenes.visible[scenes, views] & inside & ahead
        towards = positions - np.stack([camera.position for camera in cameras])[:, None]
        azimuths = np.arctan2(towards[..., 1], towards[..., 0])
        return Labels(
            pixels=torch.from_numpy(np.clip(pixels, -1e3, 1e3)).float(),
            heights=torch.from_numpy(positions[..., 2]).float(),
            turns=turn_of(torch.from_numpy(self._yaws[scenes] - azimuths).float(), self._symmetries),
            visible=torch.from_numpy(visible).float(),
            turned=self._turned,
        )


def geometry(cameras: list[Camera]) -> Tensor:
    """What the network is given of cameras with images of one size, (b, 3, h, w)."""
    rays = np.stack([camera.pixel_rays for camera in cameras])
    positions = np.stack([camera.position for camera in cameras])
    size = cameras[0].height, cameras[0].width
    return geometry_of(torch.from_numpy(rays).float(), torch.from_numpy(positions).float(), size)
