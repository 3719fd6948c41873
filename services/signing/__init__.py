"""Signatures that anyone can check: Ed25519 keys in a folder, and JSON with one way to write each value."""

from services.signing.canonical import Value, canonical
from services.signing.keys import SigningError, SigningKeys, fingerprint, is_signed, public_pem, read_public

__all__ = ["SigningError", "SigningKeys", "Value", "canonical", "fingerprint", "is_signed", "public_pem", "read_public"]
