"""What a camera's sensor makes of an image: exposure, white balance, blur, noise, compression. For synthetic images."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

GAMMA = 0.3  # largest logarithm of the exponent
GAIN = 0.25  # largest logarithm of the exposure's factor
BALANCE = 0.06  # largest change of one channel's share
BLUR = (0.3, 1.0)  # standard deviation [pixels]; below the first there is none
NOISE = 6.0  # largest standard deviation, of 255
QUALITY = (70, 96)  # of JPEG


def as_sensed(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """An image, (height, width, 3) RGB, as a random camera would give it."""
    gamma, gain = np.exp(rng.uniform(-GAMMA, GAMMA)), np.exp(rng.uniform(-GAIN, GAIN))
    sensed = (image / 255.0) ** gamma * gain * (1.0 + rng.uniform(-BALANCE, BALANCE, 3))
    blur = rng.uniform(0.0, BLUR[1])
    if blur > BLUR[0]:
        sensed = cv2.GaussianBlur(sensed, (0, 0), blur)
    noisy = 255.0 * np.clip(sensed, 0.0, 1.0) + rng.normal(0.0, rng.uniform(0.0, NOISE), image.shape)
    _, data = cv2.imencode(
        ".jpg",
        np.clip(noisy, 0.0, 255.0).astype(np.uint8)[..., ::-1],
        [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*QUALITY))],
    )
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
