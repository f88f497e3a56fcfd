"""The order of statements: each after those that make what it needs, the others by their rank."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve

from kimbledb.model.objects import Key
from kimbledb.planning.writer.pieces import Piece
from kimbledb.planning.writer.views import or_replace


def arranged(pieces: Iterable[Piece]) -> list[str]:
    """Return the statements of pieces in order.

    Where pieces need each other in a circle, a view among them gets a stand-in, which its own statement replaces at
    the end. In a circle without a view the piece with the lowest rank is taken first.

    Args:
        pieces: The pieces. Among those of one rank that need nothing of each other, the order stays.
    """
    waiting = dict(enumerate(pieces))
    statements: list[str] = []
    while waiting:
        done = _ready(waiting, statements)
        for place in done:
            del waiting[place]
        if waiting:
            _break_circle(waiting, statements)
    return statements


def _ready(waiting: Mapping[int, Piece], statements: list[str]) -> list[int]:
    """Append the statements of all pieces that wait for no circle, and return their places."""
    makers = {key: place for place, piece in waiting.items() for key in piece.makes}
    after: dict[int, list[int]] = {}
    missing: dict[int, int] = {}
    for place, piece in waiting.items():
        before = {makers[key] for key in piece.needs if key in makers} - {place}
        missing[place] = len(before)
        for each in before:
            after.setdefault(each, []).append(place)
    heap = [(waiting[place].rank, place) for place, count in missing.items() if not count]
    heapq.heapify(heap)
    done = []
    while heap:
        _, place = heapq.heappop(heap)
        statements.append(waiting[place].statement)
        done.append(place)
        for each in after.get(place, ()):
            missing[each] -= 1
            if not missing[each]:
                heapq.heappush(heap, (waiting[each].rank, each))
    return done


def _break_circle(waiting: dict[int, Piece], statements: list[str]) -> None:
    circle = _circle(waiting)
    view = next((place for place in circle if waiting[place].stand_in is not None), None)
    if view is None:
        first = min(circle, key=lambda place: (waiting[place].rank, place))
        statements.append(waiting.pop(first).statement)
        return
    piece = waiting[view]
    assert piece.stand_in is not None
    statements.append(piece.stand_in)
    waiting[view] = evolve(piece, statement=or_replace(piece.statement), makes=(), stand_in=None)


def _circle(waiting: Mapping[int, Piece]) -> Sequence[int]:
    """Return the places of pieces that need each other in a circle."""
    makers: dict[Key, int] = {key: place for place, piece in waiting.items() for key in piece.makes}
    path: list[int] = []
    place = min(waiting)
    while place not in path:
        path.append(place)
        place = min(makers[key] for key in waiting[place].needs if makers.get(key, place) != place)
    return path[path.index(place) :]
