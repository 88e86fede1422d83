"""Whisper models on this machine, by the package faster-whisper."""
