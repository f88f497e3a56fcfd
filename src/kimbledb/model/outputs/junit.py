"""JUnit XML: the output for a CI server, in the form that Jenkins, GitHub's and GitLab's reporters read."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

from kimbledb.model.text import printable

if TYPE_CHECKING:
    from kimbledb.model.catalog_report import CatalogCase


def write(cases: Iterable[CatalogCase]) -> str:
    """Write cases as XML, a suite for each migration.

    Args:
        cases: The cases, those of a migration next to each other.
    """
    root = Element("testsuites", name="kimbledb")
    for migration, some in itertools.groupby(cases, key=lambda case: case.migration):
        own = list(some)
        suite = SubElement(root, "testsuite", name=migration, tests=str(len(own)), errors="0")
        suite.set("failures", str(sum(case.message is not None for case in own)))
        suite.set("skipped", str(sum(case.skipped is not None for case in own)))
        suite.set("time", f"{sum(case.seconds for case in own):.3f}")
        for case in own:
            name = f"{case.kind}{f' {case.detail}' if case.detail else ''} ({case.platform})"
            element = SubElement(suite, "testcase", classname=migration, name=name, time=f"{case.seconds:.3f}")
            if case.message is not None:
                first, *_ = case.message.splitlines()
                SubElement(element, "failure", message=printable(first)).text = printable(case.message)
            elif case.skipped is not None:
                SubElement(element, "skipped", message=printable(case.skipped))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'
