"""A suite that cannot fail proves nothing: each of these adapters breaks one promise, and is caught breaking it."""

import asyncio
import importlib
import inspect
import json
import logging
from dataclasses import replace
from functools import cache

import aiohttp
import pytest
from hypothesis import Phase

from acervo.base.errors import AcervoError
from acervo.providers import kinds
from acervo.providers.asking import host_of
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
from acervo.providers.dialog360.adapter import Dialog360
from acervo.providers.meta_cloud.adapter import MetaCloud
from acervo.providers.meta_cloud.test_meta_cloud import TestMetaCloud as MetaSuite
from acervo.providers.scripted import Scene

KINDS = [kind for kind in kinds() if kind != "fake"]
QUICK = {"examples": 10, "phases": (Phase.generate,)}


@cache
def suite_of(kind: str) -> type[ProviderConformance]:
    module = importlib.import_module(f"acervo.providers.{kind}.test_{kind}")
    (suite,) = (
        value
        for name, value in vars(module).items()
        if name.startswith("Test") and isinstance(value, type) and issubclass(value, ProviderConformance)
    )
    return suite


def is_caught(suite: type[ProviderConformance], faulty: type, names: set[str]) -> bool:
    """Whether one of these tests fails for the faulty adapter, and none for the one without the fault."""
    assert not {name for name in names if fails(_quick(suite, suite.provider)(), name)}, (
        "failed without the fault"
    )
    return any(fails(_quick(suite, faulty)(), name) for name in names)


def broken_promises(adapter: type, suite: type[ProviderConformance]) -> set[str]:
    """The names of the suite's tests that fail for this adapter."""
    names = [name for name in dir(ProviderConformance) if name.startswith("test_")]
    return {name for name in names if fails(_quick(suite, adapter)(), name)}


def _quick(suite: type[ProviderConformance], adapter: type) -> type[ProviderConformance]:
    return type("Suite", (suite,), {"provider": adapter, **QUICK})


def fails(suite: ProviderConformance, name: str) -> bool:
    try:
        result = getattr(suite, name)()
        if inspect.isawaitable(result):
            asyncio.run(result)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 (any failure is a broken promise)
        return True
    return False


# ── faults any adapter could have ──


class ReadsOnlyTheFirstEvent:
    def read(self, webhook: Webhook) -> Reading:
        return replace(reading := super().read(webhook), events=reading.events[:1])


class ReadsOnlyTheFirstFile:
    def read(self, webhook: Webhook) -> Reading:
        def first(event):
            return replace(event, files=()) if getattr(event, "files", ()) else event

        reading = super().read(webhook)
        return replace(reading, events=tuple(map(first, reading.events)))


class AcceptsAnySignature:
    def verify(self, webhook: Webhook) -> None:
        if not webhook.headers:
            raise ForgedWebhook


class AcceptsAnEmptySecret:
    def __init__(self, credentials: Credentials) -> None:
        secrets = credentials.secrets
        self.has_none = any(not value.strip() for value in secrets.values())
        super().__init__(credentials)

    def verify(self, webhook: Webhook) -> None:
        if not self.has_none:
            super().verify(webhook)


class IgnoresRotation:
    def __init__(self, credentials: Credentials) -> None:
        kept = {name: value for name, value in credentials.secrets.items() if not name.endswith("_previous")}
        super().__init__(replace(credentials, secrets=kept))


class TakesALostFileForAnEmptyOne:
    async def resolve(self, session, file):
        try:
            return await super().resolve(session, file)
        except MediaGone:
            return Resolved(url="", size_bytes=0)


class HidesWhatWasLost:
    def read(self, webhook: Webhook) -> Reading:
        reading = super().read(webhook)
        return replace(reading, events=tuple(self._without_lost(event) for event in reading.events))

    def _without_lost(self, event):
        files = getattr(event, "files", ())
        return replace(event, files=()) if any(file.refusal for file in files) else event


class TellsASecretInAnError:
    async def check(self, session):
        health = await super().check(session)
        return replace(health, detail=f"{health.detail} {list(self._credentials.secrets.values())}")


class KeepsTheRequestAsCause:
    def verify(self, webhook: Webhook) -> None:
        try:
            super().verify(webhook)
        except ForgedWebhook as error:
            error.__cause__ = ValueError(dict(self._credentials.secrets))
            raise


class LogsTheMessage:
    def read(self, webhook: Webhook) -> Reading:
        reading = super().read(webhook)
        logging.getLogger("fault").info("read", extra={"sender": [vars_of(e) for e in reading.events]})
        return reading


def vars_of(event):
    sender = getattr(event, "sender", None)
    return (sender.phone, sender.user_id) if sender else ()


