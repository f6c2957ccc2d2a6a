"""Experts that are taken out of a running mixture and put back, by the blender's parameter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bundles import shared_network, tiny_network
from mixtures import RAMP_TICKS, Mixture
from rclpy.parameter import Parameter
from ros_rig import Rig
from specs import ROMAN, SKILLS

from roman_moe.control.bundle_writer import write_bundle
from roman_moe.control.rates import Rates
from roman_moe.core.errors import ConfigError
from roman_moe.nodes.control.blender import MISSED_TICKS, TAKEN_OUT, Blender
from roman_moe.nodes.control.expert import ExpertNode


def test_an_expert_is_taken_out_gently_and_put_back(rig: Rig, bundle: Path) -> None:
    mixture = Mixture(rig, bundle)
    before, after = mixture.next(), mixture.without(mixture.weakest)
    np.testing.assert_allclose(before, mixture.without(), atol=1e-12)
    assert mixture.take_out(mixture.weakest).successful
    velocities = [before, *(mixture.next() for _ in range(RAMP_TICKS + 2))]
    np.testing.assert_allclose(velocities[-1], after, atol=1e-12)
    assert np.abs(np.diff(velocities, axis=0)).max() <= 2.0 * np.abs(after - before).max() / RAMP_TICKS + 1e-12
    rig.remove(mixture.experts[mixture.weakest])  # nobody waits for it now
    np.testing.assert_array_equal(mixture.next(), velocities[-1])
    rig.add(ExpertNode, f"expert_{mixture.weakest}", bundle=str(bundle), skill=mixture.weakest)
    assert mixture.take_out().successful
    for _ in range(RAMP_TICKS + 2):
        last = mixture.next()
    np.testing.assert_array_equal(last, before)
    assert mixture.blender.diagnostics.counts[MISSED_TICKS] == 0


def test_experts_that_share_a_file_do_their_own_skills_and_one_of_them_is_taken_out(rig: Rig, tmp_path: Path) -> None:
    networks = {**dict.fromkeys(SKILLS, shared_network()), "gate": tiny_network("gate")}
    write_bundle(tmp_path / "shared", ROMAN, networks, Rates(), {})
    mixture = Mixture(rig, tmp_path / "shared")
    assert len({tuple(action) for action in mixture.actions}) == len(SKILLS)
    np.testing.assert_allclose(mixture.next(), mixture.without(), atol=1e-7)  # weights are float32
    assert mixture.take_out(mixture.weakest).successful
    for _ in range(RAMP_TICKS + 2):
        last = mixture.next()
    np.testing.assert_allclose(last, mixture.without(mixture.weakest), atol=1e-7)


def test_without_the_leading_experts_the_arm_rests(rig: Rig, bundle: Path) -> None:
    mixture = Mixture(rig, bundle, ramp=0.0)
    assert mixture.next().any()
    assert mixture.take_out(*SKILLS).successful
    mixture.next()
    assert not mixture.next().any()
    rig.spin_until(lambda: rig.said("blender", "is taken out"))
    assert mixture.take_out().successful
    mixture.next()
    np.testing.assert_allclose(mixture.next(), mixture.without(), atol=1e-12)


def test_an_unknown_skill_is_not_taken_out(rig: Rig, bundle: Path) -> None:
    node = rig.add(Blender, bundle=str(bundle))
    rig.serve(node)
    assert node.get_parameter(TAKEN_OUT).type_ is Parameter.Type.STRING_ARRAY
    result = rig.set("blender", TAKEN_OUT, ["push", "dance"])
    assert not result.successful
    assert "unknown skill 'dance': expected some of" in result.reason
    for wrong in ("push,pull", [1, 2], True):
        result = rig.set("blender", TAKEN_OUT, wrong)
        assert not result.successful
        assert "expected a list of skills, such as [one, two]" in result.reason
    assert node.get_parameter(TAKEN_OUT).value == []
    assert rig.set("blender", TAKEN_OUT, ["push", "pull"]).successful
    assert node.get_parameter(TAKEN_OUT).value == ["push", "pull"]
    for nobody in ([], [""]):  # an empty list comes as one of bytes
        assert rig.set("blender", TAKEN_OUT, ["push"]).successful
        assert rig.set("blender", TAKEN_OUT, nobody).successful
        rig.spin_until(lambda: rig.fact("blender", TAKEN_OUT) == "")


def test_a_list_of_skills_that_is_none_is_refused_at_the_start(rig: Rig, bundle: Path) -> None:
    with pytest.raises(ConfigError, match="'taken_out' has the wrong type: expected a list of texts"):
        rig.add(Blender, bundle=str(bundle), taken_out="push,pull")


def test_a_wrong_start_value_is_mended_by_the_parameter(rig: Rig, bundle: Path) -> None:
    node = rig.add(Blender, bundle=str(bundle), autostart=False, taken_out=["dance"])
    rig.serve(node)
    assert not rig.change_state("blender", "configure")
    rig.spin_until(lambda: rig.said("blender", "unknown skill 'dance'"))
    assert rig.set("blender", TAKEN_OUT, ["push"]).successful
    assert rig.change_state("blender", "configure")
