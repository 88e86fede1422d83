"""A suite that cannot fail proves nothing: each of these adapters breaks one promise, and is caught breaking it."""

import asyncio
import inspect
import json
from dataclasses import replace

import pytest
from hypothesis import Phase

from acervo.providers.conformance import ProviderConformance
from acervo.providers.contract import (
    AccessLost,
    Credentials,
    ForgedWebhook,
    MediaGone,
    ProviderBusy,
    Reading,
    Resolved,
    Webhook,
)
from acervo.providers.meta_cloud.adapter import MetaCloud
from acervo.providers.meta_cloud.test_meta_cloud import TestMetaCloud as MetaSuite


def broken_promises(adapter: type[MetaCloud]) -> set[str]:
    """The names of the suite's tests that fail for this adapter."""
    suite = type("Suite", (MetaSuite,), {"provider": adapter, "examples": 10, "phases": (Phase.generate,)})
    return {name for name in dir(ProviderConformance) if name.startswith("test_") and fails(suite(), name)}


def fails(suite: ProviderConformance, name: str) -> bool:
    try:
        result = getattr(suite, name)()
        if inspect.isawaitable(result):
            asyncio.run(result)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 (any failure is a broken promise)
        return True
    return False


class ReadsOnlyTheFirstMessage(MetaCloud):
    def read(self, webhook: Webhook) -> Reading:
        return replace(reading := super().read(webhook), events=reading.events[:1])


class AcceptsAnySignature(MetaCloud):
    def verify(self, webhook: Webhook) -> None:
        if not webhook.headers.get("x-hub-signature-256"):
            raise ForgedWebhook


class SignsOverReserialisedJson(MetaCloud):
    def verify(self, webhook: Webhook) -> None:
        try:
            body = json.dumps(json.loads(webhook.body)).encode()
        except ValueError:
            body = webhook.body
        super().verify(replace(webhook, body=body))


class IgnoresRotation(MetaCloud):
    def __init__(self, credentials: Credentials) -> None:
        kept = {name: value for name, value in credentials.secrets.items() if not name.endswith("_previous")}
        super().__init__(replace(credentials, secrets=kept))


class TakesALostFileForAnEmptyOne(MetaCloud):
    async def resolve(self, session, file):
        try:
            return await super().resolve(session, file)
        except MediaGone:
            return Resolved(url="", size_bytes=0)


class HidesWhatMetaLost(MetaCloud):
    def read(self, webhook: Webhook) -> Reading:
        reading = super().read(webhook)
        return replace(reading, events=tuple(self._without_lost(event) for event in reading.events))

    def _without_lost(self, event):
        files = getattr(event, "files", ())
        return replace(event, files=()) if any(file.refusal for file in files) else event


class TellsTheTokenInAnError(MetaCloud):
    async def resolve(self, session, file):
        try:
            return await super().resolve(session, file)
        except AccessLost as error:
            raise AccessLost(f"Refused with {self._authorization()}", code=error.code) from error


class KeepsTheRequestAsCause(MetaCloud):
    async def resolve(self, session, file):
        try:
            return await super().resolve(session, file)
        except ProviderBusy as error:
            error.__cause__ = ValueError(self._credentials.secrets["token"])
            raise


class LogsTheMessage(MetaCloud):
    def read(self, webhook: Webhook) -> Reading:
        import logging

        logging.getLogger("fault").info("read", extra={"body": webhook.body})
        return super().read(webhook)


class ForgetsHowLongToWait(MetaCloud):
    async def resolve(self, session, file):
        try:
            return await super().resolve(session, file)
        except ProviderBusy as error:
            raise ProviderBusy(code=error.code) from None


class GivesTheTokenToAnyHost(MetaCloud):
    def _may_see_credentials(self, url: str) -> bool:
        return True


class TrustsEverySubdomain(MetaCloud):
    def _may_see_credentials(self, url: str) -> bool:
        return "lookaside.fbsbx.com" in url or super()._may_see_credentials(url)


class LeavesThisMachine(MetaCloud):
    def __init__(self, credentials: Credentials) -> None:
        super().__init__(replace(credentials, api_base=None))


class StumblesOverAnOddPart(MetaCloud):
    def read(self, webhook: Webhook) -> Reading:
        for entry in json.loads(webhook.body).get("entry", []):
            for change in entry["changes"]:
                change["value"].get("messages")
        return super().read(webhook)


class ShakesEveryHand(MetaCloud):
    def handshake(self, webhook: Webhook) -> str:
        return webhook.query.get("hub.challenge", "")


FAULTS = {
    ReadsOnlyTheFirstMessage: "test_a_batch_of_everything_is_read_whole",
    AcceptsAnySignature: "test_a_changed_missing_or_wrong_signature_is_refused",
    SignsOverReserialisedJson: "test_every_signature_vector_is_judged_as_recorded",
    IgnoresRotation: "test_two_secrets_are_accepted_during_rotation",
    TakesALostFileForAnEmptyOne: "test_every_refusal_becomes_the_family_that_says_what_to_do",
    HidesWhatMetaLost: "test_a_file_the_provider_lost_is_announced_as_lost",
    TellsTheTokenInAnError: "test_no_secret_number_or_text_appears_in_errors_logs_or_reprs",
    KeepsTheRequestAsCause: "test_no_secret_number_or_text_appears_in_errors_logs_or_reprs",
    LogsTheMessage: "test_no_secret_number_or_text_appears_in_errors_logs_or_reprs",
    ForgetsHowLongToWait: "test_a_busy_provider_says_for_how_long",
    GivesTheTokenToAnyHost: "test_credentials_go_only_to_the_hosts_that_may_see_them",
    TrustsEverySubdomain: "test_credentials_go_only_to_the_hosts_that_may_see_them",
    LeavesThisMachine: "test_a_file_is_resolved_to_what_the_provider_promises",
    StumblesOverAnOddPart: "test_every_payload_yields_exactly_what_is_expected",
    ShakesEveryHand: "test_the_handshake_answers_only_to_its_token_or_is_refused",
}


def test_the_adapter_without_a_fault_breaks_no_promise():
    assert broken_promises(MetaCloud) == set()


@pytest.mark.parametrize("faulty", FAULTS, ids=lambda faulty: faulty.__name__)
def test_the_suite_catches(faulty):
    assert FAULTS[faulty] in broken_promises(faulty)


def test_quietly_overriding_a_conformance_test_is_refused_when_the_class_is_made():
    with pytest.raises(AssertionError, match="test_two_secrets_are_accepted_during_rotation"):
        type("Lenient", (MetaSuite,), {"test_two_secrets_are_accepted_during_rotation": lambda self: None})


def test_overriding_through_a_mixin_or_the_guard_itself_is_refused_too():
    mixin = type("Mixin", (), {"test_no_conformance_test_is_overridden": lambda self: None})
    with pytest.raises(AssertionError, match="test_no_conformance_test_is_overridden"):
        type("Lenient", (mixin, MetaSuite), {})


def test_overriding_after_the_class_is_made_is_found_by_the_suite():
    late = type("Late", (MetaSuite,), {})
    late.test_a_living_connection_says_so = lambda self: None
    assert fails(late(), "test_no_conformance_test_is_overridden")


def test_a_test_may_be_excused_with_a_reason_and_not_without():
    def excused(self):
        raise NotImplementedError

    name = "test_two_secrets_are_accepted_during_rotation"
    type("Excused", (MetaSuite,), {name: pytest.mark.xfail(reason="the vendor has one secret only")(excused)})
    with pytest.raises(AssertionError):
        type("Excused", (MetaSuite,), {name: pytest.mark.xfail()(lambda self: None)})
