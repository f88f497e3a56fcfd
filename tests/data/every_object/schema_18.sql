-- What version 18 has besides.
CREATE TABLE newer (
    id integer,
    valid_at daterange,
    width integer,
    area integer GENERATED ALWAYS AS (width * 2) VIRTUAL,
    CONSTRAINT named NOT NULL width,
    CONSTRAINT newer_key PRIMARY KEY (id, valid_at WITHOUT OVERLAPS)
);
CREATE TABLE newer_part (
    id integer,
    valid_at daterange,
    other integer CONSTRAINT unsure CHECK (other > 0) NOT ENFORCED,
    later integer,
    FOREIGN KEY (id, PERIOD valid_at) REFERENCES newer (id, PERIOD valid_at)
);
ALTER TABLE newer_part ADD CONSTRAINT soon NOT NULL later NOT VALID;
ALTER TABLE newer_part ADD CONSTRAINT loose FOREIGN KEY (later) REFERENCES people (id) NOT ENFORCED;
COMMENT ON CONSTRAINT named ON newer IS 'c';
