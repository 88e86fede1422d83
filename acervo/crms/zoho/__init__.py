"""Zoho CRM: contacts by phone, files as records of a module of our own, or as notes where the edition has none."""
