"""The order of statements: each after those that make what it needs, the others by their rank."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter

from attrs import evolve

from kimbledb.model.objects import Key
from kimbledb.planning.writer.pieces import Piece


def arranged(pieces: Iterable[Piece]) -> list[str]:
    """Return the statements of pieces in order.

    Where pieces need each other in a circle, a view or a function among them is made twice: first as a stand-in, at the
    end by its own statement. In a circle without one the piece with the lowest rank comes first.

    Args:
        pieces: The pieces. Among those of one rank that need nothing of each other, the order stays.
    """
    waiting = list(pieces)
    while circle := _circle(waiting):
        _break(circle, waiting)
    before = _before(waiting)
    after: list[list[int]] = [[] for _ in waiting]
    for place, needed in enumerate(before):
        for each in needed:
            after[each].append(place)
    missing = list(map(len, before))
    heap = [(piece.rank, place) for place, piece in enumerate(waiting) if not missing[place]]
    heapq.heapify(heap)
    statements = []
    while heap:
        _, place = heapq.heappop(heap)
        statements.append(waiting[place].statement)
        for each in after[place]:
            missing[each] -= 1
            if not missing[each]:
                heapq.heappush(heap, (waiting[each].rank, each))
    return statements


def _before(pieces: Sequence[Piece]) -> list[set[int]]:
    """Return for each piece the places of those that it needs."""
    makers: dict[Key, int] = {key: place for place, piece in enumerate(pieces) for key in piece.makes}
    return [{makers[key] for key in piece.needs if key in makers} - {place} for place, piece in enumerate(pieces)]


def _circle(pieces: Sequence[Piece]) -> Sequence[int]:
    """Return the places of pieces that need each other in a circle; none if there is no circle."""
    try:
        TopologicalSorter(dict(enumerate(_before(pieces)))).prepare()
    except CycleError as error:
        circle: list[int] = error.args[1]
        return circle[1:]  # it begins and ends with the same
    return ()


def _break(circle: Sequence[int], pieces: list[Piece]) -> None:
    """Free one piece of a cycle from its dependencies on the rest."""
    doubled = [place for place in circle if pieces[place].stand_in is not None]
    if doubled:
        last = max(doubled, key=lambda place: (pieces[place].rank, place))  # a view, if there is one
        pieces[last], replacing = pieces[last].twice()
        pieces.append(replacing)
        return
    first = min(circle, key=lambda place: (pieces[place].rank, place))
    made = {key for place in circle if place != first for key in pieces[place].makes}
    pieces[first] = evolve(pieces[first], needs=pieces[first].needs - made)
