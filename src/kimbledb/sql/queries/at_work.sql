-- Of pg_locks AS l: the locks of runs that are at work. Only a hint, since one may end or begin at any moment.
l.locktype = 'advisory' AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid = {lock_class} AND l.objid::bigint = ANY (ARRAY[{keys}]::bigint[])
