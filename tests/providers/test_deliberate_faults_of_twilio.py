"""Faults only an adapter of Twilio could have, each caught by the shared suite."""

import base64
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

import pytest

from acervo.providers.contract import AccessLost, MediaGone
from acervo.providers.twilio.adapter import Twilio
from tests.providers.test_deliberate_faults import PAYLOADS, SECRECY, is_caught, suite_of

VECTORS = "test_every_signature_vector_is_judged_as_recorded"


class ReadsOneFileOfTwo(Twilio):
    def read(self, webhook):
        def first(event):
            found = getattr(event, "files", ())
            return replace(event, files=found[:1]) if found else event

        reading = super().read(webhook)
        return replace(reading, events=tuple(map(first, reading.events)))


class SignsWithoutBlanks(Twilio):
    def verify(self, webhook):
        body = urlencode(parse_qsl(webhook.body.decode("utf-8", "replace"))).encode()
        super().verify(replace(webhook, body=body))


class SignsWithoutTheScheme(Twilio):
    def verify(self, webhook):
        super().verify(replace(webhook, url=webhook.url.replace("http://", "https://")))


class ForgivesASlash(Twilio):
    def verify(self, webhook):
        super().verify(replace(webhook, url=webhook.url.rstrip("/")))


class SignsWithoutTheAddress(Twilio):
    def verify(self, webhook):
        super().verify(replace(webhook, url="https://hooks.example.test/hooks/twilio/01"))


class TellsTheTokenInAnError(Twilio):
    async def resolve(self, session, file):
        try:
            return await super().resolve(session, file)
        except AccessLost as error:
            shown = base64.b64decode(self._api.authorization()["Authorization"].split()[1])
            raise AccessLost(f"Refused with {shown!r}", code=error.code) from error


class TrustsEverySubdomain(Twilio):
    """The token in the clear, since base64 hides it from nobody but the suite."""

    def download_request(self, resolved):
        request = super().download_request(resolved)
        if "api.twilio.com" in resolved.url:
            return replace(request, headers={"Authorization": self._credentials.secrets["auth_token"]})
        return request


class TakesItsCredentialsToTheSecondHop(Twilio):
    async def resolve(self, session, file):
        resolved = await super().resolve(session, file)
        async with session.get(resolved.url, headers=self._api.authorization()):
            return resolved


class PutsTheTokenIntoTheAddress(Twilio):
    async def resolve(self, session, file):
        url = self._api.url(f"/x?token={self._credentials.secrets['auth_token']}")
        async with session.get(url):
            raise MediaGone


class TakesLinksOfOtherAccounts(Twilio):
    def read(self, webhook):
        other, ours = b"AC00000000000000000000000000000009", self._api.account_sid.encode()
        return super().read(replace(webhook, body=webhook.body.replace(other, ours)))


class CountsOnNumbers(Twilio):
    def read(self, webhook):
        said = dict(parse_qsl(webhook.body.decode("utf-8", "replace"), keep_blank_values=True))
        int(said.get("NumMedia", "0"))
        return super().read(webhook)


FAULTS = {
    ReadsOneFileOfTwo: PAYLOADS,
    SignsWithoutBlanks: VECTORS,
    SignsWithoutTheScheme: VECTORS,
    ForgivesASlash: VECTORS,
    SignsWithoutTheAddress: "test_a_changed_missing_or_wrong_signature_is_refused",
    TellsTheTokenInAnError: SECRECY,
    TrustsEverySubdomain: "test_credentials_go_only_to_the_hosts_that_may_see_them",
    TakesItsCredentialsToTheSecondHop: "test_an_answer_that_sends_us_elsewhere_is_not_followed",
    PutsTheTokenIntoTheAddress: "test_no_secret_stands_in_an_address_that_is_asked_for",
    TakesLinksOfOtherAccounts: PAYLOADS,
}


@pytest.mark.parametrize("faulty", FAULTS, ids=lambda faulty: faulty.__name__)
def test_the_suite_catches(faulty):
    assert is_caught(suite_of("twilio"), faulty, {FAULTS[faulty]})


def test_a_number_that_is_none_is_found_by_chance():
    """The examples of a quick run may miss it."""
    suite = type("Suite", (suite_of("twilio"),), {"provider": CountsOnNumbers, "examples": 300})
    with pytest.raises(ValueError, match="invalid literal"):
        suite().test_no_scrambled_payload_raises_or_costs_its_neighbours()
