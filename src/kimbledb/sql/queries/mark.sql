-- Before one of several scripts of a message: a run-time error names no place.
BEGIN
    RAISE INFO USING ERRCODE = 'KD105', MESSAGE = '{number}';
END
