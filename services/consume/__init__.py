"""Reads the line's results for those outside of it: control centres, analysts, tests."""
