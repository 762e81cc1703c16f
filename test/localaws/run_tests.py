"""Runs the Python tests of the local AWS; localaws_test.go starts it.

AWS_ENDPOINT_URL must say where a server listens. One line of JSON per test:
{"test": NAME, "outcome": "ok" | "failed" | "skipped", "detail": TEXT}
"""

from __future__ import annotations

import json
import os
import sys
import unittest
from typing import Any


class Report(unittest.TestResult):
    """Prints each outcome as it comes."""

    def say(self, test: unittest.TestCase, outcome: str, detail: str = "") -> None:
        line = {"test": test.id(), "outcome": outcome, "detail": detail}
        print(json.dumps(line), flush=True)

    def addSuccess(self, test: Any) -> None:  # noqa: N802
        self.say(test, "ok")

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self.say(test, "failed", self.failures[-1][1])

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self.say(test, "failed", self.errors[-1][1])

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self.say(test, "skipped", reason)

    def addExpectedFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        self.say(test, "skipped", "an expected failure counts as a skip")


def main() -> int:
    here = os.path.dirname(os.path.abspath(__file__))
    suite = unittest.defaultTestLoader.discover(here, "test_*.py")
    report = Report()
    suite.run(report)
    return 0 if report.wasSuccessful() and not report.skipped else 1


if __name__ == "__main__":
    sys.exit(main())
