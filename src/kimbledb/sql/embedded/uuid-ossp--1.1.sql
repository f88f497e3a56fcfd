/*
 * kimbledb's stand-in for the extension uuid-ossp 1.1, for kimbledb's embedded
 * server only. The library of the real one needs libossp-uuid, which a machine
 * with nothing but Python does not have; these ten functions need nothing.
 *
 * Names, arguments, strictness, volatility and parallel safety are those of the
 * real extension, and so are the results of version 3 and version 5. Version 1
 * has no access to a network card's address: its node is made from the server's
 * own identifier and is marked as such by the multicast bit, as RFC 9562 asks.
 */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION ""uuid-ossp""" to load this file. \quit

CREATE FUNCTION uuid_nil() RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN '00000000-0000-0000-0000-000000000000'::uuid;

CREATE FUNCTION uuid_ns_dns() RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid;

CREATE FUNCTION uuid_ns_url() RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN '6ba7b811-9dad-11d1-80b4-00c04fd430c8'::uuid;

CREATE FUNCTION uuid_ns_oid() RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN '6ba7b812-9dad-11d1-80b4-00c04fd430c8'::uuid;

CREATE FUNCTION uuid_ns_x500() RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN '6ba7b814-9dad-11d1-80b4-00c04fd430c8'::uuid;

CREATE FUNCTION uuid_generate_v1() RETURNS uuid
LANGUAGE plpgsql VOLATILE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    -- units of 100 ns since 15 October 1582; the clock's unit is ten of them
    ticks bigint := (extract(epoch FROM moment) * 10000000)::bigint + 122192928000000000;
    pid integer := pg_backend_pid();
    node bytea := substr(decode(md5((SELECT system_identifier::text FROM pg_control_system())), 'hex'), 1, 6);
BEGIN
    -- What makes two values of one moment differ is the session's process id, in
    -- the clock sequence and the last digit of the time; and within a session no
    -- two have one moment, because each call waits until the clock has moved on.
    WHILE clock_timestamp() = moment LOOP
    END LOOP;
    ticks := ticks + ((pid >> 14) % 10);
    RETURN (
        lpad(to_hex(ticks & 0xffffffff), 8, '0')
        || lpad(to_hex((ticks >> 32) & 0xffff), 4, '0')
        || to_hex(((ticks >> 48) & 0x0fff) | 0x1000)
        || to_hex((pid & 0x3fff) | 0x8000)
        || encode(set_bit(node, 0, 1), 'hex')
    )::uuid;
END;
$$;

-- As version 1, with a node that is random in every value.
CREATE FUNCTION uuid_generate_v1mc() RETURNS uuid
LANGUAGE sql VOLATILE STRICT PARALLEL SAFE
RETURN encode(
    substr(uuid_send(uuid_generate_v1()), 1, 10)
    || set_bit(substr(uuid_send(gen_random_uuid()), 11), 0, 1),
    'hex'
)::uuid;

CREATE FUNCTION uuid_generate_v3(namespace uuid, name text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
    SELECT (
        substr(hex, 1, 12) || '3' || substr(hex, 14, 3)
        || translate(substr(hex, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab') || substr(hex, 18)
    )::uuid
    FROM md5(uuid_send(namespace) || convert_to(name, getdatabaseencoding())) AS hex
);

CREATE FUNCTION uuid_generate_v4() RETURNS uuid
LANGUAGE sql VOLATILE STRICT PARALLEL SAFE
RETURN gen_random_uuid();

-- SHA-1 (RFC 3174) is written out here because PostgreSQL has it in the extension
-- pgcrypto only. A word of 32 bits is kept in a bigint.
CREATE FUNCTION uuid_generate_v5(namespace uuid, name text) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    word CONSTANT bigint := 0xffffffff;
    message bytea := uuid_send(namespace) || convert_to(name, getdatabaseencoding());
    size bigint := length(message);
    at integer;
    w bigint[];
    x bigint;
    f bigint;
    a bigint;
    b bigint;
    c bigint;
    d bigint;
    e bigint;
    h0 bigint := 0x67452301;
    h1 bigint := 0xefcdab89;
    h2 bigint := 0x98badcfe;
    h3 bigint := 0x10325476;
    h4 bigint := 0xc3d2e1f0;
BEGIN
    message := message || '\x80' || decode(repeat('00', ((119 - size % 64) % 64)::integer), 'hex') || int8send(size * 8);
    FOR block IN 0 .. length(message) / 64 - 1 LOOP
        a := h0;
        b := h1;
        c := h2;
        d := h3;
        e := h4;
        w := array_fill(0::bigint, ARRAY[80], ARRAY[0]);
        FOR t IN 0 .. 79 LOOP
            IF t < 16 THEN
                at := block * 64 + t * 4;
                x := (get_byte(message, at)::bigint << 24) | (get_byte(message, at + 1) << 16)
                    | (get_byte(message, at + 2) << 8) | get_byte(message, at + 3);
            ELSE
                x := w[t - 3] # w[t - 8] # w[t - 14] # w[t - 16];
                x := ((x << 1) | (x >> 31)) & word;
            END IF;
            w[t] := x;
            IF t < 20 THEN
                f := ((b & c) | ((b # word) & d)) + 0x5a827999;
            ELSIF t < 40 THEN
                f := (b # c # d) + 0x6ed9eba1;
            ELSIF t < 60 THEN
                f := ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
            ELSE
                f := (b # c # d) + 0xca62c1d6;
            END IF;
            x := ((((a << 5) | (a >> 27)) & word) + f + e + x) & word;
            e := d;
            d := c;
            c := ((b << 30) | (b >> 2)) & word;
            b := a;
            a := x;
        END LOOP;
        h0 := (h0 + a) & word;
        h1 := (h1 + b) & word;
        h2 := (h2 + c) & word;
        h3 := (h3 + d) & word;
        h4 := (h4 + e) & word;
    END LOOP;
    RETURN (
        lpad(to_hex(h0), 8, '0')
        || lpad(to_hex((h1 & 0xffff0fff) | 0x5000), 8, '0')
        || to_hex((h2 & 0x3fffffff) | 0x80000000)
        || lpad(to_hex(h3), 8, '0')
    )::uuid;
END;
$$;
