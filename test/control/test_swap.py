"""Changing networks over: the same network changes no bit, another one no faster than the ramp, and none is lost."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from roman_moe.control.swap import ExpertMask, LoadedNetwork, NetworkSlot, as_action, as_weights

TICK_NS = 50_000_000
RAMP = 0.5
RAMP_TICKS = 10

Net = Callable[[int], np.ndarray]
"""Stands in for a network: from a tick to its answer, (4,)."""


def loaded(network: Net, name: str = "net") -> LoadedNetwork[Net]:
    return LoadedNetwork(network, f"{name}.onnx", name)


def wandering(seed: int, size: int = 4) -> Net:
    """Answers that wander within [-1, 1], the same for the same tick."""
    rng = np.random.default_rng(seed)
    phase, rate = rng.uniform(0.0, 6.0, size), rng.uniform(0.05, 0.6, size)
    return lambda tick: np.sin(phase + rate * tick)


def constant(value: float) -> Net:
    return lambda tick: np.full(4, value)


def ask(slot: NetworkSlot[Net], tick: int) -> np.ndarray:
    return slot.answer(tick * TICK_NS, lambda network: network(tick))


@pytest.fixture(autouse=True)
def fast_switching() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_without_a_changeover_answers_pass_as_they_are():
    answer = np.array([0.1, -0.2, 0.3, 1.0])
    slot: NetworkSlot[Net] = NetworkSlot(loaded(lambda tick: answer), RAMP)
    assert all(ask(slot, tick) is answer for tick in range(20))


def test_replacing_a_network_by_its_equal_changes_no_bit():
    alone: NetworkSlot[Net] = NetworkSlot(loaded(wandering(0)), RAMP)
    slot: NetworkSlot[Net] = NetworkSlot(loaded(wandering(0)), RAMP)
    rng = np.random.default_rng(0)
    for tick in range(200):
        if rng.random() < 0.2:
            slot.replace(loaded(wandering(0)))
        np.testing.assert_array_equal(ask(slot, tick), ask(alone, tick))
    assert slot.swaps > 20


def test_the_first_answer_is_the_old_ones_and_the_last_the_new_ones_to_the_last_bit():
    old, new = wandering(1), wandering(2)
    slot: NetworkSlot[Net] = NetworkSlot(loaded(old), RAMP)
    ask(slot, 4)
    slot.replace(loaded(new, "new"))
    assert slot.running.sha256 == "net"
    np.testing.assert_allclose(ask(slot, 5), old(5), atol=1e-15)
    assert (slot.running.sha256, slot.swaps) == ("new", 1)
    for tick in range(6, 5 + RAMP_TICKS):
        left = 1.0 - (tick - 5) / RAMP_TICKS
        np.testing.assert_allclose(ask(slot, tick), new(tick) + left * (old(5) - new(5)), atol=1e-12)
    for tick in range(5 + RAMP_TICKS, 30):
        np.testing.assert_array_equal(ask(slot, tick), new(tick))


def test_between_networks_that_stand_still_the_ramp_is_a_straight_line():
    slot: NetworkSlot[Net] = NetworkSlot(loaded(constant(-1.0)), RAMP)
    slot.replace(loaded(constant(1.0)))
    answers = np.array([ask(slot, tick) for tick in range(RAMP_TICKS + 3)])
    expected = np.minimum(np.linspace(-1.0, 1.0 + 0.4, RAMP_TICKS + 3), 1.0)
    np.testing.assert_allclose(answers[:, 0], expected, atol=1e-12)


def test_without_a_ramp_the_new_network_takes_over_after_one_scene():
    slot: NetworkSlot[Net] = NetworkSlot(loaded(constant(-1.0)), 0.0)
    slot.replace(loaded(constant(1.0)))
    assert [float(ask(slot, tick)[0]) for tick in range(3)] == [-1.0, 1.0, 1.0]


@pytest.mark.parametrize("seed", range(10))
def test_swaps_during_swaps_jump_no_further_than_a_step_of_the_network_and_the_ramps_share(seed: int):
    rng = np.random.default_rng(seed)
    networks = [wandering(100 * seed + i) for i in range(40)]
    running, waiting, left_over = networks.pop(), None, np.zeros(4)
    slot: NetworkSlot[Net] = NetworkSlot(loaded(running), RAMP)
    before, swaps = ask(slot, 0), 0
    for tick in range(1, 150):
        if networks and rng.random() < 0.3:
            waiting = networks.pop()
            slot.replace(loaded(waiting))
        answer = ask(slot, tick)
        most = np.abs(running(tick) - running(tick - 1)) + np.abs(left_over) / RAMP_TICKS
        assert (np.abs(answer - before) <= most + 1e-12).all()
        if waiting is not None:
            running, waiting, left_over, swaps = waiting, None, answer - waiting(tick), swaps + 1
        before = answer
    assert slot.swaps == swaps > 10
    assert slot.running.network is running


def test_of_two_that_wait_the_later_one_runs():
    slot: NetworkSlot[Net] = NetworkSlot(loaded(constant(0.0)), RAMP)
    slot.replace(loaded(constant(0.5), "first"))
    slot.replace(loaded(constant(1.0), "second"))
    ask(slot, 0)
    assert (slot.running.sha256, slot.swaps) == ("second", 1)


def test_a_scene_that_comes_again_is_answered_to_the_last_bit_as_before():
    """Who got two different answers to one scene would take them for two experts'."""
    slot: NetworkSlot[Net] = NetworkSlot(loaded(wandering(0)), RAMP)
    for tick in range(30):
        first = ask(slot, tick)
        if tick % 7 == 3:
            slot.replace(loaded(wandering(tick)))
        np.testing.assert_array_equal(ask(slot, tick), first)
        np.testing.assert_array_equal(ask(slot, tick), first)
    assert slot.swaps == 4


