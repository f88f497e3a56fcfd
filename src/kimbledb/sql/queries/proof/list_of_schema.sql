SELECT 'privilege schema', n.nspacl FROM pg_namespace AS n WHERE n.oid = ANY (homes)
