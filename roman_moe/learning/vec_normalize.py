"""Reads what Stable-Baselines3's `VecNormalize.save` wrote, which is a pickle, without running anything of it.

Arrays are made by numpy; every other class becomes an empty one that only holds what was stored under its name.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import BundleError, one_line

_NUMPY = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("_codecs", "encode"),
}
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, eq=False)
class ObservationScale:
    """Normalised observations are clip((x - mean) / deviation, -clip, clip); mean and deviation, (n,)."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    clip: float


class _Inert:
    """Stands for any class of the file."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update(part)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module, name) if (module, name) in _NUMPY else _Inert


def read_vec_normalize(path: Path) -> ObservationScale | None:
    """Scale of the observations; None if it leaves them as they are.

    Raises:
        BundleError: if the file cannot be read or is none of VecNormalize.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        with path.open("rb") as file:
            found = _Unpickler(file).load()
        if not found.norm_obs:
            return None
        mean = np.asarray(found.obs_rms.mean, np.float64)
        deviation = np.sqrt(np.asarray(found.obs_rms.var, np.float64) + float(found.epsilon))
        clip = float(found.clip_obs)
        if not (np.isfinite(mean).all() and np.isfinite(deviation).all() and (deviation > 0.0).all() and clip > 0.0):
            raise ValueError("its numbers normalise nothing")
        return ObservationScale(mean.astype(np.float32), deviation.astype(np.float32), clip)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:  # a pickle that is damaged or of something else raises anything
        reason = one_line(error)[:200]
        raise BundleError(f"{path}: no file of VecNormalize.save: {reason}") from error