def test_a_new_episode_ends_the_ramp():
    new = wandering(2)
    slot: NetworkSlot[Net] = NetworkSlot(loaded(constant(0.9)), RAMP)
    slot.replace(loaded(new))
    ask(slot, 100)
    assert not np.array_equal(ask(slot, 101), new(101))
    for tick in (0, 1, 100, 101):  # the old ramp must not come back with its stamps
        np.testing.assert_array_equal(ask(slot, tick), new(tick))


def test_a_long_silence_ends_the_ramp():
    new = wandering(2)
    slot: NetworkSlot[Net] = NetworkSlot(loaded(constant(0.9)), RAMP)
    slot.replace(loaded(new))
    ask(slot, 0)
    np.testing.assert_array_equal(ask(slot, 50), new(50))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("silent", ["old", "new", "both"])
def test_with_no_answer_at_the_seam_there_is_nothing_to_ease(silent: str, bad: float):
    none = constant(bad)
    old = none if silent != "new" else constant(0.3)

    def new(tick: int) -> np.ndarray:
        return np.full(4, bad if silent != "old" and tick == 5 else 0.7)

    slot: NetworkSlot[Net] = NetworkSlot(loaded(old), RAMP)
    slot.replace(loaded(new))
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(ask(slot, 5), new(5))
    for tick in range(6, 20):
        np.testing.assert_array_equal(ask(slot, tick), np.full(4, 0.7))


def test_no_answer_within_the_ramp_is_none_and_the_ramp_goes_on():
    def new(tick: int) -> np.ndarray:
        return np.full(4, np.nan if tick == 3 else 1.0)

    slot: NetworkSlot[Net] = NetworkSlot(loaded(constant(0.0)), RAMP)
    slot.replace(loaded(new))
    answers = [float(ask(slot, tick)[0]) for tick in range(12)]
    assert np.isnan(answers[3])
    np.testing.assert_allclose(answers[4:], np.minimum(np.arange(4, 12) / RAMP_TICKS, 1.0), atol=1e-12)


def test_a_network_that_raises_keeps_the_old_one_running():
    def broken(tick: int) -> np.ndarray:
        raise RuntimeError("out of order")

    slot: NetworkSlot[Net] = NetworkSlot(loaded(constant(0.5)), RAMP)
    slot.replace(loaded(broken))
    with pytest.raises(RuntimeError, match="out of order"):
        ask(slot, 0)
    np.testing.assert_array_equal(ask(slot, 1), np.full(4, 0.5))
    assert slot.swaps == 0


def test_the_last_network_that_another_thread_hands_over_is_never_lost():
    count = 200
    for _ in range(20):
        slot: NetworkSlot[Net] = NetworkSlot(loaded(constant(0.0), "0"), RAMP)

        def hand_over(slot: NetworkSlot[Net] = slot) -> None:
            for i in range(1, count + 1):
                slot.replace(loaded(constant(i / count), str(i)))

        thread = threading.Thread(target=hand_over)
        thread.start()
        tick, seen = 0, [0]
        while thread.is_alive():
            answer = ask(slot, tick)
            assert np.isfinite(answer).all()
            seen.append(int(slot.running.sha256))
            tick += 1
        ask(slot, tick)
        thread.join()
        assert slot.running.sha256 == str(count)
        assert seen == sorted(seen)  # none comes back
        np.testing.assert_array_equal(ask(slot, tick + RAMP_TICKS), np.ones(4))


