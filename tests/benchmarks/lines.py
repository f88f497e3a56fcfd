"""The figures of growth as lines: migrations across, time up, a power of ten to each step of both."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from itertools import cycle

from tools.svg import STYLE

from .measuring import Figure

_LEFT, _TOP, _WIDTH, _HEIGHT, _RIGHT, _BOTTOM = 64, 16, 420, 340, 210, 52
#: Between the lines of text at the right.
_APART = 17
_FONT = 'font-family="sans-serif" font-size="12"'
#: Apart for all eyes, on white and on black: Okabe and Ito's.
_COLOURS = ("#d55e00", "#0090d0", "#009e73", "#cc79a7", "#e69f00", "#0055a0", "#8c564b", "#7f7fff", "#b0a000")
_SAID = "How the time grows with the number of migrations"
_GUIDE = "in line with the number"


def draw(figures: Sequence[Figure]) -> str:
    """Return an SVG: a line for each measure, named at its end, and a dashed one that grows in line."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for figure in figures:
        if figure.point is not None:
            name, count = figure.point
            lines.setdefault(name, []).append((count, figure.measured))
    counts = sorted({count for line in lines.values() for count, _ in line})
    times = [milliseconds for line in lines.values() for _, milliseconds in line]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    first, last = math.log10(counts[0]), math.log10(counts[-1])

    def x(count: float) -> float:
        return _LEFT + _WIDTH * (math.log10(count) - first) / (last - first)

    def y(milliseconds: float) -> float:
        return _TOP + _HEIGHT * (high - math.log10(milliseconds)) / (high - low)

    right, bottom = _LEFT + _WIDTH, _TOP + _HEIGHT
    size = f"0 0 {right + _RIGHT} {bottom + _BOTTOM}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" {_FONT} role="img" aria-label="{_SAID}">',
        STYLE,
    ]
    for power in range(low, high + 1):
        level = y(10.0**power)
        parts.append(
            f'<line x1="{_LEFT}" x2="{right}" y1="{level:.1f}" y2="{level:.1f}" stroke="#808080" stroke-opacity=".25"/>'
            f'<text x="{_LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{_duration(10.0**power)}</text>'
        )
    parts += [f'<text x="{x(count):.1f}" y="{bottom + 20}" text-anchor="middle">{count:,}</text>' for count in counts]
    parts.append(f'<text x="{_LEFT + _WIDTH / 2}" y="{bottom + 42}" text-anchor="middle">migrations</text>')
    # Where the ends of the lines leave it the most room, and no lower than the chart.
    tops = sorted(math.log10(max(line)[1]) for line in lines.values())
    gap = max((above - below, below) for below, above in zip(tops, [*tops[1:], high], strict=True))
    end = gap[1] + gap[0] / 2
    start = max(first, last - (end - low))
    level = y(10**end)
    parts.append(
        f'<line x1="{x(10**start):.1f}" x2="{right}" y1="{y(10 ** (end - last + start)):.1f}" y2="{level:.1f}" '
        f'stroke="#808080" stroke-dasharray="3 4"/>'
    )
    ends = [(level, float(right), "#808080", _GUIDE)]
    for colour, (name, line) in zip(cycle(_COLOURS), lines.items(), strict=False):
        points = " ".join(f"{x(count):.1f},{y(milliseconds):.1f}" for count, milliseconds in sorted(line))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(count):.1f}" cy="{y(took):.1f}" r="3" fill="{colour}"/>' for count, took in line]
        most, took = max(line)
        text = f"{name}, {_duration(took)}" + (f" for {most:,}" if most < counts[-1] else "")
        ends.append((y(took), x(most), colour, text))
    # Each line is led to its name, also one that ends sooner.
    for (at, start, colour, text), level in zip(sorted(ends), _spread([each[0] for each in sorted(ends)]), strict=True):
        parts.append(
            f'<polyline points="{start + 5:.1f},{at:.1f} {right + 5},{at:.1f} {right + 16},{level:.1f}" fill="none" '
            f'stroke="{colour}" stroke-opacity=".6" stroke-dasharray="1 3"/>'
            f'<text x="{right + 20}" y="{level + 4:.1f}">{html.escape(text)}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


def _spread(levels: Iterable[float]) -> list[float]:
    """Move down what is too close to the one above it."""
    placed: list[float] = []
    for level in levels:
        placed.append(max(level, placed[-1] + _APART) if placed else level)
    return placed


def _duration(milliseconds: float) -> str:
    unit, value = ("ms", milliseconds) if milliseconds < 1000 else ("s", milliseconds / 1000)
    return f"{value:,.0f} {unit}" if value >= 10 or value == int(value) else f"{value:.1f} {unit}"
