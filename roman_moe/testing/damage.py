"""Damaged network files: what disks, transfers, wrong exports and mistakes make of a good one, and then some.

Each of them must be refused: none is a network that could run, by chance, all the same. So bits are flipped where any
flip shows (names and metadata), and elsewhere only in a bundle, whose manifest knows the file's sha256.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from roman_moe.control.manifest import MANIFEST_NAME
from roman_moe.core.errors import ConfigError
from roman_moe.testing.wrong_models import wrong_models

Writer = Callable[[Path], object]  # makes the file, given its path; the folder is there, and empty


def damaged_models(good: Path, folder: Path, count: int = 200, seed: int = 0) -> list[tuple[str, Path]]:
    """Write `count` damaged networks; the same arguments give the same files.

    Args:
        good: file of an expert, in the folder of its bundle.
        folder: for the damaged ones: each gets a folder of its own, where it has the good one's name.
        count: how many; with fewer than 150 or so, not every kind of damage is among them.

    Returns:
        What was done to each, and its path.

    Raises:
        ConfigError: if `good` is in no bundle's folder.
    """
    if not (good.parent / MANIFEST_NAME).is_file():
        raise ConfigError(f"{good}: expected a network in the folder of a bundle, with a {MANIFEST_NAME}")
    rng = np.random.default_rng(seed)
    plan = [*_other_files(good, rng), *_other_models(good), *_bundles_at_odds(good)]
    bits = [_flipped_names(good, rng), _truncated(good, rng), _flipped_in_bundle(good, rng)]
    while len(plan) < count:
        plan.extend(next(kind) for kind in bits)
    result = []
    for i in range(count):
        kind, write = plan[i * len(plan) // count]
        path = folder / f"{i:03d}" / good.name
        path.parent.mkdir(parents=True)
        write(path)
        result.append((kind, path))
    return result


def _content(data: bytes) -> Writer:
    return lambda path: path.write_bytes(data)


def _truncated(good: Path, rng: np.random.Generator) -> Iterator[tuple[str, Writer]]:
    """Cut short: by a byte, then anywhere."""
    data = good.read_bytes()
    yield "truncated by one byte", _content(data[:-1])
    while True:
        length = int(rng.integers(1, len(data) - 1))
        yield f"truncated to {length} bytes", _content(data[:length])


def _flipped_names(good: Path, rng: np.random.Generator) -> Iterator[tuple[str, Writer]]:
    """One bit of an operator's name, a weight's name, or what the metadata say."""
    data = good.read_bytes()
    model = onnx.load_from_string(data)
    told = {entry.key: entry.value for entry in model.metadata_props}
    places = [_places(data, _field(4, node.op_type), node.op_type) for node in model.graph.node]
    places += [_places(data, _field(8, tensor.name), tensor.name) for tensor in model.graph.initializer]
    places += [_places(data, _property(key, told[key]), told[key]) for key in ("skill", "features", "units", "outputs")]
    where = np.concatenate(places)
    while True:
        place, bit = int(rng.choice(where)), int(rng.integers(8))
        yield f"bit {bit} of byte {place} flipped, in a name", _content(_flip(data, place, bit))


def _flipped_in_bundle(good: Path, rng: np.random.Generator) -> Iterator[tuple[str, Writer]]:
    """One bit anywhere, weights too, of a file whose sha256 the manifest beside it tells."""
    data = good.read_bytes()
    while True:
        place, bit = int(rng.integers(len(data))), int(rng.integers(8))
        write = partial(_write_in_bundle, manifest=_manifest(good), data=_flip(data, place, bit))
        yield f"bit {bit} of byte {place} flipped, in a bundle", write


def _bundles_at_odds(good: Path) -> Iterator[tuple[str, Writer]]:
    data, manifest = good.read_bytes(), _manifest(good)

    def bundle(data: bytes = data, manifest: bytes = manifest) -> Writer:
        return partial(_write_in_bundle, manifest=manifest, data=data)

    yield "a byte short in a bundle", bundle(data[:-1])
    yield "a byte long in a bundle", bundle(data + b"\0")
    yield "empty in a bundle", bundle(b"")
    yield "bytes reordered in a bundle", bundle(data[::-1])
    yield "beside an empty manifest", bundle(manifest=b"")
    yield "beside a truncated manifest", bundle(manifest=manifest[:40])
    yield "beside a manifest that is no text", bundle(manifest=data)
    yield "beside a manifest of endless brackets", bundle(manifest=b"skills: " + b"[" * 100_000)
    yield "beside a manifest of another format", bundle(manifest=b"format_version: 99\n")

    def large(path: Path) -> None:
        _write_in_bundle(path, manifest, data)
        os.truncate(path, len(data) + (1 << 31))

    def large_manifest(path: Path) -> None:
        _write_in_bundle(path, manifest, data)
        os.truncate(path.parent / MANIFEST_NAME, 1 << 31)

    def absent(path: Path) -> None:
        (path.parent / MANIFEST_NAME).write_bytes(manifest)

    yield "2 GB of zeros behind it in a bundle", large
    yield "beside a manifest with 2 GB of zeros behind it", large_manifest
    yield "missing in a bundle", absent


def _other_files(good: Path, rng: np.random.Generator) -> Iterator[tuple[str, Writer]]:
    """What is no network's file at all, or only looks like one."""
    data = good.read_bytes()
    for kind, content in {
        "empty": b"",
        "one zero byte": b"\0",
        "zeros": bytes(1 << 16),
        "spaces": b" " * (8 << 20),
        "ones": b"\xff" * 4096,
        "random bytes": rng.bytes(4096),
        "text": b"This is not a network.\n" * 40,
        "a page of HTML": b"<!DOCTYPE html><html><head><title>404</title></head><body>Not Found</body></html>\n",
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n",
        "a manifest": _manifest(good),
        "a pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x05model\x94N.",
        "an archive": b"PK\x03\x04" + data,
        "compressed": gzip.compress(data, mtime=0),
        "the runtime's own format": b"\x1c\x00\x00\x00ORTM" + bytes(56),
        "line ends translated": data.replace(b"\n", b"\r\n"),
        "read as Latin-1 and written as UTF-8": data.decode("latin-1").encode("utf-8"),
        "lowest bytes lost to seven bits": bytes(byte & 0x7F for byte in data),
        "bytes swapped in pairs": bytes(np.frombuffer(data[: len(data) // 2 * 2], "<u2").byteswap().tobytes()),
        "its first block lost": data[512:],
        "a block of zeros in it": data[:512] + bytes(512) + data[1024:],
        "twice in one file": data + data,
        "zeros behind it": data + bytes(64),
        "a graph of 2 GB that ends at once": data + b"\x3a\x80\x80\x80\x80\x08\x00",
        "a number that never ends": data + b"\xff" * 16,
        "half a million fields": data + b"\xa0\x06\x00" * 500_000,
    }.items():
        yield kind, _content(content)

    def link(target: str) -> Writer:
        return lambda path: path.symlink_to(target)

    def sparse(path: Path, begin: bytes) -> None:
        path.write_bytes(begin)
        os.truncate(path, (1 << 31) + 4096)

    yield "a directory", lambda path: path.mkdir()
    yield "a pipe", lambda path: os.mkfifo(path)
    yield "a link to itself", link(good.name)
    yield "a link to nothing", link("nothing.onnx")
    yield "a link to a device of zeros", link("/dev/zero")
    yield "a link to an empty device", link("/dev/null")
    yield "missing", lambda path: None
    yield "2 GB of nothing", partial(sparse, begin=b"")
    yield "2 GB of zeros behind it", partial(sparse, begin=data)


def _other_models(good: Path) -> Iterator[tuple[str, Writer]]:
    """Models that are whole, and must not run."""
    data = good.read_bytes()
    model = onnx.load_from_string(data)
    told = {entry.key: entry.value for entry in model.metadata_props}
    for kind, edit in wrong_models(model):
        damaged = onnx.ModelProto()
        damaged.CopyFrom(model)
        edit(damaged)
        yield kind, _content(damaged.SerializeToString(deterministic=True))
    skill = told["skill"]
    wanted = model.graph.node[-1].input[0]
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for kind, field, text in (
        ("metadata that are no UTF-8", _property("skill", skill), skill),
        ("an input whose name is no UTF-8", _field(1, wanted), wanted),
        ("a dimension whose name is no UTF-8", _field(2, batch), batch),
    ):
        yield kind, _content(_flip(data, int(_places(data, field, text)[0]), 7))


def _manifest(good: Path) -> bytes:
    return (good.parent / MANIFEST_NAME).read_bytes()


def _write_in_bundle(path: Path, manifest: bytes, data: bytes) -> None:
    (path.parent / MANIFEST_NAME).write_bytes(manifest)
    path.write_bytes(data)


def _field(number: int, text: str) -> bytes:
    """A string field of a protobuf message, as it lies in the file."""
    content = text.encode()
    size = len(content)
    length = [size] if size < 128 else [size & 127 | 128, size >> 7]
    return bytes([number << 3 | 2, *length]) + content


def _property(key: str, value: str) -> bytes:
    """A metadata property, likewise."""
    return _field(1, key) + _field(2, value)


def _places(data: bytes, field: bytes, text: str) -> NDArray[np.intp]:
    """Where the text lies that a field ends with."""
    end = data.index(field) + len(field)
    return np.arange(end - len(text.encode()), end)


def _flip(data: bytes, place: int, bit: int) -> bytes:
    result = bytearray(data)
    result[place] ^= 1 << bit
    return bytes(result)