def test_an_eased_action_stays_within_the_range_and_one_within_it_keeps_its_bits():
    rng = np.random.default_rng(0)
    for _ in range(100):
        action = rng.uniform(-1.0, 1.0, 4)
        np.testing.assert_array_equal(as_action(action), action)
        assert np.abs(as_action(10.0 * action)).max() <= 1.0
    assert np.isnan(as_action(np.full(4, np.nan))).all()


def test_eased_weights_are_weights():
    rng = np.random.default_rng(0)
    repaired = 0
    for _ in range(300):
        old, new = rng.dirichlet(np.full(7, 0.1)), rng.dirichlet(np.full(7, 0.1))
        now = rng.dirichlet(np.full(7, 0.1))
        changed = now + rng.random() * (old - new)
        weights = as_weights(changed)
        assert weights.min() >= 0.0
        assert weights.sum() == pytest.approx(1.0, abs=1e-12)
        assert (weights[changed <= 0.0] == 0.0).all()
        repaired += weights is not changed
        plain = rng.dirichlet(np.full(7, 0.1))
        assert as_weights(plain) is plain
    assert repaired > 100
    with np.errstate(invalid="ignore"):
        assert np.isnan(as_weights(np.full(7, np.nan))).all()


def shares(mask: ExpertMask, ticks: range) -> np.ndarray:
    found = [mask.share(tick * TICK_NS) for tick in ticks]
    return np.array([np.ones(3) if share is None else share for share in found])


def test_when_all_count_there_is_no_share():
    mask = ExpertMask(np.ones(3), RAMP)
    assert all(mask.share(tick * TICK_NS) is None for tick in range(5))
    mask.set(np.ones(3))
    assert all(mask.share(tick * TICK_NS) is None for tick in range(5, 10))
    assert mask.counting == [True] * 3


def test_an_expert_is_eased_out_and_back_in():
    mask = ExpertMask(np.ones(3), RAMP)
    shares(mask, range(100, 102))
    mask.set(np.array([1.0, 0.0, 1.0]))
    assert mask.counting == [True] * 3  # its answers are needed as long as it counts
    out = shares(mask, range(102, 115))
    np.testing.assert_allclose(out[:, 1], np.maximum(1.0 - np.arange(1, 14) / RAMP_TICKS, 0.0), atol=1e-12)
    np.testing.assert_array_equal(out[:, [0, 2]], 1.0)
    assert out[-1, 1] == 0.0
    assert mask.counting == [True, False, True]
    mask.set(np.ones(3))
    assert mask.counting == [True] * 3
    back = shares(mask, range(115, 128))
    np.testing.assert_allclose(back[:, 1], np.minimum(np.arange(1, 14) / RAMP_TICKS, 1.0), atol=1e-12)
    assert mask.share(128 * TICK_NS) is None


def test_a_share_never_moves_faster_than_its_ramp_whatever_is_set():
    rng = np.random.default_rng(0)
    mask = ExpertMask(np.ones(3), RAMP)
    before = shares(mask, range(1))[0]
    for tick in range(1, 500):
        if rng.random() < 0.2:
            mask.set(rng.integers(0, 2, 3).astype(float))
        share = shares(mask, range(tick, tick + 1))[0]
        assert (np.abs(share - before) <= 1.0 / RAMP_TICKS + 1e-12).all()
        assert share.min() >= 0.0
        assert share.max() <= 1.0
        before = share


def test_a_share_stands_still_when_time_does_or_goes_back():
    mask = ExpertMask(np.ones(3), RAMP)
    shares(mask, range(100, 101))
    mask.set(np.zeros(3))
    half = shares(mask, range(101, 106))[-1]
    np.testing.assert_array_equal(shares(mask, range(105, 106))[0], half)
    np.testing.assert_array_equal(shares(mask, range(1))[0], half)
    np.testing.assert_allclose(shares(mask, range(1, 2))[0], half - 1.0 / RAMP_TICKS)


def test_an_expert_that_is_out_from_the_start_is_out_at_once():
    mask = ExpertMask(np.array([0.0, 1.0, 1.0]), RAMP)
    np.testing.assert_array_equal(mask.share(0), [0.0, 1.0, 1.0])
    assert mask.counting == [False, True, True]
