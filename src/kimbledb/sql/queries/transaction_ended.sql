-- A script ended its transaction.
        RAISE EXCEPTION USING ERRCODE = 'KD003',
            MESSAGE = 'the script ended the transaction that it was given',
            HINT = 'take COMMIT, ROLLBACK and procedures that commit out of it';
