"""The tools of this project, each run by a session of noxfile.py; ``python -m tools.NAME`` runs one without nox."""
