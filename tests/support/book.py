"""A policy book for tests."""

from services.policy.model import Policy, PolicyUnavailable


class Book:
    """One policy for all cameras; None for none. May be changed at any time."""

    def __init__(self, policy: Policy | None) -> None:
        self.policy = policy

    def policy_for(self, camera_id: str) -> Policy:
        if self.policy is None:
            raise PolicyUnavailable(camera_id)
        return self.policy
