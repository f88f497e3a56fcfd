"""The pages that a newcomer reads first, as far as nothing runs them: install, front page, troubleshooting, FAQ, glossary."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache

import pytest

from kimbledb import Options, StepState, errors
from kimbledb.catalog.reading import MAX_FILE_BYTES
from kimbledb.cli.wording import in_the_shell
from tools.pages import DOCS, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: The questions of somebody in trouble, on the front page.
QUESTIONS = (
    "My migration failed half-way",
    "Two pods started at once",
    "I edited an applied file",
    "How do I undo last night?",
    "Is it safe behind PgBouncer?",
)
#: What stands in a quoted message between the texts of the code: numbers, names of the example, the server's words, punctuation.
VARYING = re.compile(
    r"""[\d.]*\d|\.\.\.|[;:,()"#=]|\w+\.sql|\b(?:orders(?:\.state)?|customers|shop|owner|psql|alembic_version|Alembic)\b"""
    r"""|idle in transaction|canceling statement due to lock timeout|\b(?:is either|call again|against|column|pid|it|by)\b"""
)


def text_of(page: str) -> str:
    """The text of a page."""
    return (DOCS / page).read_text(encoding="utf-8")


def requirements(extra: str) -> list[str]:
    """The names of the packages that an extra brings."""
    return [re.split(r"[>=<;]", each)[0].strip() for each in PROJECT["optional-dependencies"][extra]]


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.lower()))


@cache
def words_of_the_code() -> str:
    """All texts of the sources: strings, as they stand and in the words of the shell, and SQL."""
    found = [file.read_text(encoding="utf-8") for file in (ROOT / "src").rglob("*.sql")]
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found += [node.value, in_the_shell(node.value) or ""]
    return "\n".join(found)


def quotes(text: str) -> Iterator[str]:
    """The lines of a page's blocks without a language, which quote messages, and the phrases in its tables."""
    opened: str | None = None
    for line in text.splitlines():
        if line.startswith("```"):
            opened = None if opened is not None else line
        elif opened == "```":
            yield line
        elif opened is None:
            yield from re.findall(r"^\| `([^`]+)` \|", line)


def test_each_extra_is_explained() -> None:
    """The page about the installation names each extra, and the package that it brings."""
    text = text_of("install.md").partition("## Extras")[2].partition("\n## ")[0]
    items = text.split("\n- ")[1:]
    named = {name: item for item in items for name in re.findall(r"`(\w+)`", re.split(r" brings | are ", item)[0])}

    assert set(named) == set(PROJECT["optional-dependencies"])
    for extra in ("cli", "embedded", "otel", "testing"):
        packages = [name.removeprefix("kimbledb[").removesuffix("]") for name in requirements(extra)]
        assert [name for name in packages if f"`{name}`" not in named[extra].partition(":")[0]] == []


def test_the_requirements_are_those_of_the_package() -> None:
    """The page about the installation names the oldest Python, and each library that comes along."""
    text = text_of("install.md").partition("## With pip")[0]

    assert f"{PROJECT['requires-python'].removeprefix('>=')} or later" in text
    assert [name for each in PROJECT["dependencies"] if f"`{(name := each.partition('>')[0])}`" not in text] == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_of_trouble_is_answered_in_two_clicks(question: str) -> None:
    """The front page links each question to the heading that repeats it."""
    assert f"[{question}](troubleshooting.md#{slug(question)})" in text_of("index.md")
    assert f"\n## {question}\n" in text_of("troubleshooting.md")


def test_each_problem_links_its_error() -> None:
    """Troubleshooting links every error that a run of migrations raises."""
    linked = set(re.findall(r"\[`(\w+)`\]\(reference/errors\.md#(\w+)\)", text_of("troubleshooting.md")))
    by_name = {
        name: value for name, value in vars(errors).items() if isinstance(value, type) and name.endswith("Error")
    }

    assert [(name, anchor) for name, anchor in linked if name not in by_name or anchor != name.lower()] == []
    assert {name for name, _ in linked} >= {name for name in by_name if name in _OF_RUNS}


#: The errors that stop a run, apart from those of a folder with faults or of a call that is wrong.
_OF_RUNS = {
    "ChangedMigrationError", "RenamedMigrationError", "ConflictingObjectsError", "HazardError", "PlanChangedError",
    "PreflightError", "UnrecordedObjectsError", "ForeignHistoryError", "MigrationError", "VerificationError", "RollbackError",
    "DependentsError", "DataLossError", "LockUnavailableError", "DeadlineExceededError", "ConnectionLostError",
    "OutcomeUnknownError",
}  # fmt: skip


@pytest.mark.parametrize("line", sorted({*quotes(text_of("troubleshooting.md"))}))
def test_a_quoted_message_is_one_of_the_code(line: str) -> None:
    """Each message that troubleshooting quotes stands in the sources, apart from the names of the example."""
    pieces = [piece.strip() for piece in VARYING.split(line)]

    assert [piece for piece in pieces if len(piece) > 3 and piece not in words_of_the_code()] == []


@pytest.mark.parametrize("state", StepState)
def test_each_state_is_in_the_glossary(state: StepState) -> None:
    """The glossary explains each state of a plan."""
    assert re.search(rf"^- \*\*{state.value}\*\*: ", text_of("glossary.md"), re.MULTILINE)


def test_the_limits_in_the_faq_are_those_of_the_code() -> None:
    """The FAQ names the largest file, and the defaults of the time limits."""
    text, options = text_of("faq.md"), Options()

    assert f"A file may have {MAX_FILE_BYTES // 2**20} MiB." in text
    assert (options.statement_timeout, options.deadline, options.lock_timeout) == (300, 600, 2)
    assert "A statement has five minutes (`statement_timeout`), and a whole call ten (`--deadline`)" in text
    assert "for a lock for two seconds at most" in text


def test_the_glossary_is_sorted() -> None:
    """The words of each part of the glossary are in alphabetical order."""
    for part in text_of("glossary.md").split("\n## ")[1:]:
        words = re.findall(r"^- \*\*([^*]+)\*\*: ", part, re.MULTILINE)
        assert words == sorted(words)
        assert len(words) == part.count("\n- ")


def test_nothing_is_sent_elsewhere() -> None:
    """No module imports a client of HTTP, as the FAQ and the page about the installation promise."""
    assert "## Does it send telemetry?\n\nNo." in text_of("faq.md")
    clients = re.compile(
        r"^\s*(?:import|from)\s+(?:urllib\.request|urllib3|http\b|httpx|requests|aiohttp|smtplib|xmlrpc|ftplib)",
        re.MULTILINE,
    )

    assert [file for file in (ROOT / "src").rglob("*.py") if clients.search(file.read_text(encoding="utf-8"))] == []
