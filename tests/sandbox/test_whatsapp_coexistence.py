"""A shared number's past, echoes and changes, groups, sends and registration of the simulated Meta, read by our adapter."""

import aiohttp
import pytest
from aiohttp import web

from acervo.providers.contract import (
    AccountEvent,
    Announcement,
    Credentials,
    Direction,
    Identity,
    ProviderBusy,
    Revocation,
    Webhook,
)
from acervo.providers.meta_cloud.adapter import MetaCloud
from acervo.providers.sending import Outgoing, OutsideWindow
from sandbox.people import MARINA, SIMONE
from sandbox.whatsapp import Phone, RemoteSandbox, SandboxServer, message, webhook
from sandbox.whatsapp.coexistence import as_ours, echoes, edit, history, late, revoke

PHONE = Phone()
SECRETS = {
    "token": PHONE.access_token,
    "app_secret": PHONE.app_secret,
    "verify_token": PHONE.verify_token,
}


def adapter(base=None):
    return MetaCloud(
        Credentials(
            PHONE.phone_number_id,
            SECRETS,
            {"waba_id": PHONE.waba_id},
            api_base=base,
            allowed_hosts=("127.0.0.1",) if base else (),
        )
    )


def heard(signed):
    """What our adapter makes of a webhook, signature included."""
    knock = Webhook("POST", {name.lower(): value for name, value in signed.headers.items()}, signed.body)
    adapter().verify(knock)
    reading = adapter().read(knock)
    assert not reading.unread
    return list(reading.events)


def photo(who, **more):
    shelf = SandboxServer().shelf
    media_id = shelf.add(b"\xff\xd8", "image/jpeg")
    return message(who, file=shelf.announce(media_id), **more)


def test_the_past_is_told_in_chunks_with_placeholders_whose_files_follow():
    told = [message(MARINA, text=f"{number}", at=1_767_000_000 + number) for number in range(90)]
    shown, ours = photo(MARINA), as_ours(message(SIMONE, text="Segue"), PHONE)
    past = history([*told, shown, ours], phone=PHONE, seed=3)
    events = [event for chunk in past for event in heard(chunk)]
    messages = {event.message_id: event for event in events if isinstance(event, Announcement)}
    assert len(past) == 4
    assert len(messages) == 92
    assert all(event.is_history for event in messages.values())
    assert messages[ours.id].direction == Direction.OUTBOUND
    assert messages[ours.id].sender.user_id == SIMONE.user_id
    assert [file.is_placeholder for file in messages[shown.id].files] == [True]
    assert [event.type for event in events if isinstance(event, AccountEvent)] == ["history"]
    (event,) = heard(late(shown, phone=PHONE))
    assert (event.message_id, event.is_history) == (shown.id, True)
    assert event.files[0].provider_id


def test_echoes_edits_and_withdrawals_name_the_message_they_are_about():
    mine = as_ours(photo(MARINA, caption="antes"), PHONE)
    told = [mine, edit(mine, caption="depois"), revoke(mine)]
    shown, changed, revoked = heard(echoes(told, phone=PHONE))
    assert (shown.direction, shown.text) == (Direction.OUTBOUND, "antes")
    assert (changed.message_id, changed.edited.text) == (mine.id, "depois")
    assert isinstance(revoked, Revocation)
    assert (revoked.message_id, revoked.edited, revoked.direction) == (mine.id, None, Direction.OUTBOUND)
    assert revoked.sender.phone == changed.sender.phone == f"+{MARINA.phone}"
    theirs = message(SIMONE, text="oi")
    (revoked,) = heard(webhook([revoke(theirs)], phone=PHONE))
    assert (revoked.message_id, revoked.sender.user_id) == (theirs.id, SIMONE.user_id)


def test_a_message_in_a_group_says_in_which():
    (event,) = heard(webhook([message(MARINA, text="oi", group_id="Y2FwaQ")], phone=PHONE))
    assert event.group_id == "Y2FwaQ"


async def test_a_text_of_ours_is_taken_and_outside_the_window_it_is_not():
    async with (
        SandboxServer([PHONE]) as meta,
        RemoteSandbox(meta.base_url) as remote,
        aiohttp.ClientSession() as session,
    ):
        provider, to = adapter(meta.base_url), Identity(phone=f"+{MARINA.phone}")
        sent = await provider.send(session, Outgoing(to, text="Recebido."))
        assert [said["id"] for said in (await remote.desk())["sent"]] == [sent.message_id]
        await remote.set_late(to.phone)
        with pytest.raises(OutsideWindow):
            await provider.send(session, Outgoing(to, text="Recebido."))


@pytest.mark.parametrize("is_ours", [True, False])
async def test_our_address_is_registered_once_it_shakes_hands(is_ours):
    async def hook(request):
        challenge = adapter().handshake(Webhook("GET", {}, b"", dict(request.query)))
        return web.Response(text=challenge) if is_ours else web.Response(status=403)

    app = web.Application()
    app.add_routes([web.get("/hooks/meta_cloud/1", hook)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/meta_cloud/1"
        async with SandboxServer([PHONE]) as meta, aiohttp.ClientSession() as session:
            provider = adapter(meta.base_url)
            before = await provider.registered(session)
            if is_ours:
                await provider.register(session, address)
                assert meta.state.subscribed == {PHONE.waba_id}
            else:
                with pytest.raises(ProviderBusy):
                    await provider.register(session, address)
            assert await provider.registered(session) == (address if is_ours else before)
            assert (await provider.check(session)).facts["keeps_files"] is True
    finally:
        await runner.cleanup()
