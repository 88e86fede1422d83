"""Faults only an adapter of MessageBird or of Bird could have, each caught by the shared suite."""

import dataclasses
import json
from dataclasses import replace

import pytest

from acervo.base import clock
from acervo.providers import stores
from acervo.providers.bird import signature as bird_signature
from acervo.providers.bird.adapter import Bird
from acervo.providers.contract import AccessLost, Direction, ForgedWebhook, Resolved
from acervo.providers.messagebird import signature as jwt_signature
from acervo.providers.messagebird.adapter import MessageBird
from tests.providers.test_deliberate_faults import PAYLOADS, SECRECY, is_caught, suite_of

VECTORS = "test_every_signature_vector_is_judged_as_recorded"
CHANGED = "test_a_changed_missing_or_wrong_signature_is_refused"
HOSTS = "test_credentials_go_only_to_the_hosts_that_may_see_them"
REFUSALS = "test_every_refusal_becomes_the_family_that_says_what_to_do"


class ForgetsToCompareTheAddress(MessageBird):
    def verify(self, webhook):
        signed = jwt_signature._TOKEN.fullmatch(webhook.headers.get(jwt_signature.JWT_HEADER, ""))
        claims = jwt_signature._json(signed[2]) if signed else {}
        told = type("Said", (), {})()
        told.url_hash = claims.get("url_hash")
        same = jwt_signature._is_same
        jwt_signature._is_same = lambda given, expected: given == told.url_hash or same(given, expected)
        try:
            super().verify(webhook)
        finally:
            jwt_signature._is_same = same


class BelievesTheAlgorithmNone(MessageBird):
    def verify(self, webhook):
        token = webhook.headers.get(jwt_signature.JWT_HEADER, "")
        if jwt_signature._json(token.partition(".")[0]).get("alg") != "HS256":
            raise ForgedWebhook


class NeverLooksAtTheClock(MessageBird):
    def verify(self, webhook):
        token = webhook.headers.get(jwt_signature.JWT_HEADER, "..")
        begins = jwt_signature._json(token.split(".")[1] if token.count(".") == 2 else "").get("nbf")
        at = clock.from_unix(begins) if isinstance(begins, int) else clock.now()
        keys = [self._credentials.secrets.get("signing_key", "")]
        if not jwt_signature.is_genuine(webhook, [key for key in keys if key.strip()], at):
            raise ForgedWebhook


class SortsTheQuery(MessageBird):
    def verify(self, webhook):
        start, _, query = webhook.url.partition("?")
        super().verify(replace(webhook, url=f"{start}?{'&'.join(sorted(query.split('&')))}"))


class TakesTheBusinessForTheCustomer(MessageBird):
    def read(self, webhook):
        return super().read(replace(webhook, body=webhook.body.replace(b'"msisdn"', b'"m"')))


class ShowsTheKeyToEveryLink(MessageBird):
    def download_request(self, resolved):
        asked = super().download_request(resolved)
        return replace(asked, headers={**asked.headers, **self._authorization()})


class TakesAPageForAFile(MessageBird):
    async def resolve(self, session, file):
        reply = await self._first_byte(session, file.url, {})
        return Resolved(file.url) if reply.status == 200 else await super().resolve(session, file)


class RefusesWhatIsOlderThanFiveMinutes(Bird):
    def verify(self, webhook):
        super().verify(webhook)
        if clock.now().timestamp() - int(webhook.headers[bird_signature.TIMESTAMP_HEADER]) > 300:
            raise ForgedWebhook


class SignsWithoutTheAddress(Bird):
    def verify(self, webhook):
        super().verify(replace(webhook, url="https://hooks.example.test/hooks/bird/01J?a=1"))


class SignsWithoutTheTimestamp(Bird):
    def verify(self, webhook):
        now = str(int(clock.now().timestamp()))
        headers = {**webhook.headers, bird_signature.TIMESTAMP_HEADER: now}
        super().verify(replace(webhook, headers=headers if webhook.headers else {}))


class TakesItsKeyIntoTheStore(Bird):
    async def resolve(self, session, file):
        reply = await self._first_hop(session, file.url)
        if reply.status in stores.REDIRECTS:
            await session.get(reply.headers["Location"], headers=self._authorization())
        return await super().resolve(session, file)


class FollowsByItself(Bird):
    async def _first_hop(self, session, url):
        async with session.get(url, headers=self._authorization()):
            return await super()._first_hop(session, url)


class TrustsAnyStoreOfThatName(Bird):
    def _is_ours(self, url):
        return "media.api.bird.com" in url or super()._is_ours(url)

    def _may_see_credentials(self, url):
        return self._is_ours(url)


class TellsTheKeyInAnError(Bird):
    async def resolve(self, session, file):
        try:
            return await super().resolve(session, file)
        except AccessLost as error:
            raise AccessLost(f"Refused with {self._authorization()}", code=error.code) from error


class TakesOnlyTheFirstPicture(Bird):
    def read(self, webhook):
        def first(event):
            return replace(event, files=event.files[:1]) if getattr(event, "files", ()) else event

        reading = super().read(webhook)
        return replace(reading, events=tuple(map(first, reading.events)))


class CallsEveryFileADocument(Bird):
    def read(self, webhook):
        from acervo.providers.contract import Kind

        def dull(event):
            files = tuple(replace(file, kind=Kind.DOCUMENT) for file in getattr(event, "files", ()))
            return replace(event, files=files) if files else event

        reading = super().read(webhook)
        return replace(reading, events=tuple(map(dull, reading.events)))


class TakesOurOwnForTheCustomers(Bird):
    def read(self, webhook):
        reading = super().read(webhook)
        turned = [
            replace(event, direction=Direction.INBOUND) if hasattr(event, "direction") else event
            for event in reading.events
        ]
        return dataclasses.replace(reading, events=tuple(turned))


class StumblesOverAMissingSender(Bird):
    def read(self, webhook):
        json.loads(webhook.body)["payload"]["sender"]["contact"]
        return super().read(webhook)


FAULTS = {
    ForgetsToCompareTheAddress: VECTORS,
    BelievesTheAlgorithmNone: CHANGED,
    NeverLooksAtTheClock: VECTORS,
    SortsTheQuery: "test_a_signed_body_is_accepted_whatever_it_says",
    TakesTheBusinessForTheCustomer: PAYLOADS,
    ShowsTheKeyToEveryLink: HOSTS,
    TakesAPageForAFile: REFUSALS,
    RefusesWhatIsOlderThanFiveMinutes: VECTORS,
    SignsWithoutTheAddress: CHANGED,
    SignsWithoutTheTimestamp: VECTORS,
    TakesItsKeyIntoTheStore: "test_a_file_is_resolved_to_what_the_provider_promises",
    FollowsByItself: "test_an_answer_that_sends_us_elsewhere_is_not_followed",
    TrustsAnyStoreOfThatName: HOSTS,
    TellsTheKeyInAnError: SECRECY,
    TakesOnlyTheFirstPicture: PAYLOADS,
    CallsEveryFileADocument: PAYLOADS,
    TakesOurOwnForTheCustomers: PAYLOADS,
    StumblesOverAMissingSender: PAYLOADS,
}


@pytest.mark.parametrize("faulty", FAULTS, ids=lambda faulty: faulty.__name__)
def test_the_suite_catches(faulty):
    assert is_caught(suite_of(faulty.kind), faulty, {FAULTS[faulty]})
