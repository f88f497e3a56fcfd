"""The recipes of docs/recipes: of the right shape, and with numbers that fit together."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from kimbledb.execution.command import ExitCode
from tests.support.recipes import RECIPES, containers, document, documents, instructions, seconds_of, unit

ROOT = RECIPES.parent.parent
MANIFESTS = sorted((RECIPES / "kubernetes").glob("*.yaml"))
#: The files that a schema of check-jsonschema describes, each with its arguments.
SCHEMAS = {
    "compose/compose.yaml": ("--builtin-schema", "vendor.compose-spec"),
    "github/migrations.yml": ("--builtin-schema", "vendor.github-workflows"),
    "gitlab/gitlab-ci.yml": ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}
#: Seconds before the first further attempt of a Job; each next one waits twice as long (Kubernetes, "Jobs").
PAUSE = 10


def _faults(module: str, *arguments: str) -> str:
    """Return what a program says of faults, or nothing."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("version", ["1.31", "1.37"])
@pytest.mark.parametrize("path", MANIFESTS, ids=[path.stem for path in MANIFESTS])
def test_a_manifest_is_as_kubernetes_has_it(path: Path, version: str) -> None:
    """Each manifest has the fields of its kind, and no other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a version that is nearly the asked one
        for each in documents(str(path)):
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("path", SCHEMAS)
def test_a_file_is_as_its_schema_says(path: str) -> None:
    """The files for Compose, GitHub and GitLab are valid by the schemas that these publish."""
    assert _faults("check_jsonschema", *SCHEMAS[path], str(RECIPES / path)) == ""


def test_pre_commit_takes_the_hook() -> None:
    """The hook of this repository and both ways to configure it are valid, and the two name the same command."""
    configurations = sorted((RECIPES / "pre-commit").glob("*.yaml"))
    assert _faults("pre_commit", "validate-manifest", ".pre-commit-hooks.yaml") == ""
    assert _faults("pre_commit", "validate-config", *map(str, configurations)) == ""

    [hook] = YAML(typ="safe").load(ROOT / ".pre-commit-hooks.yaml")
    [local] = document("pre-commit/local.yaml")["repos"]
    [remote] = document("pre-commit/pre-commit-config.yaml")["repos"]
    assert [remote["hooks"][0]["id"], local["hooks"][0]["id"]] == [hook["id"]] * 2
    assert local["hooks"][0]["entry"] == f"{hook['entry']} {' '.join(hook['args'])}"


def test_every_pod_runs_without_privileges() -> None:
    """Every container of Kubernetes and Compose is without root, capabilities and a file system to write to."""
    for name in ("migrate", "deployment"):
        pod = document(f"kubernetes/{name}.yaml")["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        for each in (*pod.get("initContainers", ()), *pod["containers"]):
            context = each["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert not context["allowPrivilegeEscalation"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert each["resources"]["limits"]["memory"]
    services = document("compose/compose.yaml")["services"]
    for each in (services["migrate"], services["app"]):
        assert (each["read_only"], each["cap_drop"]) == (True, ["ALL"])


def test_what_a_pod_reads_of_secrets_is_in_them() -> None:
    """Each secret that a container names, with its key, is among those that the recipe shows; the roles differ."""
    shown = {
        (each["metadata"]["name"], key) for each in documents("kubernetes/secrets.yaml") for key in each["stringData"]
    }
    [job] = containers(document("kubernetes/migrate.yaml"))
    [wait] = containers(document("kubernetes/deployment.yaml"), "initContainers")

    assert {*job.secrets.values(), *wait.secrets.values()} == shown
    assert job.secrets != wait.secrets


def test_the_limits_of_a_job_follow_from_each_other() -> None:
    """A Job has time for every attempt with its pauses, and does not repeat a call that is wrong."""
    spec = document("kubernetes/migrate.yaml")["spec"]
    [job] = containers(document("kubernetes/migrate.yaml"))
    attempts = spec["backoffLimit"] + 1
    pauses = sum(PAUSE * 2**number for number in range(spec["backoffLimit"]))

    assert spec["activeDeadlineSeconds"] > attempts * seconds_of(job.command) + pauses
    assert spec["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [ExitCode.MISUSED]
    assert spec["podFailurePolicy"]["rules"][0]["onExitCodes"]["containerName"] == "migrate"


def test_a_deadline_ends_before_what_is_around_it() -> None:
    """A deadline is shorter than the limit of the deployment, the unit or the job around it, so that its error is seen."""
    deployment = document("kubernetes/deployment.yaml")
    [wait] = containers(deployment, "initContainers")
    assert seconds_of(wait.command) < deployment["spec"]["progressDeadlineSeconds"]
    for file, key in (("shop-migrate", "ExecStart"), ("shop", "ExecStartPre")):
        service = unit(f"systemd/{file}.service")["Service"]
        assert seconds_of(shlex.split(service[key])) < int(service["TimeoutStartSec"])
    deploy = document("gitlab/gitlab-ci.yml")["deploy"]
    assert seconds_of(shlex.split(deploy["script"][-1])) < 60 * int(deploy["timeout"].split()[0])


def test_services_start_one_after_the_other() -> None:
    """In Compose the migrations wait for the database, and the application for the migrations."""
    services = document("compose/compose.yaml")["services"]

    assert services["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert services["app"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


def test_the_image_is_what_the_manifests_expect() -> None:
    """The image holds the folder that the commands name, runs as the manifests' user, and has no shell before the program."""
    found = instructions("Dockerfile")
    last = dict(found)
    [job] = containers(document("kubernetes/migrate.yaml"))
    pod = document("kubernetes/migrate.yaml")["spec"]["template"]["spec"]["securityContext"]

    assert ("COPY", "migrations migrations") in found[
        len(found) - [name for name, _ in reversed(found)].index("FROM") - 1 :
    ]
    assert job.command[job.command.index("--catalog") + 1] == "migrations"
    assert last["USER"] == f"{pod['runAsUser']}:{pod['runAsGroup']}"
    assert isinstance(json.loads(last["CMD"]), list)
