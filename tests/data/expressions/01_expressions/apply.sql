-- Every kind of expression that a server prints from its parse tree. Those on a varchar read otherwise once a dump was
-- restored: the text that the server prints is read back as another tree.
CREATE TABLE things (
    id integer PRIMARY KEY,
    v varchar(10) CHECK (v IN ('a', 'b')),
    w varchar NOT NULL DEFAULT 'a' CHECK (w NOT IN ('x', 'y')),
    day date DEFAULT '2024-01-31',
    span interval DEFAULT '1 day 02:03:04',
    moment timestamptz DEFAULT '2024-01-31 12:00+00',
    part double precision DEFAULT 0.1::double precision / 3,
    bytes bytea DEFAULT '\x4142ff',
    words text[] DEFAULT '{a,"b c"}',
    said text DEFAULT 'C:\temp' || '''"x"',
    during tsrange,
    "timestamp" timestamp,
    twice integer GENERATED ALWAYS AS (id * 2) STORED,
    EXCLUDE USING gist (during WITH &&) WHERE (v IN ('a', 'b')),
    CHECK ("timestamp" > '2000-01-01' AND (v IS NULL OR w = ANY ('{a,b}')))
);
CREATE INDEX things_partly ON things (id DESC) WHERE v IN ('a', 'b');
CREATE INDEX things_by_expression ON things (lower(v), (w || 'x') varchar_pattern_ops DESC) INCLUDE (id);
CREATE STATISTICS things_counted ON lower(v), (id + 1) FROM things;
CREATE DOMAIN choice AS varchar DEFAULT 'a' CHECK (VALUE IN ('a', 'b'));
CREATE FUNCTION is_one_of(x varchar DEFAULT 'a', y integer DEFAULT 1 + 1) RETURNS boolean LANGUAGE sql
    BEGIN ATOMIC SELECT x IN ('a', 'b') AND y > 1; END;
CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER things_stay BEFORE UPDATE ON things FOR EACH ROW WHEN (OLD.v IN ('a', 'b')) EXECUTE FUNCTION stay();
CREATE RULE things_remain AS ON DELETE TO things WHERE OLD.v IN ('a', 'b') DO INSTEAD NOTHING;
ALTER TABLE things ENABLE ROW LEVEL SECURITY;
CREATE POLICY things_seen ON things USING (v IN ('a', 'b')) WITH CHECK (w = ANY ('{a,b}') AND day > '2024-01-31');
CREATE VIEW seen AS SELECT id, v, day + span AS until FROM things WHERE v IN ('a', 'b') AND w NOT IN ('x', 'y');
CREATE VIEW seen_twice AS SELECT s.id, t.twice FROM seen AS s JOIN things AS t USING (id) WHERE t.v IN ('a', 'b');
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n, max(v) AS last FROM things WHERE v IN ('a', 'b');
CREATE TABLE parted (day date, v varchar CHECK (v IN ('a', 'b'))) PARTITION BY RANGE (day, lower(v));
CREATE TABLE parted_2024 PARTITION OF parted FOR VALUES FROM ('2024-01-01', 'a') TO ('2025-01-01', 'b');
