"""The figure of `roman-moe bench control` is that of whole ticks, the gate's included."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundles import write_tiny_bundle

from roman_moe.bench.control import measure
from roman_moe.control.gate import Gate


def test_ticks_with_and_without_the_gate_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []
    real = Gate.weights
    monkeypatch.setattr(Gate, "weights", lambda gate, features: asked.append(1) or real(gate, features))
    figures = measure(write_tiny_bundle(tmp_path / "bundle"), ticks=40)
    assert len(asked) == (200 + 40) / 2
    for key in ("tick_us", "without_gate_us"):
        assert 0.0 < figures[key]["p50"] <= figures[key]["p99"]
