"""A provider in memory, for tests of everything that stands on providers."""
