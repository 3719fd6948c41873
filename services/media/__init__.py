"""Pixels: access units, decoding, encoding, colour, masks. Knows nothing of buses."""
