-- For look-ups without an index that has expressions among its columns.
CASE WHEN i.indpred IS NOT NULL THEN jsonb_build_object('where', {form:where}) END
