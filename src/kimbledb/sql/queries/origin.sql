-- Where forms are printed: a record of another server, cluster or history is not of this database.
jsonb_build_object('server', {server}, 'system', {system}, 'table', coalesce(to_regclass({history})::oid::bigint, 0))
