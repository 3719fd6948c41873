"""The wire contract `veil.v1`, generated from proto/ (`make proto`); a test holds the two together."""

from services.schema.veil.v1 import veil_pb2 as pb

__all__ = ["pb"]
