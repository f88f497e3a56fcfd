"""Pure: from a catalog, evidence and a wish to a plan, hazards and drift."""
