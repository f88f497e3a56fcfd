"""The colours of the pictures in the documentation, which bring their background along.

A page may be dark where the system is light: its reader can choose. So a picture must not rely on the page behind it.
"""

from __future__ import annotations

from typing import Final

#: The first element of a picture. A text has the colour of its picture, and a text in a box (``class="in"``) a dark one.
STYLE: Final = (
    "<style>svg:root{fill:#24292f;background:#fff}text.in{fill:#111}"
    "@media (prefers-color-scheme:dark){svg:root{fill:#e6edf3;background:#0d1117}}</style>"
)
