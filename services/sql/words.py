"""How a room says what its database can't do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """A room's own errors and names for its database; no text ever holds a statement, its values or an address.

    Attributes:
        name: of the database in the middle of a sentence, such as "the vault's index".
        unavailable: raised with a sentence where the database can't be used now.
        conflict: raised with a sentence where a constraint forbids what was written.
        taken: that sentence.
        variable: of the environment in which the address stands, to begin sentences about it.
        extra: of the package that has the drivers, such as vault-postgres.
    """

    name: str
    unavailable: type[Exception]
    conflict: type[Exception]
    taken: str
    variable: str = ""
    extra: str = "vault-postgres"

    def cannot(self, why: str) -> Exception:
        """The database can't be used, and why, in one or two words."""
        return self.unavailable(f"{self.name[:1].upper()}{self.name[1:]} can't be used ({why}).")

    def of_the_address(self, sentence: str) -> Exception:
        """Something is wrong with the address."""
        return self.unavailable(f"{self.variable}: {sentence}" if self.variable else sentence)
