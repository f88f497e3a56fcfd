CREATE FUNCTION twice(n integer DEFAULT 2) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path FROM CURRENT AS 'SELECT n * 2';
CREATE FUNCTION thrice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN n * 3;
CREATE FUNCTION debts(lowest numeric, OUT person bigint, OUT amount numeric) RETURNS SETOF record
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT id, owed.open FROM owed WHERE owed.open > lowest;
END;
CREATE FUNCTION older(VARIADIC years integer[]) RETURNS TABLE (id bigint, name text)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT people.id, people.name FROM people WHERE extract(year FROM born) = ANY (years) AND kind IN ('buyer', 'both');
END;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET work_mem = '8MB' AS $$
BEGIN
    NEW.joined := coalesce(NEW.joined, now());
    RETURN NEW;
END
$$;
CREATE PROCEDURE pay(who bigint) LANGUAGE sql
BEGIN ATOMIC
    UPDATE invoices SET paid = true WHERE person = who AND NOT paid;
    INSERT INTO base_notes (note) VALUES ('paid ' || who);
END;
CREATE FUNCTION longer(state text, next text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT
AS 'SELECT CASE WHEN length(next) > length(coalesce(state, '''')) THEN next ELSE state END';
CREATE AGGREGATE longest (text) (SFUNC = longer, STYPE = text);

CREATE TRIGGER people_touch BEFORE INSERT OR UPDATE OF name, born ON people FOR EACH ROW
    WHEN (NEW.kind IS DISTINCT FROM 'both') EXECUTE FUNCTION touch();
CREATE CONSTRAINT TRIGGER people_later AFTER UPDATE ON people DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION touch();
CREATE TRIGGER notes_all AFTER DELETE ON base_notes REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION touch();
ALTER TABLE base_notes ENABLE ALWAYS TRIGGER notes_all;
CREATE RULE no_delete AS ON DELETE TO base_notes WHERE old.note = 'keep' DO INSTEAD NOTHING;
CREATE RULE also AS ON INSERT TO base_notes WHERE length(new.note) > 100 DO ALSO INSERT INTO scratch (line) VALUES (new.note);

ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON people FOR SELECT USING (name = current_user OR kind IN ('seller', 'both'));
CREATE POLICY write ON people AS RESTRICTIVE FOR UPDATE TO PUBLIC USING (born IS NOT NULL)
    WITH CHECK (EXISTS (SELECT FROM invoices AS i WHERE i.person = people.id AND i.total > 0));
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
CREATE POLICY everything ON events FOR ALL TO PUBLIC USING (twice(lower(room)) > 0);

COMMENT ON TABLE people IS 'People''s table';
COMMENT ON COLUMN people.mail IS 'where to write to';
COMMENT ON VIEW owed IS 'what is open';
COMMENT ON MATERIALIZED VIEW totals IS 'by month';
COMMENT ON FUNCTION twice (integer) IS 'n and n';
COMMENT ON TYPE mood IS 'how it is';
COMMENT ON TRIGGER people_touch ON people IS 'sets joined';
COMMENT ON POLICY own ON people IS 'one''s own';
COMMENT ON CONSTRAINT people_name_born ON people IS 'once';
COMMENT ON INDEX people_data IS 'for search';
COMMENT ON SEQUENCE invoice_number IS 'by fives';
GRANT SELECT, INSERT ON people TO PUBLIC;
GRANT UPDATE (name, born) ON people TO PUBLIC;
GRANT SELECT ON owed, totals TO PUBLIC;
GRANT USAGE ON SEQUENCE invoice_number TO PUBLIC;
GRANT ALL ON scratch TO service_role WITH GRANT OPTION;
GRANT ALL ON SEQUENCE invoice_number TO service_role;
REVOKE EXECUTE ON FUNCTION touch() FROM PUBLIC;
REVOKE DELETE ON scratch FROM CURRENT_USER;

CREATE COLLATION by_code (provider = libc, locale = 'C');
CREATE TEXT SEARCH PARSER words (
    START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH TEMPLATE plain (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY bare (TEMPLATE = plain, accept = 'false');
CREATE TEXT SEARCH CONFIGURATION sought (PARSER = words);
ALTER TEXT SEARCH CONFIGURATION sought ADD MAPPING FOR asciiword, word WITH bare, simple;
CREATE FUNCTION nearly(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN abs($1 - $2) < 2;
CREATE OPERATOR =~= (FUNCTION = nearly, LEFTARG = integer, RIGHTARG = integer, COMMUTATOR = =~=);
CREATE OPERATOR FAMILY by_size USING btree;
CREATE OPERATOR CLASS by_size FOR TYPE integer USING btree FAMILY by_size AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer);
CREATE CONVERSION to_latin FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
COMMENT ON OPERATOR =~= (integer, integer) IS 'nearly equal';
DO $$
BEGIN
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO PUBLIC', current_schema());
END
$$;
CREATE SCHEMA beside;
COMMENT ON SCHEMA beside IS 'of our own';
CREATE TABLE beside.kept (n integer);
GRANT USAGE ON SCHEMA beside TO PUBLIC;
