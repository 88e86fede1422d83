"""Salesforce: contacts by phone, files as records of an own object, or as tasks where the edition has none."""
