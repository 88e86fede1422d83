"""WhatsApp channels on MessageBird's Conversations API, version 1."""
