"""The files of GitHub and Read the Docs, and what a release needs: by their schemas, and in step with the sessions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from ruamel.yaml import YAML

from kimbledb.version import __version__
from tools import release

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
#: Each file with the name of the schema that describes it.
SCHEMAS = {
    **{path.relative_to(ROOT).as_posix(): "github-workflows" for path in WORKFLOWS},
    ".github/ISSUE_TEMPLATE/bug.yml": "github-issue-forms",
    ".github/ISSUE_TEMPLATE/feature.yml": "github-issue-forms",
    ".github/ISSUE_TEMPLATE/config.yml": "github-issue-config",
    ".github/dependabot.yml": "dependabot",
    ".readthedocs.yaml": "readthedocs",
}
SESSIONS = set(re.findall(r"^@nox\.session.*\ndef (\w+)\(", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE))


def read(path: str) -> Any:
    """A file of YAML, by YAML 1.2, in which `on` is a text."""
    return json.loads(json.dumps(YAML(typ="safe").load((ROOT / path).read_text("utf-8"))))


def steps() -> Iterator[dict[str, Any]]:
    """Each step of each workflow."""
    for path in WORKFLOWS:
        for job in read(str(path))["jobs"].values():
            yield from job["steps"]


@pytest.mark.parametrize("path", SCHEMAS)
def test_a_file_is_as_its_schema_says(path: str) -> None:
    """Workflows, forms of issues and settings of services are valid by the schemas that these publish."""
    jsonschema.validate(read(path), get_builtin_schema(f"vendor.{SCHEMAS[path]}"))


def test_every_named_session_exists() -> None:
    """Each session that a workflow or Read the Docs calls is one of noxfile.py."""
    texts = [path.read_text("utf-8") for path in (*WORKFLOWS, ROOT / ".readthedocs.yaml")]
    named = {name for text in texts for name in re.findall(r"nox -s (\w+)", text)}
    nightly = read(".github/workflows/nightly.yml")["jobs"]["long"]["strategy"]["matrix"]["run"]

    assert named
    assert named | {each.split()[0] for each in nightly} <= SESSIONS


def test_actions_are_named_with_a_version() -> None:
    """No workflow uses an action by its branch."""
    used = [step["uses"] for step in steps() if "uses" in step]

    assert used
    assert [each for each in used if not re.fullmatch(r"[\w./-]+@v\d[\w.]*", each)] == []


def test_a_workflow_may_only_read() -> None:
    """What a workflow may do is to read the repository; a job that needs more names it."""
    assert {json.dumps(read(str(path))["permissions"]) for path in WORKFLOWS} == {'{"contents": "read"}'}


def test_only_a_job_of_its_environment_publishes() -> None:
    """A job that uploads to an index has an environment, which can demand an approval, and nothing but that right."""
    jobs = read(".github/workflows/release.yml")["jobs"]
    publishing = [job for job in jobs.values() if any("pypi-publish" in step.get("uses", "") for step in job["steps"])]

    assert [job["environment"]["name"] for job in publishing] == ["testpypi", "pypi"]
    assert [job["permissions"] for job in publishing] == [{"id-token": "write"}] * 2


def test_the_files_name_the_version() -> None:
    """The version that is released has its section in the changelog, and pages that name a version name this one."""
    assert list(release.faults(f"v{__version__}")) == []


def test_another_tag_is_refused() -> None:
    """A tag that is not the version of the files is no release."""
    [fault] = release.faults("v99.0.0")

    assert "v99.0.0" in fault
    assert __version__ in fault
