"""Code points as ranges, both ends included."""

from __future__ import annotations

LAST_CODE_POINT = 0x10FFFF


def merge(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def complement(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    gaps: list[tuple[int, int]] = []
    following = 0
    for first, last in ranges:
        if first > following:
            gaps.append((following, first - 1))
        following = last + 1
    if following <= LAST_CODE_POINT:
        gaps.append((following, LAST_CODE_POINT))
    return gaps
