"""Completion: the statements that bring the rest of a migration to a schema that holds a part of it. Pure.

Nothing is replayed. What the applied migrations and this one together declare, and what is not there, is written from the
declarations. An object of another form is given the declared one where that loses nothing and nobody's choice: indexes,
checks, functions, views, triggers, policies, grants. What a database had before stays as it was: defaults, and keys of
the declared names. A column that must not be NULL, gets no value by itself and is not declared so becomes nullable. A column
of another type is converted by a rule, with the columns that foreign keys tie to it and with all that hangs on them. What
another hand left open in a closed catalog is closed (``kimbledb.planning.doors``). What no statement reaches is a conflict,
and is named with the statement that declares it.

Each module knows one thing: ``scope`` what must be brought, ``types`` the conversions, ``forms`` the form that each object
gets, ``questions`` what the rows must be asked and ``rows`` what they answer, ``copied_rows`` which rows of tables that are
set aside are copied, ``strangers`` what another hand left,
``unreached`` what no statement reaches, ``way`` the statements. ``unfinished`` puts them together.
"""

from __future__ import annotations

from kimbledb.planning.completion.rows import Rows
from kimbledb.planning.completion.scope import Scope, is_begun
from kimbledb.planning.completion.unfinished import Unfinished

__all__ = ["Rows", "Scope", "Unfinished", "is_begun"]
