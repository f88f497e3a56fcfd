"""Django: RunSQL in the migrations of an application, and the clones that its test runner makes, with psycopg 3."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .steps import Package, Step, timed, values

PACKAGE = Package(
    "Django",
    "django",
    ("python", "-m", "django", "--version"),
    ("django", "psycopg[binary]"),
    clones_beside="clones",
)

_MANAGE = """
import os
import sys

from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""
_SETTINGS = """
import os
from urllib.parse import urlsplit

_url = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _url.hostname,
        "PORT": _url.port,
        "USER": _url.username,
        "PASSWORD": _url.password,
        "NAME": _url.path[1:],
    }
}
INSTALLED_APPS = ["app"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
SECRET_KEY = "for a benchmark"
"""
_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = {dependencies!r}
    operations = [migrations.RunSQL({apply!r}, {rollback!r})]
"""


def write(folder: Path, steps: Sequence[Step]) -> None:
    """Write a project of one application."""
    migrations = folder / "app" / "migrations"
    migrations.mkdir(parents=True)
    (folder / "manage.py").write_text(_MANAGE)
    (folder / "settings.py").write_text(_SETTINGS)
    (folder / "app" / "__init__.py").touch()
    (migrations / "__init__.py").touch()
    before = ""
    for step in steps:
        name = f"{step.number:05}_{step.identifier}"
        dependencies = [("app", before)] if before else []
        (migrations / f"{name}.py").write_text(
            _MIGRATION.format(dependencies=dependencies, apply=step.apply, rollback=step.rollback)
        )
        before = name


def command(folder: Path, _dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("python", str(folder / "manage.py"), "migrate")


def status(folder: Path, _dsn: str) -> tuple[str, ...]:
    """Return the command line."""
    return ("python", str(folder / "manage.py"), "showmigrations")


def mark(_folder: Path, steps: Sequence[Step]) -> str:
    """Return the SQL."""
    rows = values((f"{step.number:05}_{step.identifier}",) for step in steps[1:])
    return f"INSERT INTO django_migrations (app, name, applied) SELECT 'app', name, now() FROM ({rows}) AS v (name)"


def migrate(folder: Path, _dsn: str, count: int) -> list[float]:
    """Migrate so many times."""
    _set_up(folder)
    from django.core.management import call_command
    from django.db import connections

    def apply() -> None:
        call_command("migrate", verbosity=0)
        connections.close_all()

    return [timed(apply) for _ in range(count)]


def clones(folder: Path, _dsn: str, count: int) -> list[float]:
    """Clone the database of a test run so many times, as the runner does for its workers; drop all of it."""
    _set_up(folder)
    from django.db import connection

    creation: Any = connection.creation
    own = connection.settings_dict["NAME"]
    creation.create_test_db(verbosity=0)
    taken = []
    for number in range(count):
        suffix = str(number)
        taken.append(timed(partial(creation.clone_test_db, suffix, verbosity=0)))
        creation.destroy_test_db(verbosity=0, suffix=suffix)
    creation.destroy_test_db(own, verbosity=0)
    return taken


def _set_up(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    import django

    django.setup()
