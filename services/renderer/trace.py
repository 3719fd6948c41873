"""The hops behind a frame: those of its access unit, the renderer's own, and those of its span from inference on."""

from collections.abc import Iterable, Sequence

from services.schema import pb

_HOPS_MAX = 8
_NAME_MAX = 32


def copied(hops: Sequence[pb.Hop]) -> tuple[pb.Hop, ...]:
    """Hops of their own: a reference into a message would keep its payload in memory."""
    return tuple(
        pb.Hop(stage=hop.stage, received_us=hop.received_us, sent_us=hop.sent_us)
        for hop in hops[-_HOPS_MAX:]
        if len(hop.stage) <= _NAME_MAX
    )


def since_inference(hops: Iterable[pb.Hop]) -> tuple[pb.Hop, ...]:
    """Those of a span that are not its look's way to inference: the frame has a way of its own."""
    return tuple(hop for hop in hops if hop.stage != "decoder")
