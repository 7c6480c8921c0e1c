"""Arrays in one safetensors file: written block by block, read as read-only memory maps that workers share."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from whichloss.data.pixels import blocks_of
from whichloss.data.write import aside

KINDS = {"I64": "<i8", "I32": "<i4", "F32": "<f4", "U8": "u1"}  # the widest first, so that each array is aligned


def write_map(path: Path, arrays: Mapping[str, np.ndarray], meta: Mapping[str, str]) -> None:
    """Write the arrays and what is said of them; the file is whole or as it was."""
    kinds = {name: next(k for k, code in KINDS.items() if array.dtype == code) for name, array in arrays.items()}
    order = sorted(arrays, key=lambda name: list(KINDS).index(kinds[name]))
    header: dict[str, Any] = {"__metadata__": dict(meta)}
    end = 0
    for name in order:
        start, end = end, end + arrays[name].nbytes
        header[name] = {"dtype": kinds[name], "shape": list(arrays[name].shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with aside(path) as part, part.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            for block in blocks_of(arrays[name]):
                file.write(np.ascontiguousarray(block).data)


def read_map(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """What is said of the arrays, and the arrays, on disk still. Raises OSError, SafetensorError or ValueError."""
    with safe_open(str(path), "numpy") as file:  # checks that the file is whole
        meta = file.metadata()
    arrays = {}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    for name, known in header.items():
        if name != "__metadata__":
            start, end = known["data_offsets"]
            kind, shape = np.dtype(KINDS[known["dtype"]]), tuple(known["shape"])
            empty = start == end  # nothing to map
            arrays[name] = np.zeros(shape, kind) if empty else np.memmap(path, kind, "r", 8 + length + start, shape)
    return meta, arrays
