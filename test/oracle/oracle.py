"""Holds `keywatch sla report` to a second reckoning, made from the documents alone.

    python oracle.py SEED…            the months of these seeds; 1-150 are as many
    python oracle.py bounds           months exactly at the bounds of the tiers

--keywatch is the program, bin/keywatch of the repository by default, and --keep a folder
in which the logs stay to be looked at. One line of JSON for each month:
{"month": NAME, "differences": [TEXT], "kinds": {KIND: TIMES}}; exit status 1 if any differ.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from generate import BOUNDS, SECRET, Bound, Month, Place, at_bound, generate, stamp
from judge import Figure, Verdict, Word, deadline, judge

Report = dict[str, Any]


def cut(number: Fraction, like: str) -> str:
    """A number with as many decimals, cut off and never rounded: "What it computes"."""
    decimals = len(like.partition(".")[2])
    digits = str(number.numerator * 10**decimals // number.denominator).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


class Comparison:
    """What a report says otherwise than the reckoning."""

    def __init__(self, keywatch: str, month: Month) -> None:
        self.month = month
        self.differences: list[str] = []
        self.kinds = Counter(month.kinds)
        self.kinds["months of several places"] += len(month.places) > 1
        self.reports = self.ask(keywatch)
        verdicts = judge(month)
        for place in sorted(verdicts.keys() | self.reports.keys()):
            self.same(place, "is reported", place in self.reports, place in verdicts)
            if place in verdicts and place in self.reports:
                self.compare(place, self.reports[place], verdicts[place])
        ids = Counter(request for _, request in {(r.place, r.request) for r in month.records})
        self.kinds["request of two accounts"] += sum(times > 1 for times in ids.values())

    def ask(self, keywatch: str) -> dict[Place, Report]:
        command = [keywatch, "sla", "report", "--format", "json", "-q", *self.month.arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if SECRET in done.stdout + done.stderr:
            self.differences.append(f"it shows what is never read: {' '.join(command)}")
        if done.returncode != 0:
            told = f"{done.stderr[-800:]}: {' '.join(command)}"
            self.differences.append(f"exit status {done.returncode}: {told}")
            return {}
        return {(r["account"], r["region"]): r for r in json.loads(done.stdout)["reports"]}

    def same(self, place: Place, what: str, got: object, want: object) -> None:
        if got != want:
            self.differences.append(f"{' '.join(place)}: {what}: keywatch says {got}, the oracle {want}")

    def compare(self, place: Place, report: Report, verdict: Verdict) -> None:
        self.kinds += verdict.kinds
        intervals = verdict.intervals.values()
        busy = sum(i.requests > 0 for i in intervals)
        for name, want in {
            "intervals": self.month.intervals,
            "intervalsWithoutRequests": self.month.intervals - busy,
            "requests": sum(i.requests for i in intervals),
            "rejectedByCaller": sum(i.words[Word.REJECTED] for i in intervals),
            "failedByUnknownCodes": sum(i.words[Word.UNKNOWN] for i in intervals),
            "intervalsCountedByCloudWatch": sum(i.source.startswith("CloudWatch") for i in intervals),
            "intervalsWithoutKeptNumbers": verdict.without_numbers,
            "requestsToldDifferently": verdict.told_differently,
            "claimBy": str(deadline(self.month)),
        }.items():
            self.same(place, name, report[name], want)
        # It is left out where there are none.
        self.same(place, "contradictoryLines", report.get("contradictoryLines", 0), verdict.contradictory)
        self.figure(place, "withoutContestable", report, verdict.without)
        self.figure(place, "withContestable", report, verdict.with_contestable)
        below = {i["start"]: i for i in report["intervalsBelow100"]}
        wanted = {stamp(s): i for s, i in verdict.intervals.items() if i.faults + i.contestable}
        for start in sorted(below.keys() | wanted.keys()):
            self.same(place, f"{start} is below 100 %", start in below, start in wanted)
            if start in below and start in wanted:
                b, w = below[start], wanted[start]
                got = (b["requests"], b["faults"], b["contestableFaults"], b["requestsFrom"])
                self.same(place, start, got, (w.requests, w.faults, w.contestable, w.source))

    def figure(self, place: Place, name: str, report: Report, want: Figure) -> None:
        got = report[name]
        members = {"sumOfErrorRates": want.total, "monthlyUptimePercentage": want.uptime}
        for member, number in members.items():
            self.same(place, f"{name}.{member}", got[member], cut(number, got[member]))
            # A fraction that is too long to read is left out.
            if member + "Exact" in got:
                self.kinds["exact figure"] += 1
                self.same(place, f"{name}.{member}Exact", Fraction(got[member + "Exact"]), number)
        self.same(place, f"{name}.creditPercent", got["creditPercent"], want.credit)


def at_the_bound(keywatch: str, bound: Bound, more: int, folder: Path) -> Comparison:
    """One month at a bound: what the hand says, beside what the oracle does."""
    month = at_bound(bound, more, folder)
    comparison = Comparison(keywatch, month)
    place = month.places[0]
    figure = comparison.reports.get(place, {}).get("withoutContestable", {})
    exact = Fraction(figure.get("monthlyUptimePercentageExact", "0"))
    comparison.same(place, f"uptime is {bound.bound}", exact == Fraction(bound.bound), more == 0)
    comparison.same(place, "credit", figure.get("creditPercent"), bound.beyond if more else bound.at)
    comparison.kinds["one fault beyond a bound" if more else "exactly at a bound"] += 1
    return comparison


def seeds(text: str) -> Iterator[int]:
    first, _, last = text.partition("-")
    yield from range(int(first), int(last or first) + 1)


def main() -> int:
    repository = Path(__file__).resolve().parents[2]
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("months", nargs="+", metavar="SEED")
    parser.add_argument("--keywatch", default=str(repository / "bin" / "keywatch"))
    parser.add_argument("--keep", type=Path)
    chosen = parser.parse_args()
    differ = False

    def say(name: str, comparison: Comparison) -> None:
        nonlocal differ
        differ = differ or bool(comparison.differences)
        said = {"month": name, "differences": comparison.differences, "kinds": +comparison.kinds}
        print(json.dumps(said), flush=True)

    with tempfile.TemporaryDirectory() as scratch:

        def folder(name: str) -> Path:
            path = (chosen.keep or Path(scratch)) / name
            path.mkdir(parents=True)
            return path

        for text in chosen.months:
            if text == "bounds":
                for bound in BOUNDS:
                    for more in (0, 1):
                        name = f"bound-{bound.bound}-{bound.year}-{bound.month:02}-{more}-more"
                        say(name, at_the_bound(chosen.keywatch, bound, more, folder(name)))
                continue
            for seed in seeds(text):
                month = generate(seed, folder(str(seed)))
                say(f"seed {seed}", Comparison(chosen.keywatch, month))
    return int(differ)


if __name__ == "__main__":
    sys.exit(main())
