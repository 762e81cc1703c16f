"""The sum of a month, from docs/sla.md alone.

Nothing here knows how keywatch adds up. Each part names the section of the page whose rule
it follows, and the tiers are those that `keywatch sla terms` quotes from the agreement.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from enum import IntEnum
from fractions import Fraction

from generate import (
    CLIENT,
    DAY,
    FAULTS,
    HALF_DAY,
    INTERVAL,
    REJECTIONS,
    RULE,
    TIMEOUT,
    TRAIL,
    Month,
    Place,
    Record,
)

LOGS = "logs"
METRIC = "CloudWatch SuccessfulRequest and the failed requests of the logs"
FAULTS_ALONE = "logs that do not hold all requests"


class Word(IntEnum):
    """What a request counts as; of two words the greater is taken."""

    SERVED = 0
    REJECTED = 1
    UNKNOWN = 2
    FAULT = 3
    CONTESTABLE = 4

    @property
    def failed(self) -> bool:
        return self >= Word.FAULT


@dataclass
class Interval:
    """Five minutes with requests."""

    words: Counter[Word] = field(default_factory=Counter)
    requests: int = 0
    source: str = LOGS

    @property
    def faults(self) -> int:
        return self.words[Word.FAULT]

    @property
    def contestable(self) -> int:
        return self.words[Word.CONTESTABLE]


@dataclass
class Figure:
    """Sum, uptime and credit, with contestable errors or without."""

    total: Fraction
    uptime: Fraction
    credit: int


@dataclass
class Verdict:
    """What a report of a place must say."""

    intervals: dict[int, Interval]  # by their first second
    without: Figure
    with_contestable: Figure
    contradictory: int
    told_differently: int
    without_numbers: int
    # How often each kind of input decided something.
    kinds: Counter[str]


def word(record: Record) -> Word:
    """The section "What counts as an error"."""
    code, status = record.code, record.status
    if contradictory(record):
        return Word.CONTESTABLE
    if code == TIMEOUT or code in FAULTS and record.custom_key_store:
        return Word.CONTESTABLE
    if code in FAULTS:
        return Word.FAULT
    if code in REJECTIONS or 400 <= status <= 499:
        return Word.REJECTED
    if status in (500, 503):
        return Word.FAULT
    return Word.UNKNOWN if code or status > 299 else Word.SERVED


def contradictory(record: Record) -> bool:
    """A status that is not one of the code: docs/sla-logs.md, "Client-side request logs"."""
    if record.code in FAULTS or record.code == TIMEOUT:
        return 0 < record.status < 500
    return record.code in REJECTIONS and record.status >= 500


@dataclass
class Request:
    """All that the logs of one account and region say of one request."""

    said: list[Record]

    @property
    def at(self) -> int:
        """ "When it was is said by CloudTrail, if that has the request; else by the client's
        clock." What EventBridge brings is an event of CloudTrail."""
        return min((r.source == CLIENT, r.at) for r in self.said)[1]

    @property
    def word(self) -> Word:
        return max(word(r) for r in self.said)

    @property
    def told_differently(self) -> bool:
        return len({word(r).failed for r in self.said}) == 2

    def by(self, source: str) -> bool:
        return any(r.source == source for r in self.said)


def judge(month: Month) -> dict[Place, Verdict]:
    """The verdict of each place that there is a report of: the section "Use it"."""
    verdicts = {place: of_place(month, place) for place in month.places}
    return {p: v for p, v in verdicts.items() if v.intervals or p in month.kept or month.named}


def of_place(month: Month, place: Place) -> Verdict:
    records = [r for r in month.records if r.place == place]
    said: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        said[record.request].append(record)
    requests = [Request(of) for of in said.values()]
    # The vouching looks beyond the month, the sum does not.
    served = [r.at for r in requests if r.by(CLIENT) and r.word == Word.SERVED]
    inside = [r for r in requests if month.start <= r.at < month.end]
    kinds = kinds_of(month, requests, inside)

    by_interval: dict[int, list[Request]] = defaultdict(list)
    for request in inside:
        by_interval[request.at - request.at % INTERVAL].append(request)
    intervals = {}
    for start, of in by_interval.items():
        interval = intervals[start] = Interval(Counter(r.word for r in of), len(of))
        interval.source = source(start, of, served, kinds)
    kept = month.kept.get(place, {})
    for start, successes in kept.items():
        keep(intervals, start, successes, kinds)
    every = intervals.values()
    return Verdict(
        intervals,
        without=figure(month, ((i.faults, i.requests) for i in every)),
        with_contestable=figure(month, ((i.faults + i.contestable, i.requests) for i in every)),
        contradictory=sum(contradictory(r) and month.start <= r.at < month.end for r in records),
        told_differently=sum(r.told_differently for r in inside),
        without_numbers=month.intervals - len(kept) if place in month.kept else 0,
        kinds=kinds,
    )


