"""HubSpot: contacts by phone, files as records of an own object, or as notes where the plan has none."""
