-- Whether a setting is a path that begins with the target schema. The rest of it depends on where extensions are.
{x} LIKE 'search\_path=%' AND split_part(substr({x}, 13), ',', 1) = quote_ident({schema})
