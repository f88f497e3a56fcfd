-- Pairs of expressions that are equal if the conversion of a value to another type loses nothing. The first is computed
-- from the old value before the conversion, the second from the new value after it, which replaces <new>.
(1, true, format('%I', field.name), format('(<new>)::%s', field.type)),
(2, (field.category = 'S' OR field.type = 'json') AND field.later IN ('uuid', 'json', 'jsonb', 'timestamp with time zone'), format('%I::%s', field.name, field.later), '(<new>)'),
(3, field.category = 'A' AND field.later IN ('json', 'jsonb'), format('pg_catalog.to_jsonb(%I)', field.name), '(<new>)::pg_catalog.jsonb'),
(4, field.type IN ('json', 'jsonb') AND field.later LIKE '%[]', format('%I::pg_catalog.jsonb', field.name), 'pg_catalog.to_jsonb(<new>)'),
(5, field.type LIKE 'timestamp%' AND field.later LIKE 'timestamp%', format('%I', field.name), $f$(<new> AT TIME ZONE 'UTC')$f$),
(6, field.category = 'N' AND field.later LIKE 'timestamp with time%', format('pg_catalog.to_timestamp(%I)', field.name), '(<new>)'),
(7, field.category = 'N' AND field.later LIKE 'timestamp with time%', format('pg_catalog.to_timestamp(%I / 1000.0)', field.name), '(<new>)'),
(8, field.category = 'N' AND field.later LIKE 'timestamp without%', format($f$pg_catalog.to_timestamp(%I) AT TIME ZONE 'UTC'$f$, field.name), '(<new>)'),
(9, field.category = 'N' AND field.later LIKE 'timestamp without%', format($f$pg_catalog.to_timestamp(%I / 1000.0) AT TIME ZONE 'UTC'$f$, field.name), '(<new>)'),
(10, field.type LIKE 'timestamp with time%' AND field.later IN ('bigint', 'integer', 'numeric', 'double precision'), format('%I', field.name), 'pg_catalog.to_timestamp(<new>)'),
(11, field.type LIKE 'timestamp with time%' AND field.later IN ('bigint', 'numeric', 'double precision'), format('%I', field.name), 'pg_catalog.to_timestamp(<new> / 1000.0)'),
(12, field.type LIKE 'timestamp without%' AND field.later IN ('bigint', 'integer', 'numeric', 'double precision'), format('%I', field.name), $f$pg_catalog.to_timestamp(<new>) AT TIME ZONE 'UTC'$f$),
(13, field.type LIKE 'timestamp without%' AND field.later IN ('bigint', 'numeric', 'double precision'), format('%I', field.name), $f$pg_catalog.to_timestamp(<new> / 1000.0) AT TIME ZONE 'UTC'$f$)
