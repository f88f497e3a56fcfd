"""Rehearsals: the pending plan of a database, run on a clone of its schema, statement by statement.

The target is only read. The clone is a database of a throwaway server, or of one that the caller names.

==================  ========================================================================
``source``          reads the facts that a clone needs from the target
``clone``           makes the clone, and drops it at the end
``contents``        gives the clone the history of the target, and the statistics of its tables
``sample``          gives it a sample of rows, where the caller allows it
``pieces``          the statements of a plan, by transaction. Pure.
``sights``          the relations that a session has locked, rewritten and scanned
``scripts``         runs the statements on the clone, and looks after each
``old_queries``     tries the queries of the application before the plan and after each of its migrations
``query_values``    the values with which they are executed. Pure.
``outcomes``        the outcome of an execution, and the difference of two. Pure.
``placeholders``    numbers their placeholders. Pure.
``query_sources``   reads these queries from files, from programs and from the server
``js_literals``     the string literals of a program in JavaScript. Pure.
``failing``         asks the target whether its rows break what statements add
``pace``            measures the target for forecasts of seconds
``rehearsing``      a rehearsal from its begin to its end
==================  ========================================================================
"""
