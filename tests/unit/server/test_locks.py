from __future__ import annotations

import zlib

from kimbledb.server.locks import BOOTSTRAP_KEY, LOCK_CLASS, at_work, lock_key

#: A name whose checksum is the one that would give the key under which a database is prepared.
AWKWARD = "tbna0emy"


def test_each_schema_has_a_lock_of_its_own() -> None:
    """Two schemas do not wait for each other, and the same schema has the same lock in every process."""
    keys = {schema: lock_key(schema) for schema in ("public", "tenant_1", "tenant_2", "Tenant_1", "")}

    assert len(set(keys.values())) == len(keys)
    assert keys["public"] == -1145819619


def test_no_schema_has_the_lock_of_the_preparation() -> None:
    """Whatever its name is, a schema's lock is a signed 32-bit number other than that of the database's preparation."""
    assert zlib.crc32(AWKWARD.encode()) == 2**31
    assert lock_key(AWKWARD) != BOOTSTRAP_KEY
    assert all(-(2**31) <= lock_key(schema) < 2**31 for schema in (AWKWARD, "", "public", "ä" * 31))


def test_who_prepares_the_database_is_at_work() -> None:
    """Runs that are at work on a schema are those that hold its lock, and those that prepare the database."""
    condition = at_work("public")

    assert f"l.objid::bigint = ANY (ARRAY[{BOOTSTRAP_KEY}, " in condition
    assert f"l.classid = {LOCK_CLASS}\n" in condition
    assert str(lock_key("public") & 0xFFFFFFFF) in condition
