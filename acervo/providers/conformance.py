"""What every provider must do, in tests. An adapter's own test file says how it is spoken to; the promises stand here."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from acervo.base import clock
from acervo.base.errors import AcervoError, NeedsPerson, TryLater
from acervo.providers.contract import (
    AccessLost,
    Announcement,
    Credentials,
    ForgedWebhook,
    MediaGone,
    Outcome,
    Provider,
    ProviderBusy,
    Reading,
    Resolved,
    Revocation,
    UnreadableWebhook,
    Webhook,
)
from acervo.providers.evidence import all_shown_of, assert_storable, logged, plain
from acervo.providers.probing import MARK, Probes
from acervo.providers.scrambling import scrambled
from acervo.providers.scripted import BUSY_FOR_S, Answer, Scene, Stage

OTHER_SECRET = "another-secret-0123456789"  # noqa: S105
NOT_OURS = (b"", b"[]", b"null", b'"text"', b"1", b"{", b"\xff\xfe\x00", b"{}", b"[" * 5000, b"9" * 5000)
ELSEWHERE = "/elsewhere"
CHECK_SCENES = (Scene.DEAD, Scene.SICK, Scene.MUTE)
REFUSALS: Mapping[Scene, type[AcervoError]] = {
    Scene.LOST: MediaGone,
    Scene.BUSY: ProviderBusy,
    Scene.REVOKED: AccessLost,
    Scene.UNWELL: ProviderBusy,
    Scene.NONSENSE: ProviderBusy,
    Scene.SILENT: ProviderBusy,
}


class ProviderConformance:
    """Subclass it, fill in the declarations and the four methods below; override no test.

    A test that cannot hold for a provider is marked `pytest.mark.xfail(reason=…)` on an override that calls it.
    """

    provider: ClassVar[type[Provider]]
    folder: ClassVar[Path]
    """Holds `payloads/NAME.json` with `NAME.expected.json`, and `signatures.json`."""
    account_id: ClassVar[str]
    secrets: ClassVar[Mapping[str, str]]
    """A value for each of `provider.secret_names`."""
    options: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Not secret, as on the connection."""
    signing_secret: ClassVar[str]
    """Which of them signs webhooks."""
    lost_payload: ClassVar[str]
    """The payload that announces a file the provider itself lost."""
    examples: ClassVar[int | None] = None
    """Scrambled payloads per run; None: as many as Hypothesis's profile says."""
    phases: ClassVar[Collection[Phase]] = tuple(Phase)
    payload_ending: ClassVar[str] = ".json"
    """Of the recorded bodies in `payloads/`; what they yield is JSON all the same."""
    not_ours: ClassVar[Collection[bytes]] = NOT_OURS
    """Bodies this provider never sends; at least as many as here."""

    def sign(self, body: bytes, secret: str) -> Webhook:
        """The webhook as the provider would send it; its only headers are those of the signature."""
        raise NotImplementedError

    def webhook(self, body: bytes) -> Webhook:
        """The webhook as `read` meets it, long after it was verified: with the headers the journal keeps."""
        return Webhook("POST", {}, body)

    def parse(self, body: bytes) -> Any:
        """A recorded body as the dicts and lists it consists of."""
        return json.loads(body)

    def dump(self, document: Any) -> bytes:
        """The body a document stands for, however broken the document is."""
        return json.dumps(document).encode()

    def is_batched(self, document: Any) -> bool:
        """Whether the provider sends documents like this one several at a time. Others never reach `join`."""
        return True

    def handshake_with(self, token: str) -> Webhook:
        """The provider's handshake; only where it has one."""
        raise NotImplementedError

    def join(self, documents: Sequence[Any]) -> Any:
        """One payload holding the parts of all: the provider's own way of batching."""
        raise NotImplementedError

    def stage(self, scene: Scene) -> AbstractAsyncContextManager[Stage]:
        """The provider with its side played as `scene` says."""
        raise NotImplementedError

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        assert not overridden(cls), f"{cls.__name__} overrides the suite: {overridden(cls)}"

    # What is declared

    def test_no_conformance_test_is_overridden(self) -> None:
        assert not overridden(type(self))

    def test_what_is_declared_can_be_used_as_it_stands(self) -> None:
        capabilities = self.provider.capabilities
        assert self.provider.kind
        assert self.provider.name
        assert self.signing_secret in self.provider.secret_names
        assert set(self.secrets) == set(self.provider.secret_names)
        assert capabilities.file_lifetime > timedelta(0)
        assert set(capabilities.credential_hosts) <= set(capabilities.media_hosts)
        assert set(capabilities.own_secrets) <= set(self.provider.secret_names)
        assert capabilities.address_secret in (None, *self.provider.secret_names)
        asked = [one.name for one in self.provider.asks]
        assert len(asked) == len(set(asked))
        if asked:  # whoever answers everything is connected
            must = {one.name for one in self.provider.asks if one.is_required and one.is_secret}
            assert must == set(self.provider.secret_names) - set(capabilities.own_secrets)
            assert "account_id" in asked
        assert capabilities.signs_body or capabilities.address_secret, "nothing tells it from a stranger"
        for host in capabilities.media_hosts:
            assert host == host.lower()
            assert not set(host) & set("*:/@ "), f"{host} is not an exact host name"

    # The door

    def test_a_signed_body_is_accepted_whatever_it_says(self) -> None:
        for body in (b"{}", b"", b"\xff\x00", self.documents_as_bytes()[0]):
            self.adapter().verify(self.sign(body, self.secret))

    def test_every_signature_vector_is_judged_as_recorded(self) -> None:
        vectors = json.loads((self.folder / "signatures.json").read_text())["vectors"]
        assert {vector["valid"] for vector in vectors} == {True, False}
        for vector in vectors:
            with held_at(self.vector_moment(vector)):
                is_accepted = self.accepts(self.vector_webhook(vector), self.vector_secret(vector))
            assert is_accepted is vector["valid"], vector["name"]

    def test_a_changed_missing_or_wrong_signature_is_refused(self) -> None:
        body = self.documents_as_bytes()[0]
        signed = self.sign(body, self.secret)
        if self.provider.capabilities.signs_body:
            for changed in (body + b" ", body[:-1], body[:1] + b" " + body[1:], b""):
                assert not self.accepts(dataclasses.replace(signed, body=changed)), "a changed body"
        if signed.url:
            for url in (f"{signed.url}x", signed.url[:-1], ""):
                assert not self.accepts(dataclasses.replace(signed, url=url)), "a changed address"
        assert not self.accepts(dataclasses.replace(signed, headers={})), "no signature"
        assert not self.accepts(self.sign(body, OTHER_SECRET)), "another secret's signature"
        for bad in _damaged(signed.headers):
            assert not self.accepts(dataclasses.replace(signed, headers=bad)), "a damaged signature"

    def test_the_address_is_a_secret_where_the_provider_signs_nothing(self) -> None:
        name = self.provider.capabilities.address_secret
        if name is None:
            return
        signed = self.sign(self.documents_as_bytes()[0], self.secret)
        start = signed.url.removesuffix(self.secrets[name])
        assert start != signed.url, "the address does not end with its secret"
        assert not self.accepts(signed, **{name: OTHER_SECRET}), "another address"
        assert not self.accepts(dataclasses.replace(signed, url=start), **{name: ""}), "an empty secret"
        assert self.accepts(signed, **{name: OTHER_SECRET, f"{name}_previous": self.secrets[name]})

    def test_a_probe_of_ours_is_let_in_known_again_and_says_nothing(self) -> None:
        provider = self.adapter()
        if not isinstance(provider, Probes):
            return
        address_secret = provider.capabilities.address_secret
        url = "https://archive.example.test/hooks/x/y" + (
            f"/{self.secrets[address_secret]}" if address_secret else ""
        )
        probe = provider.probe("01JC0000000000000000000000", url)
        provider.verify(probe)
        assert provider.probed(probe) == "01JC0000000000000000000000"
        with suppress(UnreadableWebhook):
            assert not provider.read(probe).events
        shown = "".join(probe.headers.values()) if provider.capabilities.signs_body else ""
        assert not [
            secret for secret in self.secrets.values() if secret.encode() in probe.body + shown.encode()
        ]
        stranger = self.adapter(**{self.signing_secret: OTHER_SECRET})
        with pytest.raises(ForgedWebhook):
            stranger.verify(probe)

    def test_no_webhook_of_the_provider_is_taken_for_a_probe(self) -> None:
        provider = self.adapter()
        if not isinstance(provider, Probes):
            return
        for body in (*self.documents_as_bytes(), *self.not_ours):
            for said in (body, body.replace(b"text", b"acervo_probe"), MARK + body, body + MARK):
                assert provider.probed(self.webhook(said)) is None

    def test_with_an_empty_secret_everything_is_refused(self) -> None:
        body = self.documents_as_bytes()[0]
        for empty in ("", " "):
            for forged in (self.sign(body, empty), self.sign(body, self.secret)):
                assert not self.accepts(forged, **{self.signing_secret: empty})
        without = {name: value for name, value in self.secrets.items() if name != self.signing_secret}
        with pytest.raises(ForgedWebhook):
            self.provider(Credentials(self.account_id, without, self.options)).verify(self.sign(body, ""))

    def test_two_secrets_are_accepted_during_rotation(self) -> None:
        body, previous = self.documents_as_bytes()[0], f"{self.signing_secret}_previous"
        rotating = {self.signing_secret: OTHER_SECRET, previous: self.secret}
        assert self.accepts(self.sign(body, self.secret), **rotating), "the previous secret"
        assert self.accepts(self.sign(body, OTHER_SECRET), **rotating), "the current secret"
        assert not self.accepts(self.sign(body, "a-third-secret"), **rotating), "any other secret"
        assert not self.accepts(self.sign(body, self.secret), **{self.signing_secret: OTHER_SECRET}), (
            "after it"
        )
        assert not self.accepts(self.sign(body, ""), **{previous: ""}), "an empty previous secret"

    def test_the_handshake_answers_only_to_its_token_or_is_refused(self) -> None:
        if not self.provider.capabilities.has_handshake:
            with pytest.raises(ForgedWebhook):
                self.adapter().handshake(Webhook("GET", {}, b""))
            return
        token = self.secrets["verify_token"]
        assert self.adapter().handshake(self.handshake_with(token))
        for wrong in (token[:-1], token + "x", "", " ", "\udcff"):
            with pytest.raises(ForgedWebhook):
                self.adapter().handshake(self.handshake_with(wrong))
        with pytest.raises(ForgedWebhook):
            self.adapter(verify_token="").handshake(self.handshake_with(""))

    # What a payload says

    def test_every_payload_yields_exactly_what_is_expected(self) -> None:
        for name, body in self.payloads().items():
            expected = json.loads((self.folder / "payloads" / f"{name}.expected.json").read_text())
            assert plain(self.read(body)) == expected, name

    def test_the_payloads_hold_a_batch_a_file_and_something_unread(self) -> None:
        readings = [self.read(body) for body in self.payloads().values()]
        assert any(len(reading.events) > 1 for reading in readings) or not self.batched_documents()
        assert any(reading.unread for reading in readings)
        assert any(isinstance(event, Announcement) and event.files for r in readings for event in r.events)

    def test_a_batch_of_everything_is_read_whole(self) -> None:
        documents = self.batched_documents()
        if not documents:
            return
        together = self.read(self.dump(self.join(documents)))
        alone = [self.read(self.dump(document)) for document in documents]
        assert list(together.events) == [event for reading in alone for event in reading.events]
        assert len(together.unread) == sum(len(reading.unread) for reading in alone)

    def test_a_body_that_is_not_the_providers_is_refused_in_words(self) -> None:
        assert len(self.not_ours) >= len(NOT_OURS)
        for body in self.not_ours:
            with pytest.raises(UnreadableWebhook) as refusal:
                self.read(body)
            assert str(refusal.value)

    def test_hashes_are_lower_case_hex_and_moments_know_their_zone(self) -> None:
        for announcement in self.announcements():
            assert announcement.sent_at.tzinfo is not None
            assert announcement.sender.user_id or announcement.sender.phone
            for file in announcement.files:
                assert file.sha256 is None or (
                    len(file.sha256) == 64 and set(file.sha256) <= set("0123456789abcdef")
                )

    def test_a_file_the_provider_lost_is_announced_as_lost(self) -> None:
        reading = self.read(self.payloads()[self.lost_payload])
        lost = [file for event in reading.events if isinstance(event, Announcement) for file in event.files]
        assert [file.refusal for file in lost] == [Outcome.LOST_AT_PROVIDER]

    async def test_a_file_the_provider_lost_is_not_asked_for(self) -> None:
        reading = self.read(self.payloads()[self.lost_payload])
        lost = next(event.files[0] for event in reading.events if isinstance(event, Announcement))
        async with self.stage(Scene.FOUND) as stage:
            with pytest.raises(MediaGone) as refusal:
                await stage.provider.resolve(stage.session, lost)
            assert refusal.value.code == Outcome.LOST_AT_PROVIDER
            assert not stage.requests

    def test_no_scrambled_payload_raises_or_costs_its_neighbours(self) -> None:
        documents, batched = self.documents(), self.batched_documents()

        @settings(
            max_examples=self.examples or settings().max_examples,
            deadline=None,
            database=None,
            phases=self.phases,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def hold(data: st.DataObject) -> None:
            victim = data.draw(st.sampled_from(documents))
            broken = data.draw(scrambled(victim))
            with suppress(UnreadableWebhook):
                assert_storable(self.read(self.dump(broken)))
            if not self.is_batched(victim):
                return
            before, after = (data.draw(st.sampled_from(batched)) for _ in range(2))
            together = self.read(self.dump(self.join([before, broken, after])))
            assert_storable(together)
            wanted = Counter(repr(plain(e)) for d in (before, after) for e in self.read(self.dump(d)).events)
            assert wanted <= Counter(repr(plain(event)) for event in together.events)

        hold()

    # Where the bytes are

    async def test_a_file_is_resolved_to_what_the_provider_promises(self) -> None:
        async with self.stage(Scene.FOUND) as stage:
            resolved = await stage.provider.resolve(stage.session, stage.file)
            assert stage.promised is not None
            assert (resolved.url, resolved.sha256, resolved.size_bytes) == (
                stage.promised.url,
                stage.promised.sha256,
                stage.promised.size_bytes,
            )
            _assert_script_was_played(stage)

    async def test_every_refusal_becomes_the_family_that_says_what_to_do(self) -> None:
        for scene, wanted in REFUSALS.items():
            async with self.stage(scene) as stage:
                with pytest.raises(AcervoError) as refusal:
                    await stage.provider.resolve(stage.session, stage.file)
                assert isinstance(refusal.value, wanted), f"{scene.value}: {type(refusal.value).__name__}"
                assert refusal.value.code in set(Outcome), scene.value
                _assert_script_was_played(stage)

    async def test_a_busy_provider_says_for_how_long(self) -> None:
        async with self.stage(Scene.BUSY) as stage:
            with pytest.raises(ProviderBusy) as refusal:
                await stage.provider.resolve(stage.session, stage.file)
            assert (refusal.value.after_s, refusal.value.code) == (BUSY_FOR_S, Outcome.RATE_LIMITED)

    def test_a_refused_download_becomes_the_family_that_says_what_to_do(self) -> None:
        refusal = self.adapter().download_refusal
        wait = {"Retry-After": str(BUSY_FOR_S)}
        assert isinstance(refusal(401, {}, b""), NeedsPerson)
        assert isinstance(refusal(503, {}, b"<html>"), TryLater)
        assert isinstance(refusal(200, {}, b"<html>"), TryLater)
        busy = refusal(429, wait, b"")
        assert isinstance(busy, ProviderBusy)
        assert busy.after_s == BUSY_FOR_S
        for status in (204, 302, 400, 403, 404, 410, 416, 418, 500, 599):
            for body in (b"", b"<html>", b'{"error": 1}', b"\xff", b"[" * 4096):
                error = refusal(status, {}, body)
                assert isinstance(error, AcervoError), status
                assert error.code in set(Outcome), status

    def test_credentials_go_only_to_the_hosts_that_may_see_them(self) -> None:
        hosts = self.provider.capabilities.credential_hosts or ("example.test",)
        for host in hosts:
            for url in (
                f"https://{host}.example.test/a",
                f"https://example.test/{host}",
                f"https://{host}@example.test/a",
                f"https://x{host}/a",
                f"https://example.test#{host}",
                f"http://{host}/a",
                f"//{host}/a",
                "not a url",
                "",
            ):
                request = self.adapter().download_request(Resolved(url=url))
                shown = f"{request.headers} {request.url}"
                assert not [secret for secret in self.secrets.values() if secret in shown], url
                assert set(request.credential_hosts) <= set(request.allowed_hosts)

    async def test_an_answer_that_sends_us_elsewhere_is_not_followed(self) -> None:
        """Whoever follows by itself takes the credentials along."""
        for scene in (Scene.FOUND, Scene.ALIVE):
            async with self.stage(scene) as stage:
                stage.script[:] = [Answer(302, {"Location": ELSEWHERE})] * len(stage.script)
                with suppress(AcervoError):
                    if scene is Scene.FOUND:
                        await stage.provider.resolve(stage.session, stage.file)
                    else:
                        await stage.provider.check(stage.session)
                assert not [request for request in stage.requests if request.path == ELSEWHERE]

    async def test_no_secret_stands_in_an_address_that_is_asked_for(self) -> None:
        """Addresses are written into logs on the way; headers are not."""
        for scene in (*REFUSALS, Scene.FOUND, Scene.ALIVE, *CHECK_SCENES):
            async with self.stage(scene) as stage:
                with suppress(AcervoError):
                    if scene in (Scene.ALIVE, *CHECK_SCENES):
                        await stage.provider.check(stage.session)
                    else:
                        await stage.provider.resolve(stage.session, stage.file)
                asked = [str(request.rel_url) for request in stage.requests]
                assert not [s for s in self.secrets.values() for address in asked if s in address], (
                    scene.value
                )

    def test_usage_headers_are_read_or_ignored_but_never_an_error(self) -> None:
        for value in (
            "",
            "{",
            "[]",
            "null",
            '{"a": 1}',
            '{"a": [1, {"call_count": "x"}]}',
            "[" * 5000,
            "1e999",
        ):
            headers = {"X-App-Usage": value, "X-Business-Use-Case-Usage": value, "Retry-After": value}
            usage = self.adapter().usage(headers)
            assert usage is None or 0 <= usage.percent < float("inf")
            self.adapter().download_refusal(429, headers, b"")
        assert self.adapter().usage({}) is None

    # Is it well?

    async def test_a_living_connection_says_so(self) -> None:
        async with self.stage(Scene.ALIVE) as stage:
            health = await stage.provider.check(stage.session)
            assert (health.is_alive, health.code) == (True, "ok")
            _assert_script_was_played(stage)

    async def test_a_dead_connection_says_why_and_never_raises(self) -> None:
        for scene in CHECK_SCENES:
            async with self.stage(scene) as stage:
                health = await stage.provider.check(stage.session)
                assert not health.is_alive, scene.value
                assert health.code in set(Outcome), scene.value
                assert health.detail, scene.value
                _assert_script_was_played(stage)

    # What nobody may see

    async def test_no_secret_number_or_text_appears_in_errors_logs_or_reprs(self) -> None:
        with logged() as lines:
            shown = [line async for line in self._everything_shown()]
        private = {*self.secrets.values(), *self._private_words()}
        everything = "\n".join([*shown, *lines])
        leaked = sorted({word[:3] + "…" for word in private if word in everything})
        assert not leaked, f"leaked, by their first letters: {leaked}"

    async def _everything_shown(self) -> Any:
        for scene in REFUSALS:
            async with self.stage(scene) as stage:
                try:
                    await stage.provider.resolve(stage.session, stage.file)
                except AcervoError as error:
                    for line in all_shown_of(error):
                        yield line
        for scene in (*CHECK_SCENES, Scene.ALIVE):
            async with self.stage(scene) as stage:
                yield repr(await stage.provider.check(stage.session))
        async with self.stage(Scene.FOUND) as stage:
            resolved = await stage.provider.resolve(stage.session, stage.file)
            yield repr((stage.provider, resolved, stage.provider.download_request(resolved), stage.file))
        for status in (200, 401, 404, 429, 500):
            for line in all_shown_of(
                self.adapter().download_refusal(status, {}, self.documents_as_bytes()[0])
            ):
                yield line
        for attempt in self._refused_knocks():
            for line in all_shown_of(attempt):
                yield line
        for body in self.payloads().values():
            yield repr(self.sign(body, self.secret).body and self.read(body))

    def _refused_knocks(self) -> Iterator[Exception]:
        body = self.documents_as_bytes()[0]
        adapter = self.adapter()
        for call in (
            lambda: adapter.verify(self.sign(body, OTHER_SECRET)),
            lambda: adapter.verify(Webhook("POST", {}, body)),
            lambda: adapter.handshake(Webhook("GET", {}, body)),
            lambda: adapter.read(self.webhook(b"{" + body)),
            lambda: adapter.read(self.webhook(b'"' + self.secret.encode() + b'"')),
        ):
            with pytest.raises(AcervoError) as refusal:
                call()
            yield refusal.value

    def _private_words(self) -> set[str]:
        words: set[str | None] = set()
        for said in self.announcements():
            who = said.sender
            words |= {
                who.user_id,
                who.phone,
                who.phone and who.phone[1:],
                who.username,
                said.message_id,
                said.reply_to,
            }
            words |= {word for word in (who.name, said.text) if word and len(word) > 7}
            words |= {word for file in said.files for word in (file.url, file.file_name)}
        return {word for word in words if word}

    # Conveniences

    @property
    def secret(self) -> str:
        return self.secrets[self.signing_secret]

    def adapter(self, **secrets: str) -> Provider:
        return self.provider(Credentials(self.account_id, {**self.secrets, **secrets}, self.options))

    def accepts(self, webhook: Webhook, secret: str | None = None, **secrets: str) -> bool:
        """Whether a provider with these secrets lets the webhook in."""
        changed = secrets if secret is None else {self.signing_secret: secret}
        try:
            self.adapter(**changed).verify(webhook)
        except ForgedWebhook:
            return False
        return True

    def read(self, body: bytes) -> Reading:
        return self.adapter().read(self.webhook(body))

    def payloads(self) -> dict[str, bytes]:
        found = {
            path.name.removesuffix(self.payload_ending): path.read_bytes()
            for path in sorted((self.folder / "payloads").glob(f"*{self.payload_ending}"))
            if not path.name.endswith(".expected.json")
        }
        assert found, "an adapter without payloads proves nothing"
        return found

    def documents(self) -> list[Any]:
        return [self.parse(body) for body in self.payloads().values()]

    def batched_documents(self) -> list[Any]:
        return [document for document in self.documents() if self.is_batched(document)]

    def documents_as_bytes(self) -> list[bytes]:
        return list(self.payloads().values())

    def announcements(self) -> list[Announcement]:
        events = [event for body in self.payloads().values() for event in self.read(body).events]
        edited = [event.edited for event in events if isinstance(event, Revocation) and event.edited]
        return [event for event in events if isinstance(event, Announcement)] + edited

    def vector_webhook(self, vector: Mapping[str, Any]) -> Webhook:
        """The webhook of one entry of `signatures.json`."""
        raise NotImplementedError

    def vector_secret(self, vector: Mapping[str, Any]) -> str:
        """The secret that entry is to be judged by."""
        raise NotImplementedError

    def vector_moment(self, vector: Mapping[str, Any]) -> datetime | None:
        """When it arrived, for a signature that grows old; None: now."""
        return None


@contextmanager
def held_at(moment: datetime | None) -> Iterator[None]:
    """The clock stands still at this moment; None leaves it running."""
    with ExitStack() as held:
        if moment is not None:
            held.enter_context(patch.object(clock, "now", lambda: moment))
        yield


def overridden(suite: type[ProviderConformance]) -> list[str]:
    """The suite's tests that a subclass replaced without `xfail(reason=…)`."""
    return [
        name
        for name, original in vars(ProviderConformance).items()
        if name.startswith("test_") and (now := getattr(suite, name)) is not original and not _is_excused(now)
    ]


def _is_excused(test: Any) -> bool:
    marks = getattr(test, "pytestmark", [])
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)


def _assert_script_was_played(stage: Stage) -> None:
    assert not stage.unexpected, "something was asked that the script does not answer"
    assert not stage.unused, "an answer of the script was never asked for"


def _damaged(headers: Mapping[str, str]) -> Iterator[dict[str, str]]:
    for name, value in headers.items():
        for bad in (
            "",
            value[:-1],
            value + "0",
            value.upper(),
            f" {value}",
            f"{value}\n",
            value[:-1] + "é",
            "0" * 64,
        ):
            if bad != value:
                yield {**headers, name: bad}
