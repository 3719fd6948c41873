"""Why frames are not covered: one sentence for people, and the same as a code for programs."""

from dataclasses import dataclass

from services.schema import pb


@dataclass(frozen=True, slots=True)
class Fault:
    """Why frames are not covered.

    Attributes:
        reason: the code.
        sentence: for logs and reports, in English.
        detector: that it is about, empty where it is about none.
    """

    reason: pb.Closing.Reason
    sentence: str
    detector: str = ""

    @property
    def closing(self) -> pb.Closing:
        """As it goes out."""
        return pb.Closing(reason=self.reason, detector=self.detector)
