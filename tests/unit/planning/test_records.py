from __future__ import annotations

from kimbledb.model.evidence import KeptObject
from kimbledb.model.forms import Forms, Origin, RecordedForms
from kimbledb.model.migration import Migration
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.records import Made, Records
from tests.support import declared

HERE = Origin(180001, 1, 100)
ELSEWHERE = Origin(180001, 1, 99)
CHECK = "constraint t.c"
KEY = ("constraint", "t.c")
ONE = declared.migration(1, declared.statement(creates={"table t": {}, CHECK: {"check": "v IN ('a')"}}))


def records(
    check: str,
    form: str = "live",
    *,
    recorded: RecordedForms | None = None,
    migrations: tuple[Migration, ...] = (ONE,),
    kept: bool = False,
) -> Records:
    """The records of a database in which the check reads so, and has this form."""
    found: Snapshot = declared.snapshot({"table t": {}, CHECK: {"check": check}}, {CHECK: form})
    forms = Forms(HERE, {} if recorded is None else {"1.sql": recorded})
    own = {KEY: KeptObject(found.objects[KEY], ("1.sql",))} if kept else None
    return Records(migrations, found, forms, hosted=False, kept=own)


def made(first: str | None, second: str | None = None) -> Made:
    """The forms that this server gives to the check by its statement, and once its own text was fed back."""
    return Made({"1.sql": {} if first is None else {KEY: first}}, {} if second is None else {KEY: second})


def test_an_expression_that_reads_as_declared_is_its_own_form() -> None:
    """No statement is run where the declared text is found."""
    same = records("v IN ('a')")

    assert same.undecided == []
    assert same.made(Made()) == {"1.sql": RecordedForms(HERE, {KEY: "live"})}


def test_an_expression_that_reads_otherwise_is_decided_by_its_statement() -> None:
    """The form is right if the original statement gives it here, and else the statement's form is recorded: it drifted."""
    other = records("v = 'a'")

    assert [item.key for item in other.undecided] == [KEY]
    assert not other.fed_back(made("live"))
    assert other.made(made("live"))["1.sql"].forms == {KEY: "live"}
    assert other.fed_back(made("first"))
    assert other.made(made("first", "third"))["1.sql"].forms == {KEY: "first"}


def test_an_expression_that_was_fed_back_is_right() -> None:
    """The form that the server's own text gets is recorded where it is found."""
    assert records("v = 'a'").made(made("first", "live"))["1.sql"].forms == {KEY: "live"}


def test_what_cannot_be_run_has_no_form() -> None:
    """Without the form by its statement nothing is recorded of an object, and its second form proves nothing."""
    other = records("v = 'a'")

    assert not other.fed_back(made(None))
    assert other.made(made(None, "live")) == {"1.sql": RecordedForms(HERE)}


def test_without_a_scratch_schema_what_is_undecided_gets_no_record() -> None:
    """A migration whose objects all read as declared gets its record; one with an undecided object stays without."""
    assert records("v = 'a'").made(None) == {}
    assert records("v IN ('a')").made(None) == {"1.sql": RecordedForms(HERE, {KEY: "live"})}


def test_a_record_from_here_is_not_made_anew() -> None:
    """A record of this server and database stays, whatever is found."""
    there = records("v = 'a'", recorded=RecordedForms(HERE, {KEY: "recorded"}))

    assert there.undecided == []
    assert there.made(made("first")) == {}


def test_a_record_from_elsewhere_is_made_anew() -> None:
    """An equal form of another database is right without any statement; another one proves nothing."""
    assert records("v = 'a'", recorded=RecordedForms(ELSEWHERE, {KEY: "live"})).undecided == []
    assert len(records("v = 'a'", recorded=RecordedForms(ELSEWHERE, {KEY: "dumped"})).undecided) == 1


def test_what_keeps_its_own_form_is_recorded_so() -> None:
    """An object from before kimbledb is recorded as it is, with its facts, also when its record is renewed."""
    facts = {"check": "v = 'b'"}
    own = RecordedForms(HERE, {KEY: "live"}, {KEY: facts})

    assert records("v = 'b'", kept=True).made(Made()) == {"1.sql": own}
    renewed = records("v = 'b'", recorded=RecordedForms(ELSEWHERE, {KEY: "old"}, {KEY: facts}))
    assert renewed.undecided == []
    assert renewed.made(Made()) == {"1.sql": own}


def test_an_object_is_recorded_by_the_migration_that_formed_it_last() -> None:
    """A later migration's change moves the form into its record, under the name that it gives the object."""
    two = declared.migration(
        2,
        declared.statement(renames={"table t": "u"}, changes={"constraint u.c": {"check": "v IN ('b')"}}),
    )
    found: Snapshot = declared.snapshot(
        {"table u": {}, "constraint u.c": {"check": "v IN ('b')"}}, {"constraint u.c": "live"}
    )
    both = Records((ONE, two), found, Forms(HERE), hosted=False)

    assert both.made(Made()) == {
        "1.sql": RecordedForms(HERE),
        "2.sql": RecordedForms(HERE, {("constraint", "u.c"): "live"}),
    }


def test_a_missing_object_is_not_run_for() -> None:
    """An object that does not exist asks for no scratch schema."""
    gone = Records((ONE,), declared.snapshot({"table t": {}}), Forms(HERE), hosted=False)

    assert gone.undecided == []
    assert gone.made(Made()) == {"1.sql": RecordedForms(HERE)}
