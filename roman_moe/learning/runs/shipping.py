"""Shipping: a bundle's networks as they are, with their evaluation in the manifest: no claim without a source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from roman_moe.control.bundle import load_bundle
from roman_moe.control.bundle_writer import write_bundle
from roman_moe.control.identity import SCRIPTED
from roman_moe.core.errors import ConfigError

_CONDITIONS = (
    *("controller_sha256", "task_sha256", "sim_arm", "noise_bound_m", "noise_kind"),
    *("delay_ticks", "lost_share", "seed", "git_commit"),
)
_RESULTS = ("episodes", "successes", "rate", "ci95", "median_time_s")


def ship_bundle(source: Path, out: Path, evaluation: Path | None = None) -> None:
    """Copy the bundle `source` to `out` after checking it in full; with a report of `evaluate` in its provenance.

    Raises:
        BundleError: if the bundle cannot be used, or `out` holds something that is no bundle.
        ConfigError: if the report cannot be read or is none.
    """
    bundle = load_bundle(source)
    manifest = bundle.manifest
    provenance = dict(manifest.provenance)
    if evaluation is not None:
        provenance["evaluation"] = summary_of(evaluation)
    write_bundle(out, manifest.task, bundle.contents(), manifest.rates, provenance)


def summary_of(report: Path) -> dict[str, Any]:
    """What a manifest keeps of a report of `roman-moe evaluate`: conditions, and each start's rate with its interval.

    Raises:
        ConfigError: naming the file and what is wrong with it.
    """
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        conditions = {key: content[key] for key in _CONDITIONS if key in content}
        results = {
            kind: {name: {key: row[key] for key in _RESULTS} for name, row in content[kind].items()}
            for kind in ("scenarios", "skills")
        }
        if content.get("controller") in SCRIPTED:
            raise ConfigError(f"{report}: reports a scripted controller, not a bundle")
    except OSError as error:
        raise ConfigError(f"{report}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{report}: not valid JSON: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{report}: no report of `roman-moe evaluate --json` ({error} is missing)") from None
    return conditions | results
