-- In place of a long and rare query: a sign that it is needed raises an error, and the message is sent again with the
-- query.
        RAISE EXCEPTION USING ERRCODE = 'KD015', MESSAGE = 'this takes a closer look', DETAIL = {what}
