"""What can go wrong with the audit log; every text is one sentence."""


class AuditError(Exception):
    """Something that the audit log can't or won't do."""


class NoPurpose(AuditError):
    """Who does something must say who they are and, where it opens anything, what for."""


class Unavailable(AuditError):
    """The log, its keys or its files can't be used now."""
