-- A database from before with few tables and few columns: what is missing comes as
-- text beside ids that are still uuid, and everything between the two has to wait.
CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email text);
CREATE TABLE projects (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, owner_id uuid REFERENCES users (id));
CREATE TABLE conversations (id uuid PRIMARY KEY, user_id uuid REFERENCES users (id), title text);
CREATE TABLE messages (id uuid PRIMARY KEY, conversation_id uuid REFERENCES conversations (id), role text, content text);
CREATE TABLE categories (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
CREATE TABLE audio_transcriptions (id uuid PRIMARY KEY, user_id uuid, filename text);
CREATE TABLE api_cost_tracking (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid, cost_usd numeric(10,6) NOT NULL);
INSERT INTO users (id, email) SELECT md5('user' || n)::uuid, n || '@example.org' FROM generate_series(1, 20) n;
INSERT INTO projects (id, name, owner_id) SELECT md5('project' || n)::uuid, 'Project ' || n, md5('user' || n % 20 + 1)::uuid FROM generate_series(1, 50) n;
INSERT INTO conversations SELECT md5('conversation' || n)::uuid, md5('user' || n % 20 + 1)::uuid, 'Conversation ' || n FROM generate_series(1, 500) n;
INSERT INTO messages SELECT md5('message' || n)::uuid, md5('conversation' || n % 500 + 1)::uuid, 'user', 'Message ' || n FROM generate_series(1, 2000) n;
INSERT INTO categories (name) SELECT 'Category ' || n FROM generate_series(1, 5) n;
INSERT INTO audio_transcriptions SELECT md5('audio' || n)::uuid, md5('user' || n % 20 + 1)::uuid, n || '.m4a' FROM generate_series(1, 50) n;
INSERT INTO api_cost_tracking (user_id, cost_usd) SELECT md5('user' || n % 20 + 1)::uuid, n / 100.0 FROM generate_series(1, 300) n;
