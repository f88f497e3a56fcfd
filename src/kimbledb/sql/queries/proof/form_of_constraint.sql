(SELECT {form:constraint} FROM {printing:constraint})
