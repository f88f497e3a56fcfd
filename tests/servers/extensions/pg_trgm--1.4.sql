/*
 * A stand-in for pg_trgm 1.4, for tests alone. The wheels that carry PostgreSQL 16
 * have vector and no pg_trgm, and its library cannot be taken from another version.
 *
 * Indexes name its operator class, and that is here. It has no operator: an index
 * of it holds no entry, the planner never searches it, and each query gives what it
 * gives with the real one, by reading the table.
 */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION pg_trgm" to load this file. \quit

-- The server's own function that returns nothing: no entries, whatever the value.
CREATE FUNCTION gin_extract_value_trgm(text, internal) RETURNS internal
LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'void_in';

CREATE FUNCTION gin_extract_query_trgm(text, internal, int2, internal, internal, internal, internal) RETURNS internal
LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'void_in';

CREATE FUNCTION gin_trgm_consistent(internal, int2, text, int4, internal, internal, internal, internal) RETURNS boolean
LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'void_in';

CREATE OPERATOR CLASS gin_trgm_ops FOR TYPE text USING gin AS
    FUNCTION 1 btint4cmp(int4, int4),
    FUNCTION 2 gin_extract_value_trgm(text, internal),
    FUNCTION 3 gin_extract_query_trgm(text, internal, int2, internal, internal, internal, internal),
    FUNCTION 4 gin_trgm_consistent(internal, int2, text, int4, internal, internal, internal, internal),
    STORAGE int4;
