-- The expressions of the objects with the wanted names.
CASE WHEN {x} = ANY ({printed}) THEN {form} END
