"""Engines that write down speech. They know neither the database nor the web framework."""
