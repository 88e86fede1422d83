"""What every provider that can write to a customer must do, in tests: beside `conformance.py`, for adapters that send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Any, ClassVar

import pytest
from aiohttp import web

from acervo.base.errors import AcervoError
from acervo.providers.contract import AccessLost, Identity, Outcome, ProviderBusy
from acervo.providers.evidence import all_shown_of, logged
from acervo.providers.scripted import BUSY_FOR_S, Answer, Stage
from acervo.providers.sending import Button, NotSent, Outgoing, OutsideWindow, Template

ELSEWHERE = "/elsewhere"
MARINA = Identity(phone="+15555550142", name="Marina Duarte")
HIDDEN = Identity(user_id="US.10000000000000000142")
TEXT = "Podemos guardar o que você nos envia?"


class Reply(Enum):
    """What the provider's side makes of a message."""

    TAKEN = "it has an id"
    LATE = "more than 24 hours have passed"
    REFUSED = "the message itself is refused"
    BUSY = "too many requests, wait 7 seconds"
    REVOKED = "the access is revoked"
    UNWELL = "an error of the provider"
    NONSENSE = "an answer that is not the provider's"
    SILENT = "the line goes dead"


FAMILIES: Mapping[Reply, type[AcervoError]] = {
    Reply.LATE: OutsideWindow,
    Reply.REFUSED: NotSent,
    Reply.BUSY: ProviderBusy,
    Reply.REVOKED: AccessLost,
    Reply.UNWELL: ProviderBusy,
    Reply.NONSENSE: ProviderBusy,
    Reply.SILENT: ProviderBusy,
}


class SendingConformance:
    """Subclass it beside `ProviderConformance`, fill in the declarations and `sending`."""

    secrets: ClassVar[Mapping[str, str]]
    replies: ClassVar[Mapping[Reply, Sequence[Answer]]]
    taken_id: ClassVar[str]
    """The id in the answer of TAKEN."""
    template: ClassVar[Template]
    writes_by_user_id: ClassVar[bool] = True
    """Whether a customer without a phone number can be written to."""
    has_buttons: ClassVar[bool] = True
    """Whether buttons can be sent with a free text; elsewhere they are refused in words."""

    def sending(self, answers: Sequence[Answer]) -> AbstractAsyncContextManager[Stage]:
        """The provider, answered from this script."""
        raise NotImplementedError

    def answers(self, reply: Reply, message: Outgoing) -> Sequence[Answer]:
        """The whole script for one message; where some kinds take more than one question."""
        return self.replies[reply]

    def messages(self) -> list[Outgoing]:
        """One of each kind."""
        people = [MARINA, HIDDEN] if self.writes_by_user_id else [MARINA]
        buttons = (Button("consent:accept:v3", "Concordo"), Button("consent:decline:v3", "Agora não"))
        made = [Outgoing(who, text=TEXT, reply_to="wamid.fixtureReply") for who in people]
        made += [Outgoing(who, template=self.template) for who in people]
        return made + ([Outgoing(MARINA, text=TEXT, buttons=buttons)] if self.has_buttons else [])

    async def test_each_kind_of_message_is_taken_and_has_an_id(self) -> None:
        for message in self.messages():
            async with self.sending(self.answers(Reply.TAKEN, message)) as stage:
                sent = await _send(stage, message)
                assert sent.message_id == self.taken_id
                assert not stage.unexpected
                assert not stage.unused

    async def test_every_refusal_to_send_says_what_to_do(self) -> None:
        for reply, family in FAMILIES.items():
            async with self.sending(self.replies[reply]) as stage:
                with pytest.raises(AcervoError) as refusal:
                    await _send(stage, self.messages()[0])
                assert isinstance(refusal.value, family), f"{reply.value}: {type(refusal.value).__name__}"

    async def test_a_busy_provider_says_for_how_long_before_it_takes_more(self) -> None:
        async with self.sending(self.replies[Reply.BUSY]) as stage:
            with pytest.raises(ProviderBusy) as refusal:
                await _send(stage, self.messages()[0])
            assert (refusal.value.after_s, refusal.value.code) == (BUSY_FOR_S, Outcome.RATE_LIMITED)

    async def test_what_may_have_been_sent_is_sent_once_and_called_timed_out(self) -> None:
        async with self.sending(self.replies[Reply.SILENT]) as stage:
            with pytest.raises(ProviderBusy) as refusal:
                await _send(stage, self.messages()[0])
            assert refusal.value.code == Outcome.TIMED_OUT
            assert len(stage.requests) == 1, "it may have been sent, and was sent again"

    async def test_buttons_that_cannot_be_sent_are_refused_before_anybody_is_asked(self) -> None:
        if self.has_buttons:
            return
        async with self.sending([]) as stage:
            with pytest.raises(NotSent):
                await _send(stage, Outgoing(MARINA, text=TEXT, buttons=(Button("a", "Sim"),)))
            assert not stage.requests

    async def test_a_person_who_cannot_be_addressed_is_refused_before_anybody_is_asked(self) -> None:
        nameless = Identity(name="Marina Duarte")
        for nobody in (nameless,) if self.writes_by_user_id else (nameless, HIDDEN):
            async with self.sending([]) as stage:
                with pytest.raises(NotSent):
                    await _send(stage, Outgoing(nobody, text=TEXT))
                assert not stage.requests

    async def test_a_send_that_is_sent_elsewhere_stays_here(self) -> None:
        async with self.sending([Answer(307, {"Location": ELSEWHERE})]) as stage:
            with pytest.raises(AcervoError):
                await _send(stage, self.messages()[0])
            assert not [request for request in stage.requests if request.path == ELSEWHERE]

    async def test_sending_shows_no_secret_number_or_text(self) -> None:
        private = {
            *self.secrets.values(),
            TEXT,
            str(MARINA.phone),
            str(MARINA.phone)[1:],
            str(HIDDEN.user_id),
        }
        shown: list[str] = [repr(message) for message in self.messages()]
        with logged() as lines:
            for answers in self.replies.values():
                async with self.sending(answers) as stage:
                    try:
                        shown.append(repr(await _send(stage, self.messages()[0])))
                    except AcervoError as error:
                        shown += all_shown_of(error)
                    shown += [_address(request) for request in stage.requests]
        everything = "\n".join([*shown, *lines])
        leaked = sorted({word[:3] + "…" for word in private if word and word in everything})
        assert not leaked, f"leaked, by their first letters: {leaked}"


async def _send(stage: Stage, message: Outgoing) -> Any:
    provider: Any = stage.provider
    return await provider.send(stage.session, message)


def _address(request: web.BaseRequest) -> str:
    return str(request.rel_url)
