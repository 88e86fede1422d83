"""WhatsApp senders at Twilio (Programmable Messaging)."""
