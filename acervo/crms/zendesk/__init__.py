"""Zendesk: files as records of an own object, or as internal notes on a ticket where the plan has no objects."""
