"""A job as it goes to a worker, and the worker's answer: JSON, with the result or with the error that it raised.

A job goes as a pickle, which is read once the worker has been checked. An answer may name a class of an error, no more.
"""

from __future__ import annotations

import builtins
import json
import pickle
import sys
import traceback
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from roman_moe.core.errors import RomanError
from roman_moe.evaluation.cluster.worker_check import WorkerRequirements
from roman_moe.sim.episode import EpisodeResult

EPISODE = "episode"


def answer(requirements: bytes, work: bytes) -> bytes:
    """Run a job in this process.

    Args:
        requirements: pickled `WorkerRequirements`.
        work: pickled function and its one argument.
    """
    try:
        _check(requirements)
        function, job = pickle.loads(work)
        return encode(function(job))
    except Exception as error:  # noqa: BLE001 - whatever a job raises goes to who sent it
        return _encode_error(error)


@lru_cache(maxsize=4)
def _check(requirements: bytes) -> None:
    """Once a process."""
    found: WorkerRequirements = pickle.loads(requirements)
    found.check()


def packed(function: Callable[[Any], Any], job: Any) -> bytes:
    return pickle.dumps((function, job))


def encode(result: Any) -> bytes:
    """A result: an episode's, or what JSON can say."""
    if isinstance(result, EpisodeResult):
        return json.dumps({EPISODE: result.to_dict()}).encode()
    return json.dumps({"result": result}).encode()


def _encode_error(error: Exception) -> bytes:
    kind = type(error)
    args = (error.errno, error.strerror, error.filename) if isinstance(error, OSError) else error.args
    plain = all(isinstance(each, str | int | float | None) for each in args)
    content = {
        "error": [kind.__module__, kind.__qualname__],
        "args": args if plain else [str(error)],
        "others": list(error.others) if isinstance(error, RomanError) else [],
        "traceback": traceback.format_exc(),
    }
    return json.dumps(content).encode()


def decode(data: bytes) -> Any:
    """The result.

    Raises:
        Exception: what the job raised, if that is one of ours or of Python's own; RuntimeError for another.
    """
    found: dict[str, Any] = json.loads(data)
    if EPISODE in found:
        return EpisodeResult.from_dict(found[EPISODE])
    if "error" in found:
        raise _error(found)
    return found["result"]


def _error(found: dict[str, Any]) -> Exception:
    (module, name), args = found["error"], found["args"]
    kind = None
    if module in sys.modules and module.partition(".")[0] in (builtins.__name__, "roman_moe"):
        kind = getattr(sys.modules[module], name, None)
    try:
        error = kind(*args) if isinstance(kind, type) and issubclass(kind, Exception) else None
    except TypeError:  # of Python's own some take more than they show
        error = None
    if error is None:
        error = RuntimeError(": ".join([name, *map(str, args)]))
    if isinstance(error, RomanError):
        error.others = tuple(found["others"])
    error.add_note(found["traceback"])
    return error
