"""A simulated MessageBird, Conversations API version 1: webhooks signed for a minute, files by link, sending."""

from sandbox.messagebird.channel import Channel
from sandbox.messagebird.messages import message, signed, status
from sandbox.messagebird.sender import SigningSender
from sandbox.messagebird.server import MessageBirdServer
from sandbox.whatsapp.remote import RemoteSandbox

__all__ = ["Channel", "MessageBirdServer", "RemoteSandbox", "SigningSender", "message", "signed", "status"]
