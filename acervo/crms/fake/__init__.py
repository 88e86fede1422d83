"""A CRM in memory: passes the whole suite, answers at once, and shows the contract without any vendor's words."""
