"""The home of detectors on Triton Inference Server, over gRPC, with a deadline on every call."""

import math
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TypeVar

import grpc  # type: ignore[import-untyped] # carries no types
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as triton

from services.detect.interface import DetectorError, Image, Tensors
from services.detect.triton_servers import Server, TritonServers

STAMP = "stamp"
"""Parameter of a served model that carries its version and hash, as results carry them."""
MAX_BATCH = 8
"""Most pictures in one request, as the served models are configured."""

_CHECK_S = 1.0
_CHECK_EVERY_S = 10.0
"""How long a stamp that was seen holds, if its server does not fail: models can change without a restart."""
_QUEUE_SHARE = 0.9
"""Of its time a request may wait in the server's queue before it is rejected; the rest is for the work and the way."""
_QUEUE_TIMEOUT = "Request timeout expired"
"""What Triton says to a request that waited too long, with the same status code as a full queue."""
_QUEUE_FULL = "Exceeds maximum queue size"

_Answer = TypeVar("_Answer")


class WrongModel(DetectorError):
    """A server has another model under this name than the catalogue."""


class ServerGone(DetectorError):
    """No server could be reached."""


class TritonSession:
    """One model on all of the servers.

    Pictures of one shape travel in one request. Different shapes travel one after the other: a model that is given more
    requests at once than it has instances lets them wait far too long (see `triton_repository.INSTANCES`). A call that
    one server fails goes to the next while its time lasts.

    Args:
        servers: shared by all models.
        model: its name on the servers.
        stamp: version and hash that it must have there.
        clock: seconds, monotonic.
    """

    def __init__(self, servers: TritonServers, model: str, stamp: str, clock: Callable[[], float] = monotonic) -> None:
        self._servers = servers
        self._model = model
        self._stamp = stamp
        self._clock = clock

    def check(self) -> None:
        """Asks for the model. Raises WrongModel if the servers have another; DetectorError, TimeoutError."""
        self._ask(self._check, self._clock() + 2 * _CHECK_S)

    def run_each(self, outputs: Sequence[str], pictures: Sequence[Image], timeout_s: float) -> Sequence[Tensors]:
        """The named outputs for each picture. Raises TimeoutError after `timeout_s`, else DetectorError."""
        until = self._clock() + timeout_s

        def infer(server: Server, until: float) -> Sequence[Tensors]:
            if self._clock() - server.checked.get(self._model, -_CHECK_EVERY_S) >= _CHECK_EVERY_S:
                self._check(server, until)
            return self._infer(server, outputs, pictures, until)

        return self._ask(infer, until)

    def _ask(self, ask: Callable[[Server, float], _Answer], until: float) -> _Answer:
        """The answer of the first server that has one."""
        fault: Exception = ServerGone("no Triton server is known under the given names")
        for server in self._servers.in_turn():
            try:
                answer = ask(server, until)
            except (DetectorError, TimeoutError) as error:
                fault = error
                self._servers.failed(server)
                if self._clock() >= until:
                    break
            else:
                self._servers.answered(server)
                return answer
        raise fault

    def _check(self, server: Server, until: float) -> None:
        request = triton.ModelConfigRequest(name=self._model)
        # Half of the time at most, so that another server can still be asked.
        try:
            answer = server.stub.ModelConfig(request, timeout=min(_left(until, self._clock()) / 2, _CHECK_S))
        except grpc.RpcError as error:
            raise self._fault(server, error) from None
        found = answer.config.parameters[STAMP].string_value
        if found != self._stamp:
            raise WrongModel(
                f"Triton at {server.address} serves {self._model} {found or 'without a stamp'}, and not {self._stamp}"
            )
        server.checked[self._model] = self._clock()

    def _infer(
        self, server: Server, outputs: Sequence[str], pictures: Sequence[Image], until: float
    ) -> Sequence[Tensors]:
        """All pictures of one call by one server, one request after the other."""
        answers: list[Tensors] = [()] * len(pictures)
        for batch in _batches(pictures):
            timeout = _left(until, self._clock())
            request = self._request(outputs, [pictures[i] for i in batch], timeout)
            try:
                answer = server.stub.ModelInfer(request, timeout=timeout)
            except grpc.RpcError as error:
                raise self._fault(server, error) from None
            tensors = [_tensor(answer, name, len(batch)) for name in outputs]
            for place, i in enumerate(batch):
                answers[i] = [tensor[place] for tensor in tensors]
        return answers

    def _request(self, outputs: Sequence[str], pictures: Sequence[Image], timeout_s: float) -> triton.ModelInferRequest:
        request = triton.ModelInferRequest(model_name=self._model)
        request.inputs.add(name="images", datatype="UINT8", shape=(len(pictures), *pictures[0].shape))
        request.raw_input_contents.append(b"".join(picture.tobytes() for picture in pictures))
        for name in outputs:
            request.outputs.add(name=name)
        request.parameters["timeout"].int64_param = int(timeout_s * _QUEUE_SHARE * 1e6)
        return request

    def _fault(self, server: Server, error: grpc.RpcError) -> Exception:
        """What a failed call means, in words that are ours: the server's own could hold what it was given."""
        code, text = error.code(), error.details() or ""
        where = f"Triton at {server.address}"
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return TimeoutError(f"{where} did not answer in time")
        if code == grpc.StatusCode.UNAVAILABLE and _QUEUE_TIMEOUT in text:
            return TimeoutError(f"{where} has rejected a request that waited too long")
        if code == grpc.StatusCode.UNAVAILABLE and _QUEUE_FULL in text:
            return DetectorError(f"{where} has a full queue")
        if code == grpc.StatusCode.UNAVAILABLE:
            return ServerGone(f"{where} can't be reached")
        return DetectorError(f"{where} failed on {self._model} ({code.name})")


def _batches(pictures: Sequence[Image]) -> Sequence[Sequence[int]]:
    """Indices of pictures that travel together: of one shape, and not more than a request may hold."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, picture in enumerate(pictures):
        by_shape.setdefault(picture.shape, []).append(i)
    return [same[i : i + MAX_BATCH] for same in by_shape.values() for i in range(0, len(same), MAX_BATCH)]


def _tensor(answer: triton.ModelInferResponse, name: str, pictures: int) -> NDArray[np.float32]:
    """The named output of so many pictures. Raises DetectorError if there is none such."""
    for output, content in zip(answer.outputs, answer.raw_output_contents, strict=False):
        if output.name == name:
            shape = tuple(output.shape)
            if output.datatype != "FP32" or len(content) != 4 * math.prod(shape) or shape[:1] != (pictures,):
                raise DetectorError(
                    f"Triton answered {name} as {output.datatype} of shape {shape} to {pictures} pictures"
                )
            return np.frombuffer(content, np.float32).reshape(shape)
    raise DetectorError(f"Triton answered without {name}")


def _left(until: float, now: float) -> float:
    """Seconds for a call. Raises TimeoutError if there are none."""
    if now >= until:
        raise TimeoutError("no time is left to ask Triton")
    return until - now
