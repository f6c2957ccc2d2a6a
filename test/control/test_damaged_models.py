"""Two hundred damaged networks: each is refused at once, in one line that names it, by a process that lives on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from bundles import tiny_network, write_tiny_bundle
from specs import FEATURES

from roman_moe.control.bundle import load_model
from roman_moe.control.manifest import load_manifest
from roman_moe.core.errors import BundleError, ConfigError
from roman_moe.testing.damage import damaged_models

COUNT = 200
MOST_MEMORY = 400  # [MB] of the process in all, of which the runtime takes 80

LOAD_EACH = """
import json, resource, sys, time
from roman_moe.control.bundle import load_model
from roman_moe.control.manifest import load_manifest
from roman_moe.core.errors import BundleError

resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # of this process: what blows up does not take others along
running = load_manifest(sys.argv[1])
for path in sys.stdin.read().splitlines():
    print(json.dumps({"trying": path}), flush=True)  # the last one before a crash
    began = time.process_time()
    try:
        load_model(path, "push", running)
        refusal = ""
    except BundleError as error:
        refusal = str(error)
    except BaseException as error:
        refusal = f"NO REFUSAL: {error!r}"
    # not ru_maxrss: it begins at what the process that started us had in use
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    memory = int(peak.split()[1]) >> 10
    print(json.dumps({"path": path, "refusal": refusal, "took": time.process_time() - began, "memory": memory}))
"""


def load_each(bundle: Path, paths: list[Path]) -> list[dict[str, object]]:
    """What came of loading each file, one after the other in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD_EACH, str(bundle)],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]  # nobody else has printed anything
    assert done.returncode == 0, f"ended with {done.returncode} at {lines[-1] if lines else 'once'}: {done.stderr}"
    assert done.stderr == ""
    return [line for line in lines if "path" in line]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("good") / "bundle")


@pytest.fixture(scope="module")
def corpus(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path]]:
    return damaged_models(bundle / "push.onnx", tmp_path_factory.mktemp("damaged"), COUNT)


def test_every_damaged_network_is_refused_in_one_line_that_names_it(bundle: Path, corpus: list[tuple[str, Path]]):
    results = load_each(bundle, [path for _, path in corpus])
    assert len(results) == len(corpus) == COUNT
    for (kind, path), result in zip(corpus, results, strict=True):
        refusal = str(result["refusal"])
        assert refusal, f"{kind}: was not refused"
        assert "\n" not in refusal, kind
        named = path.parent / "controller.yaml" if kind.startswith("beside") else path
        assert refusal.startswith(f"{named}: "), f"{kind}: {refusal}"
        assert len(refusal) < 2000, kind
        assert result["took"] < 20.0, kind  # [s] of processor time: milliseconds, but for what blows up
        assert result["memory"] < MOST_MEMORY, kind


def test_the_network_that_the_damage_was_done_to_is_not_refused(bundle: Path, tmp_path: Path):
    """Else all of them might be refused for another reason."""
    alone = tmp_path / "push.onnx"
    alone.write_bytes((bundle / "push.onnx").read_bytes())
    results = load_each(bundle, [bundle / "push.onnx", alone])
    assert [result["refusal"] for result in results] == ["", ""]


