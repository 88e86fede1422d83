"""WhatsApp channels on Bird's Channels API."""
