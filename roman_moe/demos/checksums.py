"""Checksums of a recording: one damaged byte anywhere is found before its content is used.

An MCAP file has a CRC-32 of each chunk, of its data section and of its summary section (https://mcap.dev/spec). Those
of the chunks are compared by rosbags when it reads them. The metadata.yaml of rosbag2 has none, so custom data get one
of their own.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

MAGIC = b"\x89MCAP0\r\n"
CUSTOM_CHECKSUM = "crc32"  # key of the custom data that holds the checksum of all others

_DATA_END = struct.Struct("<BQI")  # opcode, length, CRC of all that stands before
_FOOTER = struct.Struct("<BQQQI8s")  # opcode, length, start of the summary and of its offsets, CRC, magic
_DATA_END_HEAD = (0x0F, 4)
_FOOTER_HEAD = (0x02, 20)
_CRC_AND_MAGIC = 4 + len(MAGIC)
_BLOCK = 1 << 20


def check_mcap(path: Path) -> None:
    """Compare an MCAP file's data and summary with their checksums, where its writer left any.

    Raises:
        ValueError: if they differ, or the file is no complete MCAP file.
        OSError: if it cannot be read.
    """
    size = path.stat().st_size
    if size < len(MAGIC) + _DATA_END.size + _FOOTER.size:
        raise ValueError(f"{path.name}: {size} bytes are no MCAP file: it was cut off")
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError(f"{path.name} does not begin as an MCAP file does")
        file.seek(size - _FOOTER.size)
        *head, summary_start, _, summary_crc, magic = _FOOTER.unpack(file.read(_FOOTER.size))
        if magic != MAGIC or tuple(head) != _FOOTER_HEAD:
            raise ValueError(f"{path.name} does not end as an MCAP file does: it was cut off or is damaged")
        summary_start = summary_start or size - _FOOTER.size
        data_end = summary_start - _DATA_END.size
        if not len(MAGIC) <= data_end <= size - _FOOTER.size - _DATA_END.size:
            raise ValueError(f"{path.name}: its summary is not where its footer says")
        file.seek(data_end)
        *head, data_crc = _DATA_END.unpack(file.read(_DATA_END.size))
        if tuple(head) != _DATA_END_HEAD:
            raise ValueError(f"{path.name}: its data do not end where its summary begins")
        _compare("data section", data_crc, file, 0, data_end)
        _compare("summary section", summary_crc, file, summary_start, size - _CRC_AND_MAGIC)


def _compare(what: str, expected: int, file: BinaryIO, start: int, end: int) -> None:
    if expected == 0:  # the specification's "not available": rosbag2 writes none for the data section
        return
    file.seek(start)
    found, left = 0, end - start
    while block := file.read(min(left, _BLOCK)):
        found = zlib.crc32(block, found)
        left -= len(block)
    if found != expected:
        name = Path(file.name).name
        raise ValueError(f"{name} is damaged: its {what} has checksum {found:08x}, written there is {expected:08x}")


def custom_checksum(custom: Mapping[str, str]) -> str:
    """CRC-32 of custom data, but for the entry that holds it, in hexadecimal."""
    rest = {key: value for key, value in custom.items() if key != CUSTOM_CHECKSUM}
    return f"{zlib.crc32(repr(sorted(rest.items())).encode()):08x}"
