"""A gRPC server that speaks as much of Triton's protocol as the detectors need, and misbehaves when told to."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as triton
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceServicer, add_GRPCInferenceServiceServicer_to_server

Answer = Callable[[np.ndarray], np.ndarray | Mapping[str, np.ndarray]]


def means(images: np.ndarray) -> np.ndarray:
    """(n, 1): the mean of each picture."""
    return images.mean(axis=(1, 2, 3), keepdims=False).astype(np.float32)[:, None]


class FakeTriton(GRPCInferenceServiceServicer):
    """Serves one model whose only output is `out`, or whose outputs `answer` names.

    Attributes:
        stamp: what its configuration carries.
        answer: batch of pictures → output.
        error: code and text of the failure that takes the answer's place.
        delay_s: before each answer.
        change: a last hand at the response.
        checks, shapes, outputs, timeouts_us: what was asked.
    """

    def __init__(self, answer: Answer = means, stamp: str = "1+abc") -> None:
        self.answer = answer
        self.stamp = stamp
        self.error: tuple[grpc.StatusCode, str] | None = None
        self.delay_s = 0.0
        self.change: Callable[[triton.ModelInferResponse], object] = lambda _: None
        self.checks = 0
        self.shapes: list[tuple[int, ...]] = []
        self.outputs: list[tuple[str, ...]] = []
        self.timeouts_us: list[int] = []

    def ModelConfig(  # noqa: N802 - the protocol's name
        self, request: triton.ModelConfigRequest, context: grpc.ServicerContext
    ) -> triton.ModelConfigResponse:
        self.checks += 1
        time.sleep(self.delay_s)
        response = triton.ModelConfigResponse()
        response.config.parameters["stamp"].string_value = self.stamp
        return response

    def ModelInfer(  # noqa: N802 - the protocol's name
        self, request: triton.ModelInferRequest, context: grpc.ServicerContext
    ) -> triton.ModelInferResponse:
        (images,) = request.inputs
        assert (images.name, images.datatype) == ("images", "UINT8")
        self.shapes.append(tuple(images.shape))
        self.timeouts_us.append(request.parameters["timeout"].int64_param)
        time.sleep(self.delay_s)
        if self.error is not None:
            context.abort(*self.error)
        self.outputs.append(tuple(output.name for output in request.outputs))
        answer = self.answer(np.frombuffer(request.raw_input_contents[0], np.uint8).reshape(images.shape))
        tensors = answer if isinstance(answer, Mapping) else {"out": answer}
        response = triton.ModelInferResponse()
        for name in self.outputs[-1]:
            response.raw_output_contents.append(tensors[name].tobytes())
            response.outputs.add(name=name, datatype="FP32", shape=tensors[name].shape)
        self.change(response)
        return response


@contextmanager
def serving(
    fake: FakeTriton, address: str = "127.0.0.1:0", certificate: Sequence[tuple[bytes, bytes]] = ()
) -> Iterator[str]:
    """Runs it, with TLS where there is a certificate (key and chain, PEM); yields its host:port."""
    server = grpc.server(
        ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
    )
    add_GRPCInferenceServiceServicer_to_server(fake, server)
    host = address.rpartition(":")[0]
    if certificate:
        port = server.add_secure_port(address, grpc.ssl_server_credentials(certificate))
    else:
        port = server.add_insecure_port(address)
    server.start()
    try:
        yield f"{host}:{port}"
    finally:
        server.stop(0).wait(5)
