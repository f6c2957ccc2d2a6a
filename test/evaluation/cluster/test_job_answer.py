"""What a worker answers: the result as it was, or the error."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
from worlds import TASK

from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.evaluation.cluster.job_answer import answer, decode, encode, packed
from roman_moe.evaluation.cluster.worker_check import WorkerRequirements
from roman_moe.sim.episode import EpisodeResult
from roman_moe.sim.pose_tally import PoseTally

ANYWHERE = pickle.dumps(WorkerRequirements({}))


class Foreign(Exception):
    """Of nobody that the sender knows."""


def fail(error):
    raise error


def test_a_result_comes_back():
    assert decode(answer(ANYWHERE, packed(math.isqrt, 9))) == 3


def test_an_episode_comes_back_to_the_last_bit():
    tally = PoseTally(["rack"])
    tally.errors[0], tally.ticks, tally.hidden_valid = [0.1 + 0.2, 1e-300], 3, np.array([2])
    given = EpisodeResult("push", 2**31 + 1, "success", 1.0 / 3.0, "moved", tally)
    found = decode(encode(given))
    assert found == given
    assert found.tally.to_dict() == tally.to_dict()
    assert found.tally.hidden_valid.dtype == tally.hidden_valid.dtype


def test_an_episode_without_a_tally_comes_back():
    given = EpisodeResult("push", 1, "time_limit", 20.0)
    assert decode(encode(given)) == given


def test_an_answer_is_json():
    json.loads(answer(ANYWHERE, packed(math.isqrt, 9)))
    json.loads(answer(ANYWHERE, packed(math.isqrt, -1)))


def test_an_error_of_ours_comes_as_it_is():
    with pytest.raises(ConfigError, match="unknown skill 'pushh'"):
        decode(answer(ANYWHERE, packed(TASK.start, "pushh")))


def test_further_mistakes_come_with_it():
    error = RomanError("one")
    error.others = ("two", "three")
    with pytest.raises(RomanError) as caught:
        decode(answer(ANYWHERE, packed(fail, error)))
    assert caught.value.others == error.others


@pytest.mark.parametrize(
    "error", [ValueError("no number", 3), FileNotFoundError(2, "gone", "push.onnx"), KeyError("a")]
)
def test_an_error_of_python_comes_with_its_traceback(error):
    with pytest.raises(type(error)) as caught:
        decode(answer(ANYWHERE, packed(fail, error)))
    assert str(caught.value) == str(error)
    assert "in fail" in caught.value.__notes__[0]


@pytest.mark.parametrize("error", [Foreign("strange"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "strange")])
def test_another_error_is_named(error):
    with pytest.raises((RuntimeError, UnicodeDecodeError), match="strange"):
        decode(answer(ANYWHERE, packed(fail, error)))


def test_an_answer_cannot_name_what_is_no_error():
    data = {"error": ["builtins", "exec"], "args": ["raise SystemExit"], "others": [], "traceback": ""}
    with pytest.raises(RuntimeError, match="exec: raise SystemExit"):
        decode(json.dumps(data).encode())


def test_a_worker_that_is_refused_runs_nothing():
    with pytest.raises(ConfigError, match="weather is missing"):
        decode(answer(pickle.dumps(WorkerRequirements({"weather": "1"})), b"no pickle: it is not read"))
