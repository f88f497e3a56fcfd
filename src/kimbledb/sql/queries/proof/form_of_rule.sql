(SELECT {form:rule} FROM {printing:rule})
