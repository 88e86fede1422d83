"""A simulated engine, in memory."""
