(SELECT {form:trigger} FROM {printing:trigger})
