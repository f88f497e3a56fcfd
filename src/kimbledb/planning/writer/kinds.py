"""The table of kinds: for each, the functions that write the statements which make, change, drop and rename an object."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from kimbledb.model.objects import DatabaseObject
from kimbledb.planning.writer import columns, constraints, grants, indexes, routines, tables, types, views
from kimbledb.planning.writer.pieces import Alter, Create, Drop, Surroundings

Rename = Callable[[DatabaseObject, str, Surroundings], str]


@frozen
class Kind:
    """The writer of the statements for one kind of object."""

    create: Create
    alter: Alter
    drop: Drop
    #: None where the name of an object of this kind follows another's.
    rename: Rename | None


def _plain(create: Create, alter: Alter = types.remake) -> Kind:
    return Kind(create, alter, types.drop_plain, types.rename_plain)


def _part(create: Create, alter: Alter) -> Kind:
    return Kind(create, alter, views.drop_part, views.rename_part)


KINDS: Mapping[str, Kind] = {
    "schema": _plain(types.create_schema),
    "collation": _plain(types.create_collation),
    "text search parser": _plain(types.create_text_search),
    "text search template": _plain(types.create_text_search),
    "text search dictionary": _plain(types.create_text_search),
    "text search configuration": _plain(types.create_text_search, types.alter_text_search),
    "type": Kind(types.create, types.alter, types.drop, types.rename),
    "sequence": _plain(types.create_sequence, types.alter_sequence),
    "table": Kind(tables.create, tables.alter, tables.drop, tables.rename),
    "column": Kind(columns.create, columns.alter, columns.drop, columns.rename),
    "constraint": Kind(constraints.create, constraints.alter, constraints.drop, constraints.rename),
    "index": Kind(indexes.create, indexes.alter, indexes.drop, indexes.rename),
    "function": Kind(routines.create, routines.alter, routines.drop, routines.rename),
    "operator": Kind(routines.create_operator, routines.alter_operator, routines.drop_operator, None),
    "operator family": Kind(
        routines.create_family, routines.alter_family, routines.drop_of_access_method, routines.rename_of_access_method
    ),
    "operator class": Kind(
        routines.create_class, types.remake, routines.drop_of_access_method, routines.rename_of_access_method
    ),
    "conversion": _plain(types.create_conversion),
    "view": Kind(views.create, views.alter, views.drop, views.rename),
    "trigger": _part(views.create_trigger, views.alter_trigger),
    "rule": _part(views.create_rule, views.alter_rule),
    "policy": _part(views.create_policy, views.alter_policy),
    "statistics": _plain(indexes.create_statistics, indexes.alter_statistics),
    "comment": Kind(grants.create_comment, grants.alter_comment, grants.drop_comment, None),
    "privilege": Kind(grants.create, grants.alter, grants.drop, None),
    "default privilege": Kind(grants.create_default, grants.alter_default, grants.drop_default, None),
}
