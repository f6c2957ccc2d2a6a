"""Estimators by name: what a graph is told with `--poses camera` or `--poses markers`."""

from __future__ import annotations

from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TaskSpec
from roman_moe.perception.estimator import CPU, PoseEstimator, find_estimator
from roman_moe.perception.markers import MarkerEstimator

ESTIMATORS = ("camera", "markers")  # the learned one, and markers

Estimator = PoseEstimator | MarkerEstimator


def open_estimator(kind: str, spec: TaskSpec, file: str = "", provider: str = CPU) -> Estimator:
    """An estimator that gets its cameras once they are calibrated.

    Args:
        kind: one of `ESTIMATORS`.
        file: of the learned one; the one that is shipped for the task if empty.
        provider: what runs the learned one, one of `PROVIDERS`.

    Raises:
        BundleError: if the learned estimator's file cannot be used for the task.
        ConfigError: for an unknown kind or provider, or if the task lacks what it needs: cameras, a file, markers.
    """
    if kind not in ESTIMATORS:
        raise ConfigError(f"poses {kind!r}: expected {' or '.join(ESTIMATORS)}")
    if not spec.cameras:
        raise ConfigError(f"task {spec.name!r} has no cameras: expected cameras in its task.yaml")
    if kind == "markers":
        return MarkerEstimator(spec, {})
    return PoseEstimator(spec, {}, find_estimator(spec.name, file), provider)
