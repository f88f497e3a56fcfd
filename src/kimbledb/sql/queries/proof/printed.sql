-- The expressions of an object whose name is among those that are wanted.
CASE WHEN {x} = ANY ({printed}) THEN {form} END
