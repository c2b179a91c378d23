"""Damaged and hostile variants of a good file, drawn from a generator: of its bytes, and of its parts."""

from __future__ import annotations

import copy
import json
import math
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e308, -1e308, 10**30, -(10**30), 2**31, 2**63, math.nan, math.inf),
    *("", " ", "0", "\0", "a\nb", "../../escaped", "/escaped", "C:\\escaped", "con", "<script>alert(1)</script>"),
    *("\ud800", "\u202e", "e\u0301", "{{7*7}}", "${PATH}", "x" * 5000, "\u0661", "1e5", "nan", "-1", "1,2,3"),
    *([], {}, [[]], [{}], {"": {}}, [None], [0] * 7, [[0, 0]] * 3, {"counts": "", "size": [0, 0]}),
    *({"counts": [1, 2, 3], "size": [10**6, 10**6]}, {"counts": "0" * 99, "size": [9, 9]}, [1e300] * 6),
)  # fmt: skip
_ODD_BYTES = (
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\n",
    b"\r",
    b"\xef\xbb\xbf",
    b"\xfe\xff",
    b"..",
)
_LENGTH = struct.Struct("<Q")  # of the header, at the beginning of a safetensors file
_DEEP = b"[" * 20_000
_MOST = 1 << 18


def mutated_bytes(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """A few changes of bytes: bits, blocks, numbers, repetition, pieces of other files."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        place = rng.randrange(len(data) + 1)
        length = min(rng.choice((1, 2, 4, 16, 64, 512)), len(data) - place)
        way = rng.randrange(8)
        if way == 0 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif way == 1:
            data[place : place + length] = rng.randbytes(length)
        elif way == 2:
            data[place : place + length] = b""
        elif way == 3:
            data[place:place] = data[place : place + length] * rng.choice((1, 2, 50))
        elif way == 4:
            odd = rng.choice(_ODD_BYTES)
            data[place : place + len(odd)] = odd
        elif way == 5 and others:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            data[place : place + length] = other[start : start + rng.choice((4, 64, 1024))]
        elif way == 6:
            del data[place:]
        elif way == 7:
            digits = [i for i, byte in enumerate(data[: 1 << 14]) if 48 <= byte <= 57]
            if digits:
                data[rng.choice(digits)] = rng.choice(b"0123456789-.eE")
    return bytes(data[:_MOST])


def mutated_tree(tree: Any, rng: random.Random) -> Any:
    """A few changes of JSON-like values: odd values, missing, doubled and renamed keys, moved parts, deep nesting."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        places = list(_places(tree))
        if not places:
            return rng.choice(ODD_VALUES)
        parent, key = rng.choice(places)
        way = rng.randrange(8)
        if way <= 2:
            parent[key] = copy.deepcopy(rng.choice(ODD_VALUES))
        elif way == 3:
            del parent[key]
        elif way == 4:
            other, there = rng.choice(places)
            if there in other if isinstance(other, dict) else there < len(other):
                parent[key] = copy.deepcopy(other[there])
        elif way == 5 and isinstance(parent, dict):
            parent[rng.choice((key.upper(), key + " ", "", "id", "segmentation", "shapes", "file_name"))] = parent.pop(
                key
            )
        elif way == 5:
            parent[key:key] = [copy.deepcopy(parent[key])] * rng.choice((1, 3))
        elif way == 6:
            for _ in range(rng.choice((1, 3, 200))):
                parent[key] = [parent[key]] if rng.randrange(2) else {"a": parent[key]}
        elif isinstance(parent[key], int | float) and not isinstance(parent[key], bool):
            parent[key] = rng.choice(
                (-parent[key], parent[key] + 1, parent[key] / 3, parent[key] * 10**6, str(parent[key]))
            )
    return tree


def _places(tree: Any, depth: int = 0) -> Any:
    if depth > 50:
        return
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield tree, key
            yield from _places(value, depth + 1)
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield tree, index
            yield from _places(value, depth + 1)


def mutated_json(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """A JSON file whose values are changed, sometimes its bytes too."""
    if rng.random() < 0.2:
        return mutated_bytes(content, rng, others)
    changed = json.dumps(mutated_tree(json.loads(content), rng)).encode("utf-8", "surrogatepass")
    if rng.random() < 0.02:
        changed = changed.replace(b": ", b": " + _DEEP, 1)
    return mutated_bytes(changed, rng, others) if rng.random() < 0.1 else changed


def mutated_tensors(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """A safetensors file whose header is changed: its description, which is JSON inside JSON, or the tensors' places.

    The digest in a description is removed, since a file that somebody made up would have the right one.
    """
    if rng.random() < 0.3:
        return mutated_bytes(content, rng, others)
    (length,) = _LENGTH.unpack(content[: _LENGTH.size])
    header, data = json.loads(content[_LENGTH.size : _LENGTH.size + length]), content[_LENGTH.size + length :]
    for key, text in header.get("__metadata__", {}).items():
        described = json.loads(text)
        described.pop("sha256", None)
        header["__metadata__"][key] = mutated_json(json.dumps(described).encode(), rng).decode("utf-8", "replace")
    if rng.random() < 0.2:
        header = mutated_tree(header, rng)
    changed = json.dumps(header).encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(changed)) + changed + data


def mutated_lines(content: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """A text file with lines changed, doubled, emptied or in another order, sometimes its bytes too."""
    if rng.random() < 0.3:
        return mutated_bytes(content, rng, others)
    lines = content.decode("utf-8", "replace").split("\n")
    for _ in range(rng.choice((1, 2, 5))):
        place = rng.randrange(len(lines))
        way = rng.randrange(6)
        if way == 0:
            odd = rng.choice(ODD_VALUES)
            lines[place] = odd if isinstance(odd, str) else str(odd)
        elif way == 1:
            lines.insert(place, rng.choice(lines))
        elif way == 2 and len(lines) > 1:
            del lines[place]
        elif way == 3:
            lines[place] = lines[place].replace(rng.choice(":, .;"), rng.choice(("", ":", "::", "\t", ",")))
        elif way == 4:
            rng.shuffle(lines)
        else:
            lines[place] += rng.choice((":", " ", "\r", "\x85", "#", ": [", "&a *a", "!!python/object:os.system x"))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def minimised(content: bytes, fails: Callable[[bytes], bool], most: int = 500) -> bytes:
    """A smaller input that still fails: pieces are removed as long as that helps, in at most so many attempts."""
    size = max(1, len(content) // 2)
    while size and most:
        place, shorter = 0, False
        while place < len(content) and most:
            attempt, most = content[:place] + content[place + size :], most - 1
            if fails(attempt):
                content, shorter = attempt, True
            else:
                place += size
        if not shorter:
            size //= 2
    return content
