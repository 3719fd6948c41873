"""Spans: what is masked from one look to the next, and whether that is all there is."""

from collections.abc import Iterable, Mapping

from services.schema import pb
from services.tracker.faults import Fault
from services.tracker.look import Look
from services.tracker.motion import XYXY, Reach, Track


def why_incomplete(
    first: Look, second: Look | None, broken: Fault | None, warm_from: float, settled_from: float = 0.0
) -> Fault | None:
    """Why the frames from one look to the next (None: to the end of the stream) are not covered; None if they are.

    Both looks must have had every detector that the policy of either asks for: a subject that is only in the picture
    between them is seen by neither, and one that is at either end is seen there.

    Args:
        first: the look at the span's first frame.
        second: the look behind its last frame.
        broken: what is wrong with the stretch between them.
        warm_from: first frame for which everything that is still held was heard of.
        settled_from: first frame for which everything that is still held was looked for as the policy has it now.
    """
    looks = (first,) if second is None else (first, second)
    for look in looks:
        if look.rules is None:
            return Fault(pb.Closing.NO_POLICY, "No policy could be read for this camera.")
    for rules in {look.rules.label: look.rules for look in looks if look.rules is not None}.values():
        for look in looks:
            if fault := look.fault(rules):
                return fault
    if broken:
        return broken
    if first.seq < warm_from:
        return Fault(pb.Closing.RESTARTED, "The tracker started in mid-stream and does not know what was there before.")
    if first.seq < settled_from:
        return Fault(
            pb.Closing.POLICY_CHANGED, "The policy has just changed, and nobody looked for what it masks before."
        )
    return None


def segments(
    tracks: Iterable[Track], first: int, end: int, reaches: Mapping[pb.Kind, Reach], size: XYXY
) -> list[pb.TrackSegment]:
    """The tracks that are masked from frame `first` to the one before `end`, without those out of the picture.

    Args:
        tracks: all that may be masked.
        first: the span's first frame.
        end: the frame behind its last.
        reaches: how far the tracks of each kind are masked around their sights.
        size: corners of the picture.
    """
    found = []
    for track in tracks:
        reach = reaches.get(track.kind)
        segment = None if reach is None else track.segment(first, end, reach)
        if segment is None or (_apart(segment.first, size) and _apart(segment.last, size)):
            continue
        found.append(
            pb.TrackSegment(
                track_id=track.track_id,
                kind=track.kind,
                origin=segment.origin,
                first=segment.first,
                last=segment.last,
                score=track.score,
            )
        )
    return found


def _apart(a: XYXY, b: XYXY) -> bool:
    return a[2] <= b[0] or a[0] >= b[2] or a[3] <= b[1] or a[1] >= b[3]
