"""Steps of requests as events of the topic audit."""

from services.disclosure.request import Request
from services.schema import pb


def audit_event(request: Request, number: int) -> pb.AuditEvent:
    """Step `number` of the history as an event of the topic audit, not chained yet; never tells whose footage it is."""
    step = request.history[number]
    details = {**step.details, "before": step.before or "", "after": step.after}
    return pb.AuditEvent(
        event_id=f"{request.id}/{number}",
        at_us=step.at_us,
        actor=step.who,
        role=step.role,
        action=f"disclosure.{step.action}",
        object=request.id,
        purpose=step.why,
        details=details,
    )