class ForgetsHowLongToWait:
    def download_refusal(self, status, headers, body):
        error = super().download_refusal(status, headers, body)
        return ProviderBusy(code=error.code) if isinstance(error, ProviderBusy) else error


class GivesTheSecretsToAnyHost:
    def download_request(self, resolved: Resolved):
        request = super().download_request(resolved)
        return replace(
            request, headers={**request.headers, "X-Key": " ".join(self._credentials.secrets.values())}
        )


class ForgetsTheWaitOfALookUp:
    async def resolve(self, session, file):
        try:
            return await super().resolve(session, file)
        except ProviderBusy as error:
            raise ProviderBusy(code=error.code) from None


class TakesEveryRefusalForALostFile:
    """A revoked key and a busy hour would cost files."""

    async def resolve(self, session, file):
        try:
            return await super().resolve(session, file)
        except AcervoError as error:
            raise MediaGone(code=error.code) from None


class ShakesEveryHand:
    """Also where it declares to shake none: what is not declared is refused in words."""

    def handshake(self, webhook: Webhook) -> str:
        return webhook.query.get("hub.challenge", "")


class RemembersInsteadOfAsking:
    """What a script had ready was never asked for."""

    async def check(self, session):
        health = await super().check(_Unheard())
        return replace(health, is_alive=True, code="ok")


class _Unheard:
    """A session whose every line is dead."""

    def request(self, method, url, **options):
        raise aiohttp.ServerDisconnectedError

    get = request


class AsksOnceMore:
    async def resolve(self, session, file):
        resolved = await super().resolve(session, file)
        await super().check(session)
        return resolved


class LogsItsSecrets:
    def verify(self, webhook: Webhook) -> None:
        logging.getLogger("fault").info("knock", extra={"secrets": dict(self._credentials.secrets)})
        super().verify(webhook)


class LeavesThisMachine:
    def __init__(self, credentials: Credentials) -> None:
        super().__init__(replace(credentials, api_base=None))


class _Wanders:
    """A session that follows wherever an answer sends it."""

    def __init__(self, session):
        self._session = session

    def request(self, method, url, **options):
        return self._session.request(method, url, **{**options, "allow_redirects": True})

    def get(self, url, **options):
        return self.request("GET", url, **options)


class FollowsByItself:
    async def resolve(self, session, file):
        return await super().resolve(_Wanders(session), file)

    async def check(self, session):
        return await super().check(_Wanders(session))


class RaisesForADeadLine:
    async def check(self, session):
        health = await super().check(session)
        if not health.is_alive:
            raise ProviderBusy(health.detail)
        return health


class StumblesOverAnOddPart:
    def read(self, webhook: Webhook) -> Reading:
        reading = super().read(webhook)
        if reading.unread:
            raise KeyError(reading.unread[0].pointer)
        return reading


