"""One WhatsApp account at each provider we know: how it is connected, and how its simulated vendor tells of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox import bird, dialog360, messagebird, twilio
from sandbox.whatsapp import Announced, Phone, RemoteSandbox, Sender, message, webhook
from sandbox.whatsapp.messages import Customer, SignedWebhook

_PHONE, _NUMBER, _SENDER = Phone(), dialog360.Number(), twilio.Account()
_MESSAGEBIRD, _BIRD = messagebird.Channel(), bird.Channel()


@dataclass(frozen=True, slots=True)
class Account:
    """What differs between the vendors, for whoever treats them alike."""

    kind: str
    options: tuple[str, ...]
    """What `acervo connect` has to know."""
    phone: Phone
    """The account as the shelf of its sandbox knows it."""
    write: Callable[[Customer, Announced, str], Any]
    """A message with a file, as the vendor holds it. The last argument is the address of the sandbox."""
    sign: Callable[[Any, Line], SignedWebhook]
    handle: type[RemoteSandbox] = RemoteSandbox
    sender: type[Sender] = Sender

    @property
    def sandbox(self) -> str:
        """The module that plays the vendor."""
        return f"sandbox.{'whatsapp' if self.kind == 'meta_cloud' else self.kind}"

    @property
    def keeps_a_list(self) -> bool:
        """What it received can be asked for later, whether or not a webhook told of it."""
        return hasattr(self.handle, "say")


@dataclass(slots=True)
class Line:
    """A connected account: where it knocks, and the handles of its vendor."""

    account: Account
    url: str
    remote: Any
    """As `Account.handle`, in use."""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    """Registered by us, to be shown with each knock."""

    async def look_up_registration(self) -> None:
        """Where our address was registered with headers, they are known from here on."""
        if self.account.kind == "dialog360":
            told = (await self.remote.desk())["registered"][self.account.phone.phone_number_id]
            self.url, self.headers = told["url"], told["headers"]

    async def add(self, body: bytes, mime: str) -> Announced:
        """A file the vendor holds from now on."""
        added: Announced = await self.remote.add(body, mime, phone=self.account.phone)
        return added

    async def hold(self, customer: Customer, file: Announced) -> SignedWebhook:
        """A message the vendor holds from now on, and the webhook that would tell of it."""
        said = self.account.write(customer, file, self.remote.base_url)
        if self.account.keeps_a_list:
            await self.remote.say(said)
        return self.account.sign(said, self)


ACCOUNTS = (
    Account(
        "meta_cloud",
        (
            "--phone-number-id", _PHONE.phone_number_id, "--waba-id", _PHONE.waba_id, "--token", _PHONE.access_token,
            "--app-secret", _PHONE.app_secret, "--verify-token", _PHONE.verify_token,
        ),
        _PHONE,
        lambda customer, file, _base: message(customer, file=file),
        lambda said, _line: webhook([said], phone=_PHONE),
    ),
    Account(
        "dialog360",
        ("--phone-number-id", _NUMBER.phone_number_id, "--api-key", _NUMBER.access_token),
        _NUMBER,
        lambda customer, file, _base: message(customer, file=file),
        lambda said, line: dialog360.headed(webhook([said], phone=_NUMBER), line.headers),
        handle=dialog360.RemoteDialog360,
    ),
    Account(
        "twilio",
        ("--account-sid", _SENDER.account_sid, "--number", _SENDER.number, "--auth-token", _SENDER.auth_token),
        _SENDER.as_phone(),
        lambda customer, file, base: twilio.message(customer, base_url=base, files=(file,)),
        lambda said, line: twilio.webhook(said, line.url),
        handle=twilio.RemoteTwilio,
    ),
    Account(
        "messagebird",
        (
            "--channel-id", _MESSAGEBIRD.channel_id, "--access-key", _MESSAGEBIRD.access_key,
            "--signing-key", _MESSAGEBIRD.signing_key,
        ),
        _MESSAGEBIRD.as_phone(),
        lambda customer, file, base: messagebird.message(customer, base_url=base, file=file),
        lambda said, line: messagebird.signed(said, line.url),
        sender=messagebird.SigningSender,
    ),
    Account(
        "bird",
        (
            "--channel-id", _BIRD.channel_id, "--workspace-id", _BIRD.workspace_id,
            "--organization-id", _BIRD.organization_id, "--access-key", _BIRD.access_key,
            "--signing-key", _BIRD.signing_key,
        ),
        _BIRD.as_phone(),
        lambda customer, file, base: bird.message(customer, base_url=base, files=(file,)),
        lambda said, line: bird.webhook(said, line.url),
        handle=bird.RemoteBird,
    ),
)  # fmt: skip
"""Meta first: the others are compared with it."""
