"""Veil: masks faces, plates and people in camera pictures before anyone sees them."""

__version__ = "0.1.0"
