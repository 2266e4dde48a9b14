"""Rulings as JUnit XML, which continuous integration shows: a test case per number.

https://github.com/testmoapp/junitxml describes what its readers take.
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from equipoise.gate.gate import Ruling
from equipoise.report.formatting import visible


def junit_xml(rulings: Sequence[Ruling]) -> str:
    """The document; characters that XML forbids are shown as `visible` shows them."""
    failures = sum(not ruling.holds for ruling in rulings)
    counts = {"tests": str(len(rulings)), "failures": str(failures), "errors": "0"}
    root = Element("testsuites", counts)
    suite = SubElement(root, "testsuite", {"name": "equipoise check", **counts})
    properties = SubElement(suite, "properties")
    for model in dict.fromkeys(ruling.model for ruling in rulings):
        SubElement(properties, "property", {"name": "model", "value": visible(model)})
    for ruling in rulings:
        name = f"{visible(ruling.requirement)}: {ruling.name}"
        case = SubElement(
            suite, "testcase", {"classname": visible(ruling.benchmark), "name": name, "time": "0"}
        )
        if not ruling.holds:
            failure = {"message": ruling.sentence, "type": ruling.state}
            SubElement(case, "failure", failure).text = ruling.sentence
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'
