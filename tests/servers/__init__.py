"""PostgreSQL 15, 16, 17 and 18, wherever each is to be had, and the tests that run on all of them.

The default run takes the oldest and the newest; ``nox -s servers`` takes each, and runs the whole integration suite on it.
"""
