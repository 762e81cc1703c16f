"""Opening a case of AWS Support: what is looked up fits, what is guessed does not."""

from __future__ import annotations

import unittest

from botocore.exceptions import ClientError

from support import client, unique


class Cases(unittest.TestCase):
    """AWS Support is in us-east-1."""

    def setUp(self) -> None:
        self.support = client("support", "us-east-1")

    def refused(self, code: str, **params: object) -> None:
        with self.assertRaises(ClientError) as caught:
            self.support.create_case(subject=unique(), communicationBody="text", **params)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)

    def test_a_case_takes_what_was_looked_up_and_uploaded(self) -> None:
        service = self.support.describe_services()["services"][0]
        upload = [{"fileName": "a", "data": b"x"}]
        attachments = self.support.add_attachments_to_set(attachments=upload)
        subject = unique()
        case = self.support.create_case(
            subject=subject,
            communicationBody="text",
            serviceCode=service["code"],
            categoryCode=service["categories"][0]["code"],
            attachmentSetId=attachments["attachmentSetId"],
        )
        cases = self.support.describe_cases(includeResolvedCases=True)["cases"]
        self.assertIn((case["caseId"], subject), [(c["caseId"], c["subject"]) for c in cases])

    def test_what_was_guessed_is_refused(self) -> None:
        self.refused("ValidationException", serviceCode="billing", categoryCode="other")
        self.refused("AttachmentSetIdNotFound", attachmentSetId="set-none")

    def test_four_attachments_are_too_many(self) -> None:
        with self.assertRaises(ClientError) as caught:
            files = [{"fileName": str(i), "data": b"x"} for i in range(4)]
            self.support.add_attachments_to_set(attachments=files)
        code = caught.exception.response["Error"]["Code"]
        self.assertEqual(code, "AttachmentLimitExceeded")
