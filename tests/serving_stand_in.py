"""Stand-ins for TF Serving that run a real SavedModel.

The gRPC one implements PredictionService on the real protos; the REST one follows the
documented JSON of TF Serving's predict API (row format, `b64` for names that end in
`_bytes`).
"""

import base64
import json
import sys
import threading
import time
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class Model:
    """A loaded version, and how the stand-in is to misbehave.

    Attributes:
        failures: How many of the next requests are refused as by a busy server.
        delay: Seconds that each answer is held back.
        requests: How many requests have come.
    """

    def __init__(self, folder):
        self._loaded = tf.saved_model.load(str(folder))
        self._lock = threading.Lock()
        self.failures = self.delay = self.requests = 0

    def is_busy(self):
        """Counts a request; says whether it is to be refused."""
        time.sleep(self.delay)
        with self._lock:
            self.requests += 1
            busy = self.failures > 0
            self.failures -= busy
            return busy

    def run(self, signature, inputs):
        """Runs a signature; raises KeyError for an unknown one."""
        return self._loaded.signatures[signature](**inputs)


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model):
        self._model = model

    def Predict(self, request, context):  # noqa: N802
        if self._model.is_busy():
            context.abort(grpc.StatusCode.UNAVAILABLE, "the queue is full")
        if request.model_spec.name != "kcolor":
            context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"Servable not found for request: Latest({request.model_spec.name})",
            )
        inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
        try:
            outputs = self._model.run(request.model_spec.signature_name, inputs)
        except tf.errors.OpError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
        response = predict_pb2.PredictResponse()
        response.model_spec.CopyFrom(request.model_spec)
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
        return response


@contextmanager
def grpc_server(model, threads=8):
    """Serves a `Model`; yields the address."""
    server = grpc.server(
        futures.ThreadPoolExecutor(threads),
        options=[("grpc.max_receive_message_length", 64 << 20)],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _Service(model), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


class _RestServer(ThreadingHTTPServer):
    daemon_threads = False  # Closing waits for answers that nobody reads any more.

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], BrokenPipeError):
            super().handle_error(request, client_address)


@contextmanager
def rest_server(model):
    """Serves a `Model`; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            length = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(length))
            if model.is_busy():
                return self._answer(503, {"error": "the queue is full"})
            if self.path != "/v1/models/kcolor:predict":
                return self._answer(404, {"error": f"Malformed request: {self.path}"})
            try:
                names = body["instances"][0].keys()
                inputs = {
                    name: tf.constant(
                        [base64.b64decode(i[name]["b64"]) for i in body["instances"]]
                    )
                    for name in names
                }
                outputs = model.run(body["signature_name"], inputs)
            except (KeyError, TypeError, tf.errors.OpError) as error:
                return self._answer(400, {"error": str(error)})
            (values,) = outputs.values()
            predictions = [
                {"b64": base64.b64encode(v).decode()} for v in values.numpy()
            ]
            return self._answer(200, {"predictions": predictions})

        def _answer(self, status, content):
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    server = _RestServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
