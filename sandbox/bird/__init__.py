"""A simulated Bird: signed webhooks that repeat with their first timestamp, files behind a redirect, a list, sending."""

from sandbox.bird.channel import Channel
from sandbox.bird.messages import message, signed, status, webhook
from sandbox.bird.remote import RemoteBird
from sandbox.bird.server import BirdServer

__all__ = ["BirdServer", "Channel", "RemoteBird", "message", "signed", "status", "webhook"]
