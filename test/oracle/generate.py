"""Random months of logs, in the forms of docs/sla-logs.md.

A seed is a month: the same seed writes the same logs. What was written is also kept as
Records, plain facts that judge.py adds up without looking at the files. So a wrong sum is
either one of keywatch or one of its pages, and never a matter of how a file was read here.
"""

from __future__ import annotations

import calendar
import gzip
import hashlib
import json
import random
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

Place = tuple[str, str]
Event = dict[str, Any]

INTERVAL = 300
DAY = 86_400
HALF_DAY = DAY // 2

# All are over, whatever the day on which the test runs. Between the last two lie the
# borders of the terms; 2020 and 2024 have a February of 29 days.
MONTHS = [
    (2023, 2),
    (2024, 2),
    (2025, 9),
    (2025, 10),
    (2025, 12),
    (2026, 1),
    (2020, 2),
    (2022, 11),
    (2022, 12),
]
ACCOUNTS = ["111122223333", "444455556666"]
REGIONS = ["eu-west-1", "us-east-1", "us-gov-west-1"]
STRANGER = "777788889999"

FAULTS = ["KMSInternalException", "KeyUnavailableException", "InternalFailure", "ServiceUnavailable"]
TIMEOUT = "DependencyTimeoutException"
REJECTIONS = [
    "ThrottlingException",
    "AccessDenied",
    "AccessDeniedException",
    "KMSInvalidStateException",
    "NotFoundException",
    "DisabledException",
    "ValidationException",
]
ODD = ["WeirdException", "Foo.Bar", "SomethingElse"]

# What a log holds and no report may: docs/sla.md, "What is never read".
SECRET = "SECRET"

TRAIL, RULE, CLIENT = "trail", "rule", "client"


@dataclass(frozen=True)
class Record:
    """What one log says of one request."""

    place: Place
    request: str
    source: str
    at: int  # second of Unix
    code: str = ""
    status: int = 0
    custom_key_store: bool = False


@dataclass
class Month:
    """The logs of a month: what they say, and how keywatch is asked about them."""

    year: int
    month: int
    places: list[Place]
    # Whether place and region are both named: then there is a report without requests too.
    named: bool = False
    records: list[Record] = field(default_factory=list)
    # By place and by the first second of the interval, only where the number is known.
    kept: dict[Place, dict[int, int]] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    # How often each kind of input was written.
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def start(self) -> int:
        return calendar.timegm((self.year, self.month, 1, 0, 0, 0))

    @property
    def end(self) -> int:
        return self.start + calendar.monthrange(self.year, self.month)[1] * DAY

    @property
    def intervals(self) -> int:
        return (self.end - self.start) // INTERVAL


def stamp(at: int) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def lines(values: Iterable[object]) -> str:
    return "".join(compact(value) + "\n" for value in values)


