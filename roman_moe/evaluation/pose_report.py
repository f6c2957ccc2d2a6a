"""The report of an estimator's errors, ready for JSON: over all objects and by object, under each condition."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.provenance import git_commit
from roman_moe.core.spec import TaskSpec
from roman_moe.evaluation.poses import PoseErrors, PosesEvaluation, PosesRequest
from roman_moe.perception.image_set import VISIBLE_PIXELS
from roman_moe.sim.pose_tally import quantiles, summarize_poses

WHOLE = 0.9  # share of an object from which on it counts as wholly visible

Mask = NDArray[np.bool_]


def poses_report(request: PosesRequest, evaluation: PosesEvaluation) -> dict[str, Any]:
    """The usual keys are those of "held_out"; `hidden_valid_share` is None where no episode was run."""
    spec = request.task.spec
    conditions = {name: summarize_errors(spec, judged) for name, judged in evaluation.conditions.items()}
    filtered = summarize_poses(evaluation.tallies) if evaluation.tallies else {"objects": {}}
    for name, row in conditions["held_out"]["objects"].items():
        row["hidden_valid_share"] = filtered["objects"].get(name, {}).get("hidden_valid_share")
    return {
        **conditions["held_out"],
        **conditions,
        "filtered": filtered,
        "task": spec.name,
        "task_sha256": spec.digest,
        "estimator": str(request.estimator),
        "estimator_sha256": hashlib.sha256(request.estimator.read_bytes()).hexdigest(),
        "visible_pixels": VISIBLE_PIXELS,
        "scenes": request.scenes,
        "episodes": request.episodes,
        "seed": request.seed,
        "git_commit": git_commit(),
    }


def summarize_errors(spec: TaskSpec, judged: PoseErrors) -> dict[str, Any]:
    """Errors of what is visible and found, and what was missed and claimed, over all objects and by object."""
    columns = range(len(spec.objects))
    objects = {}
    for row, (name, each) in enumerate(spec.objects.items()):
        objects[name] = _row(judged, [row])
        if each.orientation != "none":
            angles = np.degrees(judged.yaw_errors[:, row][(judged.visible & judged.found)[:, row]])
            median, high = np.percentile(angles, (50.0, 95.0)).tolist() if len(angles) else (None, None)
            objects[name] |= {"yaw_median_deg": median, "yaw_p95_deg": high}
    return {**_row(judged, list(columns)), "objects": objects}


def _row(judged: PoseErrors, columns: list[int]) -> dict[str, Any]:
    visible, hidden, found = (each[:, columns] for each in (judged.visible, judged.hidden, judged.found))
    views, errors = judged.views[:, columns], judged.errors[:, columns]
    whole = judged.shares.max(axis=1)[:, columns] >= WHOLE
    kinds = {
        "one_camera": views == 1,
        "several_cameras": views > 1,
        "wholly_visible": visible & whole,
        "partly_hidden": visible & ~whole,
    }
    return {
        **quantiles(errors[visible & found].tolist()),
        "visible": int(visible.sum()),
        "missed_share": _share(~found, visible),
        "hidden": int(hidden.sum()),
        "claimed_share": _share(found, hidden),
        **{kind: {**quantiles(errors[of & found].tolist()), "visible": int(of.sum())} for kind, of in kinds.items()},
    }


def _share(which: Mask, of: Mask) -> float | None:
    return float(which[of].mean()) if of.any() else None


def errors_by_object(spec: TaskSpec, evaluation: PosesEvaluation) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Errors of what is visible and found [m], by object and condition."""
    return {
        name: {
            condition: judged.errors[:, row][(judged.visible & judged.found)[:, row]]
            for condition, judged in evaluation.conditions.items()
        }
        for row, name in enumerate(spec.object_names)
    }