def test_what_is_wrong_is_what_is_told(bundle: Path, corpus: list[tuple[str, Path]]):
    """A sample: a refusal by chance, for another reason, would say little."""
    expected = {
        "empty": "expected 1 to",
        "a pipe": "no such file",
        "a directory": "no such file",
        "a link to itself": "no such file",
        "2 GB of zeros behind it": "expected 1 to 67108864 bytes, found more",
        "metadata without features": "'features' is missing",
        "metadata of another skill": "the manifest expects push",
        "a skill of two lines": "'skill' is not one line of plain text",
        "a rate of 25.0": "rate_hz 25.0: the manifest expects 20.0",
        "a top speed of 0.5": "trained with top_speed 0.5",
        "opset 22": "opset 22: expected 13 to 21",
        "a function of its own": "operators of domain 'own'",
        "weights in another file": "outside the file",
        "a constant in another file": "outside the file",
        "4 GB from a constant": "uses ConstantOfShape",
        "bias_0 not a number": "holds numbers in 'bias_0' that are not finite",
        "an output of another width": "so expected tensor(float) of shape [batch, 4]",
        "an output of more rows than scenes": "does not run",
        "actions far above the range": "expected actions in [-1, 1]",
        "actions that grow with the scene": "expected actions in [-1, 1]",
        "no number where features are negative": "expected actions in [-1, 1]",
        "half a million fields": "more than 20000 fields",
        "a byte short in a bundle": "controller.yaml says",
        "beside a manifest of endless brackets": "nested more than 32 deep",
    }
    found = dict(corpus)
    assert expected.keys() <= found.keys()
    running = load_manifest(bundle)
    for kind, reason in expected.items():
        with pytest.raises(BundleError) as caught:
            load_model(found[kind], "push", running)
        assert reason in str(caught.value), kind


def test_the_corpus_is_the_same_for_the_same_seed_and_without_repetition(
    bundle: Path, corpus: list[tuple[str, Path]], tmp_path: Path
):
    again = damaged_models(bundle / "push.onnx", tmp_path / "again", COUNT)
    other = damaged_models(bundle / "push.onnx", tmp_path / "other", COUNT, seed=1)
    kinds = [kind for kind, _ in corpus]
    assert [kind for kind, _ in again] == kinds
    assert [kind for kind, _ in other] != kinds
    assert max(Counter(kinds).values()) == 1
    assert len({path for _, path in corpus}) == COUNT
    for (kind, path), (_, same) in zip(corpus, again, strict=True):
        if path.is_file() and path.stat().st_size < 1 << 24 and "device" not in kind:
            assert path.read_bytes() == same.read_bytes(), kind


def test_fewer_are_spread_over_all_kinds(bundle: Path, tmp_path: Path):
    few = damaged_models(bundle / "push.onnx", tmp_path / "few", 60)
    assert len(few) == 60
    assert damaged_models(bundle / "push.onnx", tmp_path / "none", 0) == []
    for part in ("bundle", "metadata", "opset", "weights", "output"):
        assert any(part in kind for kind, _ in few)
    with pytest.raises(ConfigError, match="in the folder of a bundle"):
        damaged_models(few[0][1], tmp_path / "lone", 1)


def test_a_flipped_bit_anywhere_is_refused_or_leaves_a_network_that_answers_within_its_range(
    bundle: Path, tmp_path: Path
):
    """Without a manifest nothing tells a flipped weight from a trained one."""
    rng = np.random.default_rng(0)
    data = tiny_network("push")
    paths = []
    for i in range(200):
        flipped = bytearray(data)
        flipped[rng.integers(len(data))] ^= 1 << rng.integers(8)
        paths.append(tmp_path / f"{i}.onnx")
        paths[-1].write_bytes(flipped)
    results = load_each(bundle, paths)
    assert not any("NO REFUSAL" in str(result["refusal"]) or "\n" in str(result["refusal"]) for result in results)
    accepted = [Path(str(result["path"])) for result in results if not result["refusal"]]
    assert 50 < len(accepted) < 190
    running = load_manifest(bundle)
    for path in accepted:
        expert = load_model(path, "push", running).network
        for features in rng.uniform(-2.0, 2.0, (20, len(FEATURES))):
            action = expert(features)
            assert np.isfinite(action).all()
            assert np.abs(action).max() <= 1.0 + 1e-3


def test_a_network_that_fails_while_it_runs_has_no_answer_and_raises_nothing(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    expert = load_model(bundle / "push.onnx", "push", load_manifest(bundle)).network

    class Broken:
        def run_with_iobinding(self, binding: object) -> None:
            raise RuntimeError("Non-zero status code returned while running Gather node.")

    before = expert(np.zeros(len(FEATURES)))
    with monkeypatch.context() as broken:
        broken.setattr(expert, "_session", Broken())
        assert np.isnan(expert(np.zeros(len(FEATURES)))).all()
    np.testing.assert_array_equal(expert(np.zeros(len(FEATURES))), before)
