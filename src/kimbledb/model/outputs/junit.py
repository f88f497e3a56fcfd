"""JUnit XML: the output for a CI server, in the form that Jenkins, GitHub's and GitLab's reporters read."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from kimbledb.model.text import printable


class JUnitCase(NamedTuple):
    """One test case."""

    #: The suite that it belongs to.
    suite: str
    name: str
    seconds: float
    #: The failure, or None.
    message: str | None
    #: The reason why it was not tried, or None.
    skipped: str | None


def write(cases: Iterable[JUnitCase]) -> str:
    """Write cases as XML.

    Args:
        cases: The cases, those of a suite next to each other.
    """
    root = Element("testsuites", name="kimbledb")
    for name, some in itertools.groupby(cases, key=lambda case: case.suite):
        own = list(some)
        suite = SubElement(root, "testsuite", name=printable(name), tests=str(len(own)), errors="0")
        suite.set("failures", str(sum(case.message is not None for case in own)))
        suite.set("skipped", str(sum(case.skipped is not None for case in own)))
        suite.set("time", f"{sum(case.seconds for case in own):.3f}")
        for case in own:
            element = SubElement(suite, "testcase", classname=printable(name), name=printable(case.name))
            element.set("time", f"{case.seconds:.3f}")
            if case.message is not None:
                first, *_ = case.message.splitlines()
                SubElement(element, "failure", message=printable(first)).text = printable(case.message)
            elif case.skipped is not None:
                SubElement(element, "skipped", message=printable(case.skipped))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'