PAYLOADS = "test_every_payload_yields_exactly_what_is_expected"
SECRECY = "test_no_secret_number_or_text_appears_in_errors_logs_or_reprs"
COMMON = {
    ReadsOnlyTheFirstEvent: {"test_a_batch_of_everything_is_read_whole", PAYLOADS},
    ReadsOnlyTheFirstFile: {PAYLOADS},
    AcceptsAnySignature: {"test_a_changed_missing_or_wrong_signature_is_refused"},
    AcceptsAnEmptySecret: {"test_with_an_empty_secret_everything_is_refused"},
    IgnoresRotation: {"test_two_secrets_are_accepted_during_rotation"},
    TakesALostFileForAnEmptyOne: {
        "test_every_refusal_becomes_the_family_that_says_what_to_do",
        "test_a_file_the_provider_lost_is_not_asked_for",
    },
    HidesWhatWasLost: {"test_a_file_the_provider_lost_is_announced_as_lost"},
    TellsASecretInAnError: {SECRECY},
    KeepsTheRequestAsCause: {SECRECY},
    LogsTheMessage: {SECRECY},
    ForgetsHowLongToWait: {"test_a_refused_download_becomes_the_family_that_says_what_to_do"},
    GivesTheSecretsToAnyHost: {"test_credentials_go_only_to_the_hosts_that_may_see_them"},
    ForgetsTheWaitOfALookUp: {"test_a_busy_provider_says_for_how_long"},
    TakesEveryRefusalForALostFile: {"test_every_refusal_becomes_the_family_that_says_what_to_do"},
    ShakesEveryHand: {"test_the_handshake_answers_only_to_its_token_or_is_refused"},
    RemembersInsteadOfAsking: {"test_a_living_connection_says_so"},
    AsksOnceMore: {"test_a_file_is_resolved_to_what_the_provider_promises"},
    LogsItsSecrets: {SECRECY},
    LeavesThisMachine: {
        "test_a_file_is_resolved_to_what_the_provider_promises",
        "test_a_living_connection_says_so",
    },
    FollowsByItself: {"test_an_answer_that_sends_us_elsewhere_is_not_followed"},
    RaisesForADeadLine: {"test_a_dead_connection_says_why_and_never_raises"},
    StumblesOverAnOddPart: {PAYLOADS, "test_no_scrambled_payload_raises_or_costs_its_neighbours"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", COMMON, ids=lambda fault: fault.__name__)
def test_the_suite_catches_in_every_adapter(fault, kind):
    suite = suite_of(kind)
    faulty = type(fault.__name__, (fault, suite.provider), {})
    assert is_caught(suite, faulty, COMMON[fault])


@pytest.mark.parametrize("kind", KINDS)
def test_a_suite_plays_its_scenes_with_the_adapter_it_is_given(kind):
    faulty = type("Faulty", (suite_of(kind).provider,), {})

    async def play():
        async with _quick(suite_of(kind), faulty)().stage(Scene.FOUND) as stage:
            assert type(stage.provider) is faulty

    asyncio.run(play())


# ── faults only some could have ──


class SignsOverReserialisedJson(MetaCloud):
    def verify(self, webhook: Webhook) -> None:
        try:
            body = json.dumps(json.loads(webhook.body)).encode()
        except ValueError:
            body = webhook.body
        super().verify(replace(webhook, body=body))


class TellsTheTokenInAnError(MetaCloud):
    async def resolve(self, session, file):
        try:
            return await super().resolve(session, file)
        except AccessLost as error:
            raise AccessLost(f"Refused with {self._authorization()}", code=error.code) from error


class TrustsEverySubdomain(MetaCloud):
    def _may_see_credentials(self, url: str) -> bool:
        return "lookaside.fbsbx.com" in url or super()._may_see_credentials(url)


class LooksUpWithTheTokenInTheAddress(MetaCloud):
    async def resolve(self, session, file):
        await self._graph.get(session, file.provider_id, {"access_token": self._credentials.secrets["token"]})
        return await super().resolve(session, file)


class BelievesTheHeaderAlone(Dialog360):
    def verify(self, webhook: Webhook) -> None:
        path_key = self._credentials.secrets.get("path_key", "")
        super().verify(replace(webhook, url=f"https://anywhere.example.test/{path_key}"))


class BelievesTheAddressAlone(Dialog360):
    def verify(self, webhook: Webhook) -> None:
        secret = self._credentials.secrets.get("hook_secret", "")
        super().verify(replace(webhook, headers={"x-hook-secret": secret}))


class ShowsTheKeyToMeta(Dialog360):
    def _may_see_credentials(self, url: str) -> bool:
        return host_of(url) == "lookaside.fbsbx.com" or super()._may_see_credentials(url)

    def _moved(self, url: str) -> str | None:
        return url


class AsksTwiceForAnExpiredId(Dialog360):
    async def resolve(self, session, file):
        try:
            return await super().resolve(session, file)
        except AcervoError:
            return await super().resolve(session, file)


OWN = {
    SignsOverReserialisedJson: "test_every_signature_vector_is_judged_as_recorded",
    TellsTheTokenInAnError: SECRECY,
    TrustsEverySubdomain: "test_credentials_go_only_to_the_hosts_that_may_see_them",
    LooksUpWithTheTokenInTheAddress: "test_no_secret_stands_in_an_address_that_is_asked_for",
    BelievesTheHeaderAlone: "test_the_address_is_a_secret_where_the_provider_signs_nothing",
    BelievesTheAddressAlone: "test_a_changed_missing_or_wrong_signature_is_refused",
    ShowsTheKeyToMeta: "test_a_file_is_resolved_to_what_the_provider_promises",
    AsksTwiceForAnExpiredId: "test_every_refusal_becomes_the_family_that_says_what_to_do",
}


@pytest.mark.parametrize("faulty", OWN, ids=lambda faulty: faulty.__name__)
def test_the_suite_catches(faulty):
    assert is_caught(suite_of(faulty.kind), faulty, {OWN[faulty]})


@pytest.mark.parametrize("kind", KINDS)
def test_quietly_overriding_a_conformance_test_is_refused_when_the_class_is_made(kind):
    with pytest.raises(AssertionError, match="test_two_secrets_are_accepted_during_rotation"):
        type(
            "Lenient", (suite_of(kind),), {"test_two_secrets_are_accepted_during_rotation": lambda self: None}
        )


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
