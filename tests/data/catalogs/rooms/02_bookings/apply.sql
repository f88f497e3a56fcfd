CREATE TABLE bookings (
    room_id uuid NOT NULL REFERENCES rooms ON DELETE CASCADE,
    day date NOT NULL,
    hours int4range NOT NULL,
    price numeric(8, 2) NOT NULL DEFAULT 0,
    PRIMARY KEY (room_id, day, hours)
) PARTITION BY RANGE (day);
CREATE TABLE bookings_2025 PARTITION OF bookings FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE bookings_later PARTITION OF bookings DEFAULT;
CREATE INDEX bookings_day ON bookings (day);
ALTER TABLE bookings ENABLE ROW LEVEL SECURITY;
CREATE POLICY bookings_own ON bookings
    USING (EXISTS (SELECT FROM rooms WHERE rooms.id = room_id AND rooms.owner = current_user));
