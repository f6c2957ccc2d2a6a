from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roman_moe.core.rotation import from_matrix, matrix, rotate

numbers = st.floats(-1.0, 1.0)


@given(st.tuples(numbers, numbers, numbers, numbers).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_a_matrix_turns_as_its_quaternion_does_and_gives_it_back(values: tuple[float, ...]):
    q = np.array(values) / np.linalg.norm(values)
    vector = np.array([0.3, -0.7, 1.1])
    assert matrix(q) @ vector == pytest.approx(rotate(q, vector), abs=1e-12)
    again = from_matrix(matrix(q))
    assert again == pytest.approx(q if q @ again > 0.0 else -q, abs=1e-9)
    assert again[3] >= 0.0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_a_turn_about_each_axis(axis: int):
    q = np.eye(4)[axis]
    assert abs(from_matrix(matrix(q)) @ q) == pytest.approx(1.0)
