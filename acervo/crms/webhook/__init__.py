"""A system of one's own, behind one address."""
