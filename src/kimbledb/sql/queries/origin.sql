-- The server, cluster and history of a record of forms: a record with another origin is not of this database.
jsonb_build_object('server', {server}, 'system', {system}, 'table', coalesce(to_regclass({history})::oid::bigint, 0))
