"""The recipes of docs/recipes, run: the commands of each file as they stand, with the variables that it gives them."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import kimbledb
from kimbledb._embedded import programs
from kimbledb.server.address import NAMING
from kimbledb.testing.background import Background
from tests.support.databases import sql
from tests.support.folders import Folder
from tests.support.recipes import READ_ONLY, RECIPES, Machine, containers, document, unit
from tests.support.waiting import SLEEP, eventually, gate

ROOT = RECIPES.parent.parent
#: A test of the application, which the recipes of CI run.
TEST = """\
import kimbledb, pytest

@pytest.fixture(scope="session")
def kimbledb_catalog():
    return kimbledb.Catalog.from_directory("migrations")

def test_orders(kimbledb_database):
    assert kimbledb_database
"""
#: The programs that are not here, or must not do what they do.
STAND_INS = ("pip", "apt-get", "uvicorn")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, _kimbledb_background: Background) -> Path:
    """A project with two migrations and their declarations, and a test of its application."""
    project = tmp_path_factory.mktemp("recorded")
    folder = Folder(project / "migrations")
    folder.add(1, "orders", "CREATE TABLE orders (id integer PRIMARY KEY, total numeric NOT NULL);")
    folder.add(2, "paid", f"ALTER TABLE orders ADD COLUMN paid boolean NOT NULL DEFAULT false;\n{SLEEP}")
    _kimbledb_background.run(kimbledb.declare(folder.path))
    (project / "requirements.txt").write_text("kimbledb\n", encoding="utf-8")
    (project / "test_shop.py").write_text(TEST, encoding="utf-8")
    return project


@pytest.fixture
def machine(recorded: Path, tmp_path: Path) -> Machine:
    """A machine with the project, on which no database is named."""
    shutil.copytree(recorded, tmp_path / "project")
    (tmp_path / "programs").mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in ("KIMBLEDB_DSN", "DATABASE_URL", *NAMING)}
    path = os.pathsep.join((str(tmp_path / "programs"), os.environ.get("PATH", os.defpath)))
    environment = kept | {"PATH": path, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), *sys.path))}
    made = Machine(tmp_path / "project", tmp_path / "programs", environment)
    made.program("kimbledb", f'exec "{sys.executable}" -m kimbledb "$@"')
    made.program("pytest", f'exec "{sys.executable}" -m pytest -q -p no:cacheprovider "$@"')
    for name in STAND_INS:
        made.program(name, "exit 0")
    return made


async def is_current(dsn: str, machine: Machine) -> bool:
    """Return whether the schema of the recipes is as the project's migrations describe it."""
    catalog = kimbledb.Catalog.from_directory(machine.project / "migrations")
    return not (await kimbledb.plan(dsn, catalog=catalog, schema="shop")).pending


# Kubernetes.


@pytest.fixture
def pod(machine: Machine) -> Machine:
    """The machine with a file system that cannot be written, without a home, as a container of the manifests has it."""
    (machine.programs / "read_only.py").write_text(READ_ONLY, encoding="utf-8")
    machine.program("kimbledb", f'exec "{sys.executable}" -B "{machine.programs}/read_only.py" "$@"')
    machine.environment["HOME"] = "/"
    return machine


async def test_the_pods_of_a_rollout_wait_for_the_job(pod: Machine, database: str) -> None:
    """The init container waits until the Job has applied the migrations; neither of the two writes a file."""
    [job] = containers(document("kubernetes/migrate.yaml"))
    [init] = containers(document("kubernetes/deployment.yaml"), "initContainers")
    assert job.is_read_only
    assert init.is_read_only
    with pod.start(init.command, **dict.fromkeys(init.secrets, database)) as waiting:
        assert waiting.stdout is not None
        lines = iter(waiting.stdout.readline, "")
        while "another run is to apply 2 migrations" not in (line := await asyncio.to_thread(next, lines, "")):
            assert line

        code, out = await asyncio.to_thread(pod.run, job.command, **dict.fromkeys(job.secrets, database))

        rest, _ = await asyncio.to_thread(waiting.communicate)
    assert (code, waiting.returncode) == (0, 0), out + rest
    assert "applied 2 migrations" in out
    assert await is_current(database, pod)


