"""AWS Support: moto's cases, with what opening one needs beside.

What this mends in moto 5.2.1:
- DescribeServices and AddAttachmentsToSet are missing. The codes of the services
  are invented: whoever guesses them instead of asking is found out.
- CreateCase takes an attachment set that nobody made, and a service or category
  that there is not.
"""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.support.responses import SupportResponse

SERVICES = [
    {
        "code": "local-billing",
        "name": "Billing",
        "categories": [
            {"code": "local-other", "name": "Other Billing Questions"},
            {"code": "local-credits", "name": "Service Credits"},
        ],
    },
    {
        "code": "local-kms",
        "name": "Key Management Service",
        "categories": [{"code": "local-general", "name": "General Guidance"}],
    },
]
MOST_ATTACHMENTS = 3
LARGEST_ATTACHMENT = 5 << 20

_numbers = itertools.count(1)
_sets: set[str] = set()


def _described(_: Any) -> str:
    return json.dumps({"services": SERVICES})


def _attached(self: Any) -> str:
    attachments = self._get_param("attachments") or []
    if not 0 < len(attachments) <= MOST_ATTACHMENTS:
        raise JsonRESTError("AttachmentLimitExceeded", "too many attachments")
    if any(len(base64.b64decode(a["data"])) > LARGEST_ATTACHMENT for a in attachments):
        raise JsonRESTError("AttachmentSetSizeLimitExceeded", "an attachment is too large")
    name = f"set-{next(_numbers)}"
    _sets.add(name)
    return json.dumps({"attachmentSetId": name, "expiryTime": "2099-01-01T00:00:00Z"})


def install() -> None:
    """Completes the API of AWS Support."""
    create = SupportResponse.create_case

    def create_case(self: Any) -> str:
        attachments = self._get_param("attachmentSetId")
        if attachments and attachments not in _sets:
            raise JsonRESTError("AttachmentSetIdNotFound", attachments)
        codes = {s["code"]: {c["code"] for c in s["categories"]} for s in SERVICES}
        service, category = self._get_param("serviceCode"), self._get_param("categoryCode")
        if service and category not in codes.get(service, set()):
            raise JsonRESTError("ValidationException", f"{service} has no {category}")
        return create(self)

    SupportResponse.describe_services = _described
    SupportResponse.add_attachments_to_set = _attached
    SupportResponse.create_case = create_case
