CREATE SEQUENCE receipt_numbers START 1000;
CREATE TABLE receipts (
    number bigint PRIMARY KEY DEFAULT nextval('receipt_numbers'),
    body jsonb NOT NULL CHECK (jsonb_typeof(body) = 'object')
);
CREATE FUNCTION capacity_of(room uuid) RETURNS smallint STABLE
BEGIN ATOMIC
    SELECT capacity FROM rooms WHERE id = room;
END;
CREATE STATISTICS rooms_owner_name ON owner, name FROM rooms;
CREATE RULE receipts_stay AS ON DELETE TO receipts DO INSTEAD NOTHING;
COMMENT ON COLUMN receipts.body IS 'What was paid for';
