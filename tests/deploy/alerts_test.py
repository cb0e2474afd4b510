"""Every alert has a case that fires, one that comes close and must not, and a section that says what to do.

alerts_test.py DEPLOY ...      the folder deploy/; promtool runs the cases themselves
"""

import re
import sys
import unittest
from pathlib import Path

import yaml

DEPLOY = Path(sys.argv[1])
RULES = [
    x
    for group in yaml.safe_load((DEPLOY / "prometheus/rules/alerts.yml").read_text())["groups"]
    for x in group["rules"]
]
CASES = yaml.safe_load((Path(__file__).parent / "alerts_test.yml").read_text())["tests"]


def tried(name_begins: str, fires: bool) -> set[str]:
    return {
        x["alertname"]
        for case in CASES
        if case["name"].startswith(name_begins)
        for x in case.get("alert_rule_test", [])
        if bool(x["exp_alerts"]) == fires
    }


class AlertsTest(unittest.TestCase):
    def test_each_has_a_case_that_fires_one_that_is_close_and_one_that_is_idle(self):
        alerts = {x["alert"] for x in RULES}
        self.assertGreaterEqual(len(alerts), 12)
        self.assertEqual(tried("each alert fires", True), alerts)
        self.assertEqual(tried("busy and close to every limit", False), alerts)
        self.assertEqual(tried("an idle server", False), alerts)

    def test_each_says_how_bad_it_is_and_where_to_read_on(self):
        operations = (DEPLOY.parent / "docs/operations.md").read_text()
        anchors = {
            re.sub(r"[^a-z0-9 -]", "", x.lower()).replace(" ", "-") for x in re.findall(r"^#+ (.*)$", operations, re.M)
        }
        for rule in RULES:
            with self.subTest(rule["alert"]):
                self.assertIn(rule["labels"]["severity"], ("critical", "warning"))
                file, anchor = rule["annotations"]["runbook"].split("#")
                self.assertEqual(file, "docs/operations.md")
                self.assertIn(anchor, anchors)
                self.assertTrue(rule["annotations"]["summary"] and rule["annotations"]["description"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
