ALTER TYPE mood RENAME VALUE 'fair' TO 'middling';
ALTER TABLE people ADD COLUMN nick text;
ALTER TABLE people ALTER COLUMN born SET DEFAULT '2000-01-01';
ALTER TABLE people ADD CONSTRAINT people_nick CHECK (nick <> ALL (ARRAY['root', 'admin']) AND nick NOT LIKE '%''%');
ALTER TABLE events RENAME COLUMN room TO rooms;
ALTER TABLE long_notes DROP COLUMN more;
CREATE OR REPLACE VIEW named AS SELECT p.id, p.name AS title, p.nick FROM people AS p WHERE p.born > '1900-01-01';
DROP VIEW constants;
