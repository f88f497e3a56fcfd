"""PostgreSQL 15, 16, 17 and 18, wherever each is to be had, and the tests that run on all of them.

``nox -s servers`` runs the whole integration suite on each.
"""
