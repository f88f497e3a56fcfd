(SELECT {form:index} FROM {printing:index})
