-- The settings of each transaction of the rendered file. An editor sends the whole file in one message, which is read
-- before any of its settings applies.
BEGIN
    IF current_setting('standard_conforming_strings') <> 'on' THEN
        RAISE EXCEPTION 'standard_conforming_strings is off: the server reads this file otherwise than it is meant'
            USING HINT = 'SET standard_conforming_strings = on; then run the file again';
    END IF;
    PERFORM set_config(name, value, true)
    FROM (VALUES {values}) AS pinned (name, value)
    WHERE current_setting(name, true) <> value;
END
