"""Long rows of numbers between Python's arrays and big-endian bytes, without a loop in Python."""

import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import compress, count, pairwise, starmap
from operator import ne

_SWAP = sys.byteorder == "little"


def to_big_endian(typecode: str, values: "Iterable[int]") -> bytes:
    """`values` as big-endian numbers of `typecode` (``I`` 32 bits, ``Q`` 64 bits, ``i`` signed)."""
    numbers = array(typecode, values)
    if _SWAP:
        numbers.byteswap()
    return numbers.tobytes()


def from_big_endian(typecode: str, data: bytes | memoryview) -> "array[int]":
    """The big-endian numbers that `data` consists of; its length is a multiple of their size."""
    numbers = array(typecode)
    numbers.frombytes(data)
    if _SWAP:
        numbers.byteswap()
    return numbers


def run_lengths(values: Sequence[int]) -> "array[int]":
    """Equal neighbours counted: count, value, count, value…; values as unsigned 32 bits."""
    runs = array("I")
    if not values:
        return runs
    ends = [*compress(count(1), starmap(ne, pairwise(values))), len(values)]
    start = 0
    for end in ends:
        runs.append(end - start)
        runs.append(values[start] & 0xFFFF_FFFF)
        start = end
    return runs
