"""A simulated Meta Cloud API: it signs webhooks, holds files whose links die, and fails on demand."""

from sandbox.whatsapp.faults import Fault, FaultKind, FaultPlan, Side
from sandbox.whatsapp.messages import (
    Customer,
    Layout,
    Message,
    SignedWebhook,
    Status,
    batch,
    lost_message,
    message,
    new_message_id,
    reaction,
    sign,
    signed,
    status,
    webhook,
)
from sandbox.whatsapp.phone import Phone
from sandbox.whatsapp.remote import RemoteSandbox
from sandbox.whatsapp.sender import Sender, UndeliveredError, shake_hands
from sandbox.whatsapp.server import SandboxServer
from sandbox.whatsapp.shelf import Announced, MediaShelf

__all__ = [
    "Announced",
    "Customer",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "Layout",
    "MediaShelf",
    "Message",
    "Phone",
    "RemoteSandbox",
    "SandboxServer",
    "Sender",
    "Side",
    "SignedWebhook",
    "Status",
    "UndeliveredError",
    "batch",
    "lost_message",
    "message",
    "new_message_id",
    "reaction",
    "shake_hands",
    "sign",
    "signed",
    "status",
    "webhook",
]
