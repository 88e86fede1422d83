"""A simulated Twilio: signed forms, files behind a redirect, the list of messages, sending, senders."""

from sandbox.twilio.account import Account
from sandbox.twilio.messages import message, row_of, signed, status, webhook
from sandbox.twilio.remote import RemoteTwilio
from sandbox.twilio.server import TwilioServer

__all__ = ["Account", "RemoteTwilio", "TwilioServer", "message", "row_of", "signed", "status", "webhook"]
