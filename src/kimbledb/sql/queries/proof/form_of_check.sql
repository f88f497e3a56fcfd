-- Where no exclusion constraint is looked for.
CASE held.contype WHEN 'c' THEN {form:check} END
