-- A hundred people with {rows} conversations, messages, costs and pieces of knowledge, of which the
-- first {embedded} have an embedding.
INSERT INTO users (id) SELECT 'person_' || n FROM generate_series(1, 100) AS n;
INSERT INTO conversations (id, user_id, updated_at)
SELECT 'c' || n, 'person_' || 1 + n % 100, now() - n * interval '1 minute' FROM generate_series(1, {rows}) AS n;
INSERT INTO messages (conversation_id, user_id, role, content, created_at)
SELECT 'c' || 1 + n % ({rows} / 10), 'person_' || 1 + (1 + n % ({rows} / 10)) % 100, 'user', 'hello', now() - n * interval '1 minute'
FROM generate_series(1, {rows}) AS n;
INSERT INTO api_cost_tracking (user_id, provider, model, cost_usd, "timestamp")
SELECT 'person_' || 1 + n % 100, 'openai', 'gpt', 0.01, now() - n * interval '1 minute' FROM generate_series(1, {rows}) AS n;

-- Each embedding is the sum of two of 200 others. The index is made when all are there, which takes less.
CREATE TEMPORARY TABLE directions AS
SELECT n, (SELECT array_agg(sin(n * d))::real[] FROM generate_series(1, 1536) AS d)::vector AS direction
FROM generate_series(1, 200) AS n;
DROP INDEX idx_knowledge_base_embedding;
INSERT INTO knowledge_base (user_id, title, content, embedding)
SELECT 'person_' || 1 + piece % 100, 'title ' || piece, 'words ' || piece, one.direction + other.direction
FROM generate_series(1, {rows}) AS piece
LEFT JOIN directions AS one ON one.n = 1 + piece % 97 AND piece <= {embedded}
JOIN directions AS other ON other.n = 100 + piece / 97 % 101;
SET maintenance_work_mem = '512MB';
CREATE INDEX idx_knowledge_base_embedding ON knowledge_base USING hnsw (embedding vector_cosine_ops);
RESET maintenance_work_mem;
DROP TABLE directions;

-- A role for people, who come by their policies.
CREATE ROLE {role};
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {role};
