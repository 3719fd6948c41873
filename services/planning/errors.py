"""What is wrong with what a plan was asked for: one sentence."""


class PlanError(Exception):
    """The text is one clear sentence for the person who asked."""
