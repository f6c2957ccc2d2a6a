"""The estimator's network: where each camera sees each object, how high it takes it to be, and how sure it is.

Nothing in it depends on one camera's place. Pixels follow from heat maps, which move with the image. An image alone
does not say how high a thing is and how it is turned. The network answers both in the base frame: each image comes with
the points where its pixels' rays meet the table's plane. The answers of all cameras are put together outside
(`perception.fusion`), with their calibration at that time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 4  # pixels of an image along a side of a heat map's cell
WINDOW = 3  # cells on each side of the highest one over which a pixel is averaged
HEIGHT_UNIT = 0.1  # [m] of a height of 1
LOG_SIGMAS = (-3.0, 5.0)
NEVER = -1e4  # logit of a cell that does not count
GEOMETRY = 3  # channels of `geometry_of`
FLATTEST = 0.05  # slope of a ray that is taken to meet the table

IMAGE_MIDDLE, IMAGE_SCALE = 0.45, 4.0


@dataclass(frozen=True)
class PosePredictions:
    """What the network says of n objects in b images.

    Attributes:
        logits: of the heat maps, (b, n, h, w).
        pixels: where each object is, (b, n, 2) [pixels].
        log_pixel_sigmas: logarithm of the standard deviation along each axis, (b, n) [pixels].
        heights: z in the base frame, (b, n) [m].
        log_height_sigmas: (b, n) [0.01 m].
        presence: logits of each cell's being the one that shows the object, (b, n, h, w).
        confidences: the highest of them near the highest cell of the heat map, (b, n).
        turns: cosine and sine of the object's yaw from the azimuth of its ray, times its symmetry, (b, n, 2).
    """

    logits: Tensor
    pixels: Tensor
    log_pixel_sigmas: Tensor
    heights: Tensor
    log_height_sigmas: Tensor
    presence: Tensor
    confidences: Tensor
    turns: Tensor


class PoseNetwork(nn.Module):
    """An hourglass of convolutions with residual blocks: a quarter, an eighth and a sixteenth of the image's size.

    Args:
        objects: how many.
        widths: channels at half, a quarter, an eighth and a sixteenth of the size.
    """

    PARTS = 5  # height, two sigmas, cosine, sine
    RARE = -4.6  # logit that cells begin with: one in a hundred shows the object

    def __init__(self, objects: int, widths: Sequence[int]) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = widths
        self.objects = objects
        self.stem = nn.Sequential(_layer(3, half, stride=2), _layer(half, quarter, stride=2), _Residual(quarter))
        seen = quarter + GEOMETRY
        self.down = nn.Sequential(_layer(seen, eighth, stride=2), _Residual(eighth), _Residual(eighth))
        self.bottom = nn.Sequential(_layer(eighth, sixteenth, stride=2), *(_Residual(sixteenth) for _ in range(3)))
        self.up = nn.Sequential(_layer(eighth + sixteenth, eighth, size=1), _Residual(eighth))
        self.widen, self.skip = (_layer(size, quarter + 8, size=1) for size in (eighth, seen))
        self.fine = nn.Sequential(_layer(quarter + 8, quarter + 16), _layer(quarter + 16, quarter + 16))
        self.heat = nn.Conv2d(quarter + 16, objects, 1)
        self.presence = nn.Conv2d(quarter + 16, objects, 1)
        assert self.presence.bias is not None
        nn.init.constant_(self.presence.bias, self.RARE)
        self.rest = nn.Conv2d(eighth, objects * self.PARTS, 1)

    def forward(self, images: Tensor, geometry: Tensor) -> PosePredictions:
        """Answer images, (b, 3, H, W) in 0 to 1, of cameras with `geometry_of`, (b, 3, H/4, W/4)."""
        quarter = torch.cat([self.stem((images - IMAGE_MIDDLE) * IMAGE_SCALE), geometry], 1)
        eighth = self.down(quarter)
        wide = self.up(torch.cat([eighth, _doubled(self.bottom(eighth))], 1))
        fine = self.fine(_doubled(self.widen(wide)) + self.skip(quarter))
        logits, presence = self.heat(fine), self.presence(fine)
        near = _near_peak(logits)
        share = functional.softmax(logits.masked_fill(~near, NEVER).flatten(2), 2).view_as(logits)
        pixels = torch.stack([_mean(share, axis) for axis in (3, 2)], -1) * STRIDE + 0.5 * (STRIDE - 1)
        pooled = functional.avg_pool2d(share, 2) * 4.0
        parts = self.rest(wide).unflatten(1, (self.objects, self.PARTS))
        rest = (parts * pooled[:, :, None]).flatten(3).sum(3)
        return PosePredictions(
            logits=logits,
            pixels=pixels,
            log_pixel_sigmas=rest[..., 1].clamp(*LOG_SIGMAS),
            heights=rest[..., 0] * HEIGHT_UNIT,
            log_height_sigmas=rest[..., 2].clamp(*LOG_SIGMAS),
            presence=presence,
            confidences=presence.masked_fill(~near, NEVER).flatten(2).amax(2),
            turns=rest[..., 3:5],
        )


def geometry_of(rays: Tensor, positions: Tensor, size: tuple[int, int]) -> Tensor:
    """Where the rays of a heat map's cells meet the base frame's plane z = 0, and how steep they are, (b, 3, h, w).

    Args:
        rays: matrices from a pixel (x, y, 1) to its direction in the base frame, (b, 3, 3).
        positions: of the cameras in the base frame, (b, 3) [m].
        size: of the images, height and width [pixels].
    """
    rows, columns = (torch.arange(n // STRIDE) * STRIDE + 0.5 * (STRIDE - 1) for n in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    cells = torch.stack([x, y, torch.ones_like(x)]).flatten(1)
    directions = rays @ cells
    directions = directions / directions.square().sum(1, keepdim=True).sqrt()
    slope = directions[:, 2:].clamp(max=-FLATTEST)
    ends = positions[:, :2, None] - positions[:, 2:, None] / slope * directions[:, :2]
    return torch.cat([2.0 * ends, slope], 1).clamp(-4.0, 4.0).unflatten(2, y.shape)


def _layer(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.layers = nn.Sequential(_layer(channels, channels), second, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.layers(x))


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def _near_peak(logits: Tensor) -> Tensor:
    """Which cells are around the highest one, (b, n, h, w)."""
    width = logits.shape[3]
    highest = logits.flatten(2).argmax(2)[..., None, None]
    row, column = torch.div(highest, width, rounding_mode="floor"), highest % width
    rows, columns = torch.arange(logits.shape[2])[:, None], torch.arange(width)
    return ((rows - row).abs() <= WINDOW) & ((columns - column).abs() <= WINDOW)


def _mean(share: Tensor, axis: int) -> Tensor:
    """Mean row (axis 2) or column (axis 3) of the cells, (b, n)."""
    return (share.sum(5 - axis) * torch.arange(share.shape[axis])).sum(-1)
