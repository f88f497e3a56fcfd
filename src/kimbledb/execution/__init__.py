"""Carrying out an operation: the run, its plan, its transactions, its backup, and the location of an error.

A migration passes through these files, in this order:

1. ``run``: the request of the call, and the run that outlives lost connections.
2. ``load_plan``: from the database to the plan.
3. ``applying`` or ``rolling_back``: refuse the plan or carry it out, one step after the other. A rollback measures its
   losses first (``try_run``).
4. ``backup``: a copy of the database before the first change, if the caller wants one.
5. ``bootstrap`` with ``history_tables``: the schema, the extensions and the tables of history.
6. ``work``: one script of one migration, and how its transaction ends.
7. ``messages`` and ``transaction``: the text of the transaction, and its way to the server and back.
8. ``nontransactional``: a script that must run outside of a transaction, statement by statement
   (``script_statement``, ``statement_log``, ``statement_runner``), and its ``leftovers``.
9. ``step_errors``: the meaning of a server's error for the step; ``error_location``, ``located_error``
   and ``cures``: its line, its caret and its cure; ``apply_errors``: the error that the caller gets.

``command`` is the contract between the command line and the file of an operation.
"""