def source(start: int, requests: list[Request], served: list[int], kinds: Counter[str]) -> str:
    """Whether the logs have all requests of an interval: the section "What is missing"."""
    if any(r.by(TRAIL) or r.by(RULE) and r.word == Word.SERVED for r in requests):
        return LOGS
    if not all(r.by(CLIENT) for r in requests):
        kinds["interval of which a rule alone knows"] += 1
        return FAULTS_ALONE
    if any(r.word == Word.SERVED for r in requests):
        return LOGS
    # From the nearest second of the interval.
    away = min((max(start - at, at - (start + INTERVAL - 1)) for at in served), default=DAY)
    if away == HALF_DAY:
        kinds["served 12 hours away to the second"] += 1
    if away == HALF_DAY + 1:
        kinds["served a second more than 12 hours away"] += 1
    if away <= HALF_DAY:
        kinds["outage that a served request vouches for"] += 1
        return LOGS
    kinds["outage that nothing vouches for"] += 1
    return FAULTS_ALONE


def keep(intervals: dict[int, Interval], start: int, successes: int, kinds: Counter[str]) -> None:
    """The section "Keep the numbers in time": requests = SuccessfulRequest + every failed
    request that a log holds, where that is more than the logs hold."""
    interval = intervals.get(start) or Interval()
    requests = successes + interval.words.total() - interval.words[Word.SERVED]
    if requests > interval.requests:
        kinds["kept number above the logs"] += 1
        interval.requests, interval.source = requests, METRIC
        intervals[start] = interval
    else:
        kinds["kept number not above the logs"] += 1
        interval.source = LOGS  # it was asked for, so all are known


def figure(month: Month, rates: Iterable[tuple[int, int]]) -> Figure:
    """The section "What it computes". A tier begins strictly below its bound."""
    total = sum((Fraction(failed, requests) for failed, requests in rates), Fraction(0))
    uptime = 100 * (1 - total / month.intervals)
    # The terms of 2022-11-29 hold from the first month that begins after that day.
    tiers = [("99.999", 10), ("99", 25), ("95", 100)]
    if (month.year, month.month) < (2022, 12):
        tiers = [("99.9", 10), ("99", 25)]
    credit = 0
    for bound, percent in tiers:
        if uptime < Fraction(bound):
            credit = percent
    return Figure(total, uptime, credit)


def deadline(month: Month) -> date:
    """ "The deadline is the earlier of two readings": the section "What it computes"."""
    last = (datetime.fromtimestamp(month.end, timezone.utc) - timedelta(days=1)).date()
    third = month.year * 12 + month.month - 1 + 3
    cycles = date(third // 12, third % 12 + 1, 1) - timedelta(days=1)
    return min(last + timedelta(days=60), cycles)


def kinds_of(month: Month, requests: list[Request], inside: list[Request]) -> Counter[str]:
    kinds: Counter[str] = Counter(f"request {r.word.name.lower()}" for r in inside)
    for request in inside:
        sources = Counter(r.source for r in request.said)
        kinds["duplicate in CloudTrail"] += sources[TRAIL] > 1
        kinds["duplicate of a client"] += sources[CLIENT] > 1
        kinds["in several sources"] += len(sources) > 1
        kinds["told differently"] += request.told_differently
        kinds["contradictory"] += any(map(contradictory, request.said))
        kinds["clocks of two intervals"] += len({r.at // INTERVAL for r in request.said}) > 1
        kinds["first second of an interval"] += request.at % INTERVAL == 0
        kinds["last second of an interval"] += request.at % INTERVAL == INTERVAL - 1
    for name, at in {
        "second before the month": month.start - 1,
        "first second of the month": month.start,
        "last second of the month": month.end - 1,
        "second after the month": month.end,
    }.items():
        kinds[name] += sum(r.at == at for r in requests)
    return kinds
