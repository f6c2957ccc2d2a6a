"""The figure of `roman-moe bench control` is that of whole ticks, the gate's included."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundles import write_tiny_bundle
from specs import ROMAN

from roman_moe.bench.control import measure
from roman_moe.control.bundle import load_bundle
from roman_moe.control.network import Network
from roman_moe.core.errors import BundleError
from roman_moe.core.tasks import load_spec


def test_ticks_with_and_without_the_gate_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []
    real = Network.answer  # experts are asked all at once
    monkeypatch.setattr(Network, "answer", lambda gate, *scene: asked.append(gate.metadata.name) or real(gate, *scene))
    figures = measure(write_tiny_bundle(tmp_path / "bundle"), ticks=40)
    assert asked == ["gate"] * ((200 + 40) // 2)
    for key in ("tick_us", "without_gate_us", "bare_us"):
        assert 0.0 < figures[key]["p50"] <= figures[key]["p99"]
    assert figures["tick_over_bare"] == pytest.approx(figures["tick_us"]["p50"] / figures["bare_us"]["p50"], rel=0.01)


def test_a_bundle_beside_it_is_timed_in_turn_and_its_idle_experts_cost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dense, sparse = write_tiny_bundle(tmp_path / "dense"), write_tiny_bundle(tmp_path / "sparse", k=2)
    figures = measure(dense, ticks=40, beside=sparse)
    assert figures["faster_beside"] > 0.0
    assert figures["beside"].keys() == figures.keys() - {"beside", "faster_beside"}
    assert figures["beside"]["ticks"] == figures["ticks"] == 40
    calls = []
    real = Network.run
    monkeypatch.setattr(Network, "run", lambda network: calls.append(network.metadata.name) or real(network))
    load_bundle(sparse)
    loading = len(calls)
    calls.clear()
    measure(sparse, ticks=2)
    assert len(calls[loading:]) == 101 * (2 * 3 + 2 + 3)


def test_bundles_of_two_tasks_are_not_compared(tmp_path: Path):
    here, other = write_tiny_bundle(tmp_path / "here"), write_tiny_bundle(tmp_path / "other", spec=load_spec("kitting"))
    with pytest.raises(BundleError, match="other: is for another task than .*here"):
        measure(here, ticks=2, beside=other)


def test_a_tick_is_compared_with_one_bare_call_of_each_of_its_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls = []
    real = Network.run
    monkeypatch.setattr(Network, "run", lambda network: calls.append(network.metadata.name) or real(network))
    bundle = write_tiny_bundle(tmp_path / "bundle")
    load_bundle(bundle)
    loading = len(calls)
    calls.clear()
    measure(bundle, ticks=2)
    ticks = calls[loading:]
    networks = sorted(ROMAN.networks)
    assert len(ticks) == 101 * (2 * 8 + 8 + 7)
    assert sorted(ticks[:8]) == sorted(ticks[8:16]) == networks
    assert sorted(ticks[16:23]) == sorted(set(networks) - {"gate"})
    assert sorted(ticks[23:31]) == networks
