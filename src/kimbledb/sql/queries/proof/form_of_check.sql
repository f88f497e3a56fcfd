-- For look-ups without an exclusion constraint.
CASE held.contype WHEN 'c' THEN {form:check} END
