"""What WhatsApp's "Export chat" writes, on Android and iOS, in several languages. No account and no webhook: not in the table."""
