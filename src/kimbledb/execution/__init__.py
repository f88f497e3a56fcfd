"""How operations are carried out: the run, its plan, its transactions, its backup, and the place of an error."""
