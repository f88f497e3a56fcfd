-- A script deallocated statements that it did not prepare.
        RAISE EXCEPTION USING ERRCODE = 'KD010',
            MESSAGE = 'the script deallocated prepared statements of whoever uses the connection',
            HINT = 'take DEALLOCATE ALL out of it, or name the statement that it prepared';
