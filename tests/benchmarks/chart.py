"""The figures as bars, each against its goal."""

from __future__ import annotations

import html
from collections.abc import Sequence

from tools.svg import STYLE

from .measuring import Figure

_ROW, _LEFT, _WIDTH, _LONGEST = 26, 320, 420, 2.0
_FONT = 'font-family="sans-serif" font-size="12"'
_REACHED, _MISSED = "#0072b2", "#d55e00"


def draw(figures: Sequence[Figure]) -> str:
    """Return an SVG: a bar for each ratio as a share of its goal, the goal as a line."""
    height = _ROW * (len(figures) + 2)
    goal = _LEFT + _WIDTH / _LONGEST
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 90} {height}" {_FONT}>',
        STYLE,
        f'<text x="{goal}" y="14" text-anchor="middle">goal</text>',
    ]
    for number, figure in enumerate(figures):
        assert figure.goal is not None, figure.name
        share = figure.goal / figure.ratio if figure.more_is_better else figure.ratio / figure.goal
        width = min(share, _LONGEST) * _WIDTH / _LONGEST
        top = _ROW * (number + 1)
        cut = "\N{RIGHTWARDS ARROW}" if share > _LONGEST else ""
        lines.append(
            f'<text x="{_LEFT - 8}" y="{top + 14}" text-anchor="end">{html.escape(figure.name)}</text>'
            f'<rect x="{_LEFT}" y="{top + 2}" width="{width:.1f}" height="{_ROW - 8}" rx="3" '
            f'fill="{_REACHED if figure.reached else _MISSED}"/>'
            f'<text x="{_LEFT + _WIDTH - 6}" y="{top + 14}" text-anchor="end" fill="white">{cut}</text>'
            f'<text x="{_LEFT + _WIDTH + 84}" y="{top + 14}" text-anchor="end">{figure.ratio:.2f} of {figure.goal:g}</text>'
        )
    lines.append(
        f'<line x1="{goal}" x2="{goal}" y1="{_ROW - 6}" y2="{height - _ROW}" stroke="#808080" stroke-dasharray="3 3"/>'
    )
    return "\n".join([*lines, "</svg>\n"])