async def test_a_job_that_is_stopped_leaves_nothing_of_a_migration(pod: Machine, database: str) -> None:
    """SIGTERM in the middle of a migration ends the Job with 143; the server rolls back, and the next Job goes on."""
    [job] = containers(document("kubernetes/migrate.yaml"))
    environment = dict.fromkeys(job.secrets, database)
    async with gate(database) as asleep:
        with pod.start(job.command, **environment) as process:
            session = await asleep()
            process.send_signal(signal.SIGTERM)
            out, _ = await asyncio.to_thread(process.communicate, timeout=60)

        async def gone() -> bool:
            return not await sql(database, f"SELECT count(*) FROM pg_stat_activity WHERE pid = {session}")

        await eventually(gone)
        history = await sql(database, "SELECT string_agg(migration_name, ' ') FROM shop.migration_history")
        columns = await sql(database, "SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders'")
    assert process.returncode == 143
    assert out.endswith("terminated; each migration is either whole and recorded, or absent\n")
    assert (history, columns) == ("orders.sql", 2)

    code, out = await asyncio.to_thread(pod.run, job.command, **environment)

    assert (code, await is_current(database, pod)) == (0, True), out


async def test_a_backup_in_a_pod_is_refused(pod: Machine, database: str) -> None:
    """Where no file can be written, a backup is refused with the reason, before any change."""
    [job] = containers(document("kubernetes/migrate.yaml"))
    command = [*job.command, "--backup", str(pod.project / "backup")]

    code, out = await asyncio.to_thread(pod.run, command, **dict.fromkeys(job.secrets, database))

    assert code == 1
    assert "Traceback" not in out
    # Another user may not reach the embedded programs, and finds those of the machine, if any.
    reasons = (
        r"no backup can be written into \S+: Read-only file system|there is no pg_dump here|every pg_dump here is older"
    )
    assert re.search(reasons, out), out
    assert not await sql(database, "SELECT to_regclass('shop.orders') IS NOT NULL")


# Compose.


async def test_the_services_of_compose(pod: Machine, database: str) -> None:
    """The health check and the migrations of Compose run with the variables that they get, in a read-only container."""
    services = document("compose/compose.yaml")["services"]
    where = urlsplit(database)
    assert services["migrate"]["environment"].keys() == {"PGHOST", "PGUSER", "PGDATABASE", "PGPASSWORD"}
    here = {
        "PGHOST": where.hostname or "",
        "PGPORT": str(where.port),
        "PGUSER": where.username or "",
        "PGPASSWORD": where.password or "",
        "PGDATABASE": where.path[1:],
    }
    library = programs().parent / "lib"
    pod.program("pg_isready", f'LD_LIBRARY_PATH="{library}" exec "{programs() / "pg_isready"}" "$@"')
    how, *check = services["db"]["healthcheck"]["test"]

    checked = await asyncio.to_thread(pod.run, check, PGPORT=here["PGPORT"])
    code, out = await asyncio.to_thread(pod.run, services["migrate"]["command"], **here)

    assert (how, checked[0]) == ("CMD", 0), checked[1]
    assert (code, await is_current(database, pod)) == (0, True), out


# systemd.


def test_systemd_takes_the_units(machine: Machine) -> None:
    """`systemd-analyze verify` finds nothing to say of the units, with the programs that they name in place."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    here = machine.project / "opt" / "shop"
    shutil.copytree(machine.programs, here / "venv" / "bin")
    for file in (RECIPES / "systemd").iterdir():
        text = file.read_text(encoding="utf-8").replace("/opt/shop", str(here))
        (machine.project / file.name).write_text(text, encoding="utf-8")

    code, out = machine.run(["systemd-analyze", "verify", "--man=no", "./shop.service", "./shop-migrate.service"])

    assert (code, out) == (0, "")


async def test_the_commands_of_the_units(machine: Machine, database: str) -> None:
    """The unit of the migrations applies them, and the application's waits for them."""
    for name, key in (("shop-migrate", "ExecStart"), ("shop", "ExecStartPre")):
        service = unit(f"systemd/{name}.service")["Service"]
        command = shlex.split(service[key].replace("/opt/shop/venv/bin/", ""))
        code, out = await asyncio.to_thread(machine.run, command, KIMBLEDB_DSN=database)
        assert code == 0, out
    assert await is_current(database, machine)


# GitHub and GitLab.


@pytest.fixture
def branch(machine: Machine) -> Machine:
    """The machine with a clone whose branch adds the second migration to the first one of `main`."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    origin, project = machine.project.parent / "origin", machine.project
    machine.environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": "2"}
    for number, (name, value) in enumerate({"user.name": "ann", "user.email": "ann@example.com"}.items()):
        machine.environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    code, out = machine.script(
        "git init --quiet --initial-branch=main && git add requirements.txt migrations/01_orders"
        f" && git commit --quiet -m first && git clone --quiet --bare . {shlex.quote(str(origin))}"
        f" && git remote add origin {shlex.quote(str(origin))}"
        " && git switch --quiet --create change && git add . && git commit --quiet -m second"
    )
    assert (code, out) == (0, "")
    assert project.is_dir()
    return machine


def _here(variables: Mapping[str, object], database: str, server: str) -> dict[str, str]:
    """Return the variables of a job, with the databases of this test in place of the service's."""
    assert {"KIMBLEDB_DSN", "KIMBLEDB_TEST_DSN"} <= variables.keys()
    return {
        **{name: str(value) for name, value in variables.items()},
        "KIMBLEDB_DSN": database,
        "KIMBLEDB_TEST_DSN": server,
    }


