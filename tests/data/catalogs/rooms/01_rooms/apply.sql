CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
CREATE TABLE rooms (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    owner text NOT NULL DEFAULT current_user,
    name text NOT NULL,
    capacity smallint CHECK (capacity BETWEEN 1 AND 500),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT rooms_one_name UNIQUE (owner, name)
);
CREATE TRIGGER rooms_touch BEFORE UPDATE ON rooms FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE rooms ENABLE ROW LEVEL SECURITY;
CREATE POLICY rooms_own ON rooms USING (owner = current_user) WITH CHECK (owner = current_user);
