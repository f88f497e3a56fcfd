-- Before scripts of a try run: a sequence changes outside of all transactions, unless its storage is of this one. So
-- each of our sequences gets a new storage with its position, and the rollback of the transaction removes it together
-- with the changes of the scripts.
DECLARE
    one record;
    last bigint;
    called boolean;
BEGIN
    FOR one IN
        SELECT c.oid, c.oid::regclass::text AS name
        FROM pg_class AS c
        WHERE c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname = ANY ({schemas}))
          AND c.relkind = 'S' AND pg_has_role(c.relowner, 'USAGE')
        ORDER BY c.oid
    LOOP
        EXECUTE format('SELECT last_value, is_called FROM %s', one.name) INTO last, called;
        EXECUTE format('ALTER SEQUENCE %s RESTART', one.name);
        PERFORM setval(one.oid::regclass, last, called);
    END LOOP;
END
