-- In place of a long question that is seldom asked, where a sign calls for it: the message comes again with the question.
        RAISE EXCEPTION USING ERRCODE = 'KD015', MESSAGE = 'this takes a closer look', DETAIL = {what}
