"""Kinds of a policy as they travel."""

from collections.abc import Mapping

from services.policy.model import Kind
from services.schema import pb

KINDS: Mapping[Kind, pb.Kind] = {
    Kind.FACE: pb.KIND_FACE,
    Kind.PLATE: pb.KIND_PLATE,
    Kind.PERSON: pb.KIND_PERSON,
    Kind.HEAD: pb.KIND_HEAD,
    Kind.MOTION: pb.KIND_MOTION,
    Kind.TEXT: pb.KIND_TEXT,
    Kind.LOGO: pb.KIND_LOGO,
}
