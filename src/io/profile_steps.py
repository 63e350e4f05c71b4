"""Count the steps of a color profile before it is read: its parser follows all of them."""

import struct
from collections.abc import Iterator

MAX_PROFILE_BYTES = 2**24  # those of printing presses have up to 3 MB
# Types of the steps, and pieces of curves, of a profile of any number of steps; usual ones have 4
STEPS, MAX_STEPS = (b"cvst", b"matf", b"clut", b"parf", b"samf"), 256
MAX_STEP_BYTES = 2**28  # steps times bytes, as each step may hold all others
LIST, CURVES, CURVE = b"mpet", b"cvst", b"curf"


def check_profile(profile: bytes) -> None:
    """Raise ValueError for a profile of many steps, or of a few that are named many times.

    See ICC.1:2022, 10.16 (lists of steps), and ICC.2:2023, 11.2 (curves).
    """
    steps = sum(profile.count(kind) for kind in STEPS)
    if len(profile) > MAX_PROFILE_BYTES or steps > MAX_STEPS:
        raise ValueError
    at, followed = profile.find(LIST), 0
    while at >= 0:
        for _ in _followed(profile, at):
            followed += 1
            if followed > MAX_STEPS or followed * len(profile) > MAX_STEP_BYTES:
                raise ValueError
        at = profile.find(LIST, at + 1)


def _followed(profile: bytes, at: int) -> Iterator[None]:
    """Yield once for each step, curve and piece of a curve in a list of steps, as it is named."""
    (count,) = struct.unpack(">L", profile[at + 12 : at + 16].rjust(4, b"\0"))
    for step in _positions(profile, at, 16, count):
        yield
        if profile[step : step + 4] == CURVES:
            channels = int.from_bytes(profile[step + 8 : step + 10], "big")
            for curve in _positions(profile, step, 12, channels):
                is_curve = profile[curve : curve + 4] == CURVE
                pieces = profile[curve + 8 : curve + 10] if is_curve else b""
                yield from [None] * (1 + int.from_bytes(pieces, "big"))


def _positions(profile: bytes, start: int, skip: int, count: int) -> Iterator[int]:
    """Yield the positions that a table names, which are relative to the start of its owner."""
    for at in range(start + skip, min(start + skip + 8 * count, len(profile) - 7), 8):
        yield start + int.from_bytes(profile[at : at + 4], "big")
