"""WhatsApp numbers at 360dialog."""