class Generator:
    """Writes the month of a seed into a folder."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        year, month = self.random.choice(MONTHS)
        everywhere = [(account, region) for account in ACCOUNTS for region in REGIONS]
        places = self.random.sample(everywhere, self.random.choice([1, 1, 2, 4]))
        self.month = Month(year, month, places)
        self.single = len(self.month.places) == 1
        self.clients = self.chance(0.7)
        self.trail = not self.clients or self.chance(0.8)
        self.rule = self.chance(0.5)
        # A rule may let through what was served too; docs/sla-logs.md, "CloudTrail".
        self.rule_of_all = self.chance(0.3)
        self.trail_events: list[Event] = []
        self.rule_events: list[Event] = []
        self.client_lines: list[Event] = []

    def chance(self, of: float) -> bool:
        return self.random.random() < of

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128)))

    def request_id(self) -> str:
        # "A request ID that is no UUID counts".
        return self.uuid() if self.chance(0.95) else f"req-{self.random.getrandbits(64):x}"

    def write(self) -> Month:
        month = self.month
        for place in month.places:
            self.busy(place)
            if self.clients:
                self.outages(place)
        # Without a request there is nothing to judge.
        self.call(month.places[0], month.start + 10 * DAY)
        self.noise()
        if self.chance(0.5):
            self.keep_numbers()
        self.write_cloudtrail()
        self.write_clients()
        if self.single:
            account, region = month.places[0]
            month.arguments += ["--account", account]
            if self.chance(0.5):
                month.arguments += ["--region", region]
                month.named = True
        month.arguments = ["--month", month.name, *month.arguments]
        return month

    # What happened.

    def busy(self, place: Place) -> None:
        """Requests in few intervals, so that these have several, and at all borders.

        They end after 18 days, but for the end of the month: the outages are later.
        """
        start, end = self.month.start, self.month.end
        early = 18 * DAY // INTERVAL
        hot = [start + self.random.randrange(early) * INTERVAL for _ in range(6)]
        hot += [start - INTERVAL, start, end - INTERVAL, end]
        for _ in range(self.random.choice([0, 3, 30, 200])):
            base = self.random.choice(hot)
            if self.chance(0.2):
                base = start + self.random.randrange(-2 * DAY // INTERVAL, early) * INTERVAL
            second = self.random.randrange(INTERVAL)
            self.call(place, base + self.random.choice([0, INTERVAL - 1, second]))

    def outages(self, place: Place) -> None:
        """Intervals in which all failed that a client asked for, and one request that was
        served half a day before or after, to the second, or a second further away."""
        for day in (20, 24):
            if self.chance(0.5):
                continue
            begin = self.month.start + day * DAY + self.random.randrange(100) * INTERVAL
            for _ in range(self.random.randrange(1, 4)):
                at = begin + self.random.randrange(INTERVAL)
                self.client(place, self.request_id(), at, FAULTS[0], 500)
            away = HALF_DAY + self.random.choice([0, 0, 1])
            at = self.random.choice([begin - away, begin + INTERVAL - 1 + away])
            self.client(place, self.request_id(), at, "", 200)

    def call(self, place: Place, at: int) -> None:
        """One request, in whichever logs hold it."""
        code = self.outcome()
        request, store = self.request_id(), self.chance(0.15)
        if self.trail and self.chance(0.8):
            event = self.event(place, request, at, code, store)
            for _ in range(self.random.choice([1, 1, 1, 2, 3])):  # several trails
                self.trail_events.append(event)
                self.note(place, request, TRAIL, at, code, store)
            self.other_account(place, request, at, code, store)
        fault = code in FAULTS or code == TIMEOUT
        if self.rule and (fault or self.rule_of_all) and self.chance(0.6):
            self.rule_events.append(self.delivered(self.event(place, request, at, code, store)))
            self.note(place, request, RULE, at, code, store)
        if self.clients and self.chance(0.5):
            # A clock that goes wrong; CloudTrail's comes first.
            skewed = at + self.random.choice([0, 0, 0, -301, 400, 3])
            told, status = self.told(code)
            for _ in range(self.random.choice([1, 1, 2])):
                self.client(place, request, skewed, told, status)

    def outcome(self) -> str:
        """An error code, or none of a request that was served."""
        x = self.random.random()
        if x < 0.6:
            return ""
        if x < 0.75:
            return self.random.choice(FAULTS)
        if x < 0.8:
            return TIMEOUT
        return self.random.choice(REJECTIONS if x < 0.92 else ODD)

    def other_account(self, place: Place, request: str, at: int, code: str, store: bool) -> None:
        """The same request in the log of the account that owns the key."""
        for other in self.month.places:
            if other[0] != place[0] and other[1] == place[1] and self.chance(0.5):
                self.trail_events.append(self.event(other, request, at, code, store))
                self.note(other, request, TRAIL, at, code, store)

    def told(self, code: str) -> tuple[str, int]:
        """What a client makes of an answer: code, status or both; seldom what it was."""
        if not code and self.chance(0.1):
            code = self.random.choice(FAULTS)
        if not code:
            odd = self.chance(0.1)
            return "", self.random.choice([400, 403, 500, 502, 503, 504]) if odd else 200
        if code in REJECTIONS:
            status = 400
        elif code in ODD:
            status = self.random.choice([200, 400, 403, 500, 502, 503, 504])
        else:
            status = 500
        if self.chance(0.1):
            status = self.random.choice([200, 400, 500, 502, 503])
        which = self.random.random()
        if which < 0.3:
            return code, 0
        return ("" if which < 0.45 else code), status

    def noise(self) -> None:
        """What is in the same logs, and in no sum."""
        if not self.trail:
            return
        place = self.month.places[0]
        region = place[1]
        for at in range(self.month.start + 5, self.month.end, DAY):
            other = self.event(place, self.uuid(), at, FAULTS[0], False)
            self.trail_events.append({**other, "eventSource": "s3.amazonaws.com", "eventName": "ListBuckets"})
            self.month.kinds["record of another service"] += 1
        # AWS itself rotates keys: that is no API call.
        rotation = self.event(place, self.uuid(), self.month.start, FAULTS[0], False)
        self.trail_events.append({**rotation, "eventName": "RotateKey", "eventType": "AwsServiceEvent"})
        self.month.kinds["record of no API call"] += 1
        if self.single:  # then one account is asked for, and others are strangers
            for at in (self.month.start, self.month.start + 10 * DAY, self.month.end - 1):
                stranger = (STRANGER, region)
                self.trail_events.append(self.event(stranger, self.uuid(), at, FAULTS[0], False))
                if self.clients:
                    line = {"time": stamp(at), "requestId": self.uuid(), "errorCode": FAULTS[0]}
                    self.client_lines.append({**line, "region": region, "account": STRANGER})
                self.month.kinds["fault of a stranger"] += 1

    # How it is logged.

    def note(self, place: Place, request: str, source: str, at: int, code: str, store: bool) -> None:
        self.month.records.append(Record(place, request, source, at, code, custom_key_store=store))

    def key(self, place: Place) -> str:
        account, region = place
        return f"arn:aws:kms:{region}:{account}:key/{self.uuid()}"

    def event(self, place: Place, request: str, at: int, code: str, store: bool) -> Event:
        """An event of CloudTrail, full of what is not to be read."""
        account, region = place
        event: Event = {
            "eventVersion": "1.08",
            "userIdentity": {"type": "IAMUser", "accessKeyId": f"AKIA{SECRET}", "userName": SECRET},
            "eventTime": stamp(at),
            "eventSource": "kms.amazonaws.com",
            "eventName": self.random.choice(["Decrypt", "Encrypt", "ReEncrypt", "Sign"]),
            "awsRegion": region,
            "sourceIPAddress": "192.0.2.1",
            "requestParameters": {"encryptionContext": {"purpose": SECRET}},
            "responseElements": None,
            "requestID": request,
            "eventID": self.uuid(),
            "readOnly": True,
            "resources": [
                {"accountId": account, "type": "AWS::KMS::Key", "ARN": self.key(place)}
                for _ in range(self.random.choice([1, 1, 2]))  # ReEncrypt has two
            ],
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": account,
            "eventCategory": "Management",
        }
        if code:
            event["errorCode"] = code
            event["errorMessage"] = SECRET
        if store:
            event["additionalEventData"] = {"customKeyStoreId": "cks-1234"}
        return event

    def delivered(self, event: Event) -> Event:
        """What EventBridge puts around an event."""
        return {
            "version": "0",
            "id": self.uuid(),
            "detail-type": "AWS API Call via CloudTrail",
            "source": "aws.kms",
            "account": event["recipientAccountId"],
            "time": event["eventTime"],
            "region": event["awsRegion"],
            "resources": [],
            "detail": event,
        }

    def client(self, place: Place, request: str, at: int, code: str, status: int) -> None:
        """A line of a client. The monitoring of an SDK names no account, so it needs one
        that is asked for."""
        if self.single and self.chance(0.4):
            self.client_lines.append(self.attempt(place, request, at, code, status))
        else:
            self.client_lines.append(self.line(place, request, at, code, status))
        self.month.records.append(Record(place, request, CLIENT, at, code, status))

    def line(self, place: Place, request: str, at: int, code: str, status: int) -> Event:
        account, region = place
        zone = timezone(timedelta(minutes=self.random.choice([0, 120, -330])))
        # A part of a second is still of the interval before.
        part = timedelta(milliseconds=self.random.choice([0, 999]))
        line: Event = {
            "time": (datetime.fromtimestamp(at, zone) + part).isoformat(),
            # RFC 9562: a UUID is the same in either case.
            "requestId": request.upper() if request[:4] != "req-" and self.chance(0.1) else request,
            "operation": "Decrypt",
            "region": region,
            "keyArn": self.key(place),
            "context": SECRET,
        }
        if not self.single or self.chance(0.5):
            line["account"] = account
        if status:
            line[self.random.choice(["status", "httpStatus"])] = status
        if code:
            line["errorCode"] = code
        self.month.kinds["line of a client"] += 1
        return line

    def attempt(self, place: Place, request: str, at: int, code: str, status: int) -> Event:
        """An event of an SDK's monitoring, sometimes with the call that it is of and with
        an attempt that had no answer: neither counts."""
        common = {"Version": 1, "Service": "KMS", "Api": "Decrypt", "Region": place[1]}
        common["Timestamp"] = at * 1000
        attempt: Event = {
            **common,
            "Type": "ApiCallAttempt",
            "Timestamp": at * 1000 + self.random.randrange(1000),
            "AccessKey": f"AKIA{SECRET}",
            "SessionToken": SECRET,
            "XAmznRequestId": request,
        }
        if status:
            attempt["HttpStatusCode"] = status
        if code:
            attempt["AwsException"] = code
            attempt["AwsExceptionMessage"] = SECRET
        self.month.kinds["attempt of an SDK"] += 1
        if self.chance(0.3):
            self.client_lines.append({**common, "Type": "ApiCall", "AttemptCount": 2})
            self.client_lines.append({**common, "Type": "ApiCallAttempt", "SdkException": "Timeout"})
            self.month.kinds["attempt without an answer"] += 1
        return attempt

    # The files.

    def keep_numbers(self) -> None:
        """What sla collect keeps, for some intervals with requests and some without."""
        month = self.month
        for place in month.places:
            starts = {month.start + self.random.randrange(month.intervals) * INTERVAL for _ in range(3)}
            for at in sorted({r.at - r.at % INTERVAL for r in month.records if r.place == place}):
                # An outage is to be judged by the clients' lines in most months.
                late = at - month.start > 19 * DAY
                if month.start <= at < month.end and self.chance(0.1 if late else 0.7):
                    starts.add(at)
            account, region = place
            path = self.folder / "evidence" / account / region / f"{month.name}.jsonl"
            path.parent.mkdir(parents=True)
            path.write_bytes(self.numbers(place, sorted(starts)))
        month.arguments += ["--evidence", str(self.folder / "evidence")]

    def numbers(self, place: Place, starts: list[int]) -> bytes:
        account, region = place
        kept = self.month.kept[place] = {}
        head = {"format": "keywatch-sla-evidence", "version": 1}
        text = compact({**head, "account": account, "region": region, "month": self.month.name}) + "\n"
        again = []
        for at in starts:
            # CallCount is only shown beside, so its number must be in no sum.
            calls = {"interval": stamp(at), "source": "CallCount", "requests": {"Decrypt": 99}}
            text += compact(calls) + "\n"
            if self.chance(0.1):
                continue
            requests = {"Decrypt": self.random.randrange(1, 40)} if self.chance(0.8) else {}
            if requests and self.chance(0.5):
                requests["Encrypt"] = self.random.randrange(1, 9)
            line = {"interval": stamp(at), "source": "SuccessfulRequest", "requests": requests}
            text += compact(line) + "\n"
            kept[at] = sum(requests.values())
            if self.chance(0.2):
                more = {**requests, "Decrypt": requests.get("Decrypt", 0) + 7}
                again.append({**line, "requests": more, "was": requests})
                kept[at] += 7
        text = self.sealed(text)
        if again:
            self.month.kinds["kept number corrected"] += len(again)
            text = self.sealed(text + lines(again))
        return text.encode()

    def sealed(self, text: str) -> str:
        proof = hashlib.sha256(text.encode()).hexdigest()
        seal = {"sealed": proof, "lines": text.count("\n"), "collected": stamp(self.month.end)}
        return text + compact(seal) + "\n"

    def save(self, name: str, text: str) -> Path:
        data = text.encode()
        if self.chance(0.5):
            self.month.kinds["packed file"] += 1
            data = gzip.compress(data, mtime=0)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def write_cloudtrail(self) -> None:
        """Each form of the table of docs/sla-logs.md, "CloudTrail". EventBridge's envelope
        stands alone on a line, or in the message of a log group."""
        self.random.shuffle(self.trail_events)
        self.random.shuffle(self.rule_events)
        files = self.random.randrange(1, 5)
        plain = ["records", "lines", "stamped", "list", "lookup", "messages"]
        parts = [(self.trail_events[i::files], plain) for i in range(files)]
        parts.append((self.rule_events, ["envelopes", "envelopes", "messages"]))
        written = False
        for number, (events, forms) in enumerate(parts):
            if events:
                form = self.random.choice(forms)
                self.month.kinds[f"form {form}"] += 1
                self.save(f"cloudtrail/{number}.json", self.formed(form, events))
                written = True
        if written:
            self.month.arguments += ["--cloudtrail", str(self.folder / "cloudtrail")]

    def formed(self, form: str, events: list[Event]) -> str:
        indent = self.random.choice([None, 2])
        if form == "records":
            parts = self.random.choice([1, 1, 3])  # several joined
            return "".join(json.dumps({"Records": events[i::parts]}, indent=indent) for i in range(parts))
        if form == "stamped":
            return "".join(f"{stamp(self.month.start)} {compact(event)}\n" for event in events)
        if form == "list":
            return json.dumps(events, indent=indent)
        if form == "lookup":
            items = [{"EventId": self.uuid(), "CloudTrailEvent": compact(event)} for event in events]
            return lines(items) if self.chance(0.3) else json.dumps({"Events": items}, indent=indent)
        if form == "messages":
            items = [{"logStreamName": "a", "timestamp": 1, "message": compact(event)} for event in events]
            return lines(items) if self.chance(0.3) else json.dumps({"events": items}, indent=indent)
        return lines(events)

    def write_clients(self) -> None:
        if self.client_lines:
            self.random.shuffle(self.client_lines)
            path = self.save("requests.jsonl", lines(self.client_lines))
            self.month.arguments += ["--requests", str(path)]


def generate(seed: int, folder: Path) -> Month:
    """Writes the month of a seed."""
    return Generator(seed, folder).write()


@dataclass(frozen=True)
class Bound:
    """A month exactly at the bound of a tier, worked out by hand.

    The bound leaves (100 - bound) / 100 of the intervals: so many whole ones, and of one
    more failed / requests.
    """

    year: int
    month: int
    bound: str
    lost: int
    failed: int
    requests: int
    # Percent of the credit at the bound, and with one fault more.
    at: int
    beyond: int


BOUNDS = [
    # 28 days, 8,064 intervals: 0.08064, 80.64 and 403.2 of them.
    Bound(2023, 2, "99.999", 0, 252, 3125, 0, 10),
    Bound(2023, 2, "99", 80, 16, 25, 10, 25),
    Bound(2023, 2, "95", 403, 1, 5, 25, 100),
    # 29 days, 8,352 intervals: 0.08352, 83.52 and 417.6.
    Bound(2024, 2, "99.999", 0, 261, 3125, 0, 10),
    Bound(2024, 2, "99", 83, 13, 25, 10, 25),
    Bound(2024, 2, "95", 417, 3, 5, 25, 100),
    # 30 days, 8,640 intervals: 0.0864, 86.4 and 432.
    Bound(2025, 9, "99.999", 0, 54, 625, 0, 10),
    Bound(2025, 9, "99", 86, 2, 5, 10, 25),
    Bound(2025, 9, "95", 432, 0, 1, 25, 100),
    # 31 days, 8,928 intervals: 0.08928, 89.28 and 446.4.
    Bound(2025, 10, "99.999", 0, 279, 3125, 0, 10),
    Bound(2025, 10, "99", 89, 7, 25, 10, 25),
    Bound(2025, 10, "95", 446, 2, 5, 25, 100),
]


def at_bound(bound: Bound, more: int, folder: Path) -> Month:
    """Writes a month at its bound, with so many faults more, as lines of a client."""
    account, region = place = (ACCOUNTS[0], REGIONS[0])
    month = Month(bound.year, bound.month, [place], named=True)
    month.records = list(lost(month, bound, more))
    where = {"region": region, "account": account}
    text = lines(
        {"time": stamp(r.at), "requestId": r.request, "status": r.status, **where} for r in month.records
    )
    path = folder / "requests.jsonl"
    path.write_text(text, encoding="utf-8")
    month.arguments = ["--month", month.name, "--account", account, "--region", region]
    month.arguments += ["--requests", str(path)]
    return month


def lost(month: Month, bound: Bound, more: int) -> Iterator[Record]:
    place = month.places[0]
    for i in range(bound.lost):
        yield Record(place, f"whole-{i}", CLIENT, month.start + i * INTERVAL, status=500)
    for i in range(bound.requests):
        status = 500 if i < bound.failed + more else 200
        yield Record(place, f"part-{i}", CLIENT, month.end - 1, status=status)
