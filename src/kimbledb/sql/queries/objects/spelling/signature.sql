-- The name of an operator with its types.
regexp_replace(nullif({x}, 0)::regoperator::text, '\mNONE\M', '-')
