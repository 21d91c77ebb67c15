"""Reading bits and Exp-Golomb numbers out of parameter sets (ITU-T H.264 §9.1, H.265 §9.2)."""

from vms.format.errors import FormatError

MAX_BYTES = 4096
"""Longer parameter sets exist only to waste our time."""


class BitReader:
    """Bits of `data`, most significant first. Reading past the end raises FormatError."""

    __slots__ = ("_name", "_size", "_value", "position")

    def __init__(self, data: bytes, name: str) -> None:
        if len(data) > MAX_BYTES:
            raise FormatError(f"{name}: {len(data)} bytes; at most {MAX_BYTES} are read")
        self._name = name
        self._size = len(data) * 8
        self._value = int.from_bytes(data)
        self.position = 0

    @property
    def left(self) -> int:
        return self._size - self.position

    def bits(self, count: int) -> int:
        """u(count)"""
        end = self.position + count
        if end > self._size:
            raise FormatError(f"{self._name}: ends after {self._size // 8} bytes, in the middle")
        self.position = end
        return self._value >> (self._size - end) & ((1 << count) - 1)

    def flag(self) -> bool:
        """u(1)"""
        return self.bits(1) == 1

    def skip(self, count: int) -> None:
        self.bits(count)

    def ue(self) -> int:
        """ue(v), at most 32 leading zero bits."""
        zeros = 0
        while not self.bits(1):
            zeros += 1
            if zeros > 32:
                raise FormatError(f"{self._name}: no Exp-Golomb number at bit {self.position}")
        return (1 << zeros) - 1 + (self.bits(zeros) if zeros else 0)

    def se(self) -> int:
        """se(v)"""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)

    def ue_at_most(self, limit: int, what: str) -> int:
        """ue(v) that FormatError is raised for when above `limit`."""
        value = self.ue()
        if value > limit:
            raise FormatError(f"{self._name}: {what} is {value}; at most {limit} is allowed")
        return value
