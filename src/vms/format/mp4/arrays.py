"""Long rows of numbers between Python's arrays and big-endian bytes, without a loop in Python.

Such a call holds the interpreter until it returns, so rows are worked on in blocks: between two of them
other threads, and with them an event loop, get their turn.
"""

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, count
from operator import ne, sub

BLOCK = 1 << 15
"""Numbers a call: 1 to 3 ms."""
_SWAP = sys.byteorder == "little"


def blocks(values: "array[int]") -> "Iterator[array[int]]":
    """`values` in pieces of at most BLOCK."""
    return (values[first : first + BLOCK] for first in range(0, len(values), BLOCK))


def to_big_endian(values: "array[int]") -> memoryview:
    """The bytes of `values` as big-endian numbers, of the size that they have in the array."""
    numbers = array(values.typecode)
    for block in blocks(values):
        numbers += _swapped(block)
    return memoryview(numbers).cast("B")


def fill_big_endian(target: memoryview, typecode: str, values: "array[int]", shift: int) -> None:
    """Write `values`, `shift` added to each, as big-endian numbers of `typecode` over the bytes of `target`."""
    position = 0
    for block in blocks(values):
        data = _swapped(array(typecode, map(shift.__add__, block))).tobytes()
        target[position : position + len(data)] = data
        position += len(data)


def from_big_endian(typecode: str, data: bytes | memoryview) -> "array[int]":
    """The big-endian numbers that `data` consists of; its length is a multiple of their size."""
    numbers = array(typecode)
    numbers.frombytes(data)
    if _SWAP:
        numbers.byteswap()
    return numbers


def run_lengths(values: "array[int]") -> memoryview:
    """Equal neighbours counted: count, value, count, value…, each as 32 big-endian bits."""
    runs = array("I")
    start = 0  # of the run that the last block ended in
    for first in range(0, len(values), BLOCK):
        block = values[max(first - 1, 0) : first + BLOCK]
        ends = array("I", compress(count(max(first, 1)), map(ne, block, block[1:])))
        if ends:
            starts = array("I", [start])
            starts += ends[:-1]
            runs += _pairs(map(sub, ends, starts), _unsigned(values, starts))
            start = ends[-1]
    if values:
        runs += _pairs([len(values) - start], _unsigned(values, [start]))
    return memoryview(runs).cast("B")


def _pairs(counts: Iterable[int], values: "array[int]") -> "array[int]":
    pairs = array("I", bytes(8 * len(values)))
    pairs[::2] = array("I", counts)
    pairs[1::2] = values
    return _swapped(pairs)


def _unsigned(values: "array[int]", places: Sequence[int]) -> "array[int]":
    """The 32-bit numbers at `places`, negative ones as their two's complement."""
    picked = array("I")
    picked.frombytes(array(values.typecode, map(values.__getitem__, places)).tobytes())
    return picked


def _swapped(numbers: "array[int]") -> "array[int]":
    if _SWAP:
        numbers.byteswap()
    return numbers
