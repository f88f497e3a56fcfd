CREATE VIEW constants AS VALUES (1, 'one'), (2, 'two');
DROP VIEW named;
CREATE VIEW named AS SELECT p.id, p.name AS title FROM people AS p WHERE p.born IS NOT NULL;
ALTER TABLE long_notes ADD COLUMN more text;
ALTER TABLE events RENAME COLUMN rooms TO room;
ALTER TABLE people DROP CONSTRAINT people_nick;
ALTER TABLE people ALTER COLUMN born DROP DEFAULT;
ALTER TABLE people DROP COLUMN nick;
ALTER TYPE mood RENAME VALUE 'middling' TO 'fair';
