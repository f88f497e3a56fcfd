-- The record of forms of a migration whose objects have none.
SELECT pg_catalog.set_config('kimbledb.forms', ({origin} || '{"forms": {}}')::text, true);
