"""What the benchmark says of the batched modules agrees with itself."""

import pytest

from roman_moe.bench.mixtures import measure


@pytest.mark.slow  # some updates of the paper's networks
def test_the_ratio_is_that_of_the_updates():
    for figures in measure(seconds=0.01).values():
        assert figures["updates"] >= 5
        assert figures["ratio"] == pytest.approx(figures["updates_per_s"] / figures["looped_updates_per_s"], rel=0.05)
