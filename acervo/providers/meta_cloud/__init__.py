"""WhatsApp numbers on Meta's Cloud API."""