async def test_the_workflow_of_github(branch: Machine, database: str, server: str) -> None:
    """Each line of the workflow runs on a pull request, whose reader gets the plan."""
    job = document("github/migrations.yml")["jobs"]["check"]
    given = {"github.token": "secret", "github.event.pull_request.number": "7"}
    branch.program("gh", 'echo "$@" >> gh.log')
    here = _here(job["env"], database, server) | {
        "GITHUB_BASE_REF": "main",
        "GITHUB_STEP_SUMMARY": str(branch.project / "summary"),
    }

    for step in (each for each in job["steps"] if "run" in each):
        variables = {
            name: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: given[found[1]], value)
            for name, value in step.get("env", {}).items()
        }
        code, out = await asyncio.to_thread(branch.script, step["run"], **here, **variables)
        assert code == 0, f"{step['name']}\n{out}"

    assert "1 passed" in out
    assert "paid.sql" in (branch.project / "summary").read_text(encoding="utf-8")
    assert (branch.project / "gh.log").read_text(encoding="utf-8").startswith("pr comment 7 ")
    assert await is_current(database, branch)


async def test_an_edited_migration_fails_the_pull_request(branch: Machine, database: str, server: str) -> None:
    """A pull request that edits a migration of its base branch fails at the plan, with both checksums."""
    job = document("github/migrations.yml")["jobs"]["check"]
    script = branch.project / "migrations" / "01_orders" / "apply.sql"
    script.write_text("CREATE TABLE orders (id bigint PRIMARY KEY, total numeric NOT NULL);", encoding="utf-8")
    steps = {each["name"]: each["run"] for each in job["steps"] if "run" in each}
    here = _here(job["env"], database, server) | {"GITHUB_BASE_REF": "main"}

    before, said = await asyncio.to_thread(branch.script, steps["The base branch's migrations"], **here)
    code, out = await asyncio.to_thread(branch.script, steps["This branch can be applied after it"], **here)

    assert before == 0, said
    assert code == 1
    assert "edited after it was applied" in out


async def test_the_jobs_of_gitlab(branch: Machine, database: str, server: str) -> None:
    """GitLab's job calls kimbledb as the workflow of GitHub does, which is run; its other lines and the deployment run."""
    jobs = document("gitlab/gitlab-ci.yml")
    steps = document("github/migrations.yml")["jobs"]["check"]["steps"]
    lines = [line for step in steps for line in step.get("run", "").splitlines()]
    before, script = jobs[".kimbledb"]["before_script"], jobs["check"]["script"]
    here = _here(jobs["check"]["variables"], database, server) | {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    branch.program("pytest", "exit 0")
    assert _of_kimbledb(script) == _of_kimbledb(lines)
    assert jobs["check"]["artifacts"]["paths"] == ["plan.md"]

    code, out = await asyncio.to_thread(
        branch.script, "\n".join([*before, *(line for line in script if not _of_kimbledb([line]))]), **here
    )
    assert code == 0, out
    assert (branch.project.parent / "base" / "migrations").is_dir()

    code, out = await asyncio.to_thread(branch.script, "\n".join([*before, *jobs["deploy"]["script"]]), **here)
    assert (code, await is_current(database, branch)) == (0, True), out


def _of_kimbledb(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if line.startswith("kimbledb ")]


# pre-commit.


def test_the_hook_of_pre_commit(branch: Machine) -> None:
    """The hook passes where the declarations are in step, and fails with the cure where an edit left them behind."""
    shutil.copy(RECIPES / "pre-commit" / "local.yaml", branch.project / ".pre-commit-config.yaml")
    branch.environment |= {"PRE_COMMIT_HOME": str(branch.project.parent / "pre-commit")}
    command = f'git add . && "{sys.executable}" -m pre_commit run --all-files'

    code, out = branch.script(command)
    assert (code, "Passed" in out) == (0, True), out

    script = branch.project / "migrations" / "02_paid" / "apply.sql"
    script.write_text("ALTER TABLE orders ADD COLUMN paid date;", encoding="utf-8")
    code, out = branch.script(command)
    assert code == 1
    assert "paid.sql    out of step" in out
    assert "note: `kimbledb declare migrations` records what they do" in out
