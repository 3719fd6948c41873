"""Random tokens, of which only hashes are kept."""

import base64
import hashlib
import hmac
import secrets

_BYTES = 32
TOKEN_LENGTH = 43
"""Characters of a token: 32 random bytes in base64 for addresses."""

BEARER = "veil_"
"""How a script's token begins, so that searches for leaked secrets find it."""


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(_BYTES)


def hash_of(token: str) -> str:
    """SHA-256 in hex: enough for what was random in the first place."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_of(session_token: str) -> str:
    """What a page has to send beside the cookie; only who knows the cookie can reckon it."""
    code = hmac.new(session_token.encode(), b"veil csrf", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(code).rstrip(b"=").decode()


def same(one: str, other: str) -> bool:
    """Compares in a time that tells nothing."""
    return hmac.compare_digest(one.encode(), other.encode())
