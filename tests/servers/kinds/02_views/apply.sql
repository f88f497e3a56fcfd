-- Of one table: version 15 names the table before each column.
CREATE VIEW names AS SELECT id, name, upper(name) AS loud FROM people WHERE feels <> 'bad' ORDER BY name;
CREATE VIEW named AS SELECT p.id, p.name AS title FROM people AS p WHERE p.born IS NOT NULL;
CREATE VIEW sellers WITH (security_invoker = true, security_barrier = true) AS
    SELECT * FROM people WHERE kind IN ('seller', 'both') WITH LOCAL CHECK OPTION;
-- Of several.
CREATE VIEW owed AS
    SELECT p.id, p.name, coalesce(sum(i.total) FILTER (WHERE NOT i.paid), 0::numeric) AS open, count(*) AS invoices
    FROM people AS p LEFT JOIN invoices AS i ON i.person = p.id
    GROUP BY p.id, p.name HAVING count(*) > 0;
CREATE VIEW joined AS SELECT * FROM people JOIN LATERAL (SELECT i.day, i.total FROM invoices AS i WHERE i.person = people.id LIMIT 3) AS l ON true;
CREATE VIEW using_columns AS SELECT person, i.day, o."select" FROM invoices AS i JOIN "Odd Names" AS o USING (person);
-- A view of views, with everything that a query can hold.
CREATE VIEW ranked AS
    WITH RECURSIVE steps (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM steps WHERE n < 3),
    best AS (SELECT id, open, rank() OVER (PARTITION BY open > 100 ORDER BY open DESC) AS place FROM owed)
    SELECT b.id, b.place, s.n,
           CASE WHEN b.open > 1000 THEN 'large' WHEN b.open BETWEEN 10 AND 1000 THEN 'fair' ELSE 'small' END AS size,
           (SELECT n.name FROM names AS n WHERE n.id = b.id) AS name,
           EXISTS (SELECT FROM sellers WHERE sellers.id = b.id) AS sells,
           ARRAY(SELECT DISTINCT t FROM people, unnest(tags) AS t WHERE people.id = b.id) AS tags,
           extract(year FROM now()) AS year
    FROM best AS b CROSS JOIN steps AS s
    WHERE b.place <= 10
    UNION
    SELECT id, 0, 0, NULL, name, false, '{}', 0 FROM names
    ORDER BY 1, 2;
CREATE MATERIALIZED VIEW totals AS
    SELECT date_trunc('month', day) AS month, GROUPING(paid) AS all_of_it, paid, sum(total) AS total
    FROM invoices GROUP BY GROUPING SETS ((date_trunc('month', day), paid), (date_trunc('month', day)));
CREATE UNIQUE INDEX totals_by_month ON totals (month, all_of_it, paid);
CREATE MATERIALIZED VIEW empty_one AS SELECT id FROM names WITH NO DATA;
CREATE VIEW constants AS VALUES (1, 'one'), (2, 'two');
