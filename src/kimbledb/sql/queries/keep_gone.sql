-- Right before a script: the cursor from which check_reach.sql learns what has gone. It is not read unless the script drops
-- something, and it sees the catalogs as they are now. A block opens it, since a cursor of the message itself would keep
-- a copy of the whole message, which pg_cursors gives with each look.
DECLARE
    before pg_catalog.refcursor := 'kimbledb_before';
BEGIN
    OPEN before NO SCROLL FOR
{gone};
END
